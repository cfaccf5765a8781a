"""Choosing thresholds; on the calibration part only."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from asli.errors import DataError
from asli.metrics.classification import Floats, Labels

PolicyName = Literal["max-f1", "argmax", "target-fpr"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How thresholds are chosen.

    Attributes:
        name: `max-f1`, `argmax` (0.5), or `target-fpr`: the lowest threshold that promises a false positive rate.
        target: The promised error rate.
        confidence: Confidence that the promise holds, over calibration sets.
        band: Promise the false negative rate too, by a second threshold below which an image is called real; between
            the two it is `unsure`.

    Raises:
        DataError: The settings contradict each other.
    """

    name: PolicyName = "max-f1"
    target: float = 0.01
    confidence: float = 0.95
    band: bool = False

    def __post_init__(self) -> None:
        if self.name not in ("max-f1", "argmax", "target-fpr"):
            raise DataError(f"no policy named '{self.name}'; there are max-f1, argmax and target-fpr")
        for what, value in (("target", self.target), ("confidence", self.confidence)):
            if not 0 < value < 1:
                raise DataError(f"a {what} of {value} makes no sense; give a share between 0 and 1, such as 0.01 or 1%")
        if self.band and self.name != "target-fpr":
            raise DataError(f"the unsure band is made of two promised error rates; policy {self.name} promises none")

    @property
    def promises(self) -> bool:
        """Whether an error rate is promised."""
        return self.name == "target-fpr"


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Two thresholds: real below `low`, fake from `high` on, unsure between."""

    low: float
    high: float


def choose(
    policy: Policy,
    labels: Labels,
    scores: Floats,
    groups: npt.NDArray[np.int64],
    high: float | None = None,
) -> Band:
    """Return a policy's thresholds for the calibration images.

    Args:
        policy: How to choose.
        labels: 0 real, 1 fake.
        scores: P(fake), after temperature.
        groups: Groups of duplicates; a promise counts each group once, with its worst score.
        high: Where fake begins, where a promise for groups has decided that already (`asli.metrics.worst_group`).

    Raises:
        DataError: A label is missing, or there are too few images for the promise.
    """
    for code, label in enumerate(("real", "fake")):
        if not (labels == code).any():
            raise DataError(f"the calibration part has no {label} images; both labels are needed")
    if policy.name == "argmax":
        return Band(low=0.5, high=0.5)
    best = max_f1_threshold(labels, scores)
    if policy.name == "max-f1":
        return Band(low=best, high=best)
    real, fake = scores[labels == 0], scores[labels == 1]
    if high is None:
        high = upper_threshold(worst_of_each(real, groups[labels == 0]), scores, policy, "real")
    if not policy.band:
        return Band(low=high, high=high)
    # The same bound seen from the other side: fakes are what must not lie below.
    low = -upper_threshold(worst_of_each(-fake, groups[labels == 1]), -scores, policy, "fake")
    if low > high:  # every threshold between the two keeps both promises: nothing need be unsure
        best = min(max(best, high), low)
        return Band(low=best, high=best)
    return Band(low=low, high=high)


def upper_threshold(scores: Floats, every: Floats, policy: Policy, label: str) -> float:
    """Return the lowest threshold that at most a share `policy.target` of all images like these reach or exceed.

    With k of n independent scores at or above it, the Clopper-Pearson upper bound for k of n is at most the target. The
    threshold depends on ranks only, so the bound holds although the same scores chose it (Wilks 1941). For any
    distribution, P(rate <= target) >= confidence over calibration sets. Ties only lower the rate.

    Args:
        scores: One an independent image.
        every: All scores of the calibration part; the threshold lies half-way to the next one of them.
        policy: Target and confidence.
        label: Label of the images, for the message.

    Raises:
        DataError: There are too few images for the promise.
    """
    n = len(scores)
    allowed = allowed_or_refuse(n, policy, label)
    excluded = float(np.sort(scores)[n - 1 - allowed])  # the highest score that must stay below
    above = every[every > excluded]
    if not len(above):
        raise DataError(
            f"no threshold keeps the error rate of {label} images at {policy.target:.3g}: too many of them share the"
            " most extreme score there is, so no image could ever be called; the detector cannot promise this"
        )
    middle = (excluded + float(above.min())) / 2
    return middle if middle > excluded else float(above.min())


def allowed_or_refuse(n: int, policy: Policy, label: str) -> int:
    """Return how many of n independent images may exceed the threshold of a promise.

    Raises:
        DataError: There are too few images for the promise.
    """
    allowed = allowed_errors(n, policy.target, policy.confidence)
    if allowed is None:
        least = images_needed(policy.target, policy.confidence)
        best = 1 - (1 - policy.confidence) ** (1 / n)
        raise DataError(
            f"an error rate of {policy.target:.3g} cannot be promised at {policy.confidence:.0%} confidence:"
            f" that takes {least:,} independent {label} calibration images without an error and there are {n:,};"
            f" give more, or promise no less than {math.ceil(best * 1e4) / 1e4:.4f}"
        )
    return allowed


def allowed_errors(n: int, target: float, confidence: float) -> int | None:
    """Return the largest k whose Clopper-Pearson upper bound for k of n is at most the target, or None."""
    low, high = -1, n - 1  # the bound grows with k; k = n gives 1
    while low < high:
        middle = (low + high + 1) // 2
        if upper_bound(middle, n, confidence) <= target:
            low = middle
        else:
            high = middle - 1
    return low if low >= 0 else None


def upper_bound(errors: int, n: int, confidence: float) -> float:
    """Return the one-sided upper Clopper-Pearson bound (1934) of a rate, from errors of n."""
    return 1.0 if errors >= n else float(beta.ppf(confidence, errors + 1, n - errors))


def images_needed(target: float, confidence: float) -> int:
    """Return how many images without an error it takes to promise an error rate: 299 for 1% at 95%."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-target) - 1e-9)


def max_f1_threshold(labels: Labels, scores: Floats) -> float:
    """Return the threshold with the highest F1, half-way between two adjacent scores.

    If several are equal, the lowest is taken. An image is called fake from the threshold on (`score >= threshold`).
    """
    descending = np.argsort(-scores, kind="stable")
    ordered = scores[descending]
    tp = np.cumsum(labels[descending] == 1)
    called = np.arange(1, len(scores) + 1)
    f1 = 2 * tp / (called + (labels == 1).sum())
    cuts = np.append(ordered[1:] != ordered[:-1], True)  # equal scores cannot be parted
    best = int(np.flatnonzero(cuts & (f1 >= f1[cuts].max() - 1e-12)).max())
    below = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float((ordered[best] + below) / 2)


def worst_of_each(scores: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    """Return the highest score of each group."""
    _, members = np.unique(groups, return_inverse=True)
    worst = np.full(int(members.max()) + 1, -np.inf)
    np.maximum.at(worst, members, scores)
    return worst
