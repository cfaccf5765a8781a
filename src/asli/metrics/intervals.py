"""95% intervals: Wilson's for shares and what is made of them, else on a log or logit scale, by duplicate groups."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import binom, norm, t

from asli.metrics.classification import Floats, Labels
from asli.metrics.estimate import Estimate as Estimate

CONFIDENCE = 0.95
RESAMPLES = 2000


def effective_number(groups: npt.NDArray[np.int64]) -> float:
    """Return how many independent images are worth as much as these: n^2 / sum of squared group sizes (Kish 1965).

    Exact where the members of a group are identical and so share their score; equal to n where there are no duplicates.
    """
    sizes = np.unique(groups, return_counts=True)[1]
    return float(len(groups) ** 2 / (sizes**2).sum()) if len(groups) else 0.0


def wilson(share: float, number: float) -> tuple[float, float]:
    """Return Wilson's score interval (Wilson 1927) of a share of `number` independent images."""
    z = norm.ppf(0.5 + CONFIDENCE / 2)
    spread = z * z / number
    middle = (share + spread / 2) / (1 + spread)
    half = z * np.sqrt(share * (1 - share) / number + spread / (4 * number)) / (1 + spread)
    # At shares of 0 and 1 an end equals the share but for rounding.
    return min(max(float(middle - half), 0.0), share), max(min(float(middle + half), 1.0), share)


def proportion(part: int, whole: int, effective: float | None = None) -> Estimate:
    """Return part / whole with Wilson's interval.

    Args:
        part: Images that count.
        whole: All images.
        effective: What they are worth where some are duplicates, see `effective_number`.
    """
    if whole == 0:
        return Estimate.undefined(0)
    return Estimate(part / whole, *wilson(part / whole, effective or whole), whole)


def share_of(hits: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]) -> Estimate:
    """Return the share of images that are hits, with Wilson's interval at the effective number of images."""
    return proportion(int(hits.sum()), len(hits), effective_number(groups))


def f1_interval(labels: Labels, called: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]) -> Estimate:
    """Return F1 with an interval that does not collapse where nothing is wrong; undefined without both labels.

    F1 = 2 J / (1 + J) rises with J = tp / (tp + fp + fn), a share, so the ends are Wilson's for J. Given the number of
    images in the denominator tp is binomial; where the numbers of real and fake images are fixed, it varies less.
    """
    fake = labels == 1
    if fake.all() or not fake.any():
        return Estimate.undefined(len(labels))
    involved = fake | called
    share = share_of(called[involved] & fake[involved], groups[involved])
    value, low, high = (None if end is None else 2 * end / (1 + end) for end in (share.value, share.low, share.high))
    return Estimate(value, low, high, len(labels))


def mean_of(first: Estimate, second: Estimate) -> Estimate:
    """Return the mean of two independent shares; the interval squares and adds theirs (Newcombe 1998, method 10)."""
    if first.value is None or second.value is None:
        return Estimate.undefined(first.n + second.n)
    assert first.low is not None
    assert first.high is not None
    assert second.low is not None
    assert second.high is not None
    value = (first.value + second.value) / 2
    below = np.hypot(first.value - first.low, second.value - second.low) / 2
    above = np.hypot(first.high - first.value, second.high - second.value) / 2
    return Estimate(value, float(value - below), float(value + above), first.n + second.n)


def share_above(
    real: Floats, fake: Floats, rate: float, real_groups: npt.NDArray[np.int64], fake_groups: npt.NDArray[np.int64]
) -> Estimate:
    """Return the share of fakes above the score that a share `rate` of real images exceeds, read off these images.

    The number of these real images above the true score is binomial, so two of their scores enclose it (an interval of
    a quantile by order statistics). If the number may be zero, no score is a bound, and the interval reaches down to 0.
    The uncertainty of the score and that of the fakes are independent: they are added in squares, as in `mean_of`. A
    bootstrap has no image beyond the most extreme one, so its interval is far too short at small rates.

    Args:
        real: Scores of the real images, one or more.
        fake: Scores of the fakes, one or more.
        rate: False positive rate.
        real_groups: Group of duplicates of each real image.
        fake_groups: Group of duplicates of each fake.
    """
    descending, number = np.sort(real)[::-1], effective_number(real_groups)
    found = share_of(fake > descending[int(rate * len(real) + 1e-9)], fake_groups)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    fewest, most = binom.ppf([0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2], round(number), rate) * len(real) / number
    above, below = int(fewest + 1e-9), int(np.ceil(most - 1e-9))  # whole images, outwards
    least = min(float((fake > descending[above - 1]).mean()), found.value) if above else 0.0
    greatest = max(float((fake > descending[below]).mean()), found.value) if below < len(real) else 1.0
    low = found.value - np.hypot(found.value - least, found.value - found.low)
    high = found.value + np.hypot(greatest - found.value, found.high - found.value)
    return Estimate(found.value, max(float(low), 0.0), min(float(high), 1.0), len(real) + len(fake))


def predictive_value(prevalence: float, hit: Estimate, miss: Estimate) -> Estimate:
    """Return P(label | verdict) by Bayes, at a prevalence other than that of the images at hand.

    Args:
        prevalence: Share of the label among what will be judged.
        hit: Share of images with the label that get the verdict.
        miss: Share of the others that get it.

    Returns:
        The interval takes hit and miss at opposite ends of theirs, so it covers the truth at least as often as it says.
    """

    def bayes(one: float | None, other: float | None) -> float | None:
        if one is None or other is None or prevalence * one + (1 - prevalence) * other == 0:
            return None
        return prevalence * one / (prevalence * one + (1 - prevalence) * other)

    n = hit.n + miss.n
    value = bayes(hit.value, miss.value)
    return (
        Estimate.undefined(n)
        if value is None
        else Estimate(value, bayes(hit.low, miss.high), bayes(hit.high, miss.low), n)
    )


def resampled(statistic: Callable[[Floats], Floats], groups: npt.NDArray[np.int64], seed: int = 0) -> Floats:
    """Return a statistic of bootstrap resamples, groups drawn with replacement.

    Args:
        statistic: Maps image weights, resamples x n, to resamples, or resamples x k.
        groups: Groups of each image; members of one are drawn together.
        seed: Seed of the resampling.
    """
    _, members = np.unique(groups, return_inverse=True)
    number = int(members.max()) + 1
    alone = number == len(members) and bool((members == np.arange(number)).all())
    random, drawn = np.random.default_rng(seed), []
    rows = max(1, min(100, 2_000_000 // len(groups)))  # at a time, which bounds memory
    for start in range(0, RESAMPLES, rows):
        picked = random.integers(0, number, size=(min(rows, RESAMPLES - start), number), dtype=np.int32)
        counts = np.stack([np.bincount(row, minlength=number) for row in picked]).astype(np.float64)
        drawn.append(statistic(counts if alone else counts[:, members]))
    return np.concatenate(drawn)


def bootstrap(
    statistic: Callable[[Floats], Floats], value: float, groups: npt.NDArray[np.int64], seed: int = 0
) -> Estimate:
    """Return a value with its percentile bootstrap interval, resampling groups with replacement.

    Args:
        statistic: Maps image weights, resamples x n, to the statistic of each resample.
        value: The statistic of the data as they are.
        groups: Groups of each image; members of one are drawn together.
        seed: Seed of the resampling.
    """
    return percentile(resampled(statistic, groups, seed), value, len(groups))


def percentile(drawn: Floats, value: float, n: int, independent: int | None = None) -> Estimate:
    """Return a value with the percentile interval of its resamples; those in which it is undefined are NaN.

    Args:
        drawn: Resamples.
        value: Value on the data itself, without resampling.
        n: Images.
        independent: The percentiles are expanded as Student's t is, for so many independent images (Hesterberg 2015,
            The American Statistician 69, 371); None takes them as they are.
    """
    tail = 0.5 - CONFIDENCE / 2
    if independent is not None:
        few = max(independent, 2)
        tail = float(norm.cdf(np.sqrt(few / (few - 1)) * t.ppf(tail, few - 1)))
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), n)


def mean_interval(values: Floats, labels: Labels, groups: npt.NDArray[np.int64]) -> Estimate:
    """Return the mean of values that are 0 or more, with Student's interval on the log scale: skew stays on its side.

    The variance is by groups of duplicates; the degrees of freedom are those of the rarer label's independent images.

    Args:
        values: One an image, n; none is negative.
        labels: 0 real, 1 fake; one of them may be missing.
        groups: Groups of duplicates.
    """
    mean, n = float(values.mean()), len(values)
    _, members = np.unique(groups, return_inverse=True)
    sums = np.bincount(members, values - mean)
    error = float(np.sqrt((sums**2).sum() * len(sums) / max(len(sums) - 1, 1)) / n)
    return log_interval(mean, error, rarer_label(labels, groups), n)


def log_interval(mean: float, error: float, rarer: int, n: int) -> Estimate:
    """Return a mean that is 0 or more with Student's interval on the log scale.

    Args:
        mean: The mean.
        error: Its standard error.
        rarer: Independent images of the rarer label.
        n: Images.
    """
    if mean <= 0:
        return Estimate(mean, 0.0, 0.0, n)
    half = float(t.ppf(0.5 + CONFIDENCE / 2, max(rarer - 1, 1)) * error / mean)
    return Estimate(mean, mean * float(np.exp(-half)), mean * float(np.exp(min(half, 700.0))), n)


def logit_interval(drawn: Floats, value: float, labels: Labels, groups: npt.NDArray[np.int64]) -> Estimate:
    """Return a value in [0, 1] with its normal interval on the logit scale, from the spread of its resamples.

    At 0 and 1 there is no spread: the bound is Wilson's for as many images as the rarer label has.

    Args:
        drawn: Resamples; undefined ones are NaN.
        value: Value on the data itself, without resampling.
        labels: 0 real, 1 fake; both occur.
        groups: Groups of duplicates.
    """
    return spread_interval(value, float(np.nanstd(drawn)), rarer_label(labels, groups), len(labels))


def spread_interval(value: float, spread: float, rarer: int, n: int) -> Estimate:
    """Return a value in [0, 1] with its normal interval on the logit scale.

    Args:
        value: The value.
        spread: Its standard error.
        rarer: Independent images of the rarer label.
        n: Images.
    """
    if min(value, 1 - value) < 1e-9:  # sums that should be 1 may miss it by a rounding error
        value = float(round(value))
        bound = proportion(round(value) * rarer, rarer)
        return Estimate(value, bound.low, bound.high, n)
    half = norm.ppf(0.5 + CONFIDENCE / 2) * spread / (value * (1 - value))
    low, high = expit(logit(value) + np.array([-half, half]))
    return Estimate(value, float(low), float(high), n)


def rarer_label(labels: Labels, groups: npt.NDArray[np.int64]) -> int:
    """Return how many independent images the rarer label that occurs has: groups of duplicates count once."""
    return min(len(np.unique(groups[labels == code])) for code in np.unique(labels))


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


def weighted_precision(labels: Labels, scores: Floats) -> Callable[[Floats], Floats]:
    """Return average precision as a function of image weights; NaN where a resample has no fake."""
    descending = np.argsort(-scores, kind="stable")
    fake = (labels == 1)[descending]
    ends = np.flatnonzero(np.append(np.diff(scores[descending]) != 0, True))  # of each run of equal scores

    def statistic(weights: Floats) -> Floats:
        ordered = weights[:, descending]
        called = np.cumsum(ordered, axis=1)
        tp = np.cumsum(np.where(fake, ordered, 0), axis=1)
        if len(ends) < len(fake):
            called, tp = called[:, ends], tp[:, ends]
        with np.errstate(invalid="ignore"):
            precision = np.divide(tp, called, out=np.zeros_like(tp), where=called > 0)
            area: Floats = (np.diff(tp, axis=1, prepend=0) * precision).sum(axis=1) / tp[:, -1]
        return area

    return statistic
