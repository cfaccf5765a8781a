"""Everything that follows from scores, labels and thresholds alone: the body of `metrics.json`."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve, roc_curve

from asli.datasets.folder import DataFolder
from asli.detector.card import Thresholds
from asli.detector.scoring import Scores
from asli.evaluation.breakdown import breakdown, group_names
from asli.metrics.classification import Floats, Labels
from asli.metrics.delong import auroc_interval
from asli.metrics.figures import (
    METHODS,
    as_json,
    calibration_of,
    confusion_json,
    figures_at,
    predictive_values,
    ranking,
    verdict_shares,
)

PREVALENCES = (0.5, 0.1, 0.01, 0.001)
"""Shares of fakes for which it is said how often a verdict is right."""

HISTOGRAM_BINS = 40


def judge(
    scores: Scores, data: DataFolder, split: str, thresholds: Thresholds, prevalences: tuple[float, ...] = PREVALENCES
) -> dict[str, Any]:
    """Return every figure of these scores, as plain JSON.

    Args:
        scores: Of rows of one part.
        data: The folder; says labels, duplicates and groups.
        split: The part.
        thresholds: Used unchanged.
        prevalences: Shares of fakes among the images to come.
    """
    rows, score = scores.rows, scores.score
    labels, groups, across = data.labels[rows], data.groups(rows), data.cross_split_duplicate[rows]
    figures, rates = ranking(labels, score, scores.losses(labels), groups)
    verdicts = verdict_shares(labels, score, *thresholds.decided, groups)
    share = float((labels == 1).mean())
    return {
        "data": {
            "name": data.name,
            "hash": data.hash,
            "split": split,
            "images": len(rows),
            "real": int((labels == 0).sum()),
            "fake": int((labels == 1).sum()),
            "duplicates": len(rows) - len(np.unique(groups)),
            "cross_split_duplicates": int(across.sum()),
        },
        "unreadable": data.info["problems"]["unreadable"],
        "intervals": METHODS,
        "threshold": thresholds.high,
        "confusion": confusion_json(labels, score, thresholds.high),
        "confusion_argmax": confusion_json(labels, score, 0.5),
        "verdicts": {label: as_json(shares) for label, shares in verdicts.items()},
        "figures": {
            "threshold": as_json(figures_at(labels, score, thresholds.high, groups)),
            "argmax": as_json(figures_at(labels, score, 0.5, groups)),
            "ranking": as_json(figures),
        },
        "calibration": calibration_of(labels, score, groups),
        "tpr_at_fpr": rates,
        "prevalences": predictive_values(verdicts, prevalences),
        "groups": breakdown(group_names(data, rows), labels, score, thresholds.high, groups),
        "without_cross_split_duplicates": _without(across, labels, score, thresholds.high, groups),
        "always_fake": {"f1": 2 * share / (1 + share), "accuracy": share},
        "curves": _curves(labels, score),
    }


def _without(
    across: npt.NDArray[np.bool_], labels: Labels, scores: Floats, threshold: float, groups: npt.NDArray[np.int64]
) -> dict[str, Any] | None:
    keep = ~across
    if keep.all() or len(np.unique(labels[keep])) < 2:
        return None
    area = auroc_interval(labels[keep], scores[keep], groups[keep])
    figures = figures_at(labels[keep], scores[keep], threshold, groups[keep])
    return {"images": int(keep.sum()), "figures": as_json({**figures, "auroc": area})}


def _curves(labels: Labels, scores: Floats) -> dict[str, Any]:
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    counts = {
        label: np.histogram(scores[labels == code], edges)[0].tolist() for code, label in enumerate(("real", "fake"))
    }
    curves: dict[str, Any] = {"histogram": {"edges": edges.tolist(), **counts}, "roc": None, "precision_recall": None}
    if len(np.unique(labels)) == 2:
        false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
        kept = _thinned(false, true)
        curves["roc"] = {"fpr": false[kept].tolist(), "tpr": true[kept].tolist()}
        precision, recall, _ = precision_recall_curve(labels, scores)
        kept = _thinned(recall[::-1])
        curves["precision_recall"] = {
            "recall": recall[::-1][kept].tolist(),
            "precision": precision[::-1][kept].tolist(),
        }
    return curves


def _thinned(*ascending: Floats) -> npt.NDArray[np.int64]:
    """Return the points of a curve that a picture can show: a few hundred, dense near 0 on a logarithmic scale."""
    grid = np.concatenate([np.linspace(0, 1, 201), np.geomspace(1e-5, 1, 151)])
    found = [np.searchsorted(values, grid) for values in ascending]
    kept = np.unique(np.concatenate([*found, [0, len(ascending[0]) - 1]]))
    return kept[kept < len(ascending[0])]
