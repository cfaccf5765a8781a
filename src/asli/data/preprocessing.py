"""What a network sees of an image at evaluation: deterministic, saved in the detector, the same at every door."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from asli.data.apply import to_input
from asli.recipe import Interpolation

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Resize the shorter side to `size` with Pillow, crop the centre, scale to [0, 1], normalise.

    This is timm's and torchvision's evaluation transform at crop share 1, to the bit: a network opened there gives our
    score. An image whose shorter side is `size` already is not resampled.
    """

    size: int
    """Height and width of the network's input, in pixels."""
    interpolation: Interpolation
    mean: tuple[float, float, float]
    """Of each channel, red first, of values in [0, 1]."""
    std: tuple[float, float, float]

    def fit(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Resize and crop one image, uint8, height x width x 3, to size x size x 3."""
        height, width = pixels.shape[:2]
        short, long = min(height, width), max(height, width)
        if short != self.size:
            stretched = int(self.size * long / short)  # torchvision cuts off, too
            shape = (self.size, stretched) if width <= height else (stretched, self.size)
            pixels = np.asarray(Image.fromarray(pixels).resize(shape, _RESAMPLING[self.interpolation]))
            height, width = pixels.shape[:2]
        top, left = round((height - self.size) / 2), round((width - self.size) / 2)
        return pixels[top : top + self.size, left : left + self.size]

    def batch(
        self, images: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8], device: torch.device
    ) -> torch.Tensor:
        """Turn images, uint8, height x width x 3 each, into the network's input, float32, n x 3 x size x size."""
        if isinstance(images, np.ndarray) and images.shape[1:3] == (self.size, self.size):
            fitted = np.require(images, requirements=["C", "W"])  # packed pixels are mapped read-only
        else:
            fitted = np.stack([self.fit(image) for image in images])
        pixels = torch.from_numpy(fitted).to(device).permute(0, 3, 1, 2)
        return to_input(pixels, self.mean, self.std)
