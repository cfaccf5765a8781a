"""What happens to photographs on their way, the same for both labels: rescaled, sharpened, saved once or twice.

Where a degraded view is a function of its draws alone, a feature cache can name it by a number.
"""

from typing import get_args

import numpy as np

from asli.transforms import corruptions
from asli.transforms.corruptions import Array, Kernel
from asli.transforms.randomness import uniforms

VERSION = 1
"""Version of the chain; a change of its views raises it."""

LEAST_SIDE = 224
"""Pixels of the shorter side below which a picture is not shrunk."""

_SEED = 0x636861696E
_DRAWS = 12
_KERNELS: tuple[Kernel, ...] = tuple(kernel for kernel in get_args(Kernel) if kernel != "nearest")


def degraded(pixels: Array, *, view: int, key: int) -> Array:
    """Return one degraded view of an image.

    In this order:

    - shrunk to 0.4 to 1 times its size by a random kernel (two thirds of the views);
    - sharpened (a quarter);
    - saved as JPEG, WebP or AVIF of quality 60 to 95 (half);
    - saved once more, of quality 40 to 95 (all).

    Args:
        pixels: uint8, height x width x 3.
        view: Number of the view, from 1; 0 is the image as it is.
        key: Key of the image's content, such as the first 63 bits of its pixels' hash.
    """
    if view == 0:
        return pixels
    draws = uniforms(_SEED, view, np.array([key], dtype=np.int64), _DRAWS)[0].tolist()
    shrink, factor, kernel, sharp, amount, twice = draws[:6]
    if shrink < 2 / 3:
        least = min(1.0, LEAST_SIDE / min(pixels.shape[:2]))
        pixels = corruptions.scaled(pixels, max(least, 0.4 + 0.6 * factor), _KERNELS[int(kernel * len(_KERNELS))])
    if sharp < 0.25:
        pixels = corruptions.sharpen(pixels, 0.5 + amount)
    if twice < 0.5:
        pixels = _saved(pixels, draws[6], draws[7], draws[8], 60)
    return _saved(pixels, draws[9], draws[10], draws[11], 40)


def _saved(pixels: Array, which: float, quality: float, subsampling: float, lowest: int) -> Array:
    value = lowest + int(quality * (96 - lowest))
    if max(pixels.shape[:2]) > corruptions.WEBP_SIDE or which < 0.7:
        return corruptions.jpeg(pixels, value, "4:2:0" if subsampling < 0.5 else "4:4:4")
    return corruptions.webp(pixels, value) if which < 0.88 else corruptions.avif(pixels, value)
