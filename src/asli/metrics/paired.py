"""Two detectors on the same images, two recipes over seeds, and corrections for several tests at once."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, nct, norm, t

from asli.metrics.classification import Floats, Labels
from asli.metrics.differences import Difference
from asli.metrics.intervals import CONFIDENCE, percentile, rarer_label

Called = npt.NDArray[np.bool_]

RESAMPLES = 10_000
POWER = 0.8
MOST_SEEDS = 1000


@dataclass(frozen=True, slots=True)
class McNemar:
    """Counts of images on which exactly one of two detectors is right.

    Attributes:
        first_only: Images only the first judges rightly.
        second_only: Images only the second judges rightly.
        n: All images.
        accuracy: Difference of the two accuracies; its p is McNemar's exact one.
    """

    first_only: int
    second_only: int
    n: int
    accuracy: Difference


def mcnemar(first_right: Called, second_right: Called) -> McNemar:
    """Test whether two detectors have the same accuracy on the same images.

    The p is exact: of the images that exactly one judges rightly, each has half of them on average (McNemar 1947). The
    interval of the difference adds half an image to each cell of the table (Agresti & Min 2005) and is cut at -1 and 1.

    Args:
        first_right: Whether the first judges each image rightly; images must be independent: one per duplicate group.
        second_right: Whether the second judges each image rightly.
    """
    b, c, n = int((first_right & ~second_right).sum()), int((~first_right & second_right).sum()), len(first_right)
    p = float(binomtest(b, b + c).pvalue) if b + c else 1.0
    b2, c2, n2 = b + 0.5, c + 0.5, n + 2
    middle = (b2 - c2) / n2
    half = _z() * float(np.sqrt(b2 + c2 - (b2 - c2) ** 2 / n2)) / n2
    return McNemar(b, c, n, Difference((b - c) / n, max(middle - half, -1.0), min(middle + half, 1.0), p))


def f1_difference(
    labels: Labels, first: Called, second: Called, groups: npt.NDArray[np.int64], seed: int = 0
) -> Difference:
    """Compare F1 of two detectors on the same images.

    For p, the two detectors' verdicts are exchanged on whole groups of identical images: if neither is better, every
    exchange is equally likely. The interval is that of the paired bootstrap over groups, with percentiles expanded for
    few images. Groups on which both detectors give the same verdicts are of one kind. The number of groups drawn or
    exchanged per kind is multinomial or binomial. So kinds are drawn instead of groups: the distribution is the same at
    a fraction of the work.

    Args:
        labels: 0 real, 1 fake; both occur.
        first: What the first calls fake.
        second: What the second calls fake.
        groups: Groups of each image; members of one are drawn or exchanged together.
        seed: Seed of the resampling.
    """
    fake = labels == 1
    parts = np.stack([fake & first, fake ^ first, fake & second, fake ^ second], axis=1).astype(np.int64)
    _, members = np.unique(groups, return_inverse=True)
    number = int(members.max()) + 1
    of_group = np.stack([np.bincount(members, column, minlength=number) for column in parts.T], axis=1)
    kinds, counts = np.unique(of_group.astype(np.int64), axis=0, return_counts=True)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(number, counts / number, size=RESAMPLES) @ kinds
    resampled = _f1(drawn[:, 0], drawn[:, 1]) - _f1(drawn[:, 2], drawn[:, 3])
    exchanged = random.binomial(counts, 0.5, size=(RESAMPLES, len(counts)))
    swapped = counts @ kinds + exchanged @ (kinds[:, [2, 3, 0, 1]] - kinds)
    differences = _f1(swapped[:, 0], swapped[:, 1]) - _f1(swapped[:, 2], swapped[:, 3])
    whole = parts.sum(axis=0)[None]
    value = float((_f1(whole[:, 0], whole[:, 1]) - _f1(whole[:, 2], whole[:, 3]))[0])
    figure = percentile(resampled, value, len(labels), rarer_label(labels, groups))
    assert figure.low is not None
    assert figure.high is not None
    reached = int((np.abs(differences) >= abs(value) - 1e-12).sum())
    return Difference(value, figure.low, figure.high, (reached + 1) / (RESAMPLES + 1))


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """Two recipes compared with their seeds as units.

    Attributes:
        result: Difference of the means over seeds.
        method: `paired` by seed where both have exactly the same seeds, else `Welch`.
        spread: Standard deviation over seeds of each recipe; of several, the root of their mean variance.
        needed: Seeds of each recipe that detect a difference of this size and spread at the 5 % level with 80 % power.
            None if it is over `MOST_SEEDS`, or if there is no difference or no spread.
    """

    result: Difference
    method: Literal["paired", "Welch"]
    spread: tuple[float, float]
    needed: int | None


def over_seeds(first: dict[int, float], second: dict[int, float]) -> OverSeeds:
    """Compare a figure of two recipes over seeds by Student's t, paired by seed, or Welch's (1947).

    Args:
        first: The figure by seed; two seeds or more.
        second: The other recipe's figure by seed; two seeds or more.
    """
    a, b = (np.array([runs[seed] for seed in sorted(runs)]) for runs in (first, second))
    if sorted(first) != sorted(second):
        return over_cells([a], [b])
    unit = float((a - b).std(ddof=1))
    spread = (float(a.std(ddof=1)), float(b.std(ddof=1)))
    result = _by_t(float(a.mean() - b.mean()), unit / np.sqrt(len(a)), float(len(a) - 1))
    return OverSeeds(result, "paired", spread, seeds_needed(result.difference, unit, 1))


def over_cells(first: Sequence[Floats], second: Sequence[Floats]) -> OverSeeds:
    """Compare the mean of several recipes with that of several others, runs as units, by Welch's t (1947).

    The difference is a contrast of means; its error comes from the spread over seeds within each recipe, its degrees of
    freedom are Satterthwaite's. So recipes may differ in mean and in spread, and each adds to what is known of chance.

    Args:
        first: The figure of each recipe's runs; two runs or more.
        second: The same of the recipes they are compared with; two runs or more each.
    """
    cells = [*first, *second]
    weights = np.array([*[1 / len(first)] * len(first), *[-1 / len(second)] * len(second)])
    runs = np.array([len(cell) for cell in cells])
    variances = weights**2 * np.array([np.var(cell, ddof=1) for cell in cells])
    parts = variances / runs
    freedom = float(parts.sum() ** 2 / (parts**2 / (runs - 1)).sum()) if parts.any() else 1.0
    result = _by_t(float(weights @ [np.mean(cell) for cell in cells]), float(np.sqrt(parts.sum())), freedom)
    spread = tuple(float(np.sqrt(np.mean([np.var(cell, ddof=1) for cell in side]))) for side in (first, second))
    needed = seeds_needed(result.difference, float(np.sqrt(variances.sum())), len(cells))
    return OverSeeds(result, "Welch", (spread[0], spread[1]), needed)


def _by_t(difference: float, error: float, freedom: float) -> Difference:
    if error < 1e-12:  # deterministic recipes: every seed gave the same figure
        return Difference(difference, difference, difference, 1.0 if abs(difference) < 1e-12 else 0.0)
    half = float(t.ppf(0.5 + CONFIDENCE / 2, freedom)) * error
    return Difference(
        difference, difference - half, difference + half, float(2 * t.sf(abs(difference) / error, freedom))
    )


def seeds_needed(difference: float, unit: float, freedom: int) -> int | None:
    """Return how many seeds of each recipe find a difference with `POWER` at the 5% level, or None over `MOST_SEEDS`.

    Args:
        difference: Between the two means, supposed to be true.
        unit: Standard deviation of the difference with one seed of each recipe.
        freedom: Degrees of freedom that each seed after the first brings: 1 where seeds are paired, else as many as
            there are recipes, which takes their spreads for equal.
    """

    def power(seeds: int) -> float:
        shift = abs(difference) / unit * np.sqrt(seeds)
        # The other tail only matters where the power is near the level; it is below 0.1% of .8.
        by = freedom * (seeds - 1)
        return float(nct.sf(t.ppf(0.5 + CONFIDENCE / 2, by), by, shift))

    if difference == 0 or unit < 1e-12 or power(MOST_SEEDS) < POWER:
        return None
    return 2 + bisect_left(range(2, MOST_SEEDS + 1), POWER, key=power)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values of tests made together, so that one below 5% is wrong in 5 of 100 reports (Holm 1979)."""
    values = np.asarray(p, dtype=np.float64)
    ascending = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[ascending] = np.minimum(np.maximum.accumulate(values[ascending] * factors), 1)
    return adjusted.tolist()


def _f1(hits: npt.NDArray[np.int64], wrong: npt.NDArray[np.int64]) -> Floats:
    whole = 2 * hits + wrong
    f1: Floats = np.divide(2 * hits, whole, out=np.zeros(len(hits)), where=whole > 0)
    return f1


def _z() -> float:
    return float(norm.ppf(0.5 + CONFIDENCE / 2))
