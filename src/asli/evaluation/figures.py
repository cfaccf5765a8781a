"""Every figure of an evaluation, from labels, logits and the saved threshold."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.metrics.classification import Confusion, Floats, Labels, auroc, log_losses, score_of_logits
from asli.metrics.intervals import Figure, bootstrap, proportion, weighted_auroc, weighted_f1, weighted_mean


def figures_at(labels: Labels, scores: Floats, threshold: float, groups: npt.NDArray[np.int64]) -> dict[str, Figure]:
    """Return precision, recall, F1, accuracy and both error rates at a threshold, with 95% intervals.

    Args:
        labels: 0 real, 1 fake.
        scores: P(fake).
        threshold: Fake from here on.
        groups: Of identical twins, resampled together for F1.
    """
    counts = Confusion.at(labels, scores, threshold)
    return {
        "f1": bootstrap(weighted_f1(labels, scores >= threshold), counts.f1, groups),
        "precision": proportion(counts.tp, counts.tp + counts.fp),
        "recall": proportion(counts.tp, counts.tp + counts.fn),
        "accuracy": proportion(counts.tp + counts.tn, len(labels)),
        "false_positive_rate": proportion(counts.fp, counts.fp + counts.tn),
    }


def ranking_figures(labels: Labels, logits: Floats, groups: npt.NDArray[np.int64]) -> dict[str, Figure]:
    """Return what no threshold bears on, with 95% intervals: AUROC and loss (negative log-likelihood, nats)."""
    scores, losses = score_of_logits(logits), log_losses(labels, logits)
    return {
        "auroc": bootstrap(weighted_auroc(labels, scores), auroc(labels, scores), groups),
        "loss": bootstrap(weighted_mean(losses), float(losses.mean()), groups),
    }


def all_figures(
    labels: Labels, logits: Floats, threshold: float, groups: npt.NDArray[np.int64]
) -> dict[str, dict[str, Figure]]:
    """Return the figures at the saved threshold, at the argmax, and without one."""
    scores = score_of_logits(logits)
    return {
        "threshold": figures_at(labels, scores, threshold, groups),
        "argmax": figures_at(labels, scores, 0.5, groups),
        "ranking": ranking_figures(labels, logits, groups),
    }


def as_json(figures: dict[str, Figure]) -> dict[str, Any]:
    """Return figures as plain dictionaries."""
    return {name: dataclasses.asdict(figure) for name, figure in figures.items()}
