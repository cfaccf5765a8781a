"""Choosing a threshold; on the calibration part only."""

import numpy as np

from asli.metrics.classification import Floats, Labels


def max_f1_threshold(labels: Labels, scores: Floats) -> float:
    """Return the threshold with the highest F1, half-way between two neighbouring scores.

    Of equal ones the lowest is taken. An image is called fake from the threshold on (`score >= threshold`).
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
