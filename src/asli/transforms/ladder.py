"""The ladder of corruptions that robustness is measured on: names, levels, and what each does to an image.

A corrupted image is a pure function of (seed, corruption, level, row of the manifest).
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asli.transforms import corruptions
from asli.transforms.corruptions import Array, Kernel
from asli.transforms.randomness import derived_seed, uniforms

VERSION = 1
"""Raise it whenever a level, or what a corruption does, changes: kept scores are then computed again."""

Key = Callable[[], int]
"""Returns the image's key to random numbers; called only where there is chance."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind of change at several levels, mild ones first.

    Attributes:
        name: Unique.
        axis: What its levels mean, with their unit.
        levels: Numbers, or names where they have no order.
        apply: From pixels, level and key to pixels.
    """

    name: str
    axis: str
    levels: tuple[float | str, ...]
    apply: Callable[[Array, "float | str", Key], Array]


def _numbers(name: str, axis: str, levels: tuple[float, ...], apply: Callable[[Array, float], Array]) -> Corruption:
    return Corruption(name, axis, levels, lambda pixels, level, key: apply(pixels, float(level)))


def _cropped(pixels: Array, level: float | str, key: Key) -> Array:
    down, right = uniforms(key(), 0, np.zeros(1, np.int64), 2)[0]
    return corruptions.crop(pixels, float(level), (down, right))


def _kernel(name: str) -> Kernel:
    return next(kernel for kernel in corruptions.KERNELS if kernel == name)


LADDER: tuple[Corruption, ...] = (
    _numbers(
        "JPEG", "quality, 4:2:0", (95, 85, 75, 60, 45, 30), lambda image, level: corruptions.jpeg(image, int(level))
    ),
    _numbers("WebP", "quality", (90, 75, 50, 30), lambda image, level: corruptions.webp(image, int(level))),
    _numbers(
        "down and up again",
        "size between, share (bilinear)",
        (0.9, 0.75, 0.5, 0.25),
        lambda image, level: corruptions.rescale(image, level, "bilinear"),
    ),
    _numbers(
        "smaller input",
        "size, share (bilinear)",
        (0.9, 0.75, 0.5),
        lambda image, level: corruptions.scaled(image, level, "bilinear"),
    ),
    Corruption(
        "shrinking to 0.75",
        "kernel",
        ("box", "bilinear", "bicubic", "lanczos", "nearest"),
        lambda image, level, key: corruptions.scaled(image, 0.75, _kernel(str(level))),
    ),
    _numbers("blur", "sigma, px", (0.5, 1.0, 1.5, 2.0), corruptions.blur),
    _numbers("sharpening", "amount (radius 1 px)", (0.25, 0.5, 1.0, 2.0), corruptions.sharpen),
    Corruption(
        "noise",
        "sigma, of 255",
        (2.0, 5.0, 10.0, 20.0),
        lambda image, level, key: corruptions.noise(image, float(level), key()),
    ),
    Corruption("crop", "side kept, share", (0.95, 0.9, 0.8, 0.6), _cropped),
    _numbers("darker", "brightness, factor", (0.9, 0.75, 0.5), corruptions.brightness),
    _numbers("brighter", "brightness, factor", (1.1, 1.25, 1.5), corruptions.brightness),
    _numbers("screenshot", "zoom; then JPEG 85", (1.25, 0.8, 0.67), corruptions.screenshot),
)


def corrupted(pixels: Array, corruption: Corruption, level: float | str, *, seed: int, row: int) -> Array:
    """Return one image at one level of a corruption.

    Args:
        pixels: uint8, height x width x 3.
        corruption: Corruption of the ladder.
        level: One of its levels.
        seed: Seed of all chance in a sweep; crops and noise of an image are the same at each level but for their size.
        row: Row of the image in its manifest.
    """
    stream = zlib.crc32(corruption.name.encode())
    return corruption.apply(pixels, level, lambda: derived_seed(seed, stream, row))
