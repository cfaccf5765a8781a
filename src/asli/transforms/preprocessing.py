"""What a network sees of an image at evaluation: deterministic, saved in the detector, the same at every door."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from asli.errors import ImageError
from asli.limits import MAX_PIXELS
from asli.recipe import CropMode

if TYPE_CHECKING:
    import torch

Kernel = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
"""Of a resize, as Pillow names it; recipes offer three of them."""

RESAMPLING: dict[Kernel, Image.Resampling] = {name: Image.Resampling[name.upper()] for name in get_args(Kernel)}


TILES = 4
"""Most tiles along a side."""


class Preparation(Protocol):
    """Turns pixels into what a detector computes on."""

    @property
    def size(self) -> int:
        """Return the side of its input in pixels: batches shrink as it grows."""

    def fit(self, pixels: npt.NDArray[np.uint8]) -> Any:
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
    """Of each channel, red first, of values in [0, 1]."""
    std: tuple[float, float, float]
    crop_mode: CropMode = "resize"
    """What is looked at (see the recipe's `data.crop_mode`); a smaller image is enlarged to `size` first."""

    def fit(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
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
            ImageError: See `fit`.
        """
        short = min(pixels.shape[:2])
        if short < self.size or (self.crop_mode in ("resize", "mirrored") and short != self.size):
            pixels = self._resize(pixels)
        height, width = pixels.shape[:2]
        if self.crop_mode == "tiles":
            return pixels, [(top, left) for top in self._starts(height) for left in self._starts(width)]
        return pixels, [(round((height - self.size) / 2), round((width - self.size) / 2))]

    def cut(self, pixels: npt.NDArray[np.uint8], corners: list[tuple[int, int]]) -> npt.NDArray[np.uint8]:
        """Cut windows out of what `place` returned: uint8, windows x size x size x 3, mirror images last."""
        windows = np.stack([pixels[top : top + self.size, left : left + self.size] for top, left in corners])
        return np.concatenate([windows, windows[:, :, ::-1]]) if self.crop_mode == "mirrored" else windows

    def batch(self, windows: npt.NDArray[np.uint8], device: "torch.device") -> "torch.Tensor":
        """Turn windows, uint8, n x size x size x 3, into the network's input, float32, n x 3 x size x size."""
        import torch  # here, so that cutting windows for ONNX needs no torch

        from asli.transforms.apply import to_input

        pixels = torch.from_numpy(windows).to(device).permute(0, 3, 1, 2)
        return to_input(pixels, self.mean, self.std)

    def _resize(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        height, width = pixels.shape[:2]
        stretched = int(self.size * max(height, width) / min(height, width))  # torchvision cuts off, too
        if self.size * stretched > MAX_PIXELS:
            raise ImageError(f"{width} x {height} pixels: too narrow to be resized to {self.size} px")
        shape = (self.size, stretched) if width <= height else (stretched, self.size)
        return np.asarray(Image.fromarray(pixels).resize(shape, RESAMPLING[self.interpolation]))

    def _starts(self, extent: int) -> list[int]:
        """Place tiles evenly from edge to edge: as many as cover the side, at most `TILES`."""
        count = min(-(-extent // self.size), TILES)
        return [int(start) for start in np.linspace(0, extent - self.size, count).round()]
