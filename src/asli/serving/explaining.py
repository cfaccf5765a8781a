"""Explanations over HTTP: the map of one picture, as pixels, and what its check found, in words."""

import asyncio
import base64
import io
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from PIL import Image
from starlette.concurrency import run_in_threadpool

from asli.datasets.images import decode
from asli.detector.base import Detector
from asli.detector.classifier import Classifier, as_classifier
from asli.detector.examining import examine_all
from asli.explanation.view import Method, View
from asli.messages import LANGUAGES

if TYPE_CHECKING:
    from asli.explanation.maps import MapMaker

ASKED = 0.25
"""Seconds after which a computation asks again whether its client is still there."""

PREVIEW = 1024
"""Pixels of a preview's longer side."""


class Explainer:
    """Explains pictures by one detector, one after another; networks with random weights are made once.

    Args:
        detector: Explains its scores.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._makers: dict[tuple[int, Method, bool], tuple[Classifier, MapMaker]] = {}
        self._turn = asyncio.Lock()  # those who wait for it hold no thread, which other requests need

    async def explain(
        self,
        name: str,
        read: Callable[[], bytes],
        left: Callable[[], Awaitable[bool]],
        *,
        method: Method,
        check: bool,
        force_domain: bool,
    ) -> dict[str, Any] | None:
        """Return a picture's prediction as plain JSON, with `explanation` in it, which is None where it has an error.

        Args:
            name: Name of the file.
            read: Returns its bytes.
            left: Returns whether the client has left; the computation then ends, and the result is None.
            method: `grad-cam` or `occlusion`.
            check: Also measure whether the map holds.
            force_domain: See `Detector.predict`.

        Raises:
            DetectorError: This detector cannot be explained this way.
        """
        async with self._turn:
            if await left():
                return None
            abandoned = threading.Event()

            async def watch() -> None:
                while not await left():
                    await asyncio.sleep(ASKED)
                abandoned.set()

            watching = asyncio.create_task(watch())
            try:
                return await run_in_threadpool(self._explain, name, read, method, check, force_domain, abandoned.is_set)
            finally:
                watching.cancel()

    def _explain(
        self,
        name: str,
        read: Callable[[], bytes],
        method: Method,
        check: bool,
        force_domain: bool,
        abandoned: Callable[[], bool],
    ) -> dict[str, Any] | None:
        # Here: they need torch and matplotlib, which no other request does.
        from asli.explanation.maps import TOO_ALIKE, Abandoned, MapMaker
        from asli.explanation.page import check_text
        from asli.explanation.picture import overlay

        (examined,) = examine_all([read], self._detector, keep_pixels=True)
        (prediction,) = self._detector.predictions([(name, examined)], force_domain=force_domain)
        if examined.pixels is None:
            return {**prediction.to_dict(), "explanation": None}
        leaf = as_classifier(self._detector.answering(examined.prepared)[0], "an explanation")
        key = (id(leaf), method, check)
        if key not in self._makers:
            self._makers[key] = leaf, MapMaker(leaf, method, check=check)
        view = View.of(examined.pixels, leaf.preprocessing)
        try:
            found, checked = self._makers[key][1].make(view, abandoned)
        except Abandoned:
            return None
        words = check_text(checked, TOO_ALIKE)
        explanation = {
            "method": method,
            "of": "log-odds of fake",
            "layer": found.layer,
            "map_size": found.side,
            "cells": view.by_cell(found.heat).tolist(),
            "check": checked,
            "check_in_words": {code: words.text(code) for code in LANGUAGES},
            "view": _png(view.pixels),
            "map": _png(overlay(view, found.heat)),
        }
        return {**prediction.to_dict(), "explanation": explanation}


def preview(data: bytes) -> bytes:
    """Return a picture as a small JPEG file, for browsers that cannot show its format.

    Raises:
        ImageError: It cannot be decoded.
    """
    image = Image.fromarray(decode(data)[0])
    image.thumbnail((PREVIEW, PREVIEW), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=88)
    return stream.getvalue()


def _png(pixels: Any) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
