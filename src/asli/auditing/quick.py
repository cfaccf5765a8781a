"""The part of an audit that needs no pixels: it runs whenever a data folder is made of somebody's own images."""

import dataclasses

import numpy as np

from asli.auditing import facts
from asli.auditing.features import NUMBERS, SETTINGS, file_settings
from asli.auditing.findings import LOOK, SPRUNG, balance, damage
from asli.auditing.shortcuts import LEAST, out_of_fold
from asli.datasets.folder import DataFolder
from asli.datasets.splits import stratified_sample
from asli.metrics.delong import auroc_interval

IMAGES = 2000
"""Images the check of file facts looks at, drawn in proportion to label."""


def quick_check(data: DataFolder, *, seed: int = 0) -> str | None:
    """Return the worst finding about files, labels and splits in one line, or None where there is none.

    Checked are labels readable from file facts, uneven labels, and files that are damaged or unusual; everything else
    takes the whole audit.

    Args:
        data: The data folder; only its manifest is read.
        seed: Of the folds and the sample.
    """
    table = facts.read(data)
    result = {
        "data": {"images": len(data)},
        "counts": facts.counts(table),
        "oddities": facts.oddities(table),
    }
    found = [_readable_labels(data, seed), balance(result), damage(result)]
    for verdict in ("sprung", "look"):
        for line in found:
            if line is not None and line["verdict"] == verdict:
                return line["says"]
    return None


def _readable_labels(data: DataFolder, seed: int) -> dict[str, str] | None:
    rows = np.flatnonzero(data.readable)
    rows = rows[stratified_sample([str(label) for label in data.labels[rows]], IMAGES)]
    labels, groups = data.labels[rows], data.groups(rows)
    if min(len(np.unique(groups[labels == code])) for code in (0, 1)) < LEAST:
        return None
    features = file_settings(data.table([*SETTINGS, *NUMBERS], rows))
    figure = auroc_interval(labels, out_of_fold(features.values, labels, groups, seed), groups)
    area = dataclasses.asdict(figure)
    if area["low"] <= 0.5 or area["value"] < LOOK:
        return None
    says = (
        "labels are readable from the files' format, size and metadata alone, so a network may learn these instead of"
        f" the pictures: AUROC {area['value']:.3f} (95% CI {area['low']:.3f} to {area['high']:.3f})"
    )
    return {"verdict": "sprung" if area["value"] >= SPRUNG else "look", "says": says}
