"""Whether scores beat a constant answer: the least that a detector must show before it may give a verdict."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from asli.metrics.classification import Floats, Labels, log_losses
from asli.metrics.delong import auroc_interval
from asli.metrics.intervals import Estimate, percentile, rarer_label, resampled, weighted_mean

SHIFTS = (-10.0, 10.0)


def against_constant(labels: Labels, logits: Floats, groups: npt.NDArray[np.int64]) -> dict[str, Estimate]:
    """Return the figures that compare scores with the best constant answer, the share of fakes.

    All logits are first shifted by the same fitted amount, since the share of fakes may differ from that of the
    training images. The constant answer has the same freedom. So the comparison is between scores with an intercept and
    an intercept alone.

    Args:
        labels: 0 real, 1 fake; both occur.
        logits: n x 2 (real, fake), after temperature.
        groups: Groups of duplicates.

    Returns:
        `auroc`; `loss_gain`: loss (nats) of the constant minus that of the scores, with a bootstrap interval over
        groups of duplicates. Scores beat the constant where the whole interval of the first lies above 0.5 and that of
        the second above 0.
    """

    def shifted(by: float) -> Floats:
        return log_losses(labels, logits + np.array([0.0, by]))

    best = minimize_scalar(lambda by: float(shifted(by).mean()), bounds=SHIFTS, method="bounded")
    share = float((labels == 1).mean())
    gains = -np.log(np.where(labels == 1, share, 1 - share)) - shifted(float(best.x))
    drawn = resampled(weighted_mean(gains), groups)
    gain = percentile(drawn, float(gains.mean()), len(labels), rarer_label(labels, groups))
    return {"auroc": auroc_interval(labels, logits[:, 1] - logits[:, 0], groups), "loss_gain": gain}
