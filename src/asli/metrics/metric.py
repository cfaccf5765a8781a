"""A metric, and what it is computed from."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from asli.metrics.classification import Floats, Labels, losses_of_scores
from asli.metrics.estimate import Estimate
from asli.records import HIDDEN, Record

Groups = npt.NDArray[np.int64]

BOOTSTRAP = "percentile bootstrap of groups of duplicates"
"""The interval of every metric that does not state another."""

OTHERS = (
    "Student's t on the log scale (loss, Brier score), normal on the logit scale from bootstrap resamples (average"
    " precision), percentile bootstrap (metrics of other packages), all over groups of duplicates"
)
"""The intervals of metrics that a report does not describe one by one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabeledScores:
    """Input of every metric: arrays of one length n.

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
        better: `higher` or `lower`.
        format: How the value is printed, as in Python's `format`.
        both_labels: Whether it is undefined if all images have one label.
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
