"""Figures of groups that were left out of training, with intervals over groups.

Generators and sources differ more than images do, so the group is the unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from asli.metrics.classification import Floats, auroc
from asli.records import Record

DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures(Record):
    """One group, judged by heads that saw neither it nor the images it is held against.

    Attributes:
        group: Its name.
        n: Its images.
        against: Images it was held against, all folds together.
        auroc: Mean over folds.
        tpr_at_5: Share of fakes found where 5 % of the left-out photographs are called fake, mean over folds.
        tpr_at_1: The same at 1 %.
        false_alarms: Share of left-out photographs called fake at the promised threshold, mean over folds; None where
            there were too few images for a promise.
    """

    group: str
    n: int
    against: int
    auroc: float
    tpr_at_5: float
    tpr_at_1: float
    false_alarms: float | None


def figures_of_group(
    name: str, n: int, folds: Sequence[tuple[Floats, Floats]], thresholds: Sequence[float | None]
) -> GroupFigures:
    """Return a group's figures.

    Args:
        name: Name of the group.
        n: Its images.
        folds: Scores of the left-out real and of the left-out fake images of each fold.
        thresholds: That each fold promised; None where it could promise nothing.
    """
    areas = [auroc(np.repeat([0, 1], [len(real), len(fake)]), np.concatenate([real, fake])) for real, fake in folds]
    rates = {
        rate: float(np.mean([(fake > np.quantile(real, 1 - rate, method="higher")).mean() for real, fake in folds]))
        for rate in (0.05, 0.01)
    }
    alarms = [
        float((real >= limit).mean()) for (real, _), limit in zip(folds, thresholds, strict=True) if limit is not None
    ]
    return GroupFigures(
        group=name,
        n=n,
        against=sum(len(real) + len(fake) for real, fake in folds) - n,
        auroc=float(np.mean(areas)),
        tpr_at_5=rates[0.05],
        tpr_at_1=rates[0.01],
        false_alarms=float(np.mean(alarms)) if alarms else None,
    )


Figure = Literal["auroc", "tpr_at_5", "tpr_at_1", "false_alarms"]
FIGURES: tuple[Figure, ...] = ("auroc", "tpr_at_5", "tpr_at_1", "false_alarms")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverGroups(Record):
    """One figure over all groups.

    Attributes:
        mean: Mean over groups.
        low: Lower end of its 95% bootstrap interval over groups.
        high: Upper end.
        worst: The worst group's.
        worst_group: Name of that group.
        groups: How many have the figure.
    """

    mean: float
    low: float
    high: float
    worst: float
    worst_group: str
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutGroups(Record):
    """Figures of all left-out groups.

    Attributes:
        summary: Each figure over groups; None where no group has it.
        groups: The groups, lowest AUROC first.
    """

    summary: dict[Figure, OverGroups | None]
    groups: tuple[GroupFigures, ...]

    @classmethod
    def of(cls, groups: Sequence[GroupFigures]) -> Self:
        """Summarize groups."""
        return cls(summary=over_groups(groups), groups=tuple(sorted(groups, key=lambda group: group.auroc)))


def over_groups(groups: Sequence[GroupFigures], *, seed: int = 0) -> dict[Figure, OverGroups | None]:
    """Return mean with its 95 % bootstrap interval over groups, and the worst group, of each figure."""
    random = np.random.default_rng(seed)
    result: dict[Figure, OverGroups | None] = {}
    for key in FIGURES:
        known = [(getattr(group, key), group.group) for group in groups if getattr(group, key) is not None]
        if not known:
            result[key] = None
            continue
        values = np.array([value for value, _ in known])
        drawn = values[random.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1)
        worst = max(known) if key == "false_alarms" else min(known)
        result[key] = OverGroups(
            mean=float(values.mean()),
            low=float(np.quantile(drawn, 0.025)),
            high=float(np.quantile(drawn, 0.975)),
            worst=worst[0],
            worst_group=worst[1],
            groups=len(values),
        )
    return result
