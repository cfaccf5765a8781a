"""A promise that holds for the worst group, not for the average: one Clopper-Pearson bound for each group."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from asli.metrics.classification import Floats
from asli.metrics.thresholds import Policy, images_needed, upper_threshold, worst_of_each

OTHERS = "others together"
"""Name of the images whose groups are too small for a promise of their own, or that have none."""


@dataclass(frozen=True, slots=True)
class GroupPromise:
    """Promise of a threshold for groups of images.

    Attributes:
        high: The threshold.
        confidence: For each group, so that all hold together with the policy's (Bonferroni).
        images: Independent images of each group.
        pooled: Groups that count as one, since each is too small.
    """

    high: float
    confidence: float
    images: dict[str, int]
    pooled: tuple[str, ...]


def threshold_for_groups(
    scores: Floats,
    every: Floats,
    units: npt.NDArray[np.int64],
    names: Sequence[str | None],
    policy: Policy,
) -> GroupPromise:
    """Return the lowest threshold that keeps a policy's promise in each group of real images.

    Which groups are too small depends on their sizes alone, so the promise is not bent by the scores.

    Args:
        scores: P(fake) of the real images, n.
        every: All scores of the calibration part.
        units: Group of duplicates of each, n: these count once.
        names: Group of each, n; None where it has none.
        policy: Target and confidence.

    Raises:
        DataError: There are too few images for the promise.
    """
    named = np.array([OTHERS if name is None else name for name in names], dtype=object)
    sizes = Counter({name: len(np.unique(units[named == name])) for name in dict.fromkeys(named)})
    kept = _large_enough(sizes, policy)
    pooled = tuple(sorted(name for name in sizes if name not in kept and name != OTHERS))
    joined = np.array([name if name in kept else OTHERS for name in named], dtype=object)
    groups = list(dict.fromkeys(joined))
    confidence = 1 - (1 - policy.confidence) / len(groups)
    each = replace(policy, confidence=confidence)
    worst = {name: worst_of_each(scores[joined == name], units[joined == name]) for name in groups}
    high = max(
        upper_threshold(found, every, each, "real" if len(groups) == 1 else f"real ({name})")
        for name, found in worst.items()
    )
    return GroupPromise(high, confidence, {name: len(found) for name, found in sorted(worst.items())}, pooled)


def _large_enough(sizes: Counter[str], policy: Policy) -> set[str]:
    """Return the groups that get a promise of their own: the most of the largest, so that the rest has one, too."""
    ordered = [name for name, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0])) if name != OTHERS]
    for count in range(len(ordered), 0, -1):
        rest = sum(sizes.values()) - sum(sizes[name] for name in ordered[:count])
        needed = images_needed(policy.target, 1 - (1 - policy.confidence) / (count + (rest > 0)))
        if sizes[ordered[count - 1]] >= needed and (rest == 0 or rest >= needed):
            return set(ordered[:count])
    return set()
