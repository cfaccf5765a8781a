"""The metrics of asli itself."""

import numpy as np
from sklearn.metrics import average_precision_score

from asli.metrics.classification import brier_terms
from asli.metrics.delong import auroc_interval
from asli.metrics.intervals import (
    Estimate,
    f1_interval,
    logit_interval,
    mean_interval,
    mean_of,
    resampled,
    share_of,
    weighted_precision,
)
from asli.metrics.metric import Bootstrap, LabeledScores, Metric

SHARES = "Wilson 1927, at the effective number of images: n^2 / sum of squared duplicate group sizes (Kish 1965)"
F1 = "Wilson's for tp / (tp + fp + fn), of which F1 is a function"
BALANCED_ACCURACY = "square-and-add of two Wilson intervals (Newcombe 1998)"
AUROC = "DeLong 1988 on the logit scale, variance by groups of duplicates (Obuchowski 1997)"


def _precision(of: LabeledScores) -> Estimate:
    if not of.has_both_labels:
        return Estimate.undefined(int(of.called.sum()))
    return share_of(of.fake[of.called], of.groups[of.called])


def _recall(of: LabeledScores) -> Estimate:
    return share_of(of.called[of.fake], of.groups[of.fake])


def _specificity(of: LabeledScores) -> Estimate:
    return share_of(~of.called[~of.fake], of.groups[~of.fake])


def _loss(of: LabeledScores) -> Estimate | Bootstrap:
    if not np.isfinite(of.losses).all():
        return Estimate.undefined(len(of.labels))
    return mean_interval(of.losses, of.labels, of.groups)


def _brier(of: LabeledScores) -> Estimate:
    return mean_interval(brier_terms(of.labels, of.scores), of.labels, of.groups)


def _average_precision(of: LabeledScores) -> Estimate:
    drawn = resampled(weighted_precision(of.labels, of.scores), of.groups)
    return logit_interval(drawn, float(average_precision_score(of.labels, of.scores)), of.labels, of.groups)


BUILT_IN = (
    Metric(
        name="f1",
        title="F1",
        needs="threshold",
        compute=lambda of: f1_interval(of.labels, of.called, of.groups),
        interval=F1,
        description="Harmonic mean of precision and recall.",
    ),
    Metric(
        name="precision",
        title="precision",
        needs="threshold",
        compute=_precision,
        interval=SHARES,
        description="Share of fake images among those called fake.",
        both_labels=False,
    ),
    Metric(
        name="recall",
        title="recall (true positive rate)",
        needs="threshold",
        compute=_recall,
        interval=SHARES,
        description="Share of fake images that are called fake.",
        both_labels=False,
    ),
    Metric(
        name="accuracy",
        title="accuracy",
        needs="threshold",
        compute=lambda of: share_of(of.called == of.fake, of.groups),
        interval=SHARES,
        description="Share of images that are called what they are.",
        both_labels=False,
    ),
    Metric(
        name="balanced_accuracy",
        title="balanced accuracy",
        needs="threshold",
        compute=lambda of: mean_of(_recall(of), _specificity(of)),
        interval=BALANCED_ACCURACY,
        description="Mean of the accuracies on real and on fake images.",
        both_labels=False,
    ),
    Metric(
        name="false_positive_rate",
        title="false positive rate",
        needs="threshold",
        compute=lambda of: share_of(of.called[~of.fake], of.groups[~of.fake]),
        interval=SHARES,
        description="Share of real images that are called fake.",
        better="lower",
        both_labels=False,
    ),
    Metric(
        name="false_negative_rate",
        title="false negative rate",
        needs="threshold",
        compute=lambda of: share_of(~of.called[of.fake], of.groups[of.fake]),
        interval=SHARES,
        description="Share of fake images that are not called fake.",
        better="lower",
        both_labels=False,
    ),
    Metric(
        name="auroc",
        title="AUROC",
        needs="scores",
        compute=lambda of: auroc_interval(of.labels, of.scores, of.groups),
        interval=AUROC,
        description="Probability that a fake image scores higher than a real one.",
    ),
    Metric(
        name="average_precision",
        title="average precision",
        needs="scores",
        compute=_average_precision,
        description="Precision, averaged over the recalls of all thresholds.",
    ),
    Metric(
        name="loss",
        title="loss (nats)",
        needs="losses",
        compute=_loss,
        description="Mean negative log-likelihood of the labels.",
        better="lower",
        both_labels=False,
    ),
    Metric(
        name="brier",
        title="Brier score",
        needs="scores",
        compute=_brier,
        description="Mean squared distance from score to label (Brier 1950).",
        better="lower",
        both_labels=False,
    ),
)


CARD_METRICS = (
    *("f1", "precision", "recall", "accuracy", "balanced_accuracy", "false_positive_rate"),
    *("auroc", "average_precision", "loss", "brier"),
)
"""Metrics that a detector's card keeps, in this order."""


def built_in(*names: str) -> list[Metric]:
    """Return asli's own metrics of these names."""
    own = {metric.name: metric for metric in BUILT_IN}
    return [own[name] for name in names]
