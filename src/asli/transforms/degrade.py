"""Training images as the world hands them on: rescaled, blurred or sharpened, noisy, encoded again.

A detector that has only seen pristine files learns their sharpness and their encoder. What happens to an image is a
function of (seed, epoch, row), like its view.
"""

from typing import get_args

import numpy as np
import numpy.typing as npt

from asli.parallel import ordered
from asli.recipe import AugmentSettings
from asli.transforms import corruptions
from asli.transforms.corruptions import Array, Kernel
from asli.transforms.randomness import derived_seed, uniforms

_STREAM = 0x64656772616465
"""Keeps these draws apart from those of the views."""
_DRAWS = 12
LEAST_SHARED = 96 * 96 * 3
"""Values of an image below which threads cost more than they gain: Pillow is done before another thread has begun."""
_KERNELS: tuple[Kernel, ...] = tuple(kernel for kernel in get_args(Kernel) if kernel != "nearest")


def degrade(
    images: Array,
    augment: AugmentSettings,
    *,
    seed: int,
    epoch: int,
    samples: npt.NDArray[np.int64],
    threads: int = 1,
) -> Array:
    """Degrade a share of the images, each by a chain of its own.

    In this order: brightness (half of them), shrinking and enlarging (a quarter), blur or sharpening (all), noise (a
    quarter), JPEG (three quarters). Each strength is drawn evenly from zero to the maximum in the settings.

    Args:
        images: uint8, n x height x width x 3.
        augment: The share and the strengths.
        seed: Seed of the run.
        epoch: From 0.
        samples: Row of each image in its manifest.
        threads: That share the work where images are large; the result does not depend on it.
    """
    key = derived_seed(seed, _STREAM)
    draws = uniforms(key, epoch, samples, _DRAWS)
    chosen = np.flatnonzero(draws[:, 0] < augment.degrade)
    result = images.copy()

    def one(i: int) -> Array:
        return _chain(images[i], augment, draws[i, 1:].tolist(), derived_seed(key, epoch, int(samples[i])))

    if threads == 1 or images[0].size < LEAST_SHARED:
        for i in chosen.tolist():
            result[i] = one(i)
    else:
        for i, degraded in zip(chosen.tolist(), ordered(one, chosen.tolist(), threads=threads), strict=True):
            result[i] = degraded
    return result


def _chain(pixels: Array, augment: AugmentSettings, draws: list[float], key: int) -> Array:
    light, shrink, noisy, encode = draws[:4]
    factor, size, kernel, sharpness, radius, sigma, quality = draws[4:]
    if light < 0.5:
        pixels = corruptions.brightness(pixels, 1 + augment.brightness * (2 * factor - 1))
    if shrink < 0.25:
        pixels = corruptions.rescale(pixels, 1 - size * (1 - augment.rescale), _KERNELS[int(kernel * len(_KERNELS))])
    if sharpness < 0.5:
        pixels = corruptions.blur(pixels, 2 * sharpness * augment.blur)
    else:
        pixels = corruptions.sharpen(pixels, (2 * sharpness - 1) * augment.sharpen, 0.5 + radius)
    if noisy < 0.25:
        pixels = corruptions.noise(pixels, sigma * augment.noise, key)
    if encode < 0.75:
        low, high = augment.quality
        pixels = corruptions.jpeg(pixels, low + int(quality * (high - low + 1)))
    return pixels
