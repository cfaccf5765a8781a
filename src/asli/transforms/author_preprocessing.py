"""Preprocessing of an adopted network: the author's resize, crop and normalization, reproduced to the pixel."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from asli.errors import ImageError
from asli.pixel_limits import MAX_PIXELS
from asli.transforms.preprocessing import RESAMPLING, Kernel, Preprocessing

Array = npt.NDArray[np.uint8]

Fitting = Literal["shortest-edge", "squash", "pad", "none"]
Resampler = Literal["pillow", "torchvision"]
Rounding = Literal["round", "floor", "pad-ceil"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorPreprocessing(Preprocessing):
    """Resize, then cut or pad the center to a square, as another library does it.

    `mean` and `std` express rescaling and normalization together: the network gets pixel / 255 / std - mean / std.
    """

    fitting: Fitting
    """`shortest-edge`: resize the shorter side to `edge`; `squash`: resize both sides to `edge`; `pad`: resize the
    longer side to `edge` and pad with `fill`; `none`: do not resize."""
    edge: int
    """Side in pixels before the center of `size` x `size` is cut out, or padded where the image is smaller."""
    resampler: Resampler = "pillow"
    """Library that resizes: some pixels differ by a level of 255 between them."""
    rounding: Rounding = "floor"
    """Where an odd margin goes: `round` (torchvision on Pillow images, timm), `floor` (fast image processors of
    transformers), `pad-ceil` (slow ones: crops like `floor`, pads the larger half before)."""
    fill: tuple[int, int, int] = (0, 0, 0)
    """Color of padding."""

    def place(self, pixels: Array) -> tuple[Array, list[tuple[int, int]]]:
        """Resize and pad; see `Preprocessing.place`. There is one window."""
        placed = self._padded(self._resized(pixels))
        height, width = placed.shape[:2]
        return placed, [(self._margin(height - self.size), self._margin(width - self.size))]

    def _resized(self, pixels: Array) -> Array:
        height, width = pixels.shape[:2]
        if self.fitting == "none":
            return pixels
        if self.fitting == "squash":
            wanted = self.edge, self.edge
        elif self.fitting == "shortest-edge":
            long = int(self.edge * max(height, width) / min(height, width))
            wanted = (long, self.edge) if width <= height else (self.edge, long)
        else:
            ratio = max(height, width) / self.edge
            wanted = max(1, round(height / ratio)), max(1, round(width / ratio))
        if wanted[0] * wanted[1] > MAX_PIXELS:
            raise ImageError(f"{width} x {height} pixels: too narrow to be resized to {self.size} px")
        if wanted == (height, width):
            return pixels
        if self.resampler == "torchvision":
            return _torchvision(pixels, wanted, self.interpolation)
        image = Image.fromarray(pixels)
        return np.asarray(image.resize((wanted[1], wanted[0]), RESAMPLING[self.interpolation]))

    def _padded(self, pixels: Array) -> Array:
        height, width = pixels.shape[:2]
        if height >= self.size and width >= self.size:
            return pixels
        result = np.empty((max(height, self.size), max(width, self.size), 3), dtype=np.uint8)
        result[:] = self.fill
        top, left = self._before(result.shape[0] - height), self._before(result.shape[1] - width)
        result[top : top + height, left : left + width] = pixels
        return result

    def _margin(self, extra: int) -> int:
        return round(extra / 2) if self.rounding == "round" else extra // 2

    def _before(self, missing: int) -> int:
        """Return how much of the padding of an axis comes first."""
        return -(-missing // 2) if self.rounding == "pad-ceil" else missing // 2


def _torchvision(pixels: Array, wanted: tuple[int, int], kernel: Kernel) -> Array:
    import torch  # here: Pillow's way needs no torch
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    mode = InterpolationMode.NEAREST_EXACT if kernel == "nearest" else InterpolationMode[kernel.upper()]
    # A copy: decoded pixels may be read-only, which torch warns of.
    image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()[None]
    resized = tv.resize(image, list(wanted), interpolation=mode, antialias=True)
    result: Array = np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())
    return result
