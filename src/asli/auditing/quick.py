"""The part of an audit that needs no pixels: it runs whenever a data folder is made of a user's own images."""

import numpy as np

from asli.auditing import facts
from asli.auditing.checks.balance import imbalances
from asli.auditing.checks.check import Severity
from asli.auditing.checks.file_integrity import damage
from asli.auditing.checks.shortcut import FILE_LIMITS
from asli.auditing.shortcut_features import NUMBERS, SETTINGS, file_settings
from asli.auditing.shortcuts import LEAST, out_of_fold
from asli.datasets.folder import DataFolder
from asli.datasets.splits import stratified_sample
from asli.metrics.delong import auroc_interval

IMAGES = 2000
"""Images whose file facts are checked, drawn in proportion to label."""

Found = tuple[Severity, str]


def quick_check(data: DataFolder, *, seed: int = 0) -> str | None:
    """Return the worst finding about files, labels and splits in one line, or None where all checks pass.

    Checked are labels readable from file facts, uneven labels, and files that are damaged or unusual; everything else
    takes the whole audit.

    Args:
        data: The data folder; only its manifest is read.
        seed: Seed of the folds and the sample.
    """
    table = facts.read(data)
    found = [
        _readable_labels(data, seed),
        imbalances(facts.counts(table)),
        damage(facts.oddities(table), len(data)),
    ]
    for severity in (Severity.FAIL, Severity.WARNING):
        for level, text in found:
            if level is severity:
                return text
    return None


def _readable_labels(data: DataFolder, seed: int) -> Found:
    rows = np.flatnonzero(data.readable)
    rows = rows[stratified_sample([str(label) for label in data.labels[rows]], IMAGES)]
    labels, groups = data.labels[rows], data.groups(rows)
    if min(len(np.unique(groups[labels == code])) for code in (0, 1)) < LEAST:
        return Severity.NOT_CHECKED, "too few images"
    features = file_settings(data.table([*SETTINGS, *NUMBERS], rows))
    area = auroc_interval(labels, out_of_fold(features.values, labels, groups, seed), groups)
    warning, failure = FILE_LIMITS
    if area.value is None or area.low is None or area.low <= 0.5 or area.value < warning:
        return Severity.PASS, "labels are not readable from file facts"
    text = (
        "labels are readable from the files' format, size and metadata alone, so a network may learn these instead of"
        f" the pictures: AUROC {area.value:.3f} (95 % CI {area.low:.3f} to {area.high:.3f})"
    )
    return (Severity.FAIL if area.value >= failure else Severity.WARNING), text
