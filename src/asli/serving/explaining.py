"""Explanations over HTTP: the map of one picture, as pixels, and what its check found, in words."""

import asyncio
import base64
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
from PIL import Image
from starlette.concurrency import run_in_threadpool

from asli.datasets.images import decode
from asli.detector.base import Detector
from asli.detector.classifier import Classifier, as_classifier
from asli.detector.examining import examine_all
from asli.explanation.view import Method, View
from asli.messages import LANGUAGES
from asli.serving.api_schema import WebExplainedImage, WebExplanation

if TYPE_CHECKING:
    from asli.explanation.map_check_result import MapCheck
    from asli.explanation.maps import Explained, MapMaker

ASKED = 0.25
"""Seconds after which a computation asks again whether its client is still there."""

STEP = 0.01
"""Share of the work after which progress is reported again."""

PREVIEW = 1024
"""Pixels of a preview's longer side."""


class Explainer:
    """Explains pictures by one detector, one after another.

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
    ) -> AsyncIterator[tuple[float, WebExplainedImage | None]]:
        """Yield the share of the work that is done, with the picture's prediction where that is news.

        The prediction has `explanation` in it, which is None where it has an error. It comes as soon as there is a map,
        unchecked, and again at the end.

        Args:
            name: Name of the file.
            read: Returns its bytes.
            left: Returns whether the client has left; the computation then ends.
            method: `grad-cam` or `occlusion`.
            check: Also measure whether the map holds.
            force_domain: See `Detector.predict`.

        Raises:
            DetectorError: This detector cannot be explained this way; nothing was yielded then.
        """
        async with self._turn:
            if await left():
                return
            loop = asyncio.get_running_loop()
            told: asyncio.Queue[tuple[float, WebExplainedImage | None] | None] = asyncio.Queue()
            abandoned = threading.Event()

            def tell(share: float, image: WebExplainedImage | None = None) -> None:
                loop.call_soon_threadsafe(told.put_nowait, (share, image))

            given = name, read, method, check, force_domain, tell, abandoned.is_set
            work = asyncio.ensure_future(run_in_threadpool(self._explain, *given))
            work.add_done_callback(lambda _: told.put_nowait(None))
            try:
                while True:
                    with suppress(TimeoutError):
                        news = await asyncio.wait_for(told.get(), ASKED)
                        if news is None:
                            break
                        yield news
                    if await left():
                        return
                await work  # which may have failed
            finally:
                abandoned.set()
                with anyio.CancelScope(shield=True):  # one after another: the thread ends at its next forward pass
                    await asyncio.wait([work])

    def _explain(
        self,
        name: str,
        read: Callable[[], bytes],
        method: Method,
        check: bool,
        force_domain: bool,
        tell: Callable[[float, WebExplainedImage | None], None],
        abandoned: Callable[[], bool],
    ) -> None:
        # Here: they need torch and matplotlib, which no other request does.
        from asli.explanation.maps import Abandoned, Explained, MapMaker

        (examined,) = examine_all([read], self._detector, keep_pixels=True)
        (prediction,) = self._detector.predictions([(name, examined)], force_domain=force_domain)
        if examined.pixels is None:
            tell(1.0, WebExplainedImage(prediction=prediction))
            return
        leaf = as_classifier(self._detector.answering(examined.prepared)[0], "an explanation")
        key = (id(leaf), method, check)
        if key not in self._makers:
            self._makers[key] = leaf, MapMaker(leaf, method, check=check)
        view = View.of(examined.pixels, leaf.preprocessing)

        def explained(found: Explained, checked: "MapCheck | None") -> WebExplainedImage:
            return WebExplainedImage(prediction=prediction, explanation=_described(view, method, found, checked))

        known: Explained | None = None
        before = -1.0

        def watch(share: float, found: Explained | None) -> None:
            nonlocal known, before
            if abandoned():
                raise Abandoned
            news = found if found is not known else None
            if news is not None or share - before >= STEP:
                tell(share, None if news is None else explained(news, None))
                known, before = found, share

        tell(0.0, None)
        with suppress(Abandoned):
            found, checked = self._makers[key][1].make(view, watch)
            tell(1.0, explained(found, checked))


def _described(view: View, method: Method, found: "Explained", checked: "MapCheck | None") -> WebExplanation:
    from asli.explanation.maps import TOO_ALIKE
    from asli.explanation.page import check_text
    from asli.explanation.picture import overlay

    words = check_text(checked, TOO_ALIKE)
    return WebExplanation(
        method=method,
        of="log-odds of fake",
        layer=found.layer,
        map_size=found.side,
        cells=tuple(map(tuple, view.by_cell(found.heat).tolist())),
        check=checked,
        check_in_words={code: words.text(code) for code in LANGUAGES},
        view=_png(view.pixels),
        map=_png(overlay(view, found.heat)),
    )


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
