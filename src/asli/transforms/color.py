"""Random color: each training image as another light and another camera would have given it.

The change is a linear map of the three channels of every pixel, in floating point and without clipping. Differences
between adjacent pixels, where a generator's traces are, only change their scale.
"""

import numpy as np
import numpy.typing as npt
import torch

from asli.transforms.randomness import derived_seed, uniforms

_STREAM = 0x636F6C6F7572
"""Keeps these draws apart from those of the views."""


def color(
    images: torch.Tensor, strength: float, *, seed: int, epoch: int, samples: npt.NDArray[np.int64]
) -> torch.Tensor:
    """Change contrast, brightness, saturation and white balance of every image.

    Let s be the strength. Every u is drawn evenly from [-1, 1): u once for the image, u_c for each channel. Saturation
    changes by `exp(1.5 s u)` about the pixel's gray, the mean of its channels. Each channel is then multiplied by
    `exp(s u) exp(0.4 s u_c)`, and `s u + 0.5 s u_c` is added.

    Args:
        images: float32, n x 3 x height x width, normalized, so that 1 is about a standard deviation.
        strength: s.
        seed: Seed of the run.
        epoch: From 0.
        samples: Row of each image in its manifest; its map depends on (seed, epoch, that row) alone.

    Returns:
        The images, in the same form.
    """
    draws = 2 * uniforms(derived_seed(seed, _STREAM), epoch, samples, 9) - 1
    saturation = np.exp(1.5 * strength * draws[:, 0:1])
    gain = np.exp(strength * (draws[:, 1:2] + 0.4 * draws[:, 2:5]))
    shift = strength * (draws[:, 5:6] + 0.5 * draws[:, 6:9])

    def each(values: npt.NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(images.device)[:, :, None, None]

    gray = images.mean(dim=1, keepdim=True)
    return torch.lerp(gray, images, each(saturation)) * each(gain) + each(shift)
