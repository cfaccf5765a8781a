"""Which part of each image is looked at: augmentation as geometry, apart from the pixels it is applied to.

A view is a box (top, left, height, width) in pixels, which may reach beyond the image (black there), and whether it is
mirrored. `apply.py` turns views into pixels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asli.recipe import AugmentSettings
from asli.transforms.randomness import uniforms

ATTEMPTS = 10
"""How often RandomResizedCrop tries before it takes the central crop (torchvision's number)."""

_DRAWS = {"none": 0, "padded": 2, "random": 2, "random-resized": 4 * ATTEMPTS}  # besides the flip


@dataclass(frozen=True, slots=True)
class Views:
    """One view of each of n images.

    Attributes:
        boxes: int64, n x 4: top, left, height, width.
        flips: bool, n: mirrored left to right.
    """

    boxes: npt.NDArray[np.int64]
    flips: npt.NDArray[np.bool_]


def random_views(
    augment: AugmentSettings,
    sizes: npt.NDArray[np.int64],
    *,
    size: int,
    seed: int,
    epoch: int,
    samples: npt.NDArray[np.int64],
) -> Views:
    """Draw a training view of each image.

    Args:
        augment: What chance may do.
        sizes: int64, n x 2: height and width of each image, in pixels.
        size: Height and width of the network's input; only `random` asks for it.
        seed: Seed of the run.
        epoch: From 0.
        samples: Row of each image in its manifest; its view depends on (seed, epoch, that row) alone.
    """
    draws = uniforms(seed, epoch, samples, 1 + _DRAWS[augment.crop])
    if augment.crop == "random-resized":
        boxes = _random_resized(sizes, draws[:, 1:].reshape(len(sizes), ATTEMPTS, 4), augment)
    elif augment.crop == "padded":
        shift = np.floor(draws[:, 1:3] * (2 * augment.padding + 1)).astype(np.int64) - augment.padding
        boxes = np.concatenate([shift, sizes], axis=1)
    elif augment.crop == "random":
        side = np.minimum(sizes.min(axis=1, keepdims=True), size)
        corner = np.floor(draws[:, 1:3] * (sizes - side + 1)).astype(np.int64)
        boxes = np.concatenate([corner, side, side], axis=1)
    else:
        side = sizes.min(axis=1, keepdims=True)
        boxes = np.concatenate([(sizes - side) // 2, side, side], axis=1)
    return Views(boxes, draws[:, 0] < augment.flip)


def whole(sizes: npt.NDArray[np.int64]) -> Views:
    """Return the view that shows each image as it is."""
    return Views(np.concatenate([np.zeros_like(sizes), sizes], axis=1), np.zeros(len(sizes), dtype=np.bool_))


def _random_resized(
    sizes: npt.NDArray[np.int64], draws: npt.NDArray[np.float64], augment: AugmentSettings
) -> npt.NDArray[np.int64]:
    """Follow torchvision's RandomResizedCrop.get_params: the first of ten attempts that fits, else a central crop."""
    height, width = sizes[:, :1], sizes[:, 1:]
    low, high = np.log(augment.ratio)
    area = height * width * (augment.scale[0] + draws[..., 0] * (augment.scale[1] - augment.scale[0]))
    ratio = np.exp(low + draws[..., 1] * (high - low))
    w = np.rint(np.sqrt(area * ratio)).astype(np.int64)
    h = np.rint(np.sqrt(area / ratio)).astype(np.int64)
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first, rows = fits.argmax(axis=1), np.arange(len(sizes))
    h, w = h[rows, first], w[rows, first]
    top = np.floor(draws[rows, first, 2] * (height[:, 0] - h + 1)).astype(np.int64)
    left = np.floor(draws[rows, first, 3] * (width[:, 0] - w + 1)).astype(np.int64)
    boxes = np.stack([top, left, h, w], axis=1)
    failed = ~fits.any(axis=1)
    boxes[failed] = _central(sizes[failed], augment.ratio)
    return boxes


def _central(sizes: npt.NDArray[np.int64], ratio: tuple[float, float]) -> npt.NDArray[np.int64]:
    height, width = sizes[:, 0], sizes[:, 1]
    shape = width / height
    w = np.where(shape > ratio[1], np.rint(height * ratio[1]), width).astype(np.int64)
    h = np.where(shape < ratio[0], np.rint(width / ratio[0]), height).astype(np.int64)
    return np.stack([(height - h) // 2, (width - w) // 2, h, w], axis=1)
