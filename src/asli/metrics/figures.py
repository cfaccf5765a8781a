"""Every figure of an evaluation, from labels, scores and thresholds; each with its 95% interval."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from asli.metrics.calibration import calibration_error, ece_if_calibrated, equal_mass
from asli.metrics.classification import Confusion, Floats, Labels, brier_terms
from asli.metrics.delong import auroc_interval
from asli.metrics.intervals import (
    CONFIDENCE,
    RESAMPLES,
    Figure,
    f1_interval,
    logit_interval,
    mean_interval,
    mean_of,
    predictive_value,
    resampled,
    share_above,
    share_of,
    weighted_precision,
)

Groups = npt.NDArray[np.int64]

RATES = (0.05, 0.01, 0.001)
"""False positive rates at which the true positive rate is read off the curve."""

METHODS = {
    "confidence": CONFIDENCE,
    "resamples": RESAMPLES,
    "shares": "Wilson 1927, at the effective number of images: n^2 / sum of squared duplicate group sizes (Kish 1965)",
    "f1": "Wilson's for tp / (tp + fp + fn), of which F1 is a function",
    "balanced_accuracy": "square-and-add of two Wilson intervals (Newcombe 1998)",
    "predictive_values": "both error rates at opposite ends of their intervals: covers at least as often as it says",
    "auroc": "DeLong 1988 on the logit scale, variance by groups of duplicates (Obuchowski 1997); up to 50 independent"
    " images of a label Wilson's at as many images as have this variance, which is at least Hanley & McNeil's (1982)",
    "tpr_at_fpr": "binomial ranks of the real images around the threshold, squared and added to Wilson's of the fakes",
    "rms_error": "normal on the squared scale, variance by groups of duplicates",
    "others": "loss and Brier score by Student's t on the log scale, average precision on the logit scale with the"
    " spread of the bootstrap of groups of duplicates",
}
"""How each kind of interval is made."""


def figures_at(labels: Labels, scores: Floats, threshold: float, groups: Groups) -> dict[str, Figure]:
    """Return precision, recall, F1, accuracies and the false positive rate at a threshold.

    Args:
        labels: 0 real, 1 fake. Where one of them is missing, what needs both is undefined.
        scores: P(fake).
        threshold: Fake from here on.
        groups: Of duplicates.
    """
    called, fake = scores >= threshold, labels == 1
    recall, alarm = (share_of(called[part], groups[part]) for part in (fake, ~fake))
    right = share_of(~called[~fake], groups[~fake])
    both = fake.any() and not fake.all()
    return {
        "f1": f1_interval(labels, called, groups),
        "precision": share_of(fake[called], groups[called]) if both else Figure(None, None, None, int(called.sum())),
        "recall": recall,
        "accuracy": share_of(called == fake, groups),
        "balanced_accuracy": mean_of(recall, right),
        "false_positive_rate": alarm,
    }


def ranking_figures(labels: Labels, scores: Floats, losses: Floats, groups: Groups) -> dict[str, Figure]:
    """Return what no threshold bears on: AUROC, average precision, loss (nats) and Brier score.

    Args:
        labels: 0 real, 1 fake. Where one of them is missing, what needs both is undefined.
        scores: P(fake).
        losses: Negative log-likelihood of each image; where one is infinite the mean is undefined.
        groups: Of duplicates.
    """
    return ranking(labels, scores, losses, groups)[0]


def ranking(
    labels: Labels, scores: Floats, losses: Floats, groups: Groups
) -> tuple[dict[str, Figure], list[dict[str, Any]]]:
    """Return `ranking_figures`, and the true positive rate at false positive rates.

    The thresholds of these rates are read off these images' own curve. Nobody knows them beforehand, so they are upper
    bounds on what can be had: `above` is the score that must be exceeded, `allowed` how many real images may be.
    """
    both, finite = 0 < (labels == 1).sum() < len(labels), bool(np.isfinite(losses).all())
    undefined = Figure(None, None, None, len(labels))
    figures = {
        "auroc": undefined,
        "average_precision": undefined,
        "loss": mean_interval(losses, labels, groups) if finite else undefined,
        "brier": mean_interval(brier_terms(labels, scores), labels, groups),
    }
    if not both:
        return figures, []
    figures["auroc"] = auroc_interval(labels, scores, groups)
    precision = float(average_precision_score(labels, scores))
    drawn = resampled(weighted_precision(labels, scores), groups)
    figures["average_precision"] = logit_interval(drawn, precision, labels, groups)
    real, fake, rates = labels == 0, labels == 1, []
    for rate in RATES:
        found = share_above(scores[real], scores[fake], rate, groups[real], groups[fake])
        allowed = int(rate * real.sum() + 1e-9)
        above = float(np.sort(scores[real])[::-1][allowed])
        rates.append({"fpr": rate, "tpr": dataclasses.asdict(found), "above": above, "allowed": allowed})
    return figures, rates


def calibration_of(labels: Labels, scores: Floats, groups: Groups) -> dict[str, Any]:
    """Return how far scores are from being probabilities, with the bins of the reliability plot."""
    bins = equal_mass(labels, scores)
    mean, high = ece_if_calibrated(scores, groups, bins)
    shares = [share_of(labels[bins.of == number] == 1, groups[bins.of == number]) for number in range(len(bins.counts))]
    return {
        "ece": bins.ece,
        "ece_if_calibrated": {"mean": mean, "p95": high},
        "rms_error": dataclasses.asdict(calibration_error(labels, scores, groups, bins)),
        "bins": [
            {"score": float(score), "fake": dataclasses.asdict(share)}
            for score, share in zip(bins.scores, shares, strict=True)
        ],
    }


def verdict_shares(
    labels: Labels, scores: Floats, low: float, high: float, groups: Groups
) -> dict[str, dict[str, Figure]]:
    """Return for real and for fake images the share of each verdict."""
    verdicts = {"real": scores < low, "unsure": (scores >= low) & (scores < high), "fake": scores >= high}
    return {
        label: {name: share_of(hit[labels == code], groups[labels == code]) for name, hit in verdicts.items()}
        for code, label in enumerate(("real", "fake"))
    }


def predictive_values(shares: dict[str, dict[str, Figure]], prevalences: tuple[float, ...]) -> list[dict[str, Any]]:
    """Return how often the verdicts `fake` (PPV) and `real` (NPV) are right, at other shares of fakes than here.

    Args:
        shares: From `verdict_shares`.
        prevalences: Shares of fakes among the images to come.
    """
    return [
        {
            "prevalence": prevalence,
            "ppv": dataclasses.asdict(predictive_value(prevalence, shares["fake"]["fake"], shares["real"]["fake"])),
            "npv": dataclasses.asdict(predictive_value(1 - prevalence, shares["real"]["real"], shares["fake"]["real"])),
        }
        for prevalence in prevalences
    ]


def confusion_json(labels: Labels, scores: Floats, threshold: float) -> dict[str, int]:
    """Return the counts at a threshold."""
    return dataclasses.asdict(Confusion.at(labels, scores, threshold))


def as_json(figures: dict[str, Figure]) -> dict[str, Any]:
    """Return figures as plain dictionaries."""
    return {name: dataclasses.asdict(figure) for name, figure in figures.items()}
