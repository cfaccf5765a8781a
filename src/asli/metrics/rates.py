"""Rates of verdicts: at fixed false positive rates, by label, and at other prevalences than that of the images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asli.metrics.classification import Floats, Labels
from asli.metrics.intervals import Estimate, predictive_value, share_above, share_of
from asli.metrics.metric import Groups, LabeledScores
from asli.records import Record

RATES = (0.05, 0.01, 0.001)
"""False positive rates at which the true positive rate is read off the curve."""

TPR_AT_FPR = "binomial ranks of the real images around the threshold, squared and added to Wilson's of the fakes"
PREDICTIVE_VALUES = "both error rates at opposite ends of their intervals: covers at least as often as it says"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateAtRate(Record):
    """The true positive rate at a false positive rate, read off these images' own curve: an upper bound.

    Attributes:
        fpr: The false positive rate.
        tpr: The true positive rate.
        above: The score to exceed.
        allowed: Real images that may exceed it.
    """

    fpr: float
    tpr: Estimate
    above: float
    allowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveValues(Record):
    """How often verdicts are right at a share of fakes, by Bayes' rule from both error rates.

    Attributes:
        prevalence: Share of fakes among the images to come.
        ppv: Positive predictive value: share of fake images among those called fake.
        npv: Negative predictive value: share of real images among those called real.
    """

    prevalence: float
    ppv: Estimate
    npv: Estimate


def tpr_at_fpr(of: LabeledScores) -> tuple[RateAtRate, ...]:
    """Return the true positive rate at each of `RATES`; none where a label is missing.

    The thresholds are read off these images, so nobody knows them beforehand.
    """
    if not of.has_both_labels:
        return ()
    real, found = of.scores[~of.fake], []
    for rate in RATES:
        allowed = int(rate * len(real) + 1e-9)
        found.append(
            RateAtRate(
                fpr=rate,
                tpr=share_above(real, of.scores[of.fake], rate, of.groups[~of.fake], of.groups[of.fake]),
                above=float(np.sort(real)[::-1][allowed]),
                allowed=allowed,
            )
        )
    return tuple(found)


def verdict_shares(
    labels: Labels, scores: Floats, low: float, high: float, groups: Groups
) -> dict[str, dict[str, Estimate]]:
    """Return for real and for fake images the share of each verdict."""
    verdicts = {"real": scores < low, "unsure": (scores >= low) & (scores < high), "fake": scores >= high}
    return {
        label: {name: share_of(hit[labels == code], groups[labels == code]) for name, hit in verdicts.items()}
        for code, label in enumerate(("real", "fake"))
    }


def predictive_values(
    shares: Mapping[str, Mapping[str, Estimate]], prevalences: Sequence[float]
) -> tuple[PredictiveValues, ...]:
    """Return PPV of the verdict `fake` and NPV of the verdict `real` at each prevalence.

    Args:
        shares: From `verdict_shares`.
        prevalences: Shares of fakes among the images to come.
    """
    return tuple(
        PredictiveValues(
            prevalence=prevalence,
            ppv=predictive_value(prevalence, shares["fake"]["fake"], shares["real"]["fake"]),
            npv=predictive_value(1 - prevalence, shares["real"]["real"], shares["fake"]["real"]),
        )
        for prevalence in prevalences
    )
