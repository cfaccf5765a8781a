"""95% intervals. Proportions: Wilson. Everything else: percentile bootstrap over groups of identical twins."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from asli.metrics.classification import Floats, Labels

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number with its interval; None where it is undefined."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Images it rests on."""

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return "undefined"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def proportion(part: int, whole: int) -> Figure:
    """Return part / whole with Wilson's score interval (Wilson 1927)."""
    if whole == 0:
        return Figure(None, None, None, 0)
    z = norm.ppf(0.5 + CONFIDENCE / 2)
    share, spread = part / whole, z * z / whole
    middle = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / whole + spread / (4 * whole)) / (1 + spread)
    return Figure(share, max(float(middle - half), 0.0), min(float(middle + half), 1.0), whole)


def bootstrap(
    statistic: Callable[[Floats], Floats], value: float, groups: npt.NDArray[np.int64], seed: int = 0
) -> Figure:
    """Return a value with its percentile bootstrap interval, resampling groups with replacement.

    Args:
        statistic: Maps image weights, resamples x n, to the statistic of each resample.
        value: The statistic of the data as they are.
        groups: Of each image; members of one are drawn together.
        seed: Of the resampling.
    """
    _, members = np.unique(groups, return_inverse=True)
    number = int(members.max()) + 1
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(0, RESAMPLES, 100):  # a hundred at a time bounds memory
        counts = random.multinomial(number, np.full(number, 1 / number), size=100).astype(np.float64)
        drawn.append(statistic(counts[:, members]))
    low, high = np.quantile(np.concatenate(drawn), [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Figure(value, float(low), float(high), len(groups))


def weighted_f1(labels: Labels, called: npt.NDArray[np.bool_]) -> Callable[[Floats], Floats]:
    """Return F1 as a function of image weights."""
    fake = labels == 1
    tp, wrong = (fake & called).astype(np.float64), (fake ^ called).astype(np.float64)

    def statistic(weights: Floats) -> Floats:
        hits, misses = weights @ tp, weights @ wrong
        f1: Floats = np.divide(2 * hits, 2 * hits + misses, out=np.zeros_like(hits), where=hits + misses > 0)
        return f1

    return statistic


def weighted_mean(values: Floats) -> Callable[[Floats], Floats]:
    """Return the mean as a function of image weights."""
    return lambda weights: (weights @ values) / weights.sum(axis=1)


def weighted_auroc(labels: Labels, scores: Floats) -> Callable[[Floats], Floats]:
    """Return the area under the ROC curve as a function of image weights; ties count half."""
    ascending = np.argsort(scores, kind="stable")
    fake = (labels == 1)[ascending]
    starts = np.flatnonzero(np.diff(scores[ascending], prepend=-np.inf))  # of each run of equal scores

    def statistic(weights: Floats) -> Floats:
        ordered = weights[:, ascending]
        real = np.add.reduceat(np.where(fake, 0, ordered), starts, axis=1)
        positive = np.add.reduceat(np.where(fake, ordered, 0), starts, axis=1)
        below = np.cumsum(real, axis=1) - real
        pairs = real.sum(axis=1) * positive.sum(axis=1)
        wins = (positive * (below + real / 2)).sum(axis=1)
        area: Floats = np.divide(wins, pairs, out=np.full(len(weights), 0.5), where=pairs > 0)
        return area

    return statistic
