"""Turn views of packed images into the network's input, a whole batch at once.

The results equal torchvision's `resized_crop(..., antialias=True)`, `hflip` and `normalize` on float tensors. Cropping
comes before resampling, so a kernel never reaches beyond its crop (a `grid_sample` crop would).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from asli.recipe import Interpolation
from asli.transforms.views import Views


def crop(images: npt.NDArray[np.uint8], views: Views) -> npt.NDArray[np.uint8]:
    """Cut boxes of the images' own size, black where they reach beyond, and mirror.

    Args:
        images: uint8, n x height x width x 3.
        views: Boxes whose height and width are the images'.

    Returns:
        uint8, n x height x width x 3.
    """
    n, height, width, channels = images.shape
    top, left = views.boxes[:, 0], views.boxes[:, 1]
    margin = int(np.abs(views.boxes[:, :2]).max(initial=0))
    # A row of pixels is one item of `width * 3` bytes: rows and columns are gathered as whole as possible.
    padded = np.zeros((n, height + 2 * margin, width + 2 * margin, channels), dtype=np.uint8)
    padded[:, margin : margin + height, margin : margin + width] = images
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width, channels), axis=(1, 2, 3))
    cut: npt.NDArray[np.uint8] = windows[np.arange(n), top + margin, left + margin, 0]
    cut[views.flips] = cut[views.flips, :, ::-1]
    return cut


@dataclass(frozen=True, slots=True)
class Shown:
    """Views of images, ready for a device: the CPU's part of the work is done, bytes are still 8 bits.

    Attributes:
        images: uint8, n x height x width x 3, contiguous, in the CPU's memory.
        weights: Matrices that cut and resize along rows, float32, n x size x height, and along columns, n x size x
            width; None where the images are the views already.
    """

    images: torch.Tensor
    weights: tuple[torch.Tensor, torch.Tensor] | None = None

    def pinned(self) -> "Shown":
        """Return the same in pinned memory, from which a GPU copies while the program continues."""
        weights = None if self.weights is None else (self.weights[0].pin_memory(), self.weights[1].pin_memory())
        return Shown(self.images.pin_memory(), weights)

    def on(self, device: torch.device) -> torch.Tensor:
        """Return the views on a device.

        Returns:
            n x 3 x size x size, values in [0, 255]: uint8, or float32 where they are resized (a little beyond the range
            with negative lobes).
        """
        pixels = self.images.to(device, non_blocking=True).permute(0, 3, 1, 2)
        if self.weights is None:
            return pixels
        rows, columns = (weight.to(device, non_blocking=True) for weight in self.weights)
        # Separable: first along rows, then along columns, as batched matrix products.
        wide = torch.matmul(pixels.to(torch.float32), columns.transpose(1, 2).unsqueeze(1))
        return torch.matmul(rows.unsqueeze(1), wide)


def resized(images: npt.NDArray[np.uint8], views: Views, size: int, interpolation: Interpolation) -> Shown:
    """Prepare to cut each box, resize it to a square and mirror it.

    Args:
        images: uint8, n x height x width x 3.
        views: Boxes inside the images.
        size: Height and width of the result.
        interpolation: The kernel, antialiased where it shrinks.
    """
    height, width = images.shape[1:3]
    top, left, h, w = (torch.from_numpy(column) for column in views.boxes.T)
    # The matrices are small and made in float64, which not every accelerator has: so on the CPU.
    rows = _weights(top, h, height, size, interpolation)
    columns = _weights(left, w, width, size, interpolation)
    columns = torch.where(torch.from_numpy(views.flips)[:, None, None], columns.flip(1), columns)
    return Shown(torch.from_numpy(np.ascontiguousarray(images)), (rows, columns))


def to_input(pixels: torch.Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]) -> torch.Tensor:
    """Scale pixels from [0, 255] to [0, 1] and normalize each channel.

    Args:
        pixels: n x 3 x height x width, any type.
        mean: Mean of each channel, of values in [0, 1].
        std: Divides each channel afterwards.

    Returns:
        float32, n x 3 x height x width.
    """
    shape = (1, 3, 1, 1)
    scale = torch.tensor([255.0 * s for s in std], device=pixels.device).view(shape)
    shift = torch.tensor([m / s for m, s in zip(mean, std, strict=True)], device=pixels.device).view(shape)
    # Contiguous: on most CPUs convolutions of NCHW are faster than of the interleaved layout pixels come in.
    return pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(scale).sub_(shift)


def _weights(
    start: torch.Tensor, length: torch.Tensor, extent: int, size: int, interpolation: Interpolation
) -> torch.Tensor:
    """Return the matrices that resize pixels [start, start + length) of an axis to `size`: n x size x extent.

    Placement and cut of the kernel follow torch's antialiased upsampling (`aten/native/cpu/UpSampleKernel.cpp`), in
    float64 up to the weights.
    """
    kernel, radius = _KERNELS[interpolation]
    scale = (length.to(torch.float64) / size)[:, None, None]
    stretch = scale.clamp(min=1.0)
    support = radius * stretch
    out = torch.arange(size, dtype=torch.float64)[None, :, None]
    center = scale * (out + 0.5)
    j = torch.arange(extent, dtype=torch.float64)[None, None, :] - start[:, None, None]
    first = (center - support + 0.5).trunc().clamp(min=0)
    last = torch.minimum((center + support + 0.5).trunc(), length[:, None, None].to(torch.float64))
    weights = kernel((j - center + 0.5) / stretch) * ((j >= first) & (j < last))
    return (weights / weights.sum(dim=2, keepdim=True)).to(torch.float32)


def _triangle(x: torch.Tensor) -> torch.Tensor:
    return (1 - x.abs()).clamp(min=0)


def _cubic(x: torch.Tensor) -> torch.Tensor:
    x, a = x.abs(), -0.5  # Keys 1981; the value Pillow and torch use when antialiasing
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _lanczos(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), torch.zeros_like(x))


_KERNELS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
