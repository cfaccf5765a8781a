"""The registry of metrics, one entry each; a package adds its own through the entry point group `asli.metrics`.

`asli.metrics` entry points name a `Metric`. Reports, JSON and the command line show every registered metric.
"""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from asli.errors import AsliError
from asli.metrics.classification import Floats, Labels, brier_terms, losses_of_scores
from asli.metrics.delong import auroc_interval
from asli.metrics.intervals import (
    Estimate,
    f1_interval,
    mean_of,
    percentile,
    resampled,
    share_of,
    weighted_mean,
    weighted_precision,
)
from asli.records import HIDDEN, Record

logger = logging.getLogger("asli")

Groups = npt.NDArray[np.int64]

ENTRY_POINTS = "asli.metrics"

SHARES = "Wilson 1927, at the effective number of images: n^2 / sum of squared duplicate group sizes (Kish 1965)"
BOOTSTRAP = "percentile bootstrap of groups of duplicates"
F1 = "Wilson's for tp / (tp + fp + fn), of which F1 is a function"
BALANCED_ACCURACY = "square-and-add of two Wilson intervals (Newcombe 1998)"
AUROC = "DeLong 1988 on the logit scale, variance by groups of duplicates (Obuchowski 1997)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabeledScores:
    """What every metric is computed from: arrays of one length n.

    Attributes:
        labels: 0 real, 1 fake, int8.
        scores: P(fake), float64.
        groups: A number that duplicates share, int64: the unit of resampling.
        losses: Negative log-likelihood of each image in nats, float64; infinite where a score rules its label out.
        threshold: Fake from here on.
    """

    labels: Labels
    scores: Floats
    groups: Groups
    losses: Floats
    threshold: float = 0.5

    @classmethod
    def of(
        cls,
        labels: Labels,
        scores: Floats,
        groups: Groups | None = None,
        *,
        losses: Floats | None = None,
        threshold: float = 0.5,
    ) -> "LabeledScores":
        """Build it; without groups each image stands for itself, without losses they follow from the scores."""
        return cls(
            labels=labels,
            scores=scores,
            groups=np.arange(len(labels)) if groups is None else groups,
            losses=losses_of_scores(labels, scores) if losses is None else losses,
            threshold=threshold,
        )

    @property
    def fake(self) -> npt.NDArray[np.bool_]:
        """Return which images are fake."""
        fake: npt.NDArray[np.bool_] = self.labels == 1
        return fake

    @property
    def called(self) -> npt.NDArray[np.bool_]:
        """Return which images are called fake."""
        called: npt.NDArray[np.bool_] = self.scores >= self.threshold
        return called

    @property
    def has_both_labels(self) -> bool:
        """Whether there are real and fake images."""
        return bool(self.fake.any() and not self.fake.all())

    def at(self, threshold: float) -> "LabeledScores":
        """Return the same images at another threshold."""
        return replace(self, threshold=threshold)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "LabeledScores":
        """Return some of the images."""
        parts = {name: getattr(self, name)[chosen] for name in ("labels", "scores", "groups", "losses")}
        return replace(self, **parts)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A metric whose interval is the percentile bootstrap over groups of duplicates.

    Attributes:
        statistic: Maps image weights, float64, resamples x n, to the metric of each resample; NaN where undefined.
        value: The metric of the images as they are; None takes the statistic of weights of 1.
    """

    statistic: Callable[[Floats], Floats]
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Record):
    """One metric.

    Attributes:
        name: Its key in results.
        title: Its name in reports.
        needs: `threshold` for a metric of verdicts, `scores` or `losses` for a threshold-free one.
        compute: Returns an `Estimate`, or a `Bootstrap` whose interval asli computes.
        interval: How the 95% interval is computed.
        description: What it measures, in a sentence.
        better: Which end is good.
        format: How the value is printed, as in Python's `format`.
        both_labels: Undefined where all images are real or all are fake.
    """

    name: str
    title: str
    needs: Literal["threshold", "scores", "losses"]
    compute: Callable[[LabeledScores], Estimate | Bootstrap] = field(metadata=HIDDEN)
    interval: str = BOOTSTRAP
    description: str
    better: Literal["higher", "lower"] = "higher"
    format: str = ".4f"
    both_labels: bool = True


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
    return Bootstrap(weighted_mean(of.losses), float(of.losses.mean()))


def _brier(of: LabeledScores) -> Bootstrap:
    terms = brier_terms(of.labels, of.scores)
    return Bootstrap(weighted_mean(terms), float(terms.mean()))


def _average_precision(of: LabeledScores) -> Bootstrap:
    return Bootstrap(weighted_precision(of.labels, of.scores), float(average_precision_score(of.labels, of.scores)))


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

_registered = {metric.name: metric for metric in BUILT_IN}


def register(metric: Metric) -> None:
    """Add a metric, for this process, to every evaluation.

    Raises:
        AsliError: There is one of this name.
    """
    if metric.name in _registered:
        raise AsliError(f"there is a metric '{metric.name}' already; give yours another name")
    _registered[metric.name] = metric


def registered() -> dict[str, Metric]:
    """Return every metric by name: asli's own, then those of other packages.

    Raises:
        AsliError: A package's metric cannot be loaded, or its name is taken.
    """
    _load_entry_points()
    return dict(_registered)


def built_in(*names: str) -> list[Metric]:
    """Return asli's own metrics of these names."""
    own = {metric.name: metric for metric in BUILT_IN}
    return [own[name] for name in names]


def measure(metrics: Iterable[Metric], of: LabeledScores) -> dict[str, Estimate]:
    """Return metrics by name, with 95% intervals; all bootstrap intervals come from the same resamples.

    A metric of another package that fails is undefined, with a warning: scores that were computed are not lost.
    """
    found = {metric.name: _computed(metric, of) for metric in metrics}
    resampling = {name: one for name, one in found.items() if isinstance(one, Bootstrap)}
    estimates = {name: one for name, one in found.items() if isinstance(one, Estimate)}
    if resampling:
        statistics = [one.statistic for one in resampling.values()]
        drawn = resampled(lambda weights: np.stack([of(weights) for of in statistics], axis=1), of.groups)
        for (name, one), column in zip(resampling.items(), drawn.T, strict=True):
            assert one.value is not None
            estimates[name] = percentile(column, one.value, len(of.labels))
    return {name: estimates[name] for name in found}


def _computed(metric: Metric, of: LabeledScores) -> Estimate | Bootstrap:
    undefined = Estimate.undefined(len(of.labels))
    if metric.both_labels and not of.has_both_labels:
        return undefined
    if metric in BUILT_IN:
        return metric.compute(of)
    try:
        return _checked(metric.compute(of), of)
    except Exception as error:
        logger.warning("metric '%s' is undefined: it failed with %s: %s", metric.name, type(error).__name__, error)
        return undefined


def _checked(found: Estimate | Bootstrap, of: LabeledScores) -> Estimate | Bootstrap:
    if isinstance(found, Bootstrap):
        value = found.statistic(np.ones((1, len(of.labels))))[0] if found.value is None else found.value
        return Bootstrap(found.statistic, float(value)) if math.isfinite(value) else Estimate.undefined(len(of.labels))
    if not isinstance(found, Estimate):
        raise TypeError(f"it returned {found!r} instead of an Estimate or a Bootstrap")
    value, low, high = (_finite(end) for end in (found.value, found.low, found.high))
    return Estimate(value, low, high, int(found.n))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


@cache
def _load_entry_points() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        metric = _loaded(point)
        if not isinstance(metric, Metric):
            raise AsliError(f"entry point '{point.value}' of {_package(point)} is no asli.metrics.registry.Metric")
        if _registered.get(metric.name) is metric:
            continue  # a call before this one stopped at a later entry point
        if metric.name in _registered:
            raise AsliError(f"metric '{metric.name}' of {_package(point)} exists already; uninstall one of the two")
        register(metric)


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        raise AsliError(
            f"metric '{point.name}' of {_package(point)} cannot be loaded ({type(error).__name__}: {error});"
            " repair or uninstall that package"
        ) from error


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name}" if point.dist else "an unnamed package"
