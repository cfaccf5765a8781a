"""Figures by generator, category, size and format of the images, and which group is worst."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.evaluation.parts import ErrorRate, Group, Groups, WorstGroup
from asli.metrics.built_in import built_in
from asli.metrics.metric import LabeledScores
from asli.metrics.registry import measure

ENOUGH = 30
"""A group counts as worst only from this many images on: of fewer, chance alone makes one look bad."""

RATES: tuple[ErrorRate, ...] = ("false_positive_rate", "false_negative_rate")

SIZES = (64, 128, 256, 512, 1024, 2048)
"""Upper ends of the classes of size, in pixels of the longer side."""


def group_names(data: DataFolder, rows: npt.NDArray[np.int64]) -> dict[str, list[str | None]]:
    """Return for each property the group of each row; None where the data does not say."""
    table = data.table(["generator", "source", "category", "format", "width", "height"], rows)
    sides = np.maximum(*(table[side].fill_null(0).to_numpy() for side in ("width", "height")))
    return {
        "generator": table["generator"].to_pylist(),
        "source": table["source"].to_pylist(),
        "category": table["category"].to_pylist(),
        "size": [_size(side) for side in sides.tolist()],
        "format": table["format"].to_pylist(),
    }


def breakdown(properties: Mapping[str, Sequence[str | None]], of: LabeledScores) -> Groups:
    """Return metrics of each group of each property, most images first, and the worst group for either kind of error.

    A generator makes fakes only, so its AUROC is against all real images.

    Args:
        properties: Properties, as `group_names` returns them.
        of: The images, at the saved threshold.
    """
    found = {}
    for property_, values in properties.items():
        names = np.array([value or "" for value in values])
        groups = [_group(str(name), names == name, of, property_) for name in np.unique(names) if name]
        found[property_] = tuple(sorted(groups, key=lambda group: -(group.real + group.fake)))
    return with_worst(found)


def with_worst(found: dict[str, tuple[Group, ...]]) -> Groups:
    """Return groups of each property with the worst one for either kind of error."""
    worst: dict[ErrorRate, WorstGroup | None] = {
        "false_positive_rate": _worst(found, "false_positive_rate", lambda group: group.real),
        "false_negative_rate": _worst(found, "false_negative_rate", lambda group: group.fake),
    }
    return Groups(
        properties=found, worst={rate: group for rate, group in worst.items() if group is not None}, enough=ENOUGH
    )


def _group(name: str, chosen: npt.NDArray[np.bool_], of: LabeledScores, property_: str) -> Group:
    inside = of.where(chosen)
    against = of.where(chosen | ~of.fake) if property_ == "generator" else inside
    return Group(
        name=name,
        real=int((~inside.fake).sum()),
        fake=int(inside.fake.sum()),
        figures={**measure(built_in(*RATES, "accuracy"), inside), **measure(built_in("auroc"), against)},
    )


def _worst(found: Mapping[str, Sequence[Group]], rate: ErrorRate, number: Callable[[Group], int]) -> WorstGroup | None:
    candidates = [
        (value, property_, group)
        for property_, groups in found.items()
        for group in groups
        if len(groups) > 1 and number(group) >= ENOUGH and (value := group.figures[rate].value) is not None
    ]
    if not candidates:
        return None
    _, property_, group = max(candidates, key=lambda candidate: candidate[0])
    return WorstGroup(property=property_, name=group.name, of=len(candidates), figure=group.figures[rate])


def _size(side: int) -> str:
    low = 0
    for high in SIZES:
        if side <= high:
            return f"{low + 1} to {high} px"
        low = high
    return f"above {low} px"
