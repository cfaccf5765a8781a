"""Calibration images as people's files come: each in one view, drawn by its content: as it is, or saved once more."""

import logging
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.detector.domain import Domain
from asli.transforms.corruptions import HEIC_SIDE, Array, avif, heic, jpeg, webp
from asli.transforms.preprocessing import Preparation
from asli.transforms.randomness import uniforms

logger = logging.getLogger("asli")

JPEG_QUALITIES = (40, 100)
OTHER_QUALITIES = (50, 95)
"""Lowest and highest quality of WebP, AVIF and HEIC files."""

_SEED = 0x7361766564


class SavedPixels:
    """Pixels of a data folder's rows after another save.

    A quarter of the images stay as they are, four in ten become JPEG files; WebP, AVIF and HEIC share the rest.

    Args:
        data: The data folder.
    """

    def __init__(self, data: DataFolder) -> None:
        self._pixels = data.pixels
        rows = np.arange(len(data.labels))
        readable = np.flatnonzero(data.readable)
        keys = np.zeros(len(rows), dtype=np.int64)
        # A function of the content, so that identical images are seen alike wherever they lie.
        keys[readable] = (data.keys(readable) >> np.uint64(1)).astype(np.int64)
        self._draws = uniforms(_SEED, 0, keys, 2)
        self._heic = find_spec("pillow_heif") is not None
        if not self._heic:
            logger.warning("HEIC is left out of the views: pip install 'asli[heif]' brings it")

    def fitted(self, rows: npt.NDArray[np.int64], preparation: Preparation) -> list[Any]:
        """Return each row's image in its view, prepared by `preparation.to_input`."""
        return self._pixels.map(lambda row, image: preparation.to_input(self.view(row, image)), rows)

    def view(self, row: int, image: Array) -> Array:
        """Return one image, uint8, height x width x 3, in its view."""
        which, quality = self._draws[row].tolist()
        if which < 0.25 or max(image.shape[:2]) > HEIC_SIDE:
            return image
        low, high = JPEG_QUALITIES if which < 0.65 else OTHER_QUALITIES
        value = low + int(quality * (high - low + 1))
        if which < 0.65:
            return jpeg(image, value)
        if which < 0.8:
            return webp(image, value)
        if which < 0.9 or not self._heic:
            return avif(image, value)
        return heic(image, value)

    def widen(self, domain: Domain) -> Domain:
        """Return a domain that also holds the files of these views."""
        formats = {"JPEG", "PNG", "WEBP", "AVIF", *(("HEIF",) if self._heic else ())}
        low, high = domain.qualities or JPEG_QUALITIES
        return replace(
            domain,
            formats=tuple(sorted({*domain.formats, *formats})),
            qualities=(min(low, JPEG_QUALITIES[0]), max(high, JPEG_QUALITIES[1])),
        )
