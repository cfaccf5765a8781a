"""Everything that follows from labels, scores and thresholds alone: no images, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve, roc_curve

from asli.evaluation.breakdown import breakdown
from asli.evaluation.parts import (
    AlwaysFake,
    Curves,
    Groups,
    Histogram,
    Metrics,
    PrecisionRecallCurve,
    RocCurve,
    WithoutCrossSplitDuplicates,
)
from asli.metrics import built_in, registry
from asli.metrics.calibration import RMS_ERROR, Calibration, calibration_of
from asli.metrics.classification import Confusion, Floats
from asli.metrics.intervals import CONFIDENCE, RESAMPLES, Estimate
from asli.metrics.metric import OTHERS, LabeledScores, Metric
from asli.metrics.rates import (
    PREDICTIVE_VALUES,
    TPR_AT_FPR,
    PredictiveValues,
    RateAtRate,
    predictive_values,
    tpr_at_fpr,
    verdict_shares,
)
from asli.records import Record

PREVALENCES = (0.5, 0.1, 0.01, 0.001)
"""Shares of fakes for which PPV and NPV are computed."""

HISTOGRAM_BINS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalMethods(Record):
    """How 95% intervals are computed.

    Attributes:
        confidence: Their level.
        resamples: Resamples of each bootstrap.
        shares: Method for shares of images.
        f1: Method for F1.
        balanced_accuracy: Method for balanced accuracy.
        predictive_values: Method for PPV and NPV.
        auroc: Method for AUROC.
        tpr_at_fpr: Method for true positive rates at fixed false positive rates.
        rms_error: Method for the calibration error.
        others: Method for all other metrics.
    """

    confidence: float = CONFIDENCE
    resamples: int = RESAMPLES
    shares: str = built_in.SHARES
    f1: str = built_in.F1
    balanced_accuracy: str = built_in.BALANCED_ACCURACY
    predictive_values: str = PREDICTIVE_VALUES
    auroc: str = built_in.AUROC
    tpr_at_fpr: str = TPR_AT_FPR
    rms_error: str = RMS_ERROR
    others: str = OTHERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Record):
    """Result of `measure`.

    Attributes:
        intervals: How 95% intervals are computed.
        definitions: Every metric: what it measures and how its interval is computed.
        threshold: Fake from here on.
        confusion: Counts at the threshold; fake is the positive class.
        confusion_argmax: Counts at 0.5.
        verdicts: For real and fake images, the share of each verdict.
        figures: Metrics at the threshold, at 0.5 and threshold-free.
        calibration: How far scores are from being probabilities.
        tpr_at_fpr: True positive rates at fixed false positive rates: upper bounds.
        prevalences: PPV and NPV at other shares of fakes than here.
        by_group: Metrics of each group of images.
        without_cross_split_duplicates: Metrics without such images; None where there are none.
        always_fake: What answering fake always would reach.
        curves: Points of curves and histograms.
    """

    intervals: IntervalMethods
    definitions: dict[str, Metric]
    threshold: float
    confusion: Confusion
    confusion_argmax: Confusion
    verdicts: dict[str, dict[str, Estimate]]
    figures: Metrics
    calibration: Calibration
    tpr_at_fpr: tuple[RateAtRate, ...]
    prevalences: tuple[PredictiveValues, ...]
    by_group: Groups
    without_cross_split_duplicates: WithoutCrossSplitDuplicates | None
    always_fake: AlwaysFake
    curves: Curves


def measure(
    of: LabeledScores,
    decided: tuple[float, float],
    properties: Mapping[str, Sequence[str | None]],
    *,
    across: npt.NDArray[np.bool_] | None = None,
    prevalences: Sequence[float] = PREVALENCES,
) -> Measured:
    """Measure everything that labels, scores and thresholds give.

    Args:
        of: The images, at the saved threshold.
        decided: Real below the first, fake from the second on; they can be infinite.
        properties: Names of the groups of each property, n each; None where unknown.
        across: Which images have a duplicate in another official split, n.
        prevalences: Shares of fakes among the images to come.
    """
    metrics = registry.registered().values()
    at_threshold = [metric for metric in metrics if metric.needs == "threshold"]
    verdicts = verdict_shares(of.labels, of.scores, *decided, of.groups)
    share = float(of.fake.mean())
    return Measured(
        intervals=IntervalMethods(),
        definitions={metric.name: metric for metric in metrics},
        threshold=of.threshold,
        confusion=Confusion.at(of.labels, of.scores, of.threshold),
        confusion_argmax=Confusion.at(of.labels, of.scores, 0.5),
        verdicts=verdicts,
        figures=Metrics(
            threshold=registry.measure(at_threshold, of),
            argmax=registry.measure(at_threshold, of.at(0.5)),
            threshold_free=registry.measure([metric for metric in metrics if metric.needs != "threshold"], of),
        ),
        calibration=calibration_of(of.labels, of.scores, of.groups),
        tpr_at_fpr=tpr_at_fpr(of),
        prevalences=predictive_values(verdicts, prevalences),
        by_group=breakdown(properties, of),
        without_cross_split_duplicates=None if across is None else _without(across, at_threshold, of),
        always_fake=AlwaysFake(f1=2 * share / (1 + share), accuracy=share),
        curves=_curves(of),
    )


def _without(
    across: npt.NDArray[np.bool_], at_threshold: Sequence[Metric], of: LabeledScores
) -> WithoutCrossSplitDuplicates | None:
    kept = of.where(~across)
    if not across.any() or not kept.has_both_labels:
        return None
    figures = registry.measure([*at_threshold, *built_in.built_in("auroc")], kept)
    return WithoutCrossSplitDuplicates(images=len(kept.labels), figures=figures)


def _curves(of: LabeledScores) -> Curves:
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    real, fake = (tuple(np.histogram(of.scores[of.labels == code], edges)[0].tolist()) for code in (0, 1))
    histogram = Histogram(edges=tuple(edges.tolist()), real=real, fake=fake)
    if not of.has_both_labels:
        return Curves(histogram=histogram, roc=None, precision_recall=None)
    false, true, _ = roc_curve(of.labels, of.scores, drop_intermediate=False)
    kept = thinned(false, true)
    roc = RocCurve(fpr=tuple(false[kept].tolist()), tpr=tuple(true[kept].tolist()))
    precision, recall, _ = precision_recall_curve(of.labels, of.scores)
    kept = thinned(recall[::-1])
    curve = PrecisionRecallCurve(
        recall=tuple(recall[::-1][kept].tolist()), precision=tuple(precision[::-1][kept].tolist())
    )
    return Curves(histogram=histogram, roc=roc, precision_recall=curve)


def thinned(*ascending: Floats) -> npt.NDArray[np.int64]:
    """Return the points of a curve that a picture can show: a few hundred, dense near 0 on a logarithmic scale."""
    grid = np.concatenate([np.linspace(0, 1, 201), np.geomspace(1e-5, 1, 151)])
    found = [np.searchsorted(values, grid) for values in ascending]
    kept = np.unique(np.concatenate([*found, [0, len(ascending[0]) - 1]]))
    return kept[kept < len(ascending[0])]
