"""Classification figures with fake = 1 as the positive class."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from asli.errors import DataError

Labels = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts at a threshold; a fake image called fake is a true positive."""

    tp: int
    fp: int
    tn: int
    fn: int

    @classmethod
    def at(cls, labels: Labels, scores: Floats, threshold: float) -> Self:
        """Count with `score >= threshold` called fake."""
        called, fake = scores >= threshold, labels == 1
        return cls(
            tp=int((called & fake).sum()),
            fp=int((called & ~fake).sum()),
            tn=int((~called & ~fake).sum()),
            fn=int((~called & fake).sum()),
        )

    @property
    def precision(self) -> float | None:
        """Return tp / (tp + fp), or None where nothing is called fake."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Return tp / (tp + fn), the true positive rate, or None where nothing is fake."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def false_positive_rate(self) -> float | None:
        """Return fp / (fp + tn), the share of photographs called fake, or None where nothing is real."""
        return _share(self.fp, self.fp + self.tn)

    @property
    def f1(self) -> float:
        """Return 2 tp / (2 tp + fp + fn), 0 where nothing is fake or called so."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn) or 0.0

    @property
    def accuracy(self) -> float:
        """Return (tp + tn) / n."""
        return (self.tp + self.tn) / (self.tp + self.tn + self.fp + self.fn)


def score_of_logits(logits: Floats) -> Floats:
    """Return P(fake), the softmax of logits n x 2 (real, fake), in float64."""
    margin = logits[:, 1] - logits[:, 0]
    small = np.exp(-np.abs(margin))  # never overflows
    scores: Floats = np.where(margin >= 0, 1.0, small) / (1 + small)
    return scores


def log_losses(labels: Labels, logits: Floats) -> Floats:
    """Return each image's negative log-likelihood, in nats."""
    from scipy.special import log_softmax  # here, as below: a cold start that only scores needs neither library

    losses: Floats = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels.astype(np.intp)]
    return losses


def losses_of_scores(labels: Labels, scores: Floats) -> Floats:
    """Return each image's negative log-likelihood, in nats; infinite where the score rules the label out."""
    with np.errstate(divide="ignore"):
        losses: Floats = -np.log(np.where(labels == 1, scores, 1 - scores))
    return losses


def brier_terms(labels: Labels, scores: Floats) -> Floats:
    """Return each image's squared distance from score to label; their mean is the Brier score (Brier 1950)."""
    terms: Floats = (scores - labels) ** 2
    return terms


def auroc(labels: Labels, scores: Floats) -> float:
    """Return the area under the ROC curve.

    Raises:
        DataError: Only one label is there.
    """
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2:
        raise DataError("AUROC needs both real and fake images")
    return float(roc_auc_score(labels, scores))


def training_figures(labels: Labels, logits: Floats) -> dict[str, float]:
    """Return the figures followed during training: loss, AUROC, and precision, recall, F1, accuracy at the argmax."""
    scores = score_of_logits(logits)
    counts = Confusion.at(labels, scores, 0.5)
    return {
        "loss": float(log_losses(labels, logits).mean()),
        "precision": counts.precision or 0.0,
        "recall": counts.recall or 0.0,
        "f1": counts.f1,
        "accuracy": counts.accuracy,
        "auroc": auroc(labels, scores),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
