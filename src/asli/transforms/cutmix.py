"""CutMix (Yun et al. 2019, arXiv 1905.04899): a rectangle of another image, and that much of its label.

Every part of an image must then tell by itself whether it was generated, so a network cannot lean on one trace alone.
"""

import numpy as np
import numpy.typing as npt
import torch

from asli.transforms.randomness import derived_seed, uniforms

_STREAM = 0x6375746D6978
"""Keeps these draws apart from those of the views."""


def cutmix(
    images: torch.Tensor,
    targets: torch.Tensor,
    share: float,
    *,
    seed: int,
    epoch: int,
    samples: npt.NDArray[np.int64],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix a share of the images with the next ones in the micro-batch.

    The rectangle has the image's proportions and covers a share of it, drawn evenly from [0, 1) (the paper's Beta(1,
    1)). Its center is anywhere in the image, and parts beyond the edge are cut off, as in the paper.

    Args:
        images: n x 3 x height x width.
        targets: int64, n: 0 real, 1 fake.
        share: Share of the images that are mixed.
        seed: Seed of the run.
        epoch: From 0.
        samples: Row of each image in its manifest; its rectangle depends on (seed, epoch, that row) alone.

    Returns:
        The images; float32, n x 2: the share of each label in them.
    """
    height, width = images.shape[2:]
    draws = uniforms(derived_seed(seed, _STREAM), epoch, samples, 4)
    side = np.sqrt(draws[:, 1]) * (draws[:, 0] < share)
    top, bottom = _extent(draws[:, 2], side, height)
    left, right = _extent(draws[:, 3], side, width)
    lines, columns = np.arange(height), np.arange(width)
    of_line = (lines >= top[:, None]) & (lines < bottom[:, None])
    of_column = (columns >= left[:, None]) & (columns < right[:, None])
    inside = torch.from_numpy(of_line[:, None, :, None] & of_column[:, None, None, :]).to(images.device)
    covered = (bottom - top) * (right - left) / (height * width)
    weight = torch.from_numpy(covered.astype(np.float32)).to(images.device)[:, None]
    pure = torch.nn.functional.one_hot(targets, 2).to(images.dtype)
    return torch.where(inside, images.roll(1, 0), images), torch.lerp(pure, pure.roll(1, 0), weight)


def _extent(
    center: npt.NDArray[np.float64], side: npt.NDArray[np.float64], extent: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where a rectangle starts and ends along an axis, in pixels."""

    def pixel(edge: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        return np.rint(edge * extent).clip(0, extent).astype(np.int64)

    return pixel(center - side / 2), pixel(center + side / 2)
