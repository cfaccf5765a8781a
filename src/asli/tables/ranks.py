"""Areas under curves and their variances from counts by bin, as if all scores of a bin were equal."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asli.metrics.classification import Floats

Sizes = npt.NDArray[np.int64] | npt.NDArray[np.uint32] | Floats
"""Images in each bin."""


@dataclass(frozen=True, slots=True)
class Area:
    """An area under the ROC curve.

    Attributes:
        value: The area.
        fake_side: For each bin the share of real images below it minus the area; ties count half.
        real_side: For each bin the share of fakes above it minus the area.
    """

    value: float
    fake_side: Floats
    real_side: Floats


def area_of(real: Sizes, fake: Sizes) -> Area:
    """Return the AUROC of images by ascending bin; both labels occur."""
    reals, fakes = int(real.sum()), int(fake.sum())
    below = (np.cumsum(real, dtype=np.int64) - real / 2) / reals
    above = (fakes - np.cumsum(fake, dtype=np.int64) + fake / 2) / fakes
    value = float(fake @ below / fakes)
    return Area(value, below - value, above - value)


def variance_of(area: Area, real: Sizes, fake: Sizes) -> tuple[float, float]:
    """Return both sides of DeLong's variance (1988) of independent images: that of fakes, that of real ones."""
    found = []
    for counts, side in ((fake, area.fake_side), (real, area.real_side)):
        n = int(counts.sum())
        found.append(float(counts @ side**2) / n / max(n - 1, 1))
    return found[0], found[1]


def average_precision(real: Sizes, fake: Sizes) -> tuple[float, Floats, Floats]:
    """Return average precision, and the influence of a real and of a fake image of each bin on it.

    The sum of squared influences is the variance by the infinitesimal jackknife (Jaeckel 1972, Efron 1982), which the
    bootstrap approaches in large tables.
    """
    fakes = int(fake.sum())
    tp = np.cumsum(fake[::-1], dtype=np.int64)[::-1].astype(np.float64)
    called = tp + np.cumsum(real[::-1], dtype=np.int64)[::-1]
    precision = np.divide(tp, called, out=np.zeros(len(tp)), where=called > 0)
    value = float(fake @ precision / fakes)
    square = np.divide(1.0, called**2, out=np.zeros(len(tp)), where=called > 0)
    of_real = -np.cumsum(fake * tp * square) / fakes
    of_fake = (precision + np.cumsum(fake * (called - tp) * square) - value) / fakes
    return value, of_real, of_fake


def curve_points(real: Sizes, fake: Sizes) -> tuple[Floats, Floats, Floats]:
    """Return false positive rate, true positive rate and precision at each score that occurs, highest first."""
    there = np.flatnonzero(real + fake)[::-1]
    fp, tp = np.cumsum(real[there], dtype=np.int64), np.cumsum(fake[there], dtype=np.int64)
    return (
        np.concatenate([[0.0], fp / max(fp[-1], 1)]),
        np.concatenate([[0.0], tp / max(tp[-1], 1)]),
        np.concatenate([[1.0], tp / (tp + fp)]),
    )
