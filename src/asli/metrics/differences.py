"""Differences of two detectors on the same images: intervals that stay in range and p-values believable for a dozen.

`python benchmarks/coverage.py` measures how often they hold from 5 images of a label upwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from asli.metrics.classification import Floats, Labels
from asli.metrics.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of two metrics, and the test that there is none.

    Attributes:
        difference: First minus second.
        low: Lower end of its 95% interval.
        high: Upper end.
        p: Two-sided.
    """

    difference: float
    low: float
    high: float
    p: float


SWAPS = 10_000
"""Ways to exchange two detectors that are drawn where there are more; fewer are all gone through."""

_AT_ONCE = 1_000_000


def difference_interval(first: Estimate, second: Estimate, correlation: float) -> tuple[float, float]:
    """Return the 95% interval of first minus second, from the intervals of both and the correlation of their errors.

    MOVER (Zou & Donner 2008, Statistics in Medicine 27, 1693): as asymmetric as the two intervals are, and within
    [-1, 1] where these are within [0, 1].

    Args:
        first: First estimate, with its interval; defined.
        second: Subtracted from it; with its interval; defined.
        correlation: Correlation of the two values over samples of images.
    """
    assert first.value is not None
    assert first.low is not None
    assert first.high is not None
    assert second.value is not None
    assert second.low is not None
    assert second.high is not None

    def half(one: float, other: float) -> float:
        return float(np.sqrt(max(one**2 + other**2 - 2 * correlation * one * other, 0.0)))

    difference = first.value - second.value
    below = half(first.value - first.low, second.high - second.value)
    above = half(first.high - first.value, second.value - second.low)
    return max(difference - below, -1.0), min(difference + above, 1.0)


def auroc_swap_test(
    labels: Labels, first: Floats, second: Floats, groups: npt.NDArray[np.int64], seed: int = 0
) -> float:
    """Return the two-sided p that two detectors rank the images alike: their ranks of an image may be exchanged.

    Braun & Alonzo 2008 (Computational Statistics & Data Analysis 52, 2813), with groups of duplicates exchanged as a
    whole.

    Args:
        labels: 0 real, 1 fake; both occur.
        first: Scores of one detector.
        second: The other estimate.
        groups: Groups of duplicates.
        seed: Seed of the draws.
    """
    one, other, fake = rankdata(first), rankdata(second), labels == 1

    def difference(exchanged: npt.NDArray[np.bool_]) -> Floats:
        sums = [
            rankdata(np.where(exchanged, b, a), axis=1)[:, fake].sum(axis=1) for a, b in ((one, other), (other, one))
        ]
        return np.asarray(sums[0] - sums[1], dtype=np.float64)

    return _p(difference, groups, seed)


def _p(difference: Callable[[npt.NDArray[np.bool_]], Floats], groups: npt.NDArray[np.int64], seed: int) -> float:
    """Return how often a difference is at least as large as the true one when groups are exchanged by chance."""
    _, members = np.unique(groups, return_inverse=True)
    units = int(members.max()) + 1
    true = abs(float(difference(np.zeros((1, len(groups)), dtype=np.bool_))[0]))
    everything = 2**units <= SWAPS
    total, random, reached = 2**units if everything else SWAPS, np.random.default_rng(seed), 0
    rows = max(1, _AT_ONCE // len(groups))
    for start in range(0, total, rows):
        count = min(rows, total - start)
        if everything:
            drawn = (np.arange(start, start + count)[:, None] >> np.arange(units)) & 1 == 1
        else:
            drawn = random.random((count, units), dtype=np.float32) < 0.5
        reached += int((np.abs(difference(drawn[:, members])) >= true - 1e-9).sum())
    return reached / total if everything else (reached + 1) / (total + 1)
