"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599)."""

import math

from scipy.optimize import minimize_scalar

from asli.metrics.classification import Floats, Labels, log_losses


def fit_temperature(labels: Labels, logits: Floats) -> float:
    """Return the temperature T that minimises the negative log-likelihood of logits / T, or 1 where none lowers it.

    Args:
        labels: Of the calibration part.
        logits: n x 2 (real, fake), before scaling.
    """

    def loss(log_temperature: float) -> float:
        return float(log_losses(labels, logits / math.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded")
    return math.exp(found.x) if found.fun < loss(0.0) else 1.0
