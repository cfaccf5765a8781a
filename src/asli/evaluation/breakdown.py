"""Figures by generator, category, size and format of the images, and which group is worst."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.metrics.classification import Floats, Labels
from asli.metrics.delong import auroc_interval
from asli.metrics.intervals import Figure, share_of

ENOUGH = 30
"""A group counts as worst only from this many images on: of fewer, chance alone makes one look bad."""

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


def breakdown(
    names: dict[str, list[str | None]],
    labels: Labels,
    scores: Floats,
    threshold: float,
    groups: npt.NDArray[np.int64],
) -> dict[str, Any]:
    """Return figures of each group of each property, and the worst groups of all.

    A generator makes fakes only, so its AUROC is against all real images.

    Args:
        names: From `group_names`.
        labels: 0 real, 1 fake.
        scores: P(fake).
        threshold: Fake from here on.
        groups: Of duplicates.

    Returns:
        Property to list of groups, most images first; `worst`: for either kind of error the group with the highest
        rate among those with at least `ENOUGH` images of that label, and of how many it is the worst.
    """
    called, result = scores >= threshold, {}
    for property_, values in names.items():
        of = np.array([value or "" for value in values])
        present = [name for name in np.unique(of) if name]
        lines = []
        for name in present:
            inside = of == name
            against = inside | (labels == 0) if property_ == "generator" else inside
            lines.append({"name": str(name), **_figures(inside, against, labels, scores, called, groups)})
        result[property_] = sorted(lines, key=lambda line: -(line["real"] + line["fake"]))
    return {**result, "worst": _worst(result), "enough": ENOUGH}


def _figures(
    inside: npt.NDArray[np.bool_],
    against: npt.NDArray[np.bool_],
    labels: Labels,
    scores: Floats,
    called: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
) -> dict[str, Any]:
    real, fake = inside & (labels == 0), inside & (labels == 1)
    both = len(np.unique(labels[against])) == 2
    figures = {
        "false_positive_rate": share_of(called[real], groups[real]),
        "miss_rate": share_of(~called[fake], groups[fake]),
        "accuracy": share_of(called[inside] == (labels[inside] == 1), groups[inside]),
        "auroc": auroc_interval(labels[against], scores[against], groups[against])
        if both
        else Figure(None, None, None, int(against.sum())),
    }
    return {
        "real": int(real.sum()),
        "fake": int(fake.sum()),
        "figures": {name: dataclasses.asdict(figure) for name, figure in figures.items()},
    }


def _worst(result: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    worst = {}
    for rate, label in (("false_positive_rate", "real"), ("miss_rate", "fake")):
        candidates = [
            (line["figures"][rate]["value"], property_, line)
            for property_, lines in result.items()
            for line in lines
            if len(lines) > 1 and line[label] >= ENOUGH
        ]
        if candidates:
            key: Callable[[Any], Any] = lambda candidate: candidate[0]  # noqa: E731
            _, property_, line = max(candidates, key=key)
            worst[rate] = {
                "property": property_,
                "name": line["name"],
                "of": len(candidates),
                "figure": line["figures"][rate],
            }
    return worst


def _size(side: int) -> str:
    low = 0
    for high in SIZES:
        if side <= high:
            return f"{low + 1} to {high} px"
        low = high
    return f"above {low} px"
