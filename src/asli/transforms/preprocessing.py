"""Preprocessing at evaluation: deterministic, saved in the detector, the same at every entry point."""

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from asli.errors import ImageError
from asli.pixel_limits import MAX_PIXELS
from asli.recipe import CropMode, DataSettings, Pooling

if TYPE_CHECKING:
    import torch

Kernel = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
"""Kernel of a resize, as Pillow names it; recipes offer three of them."""

RESAMPLING: dict[Kernel, Image.Resampling] = {name: Image.Resampling[name.upper()] for name in get_args(Kernel)}


TILES = 4
"""Most tiles along a side."""

CANDIDATES = 8
"""Most windows along a side among which `texture` chooses."""


class Preparation(Protocol):
    """Turns pixels into what a detector computes on."""

    @property
    def size(self) -> int:
        """Return the side of its input in pixels: batches shrink as it grows."""

    def to_input(self, pixels: npt.NDArray[np.uint8]) -> Any:
        """Prepare one image, uint8, height x width x 3."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From an image of any size to the network's input.

    With the crop mode `resize` this is timm's and torchvision's evaluation transform at crop share 1, to the bit: a
    network opened there gives our score. An image whose shorter side is `size` already is not resampled.
    """

    size: int
    """Height and width of the network's input, in pixels."""
    interpolation: Kernel
    mean: tuple[float, float, float]
    """Mean of each channel, red first, of values in [0, 1]."""
    std: tuple[float, float, float]
    crop_mode: CropMode = "resize"
    """Cropping (see the recipe's `data.crop_mode`); a smaller image is enlarged to `size` first."""
    crops: int = 4
    """Windows of `grid` and `texture`."""
    pooling: Pooling = "mean"
    """How windows' logits become one (see the recipe's `data.pooling`)."""
    short_side: int = 0
    """`grid` and `texture` shrink a larger shorter side to this many pixels first; 0 never shrinks."""

    @classmethod
    def of(
        cls, data: DataSettings, mean: tuple[float, float, float], std: tuple[float, float, float]
    ) -> "Preprocessing":
        """Return what a recipe's network sees at evaluation.

        Args:
            data: Data section of the recipe.
            mean: Mean of the network's input; see the attribute.
            std: Standard deviation of the network's input; see the attribute.
        """
        return cls(
            data.size,
            data.interpolation,
            mean,
            std,
            data.crop_mode,
            crops=data.crops,
            pooling=data.pooling,
            short_side=data.short_side,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, without younger settings at their defaults: so older detectors' hashes stand."""
        settings = asdict(self)
        for name in ("crops", "pooling", "short_side"):
            if settings[name] == type(self).__dataclass_fields__[name].default:
                del settings[name]
        return settings

    @property
    def native(self) -> bool:
        """Whether windows are cut at native resolution, from images shrunk to `short_side` at most."""
        return self.crop_mode in ("grid", "texture")

    def to_input(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Cut the windows of one image.

        Args:
            pixels: uint8, height x width x 3.

        Returns:
            uint8, windows x size x size x 3.

        Raises:
            ImageError: It is so narrow that, enlarged, it would exhaust memory.
        """
        return self.cut(*self.place(pixels))

    def place(self, pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], list[tuple[int, int]]]:
        """Return what the windows are cut out of, uint8, height x width x 3, and where: top and left of each.

        Raises:
            ImageError: See `to_input`.
        """
        short = min(pixels.shape[:2])
        if short < self.size or (self.crop_mode in ("resize", "mirrored") and short != self.size):
            pixels = self._resize(pixels, self.size)
        elif self.native and 0 < self.short_side < short:
            pixels = self._resize(pixels, max(self.short_side, self.size))
        height, width = pixels.shape[:2]
        if self.crop_mode == "tiles":
            return pixels, [(top, left) for top in self._starts(height) for left in self._starts(width)]
        if self.crop_mode == "grid":
            side = math.isqrt(self.crops)
            return pixels, [(top, left) for top in self._cells(height, side) for left in self._cells(width, side)]
        if self.crop_mode == "texture":
            return pixels, self._textured(pixels)
        return pixels, [(round((height - self.size) / 2), round((width - self.size) / 2))]

    def cut(self, pixels: npt.NDArray[np.uint8], corners: list[tuple[int, int]]) -> npt.NDArray[np.uint8]:
        """Cut windows out of what `place` returned: uint8, windows x size x size x 3, mirror images last."""
        windows = np.stack([pixels[top : top + self.size, left : left + self.size] for top, left in corners])
        return np.concatenate([windows, windows[:, :, ::-1]]) if self.crop_mode == "mirrored" else windows

    def weights(self, log_odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return how much each window of one image counts in its logits: n, of sum 1, from log-odds of fake, n.

        A window that is left out counts 0; of equal log-odds the first counts as lower.
        """
        n = len(log_odds)
        chosen = np.argsort(log_odds, kind="stable")
        if self.pooling == "top":
            chosen = chosen[n // 2 :]
        elif self.pooling == "trimmed":
            chosen = chosen[n // 4 : n - n // 4]
        elif self.pooling == "max":
            chosen = chosen[-1:]
        weights = np.zeros(n)
        weights[chosen] = 1 / len(chosen)
        return weights

    def batch(self, windows: npt.NDArray[np.uint8], device: "torch.device") -> "torch.Tensor":
        """Turn windows, uint8, n x size x size x 3, into the network's input, float32, n x 3 x size x size."""
        import torch  # here, so that cutting windows for ONNX needs no torch

        from asli.transforms.apply import to_input

        pixels = torch.from_numpy(windows).to(device).permute(0, 3, 1, 2)
        return to_input(pixels, self.mean, self.std)

    def _resize(self, pixels: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
        height, width = pixels.shape[:2]
        stretched = int(side * max(height, width) / min(height, width))  # torchvision cuts off, too
        if side * stretched > MAX_PIXELS:
            raise ImageError(f"{width} x {height} pixels: too narrow to be resized to {side} px")
        shape = (side, stretched) if width <= height else (stretched, side)
        return np.asarray(Image.fromarray(pixels).resize(shape, RESAMPLING[self.interpolation]))

    def _starts(self, extent: int, most: int = TILES) -> list[int]:
        """Place tiles evenly from edge to edge: as many as cover the side, at most `most`."""
        count = min(-(-extent // self.size), most)
        return [int(start) for start in np.linspace(0, extent - self.size, count).round()]

    def _cells(self, extent: int, count: int) -> list[int]:
        """Place a window in the middle of each of `count` equal parts of a side, moved inside where it reaches out."""
        middles = (np.arange(count) + 0.5) * extent / count
        starts = np.clip(np.round(middles - self.size / 2), 0, extent - self.size)
        return [int(start) for start in starts]

    def _textured(self, pixels: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
        """Return the windows of most texture: the largest mean absolute difference of neighboring pixels' green.

        Sums of whole numbers, so the choice is the same on every machine; of equal windows the upper left comes first.
        """
        height, width = pixels.shape[:2]
        corners = [(top, left) for top in self._starts(height, CANDIDATES) for left in self._starts(width, CANDIDATES)]

        def texture(top: int, left: int) -> int:
            green = pixels[top : top + self.size, left : left + self.size, 1].astype(np.int16)
            return int(np.abs(np.diff(green, axis=0)).sum()) + int(np.abs(np.diff(green, axis=1)).sum())

        found = np.array([-texture(*corner) for corner in corners], dtype=np.int64)
        chosen = np.sort(np.argsort(found, kind="stable")[: self.crops])
        return [corners[number] for number in chosen]
