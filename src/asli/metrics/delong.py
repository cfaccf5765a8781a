"""AUROC with DeLong's variance, and the paired test of two correlated ones.

DeLong, DeLong & Clarke-Pearson 1988; in O(n log n) by midranks, Sun & Xu 2014. With groups of dependent images the
variance is Obuchowski's (1997) for clustered data.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from asli.errors import DataError
from asli.metrics.classification import Floats, Labels
from asli.metrics.differences import Difference, auroc_swap_test, difference_interval
from asli.metrics.intervals import CONFIDENCE, Estimate, proportion, wilson

FEW = 50
"""Independent images of a label up to which DeLong's variance alone promises too much."""


def placements(labels: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """Return for each fake image the share of real ones below it, for each real one the share of fakes above it.

    Ties count half. The mean of either is the AUROC.

    Raises:
        DataError: Only one label is there.
    """
    fake, real = scores[labels == 1], scores[labels == 0]
    if not len(fake) or not len(real):
        raise DataError("AUROC needs both real and fake images")
    both = rankdata(np.concatenate([fake, real]))
    return (both[: len(fake)] - rankdata(fake)) / len(real), 1 - (both[len(fake) :] - rankdata(real)) / len(fake)


def auroc_covariance(
    labels: Labels, scores: Floats, groups: npt.NDArray[np.int64] | None = None
) -> tuple[Floats, Floats]:
    """Return the areas of several scores of the same images, and their covariance.

    Args:
        labels: 0 real, 1 fake, n.
        scores: k x n.
        groups: Groups of images that depend on each other; None takes each image for itself.

    Returns:
        k areas; k x k.
    """
    pairs = [placements(labels, row) for row in scores]
    areas = np.array([above.mean() for above, _ in pairs])
    members = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    number = int(members.max()) + 1
    fakes, reals = int((labels == 1).sum()), int((labels == 0).sum())

    def centerd(code: int) -> Floats:
        of = members[labels == code]
        total = [
            np.bincount(of, above if code else below, minlength=number) - np.bincount(of, minlength=number) * area
            for (above, below), area in zip(pairs, areas, strict=True)
        ]
        return np.array(total)

    fake, real = centerd(1), centerd(0)
    with_fake = len(np.unique(members[labels == 1]))
    with_real = len(np.unique(members[labels == 0]))
    covariance = fake @ fake.T * _unbiased(with_fake) / fakes**2 + real @ real.T * _unbiased(with_real) / reals**2
    cross = fake @ real.T
    covariance += (cross + cross.T) * _unbiased(number) / (fakes * reals)
    return areas, covariance


def auroc_interval(labels: Labels, scores: Floats, groups: npt.NDArray[np.int64] | None = None) -> Estimate:
    """Return the AUROC with its 95% interval, which stays within [0, 1].

    It is symmetric on the logit scale. There are three exceptions:

    - If a label has at most `FEW` independent images, the variance itself is too uncertain. It is then at least that of
      Hanley & McNeil (1982), and the interval is Wilson's for the number of images that has this variance (chosen by
      simulation, `benchmarks/coverage.py`).
    - If the labels do not overlap, the variance is 0. The bound is then Wilson's for as many successes as the rarer
      label has images; a group counts once.
    - A single image, or group, of a label gives no information about others like it. The interval is then [0, 1].
    """
    areas, covariance = auroc_covariance(labels, scores[None], groups)
    members = np.arange(len(labels)) if groups is None else groups
    reals, fakes = (len(np.unique(members[labels == code])) for code in (0, 1))
    return area_interval(float(areas[0]), float(covariance[0, 0]), reals, fakes, len(labels))


def area_interval(area: float, variance: float, reals: int, fakes: int, n: int) -> Estimate:
    """Return an AUROC with its 95% interval, see `auroc_interval`.

    Args:
        area: The AUROC.
        variance: Its variance by DeLong.
        reals: Independent real images.
        fakes: Independent fake images.
        n: Images.
    """
    variance, rarer = max(variance, 0.0), min(reals, fakes)
    if rarer < 2:
        return Estimate(area, 0.0, 1.0, n)
    if area in (0.0, 1.0):
        bound = proportion(round(area) * rarer, rarer)
        return Estimate(area, bound.low, bound.high, n)
    if rarer <= FEW:
        variance = max(variance, hanley_mcneil(area, reals, fakes))
        return Estimate(area, *wilson(area, area * (1 - area) / variance), n)
    half = norm.ppf(0.5 + CONFIDENCE / 2) * np.sqrt(variance) / (area * (1 - area))
    low, high = expit(logit(area) + np.array([-half, half]))
    return Estimate(area, float(low), float(high), n)


def hanley_mcneil(area: float, reals: int, fakes: int) -> float:
    """Return the variance of an AUROC by Hanley & McNeil (1982), their two numbers of images taken for their mean."""
    others = (reals + fakes) / 2 - 1  # Newcombe 2006, method 5: the two kinds of pairs weigh alike
    spread = (1 - area) / (2 - area) + area / (1 + area)
    return area * (1 - area) / (reals * fakes) * (1 + others * spread)


def paired_test(
    labels: Labels, first: Floats, second: Floats, groups: npt.NDArray[np.int64] | None = None
) -> Difference:
    """Test whether two scores of the same images have the same AUROC.

    The interval comes from those of both areas and their correlation by DeLong. If each label has more than `FEW`
    independent images, p comes from the same correlation and the normal distribution. With fewer, the normal
    distribution is too optimistic, and p counts permutations of the two detectors.
    """
    areas, covariance = auroc_covariance(labels, np.stack([first, second]), groups)
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    spread = float(np.sqrt(max(covariance[0, 0] * covariance[1, 1], 0)))
    correlation = min(float(covariance[0, 1]) / spread, 1.0) if spread > 1e-12 else 0.0
    if np.array_equal(rankdata(first), rankdata(second)):
        return Difference(0.0, 0.0, 0.0, 1.0)
    low, high = difference_interval(
        auroc_interval(labels, first, groups), auroc_interval(labels, second, groups), correlation
    )
    members = np.arange(len(labels)) if groups is None else groups
    if min(len(np.unique(members[labels == code])) for code in (0, 1)) > FEW and variance > 1e-12:
        return Difference(difference, low, high, float(2 * norm.sf(abs(difference) / np.sqrt(variance))))
    return Difference(difference, low, high, auroc_swap_test(labels, first, second, members))


def _unbiased(number: int) -> float:
    return number / (number - 1) if number > 1 else 1.0
