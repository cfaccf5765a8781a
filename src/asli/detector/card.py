"""A detector's card: thresholds with their promise, domain, origin, figures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from asli.detector.domain import Domain
from asli.detector.store import present_names
from asli.metrics.estimate import Estimate
from asli.records import Record

Verdict = Literal["real", "unsure", "fake"]

AUTHOR = "author"
"""Policy of an adopted detector that was not calibrated."""

CALIBRATED = 100
"""Independent calibration images of each label below which a detector is called not calibrated."""

WEAK = 0.2
"""Share of the other label's calibration images with the same verdict from which on the verdict is weak evidence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationEvidence(Record):
    """Metrics on whether scores beat a constant answer (`asli.metrics.constant`).

    Attributes:
        auroc: AUROC.
        loss_gain: Loss (nats) of always answering the share of fakes, minus the loss of the scores.
    """

    auroc: Estimate
    loss_gain: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class PromisedGroups(Record):
    """Groups of photographs for each of which a promise holds.

    Attributes:
        by: The column that groups them.
        confidence: Confidence of each group's bound.
        images: Independent calibration photographs of each group.
        errors: Those of them that were called fake.
        pooled: Groups that are too small for a promise of their own.
    """

    by: str
    confidence: float
    images: dict[str, int]
    errors: dict[str, int]
    pooled: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds(Record):
    """Thresholds that turn scores into verdicts, fitted on the calibration part.

    Attributes:
        low: Scores below are `real`.
        high: Scores from here on are `fake`; between the two it is `unsure`.
        policy: How they were chosen.
        n: Calibration images.
        calibration_hash: Content hash of the data they came from.
        real: Real calibration images, a group of duplicates counted once; None where an older asli did not say.
        fake: Fake ones, a group of duplicates counted once; None where an older asli did not say.
        target: The error rate that was promised, or None where none was.
        confidence: Confidence of the promise.
        band: Whether the rate of missed fakes was promised too.
        errors: On the calibration part itself: real images called fake, fake ones called real, and `unsure` ones.
        folds: How many networks gave the out-of-fold scores that the thresholds come from, each of images it was not
            trained on; None where this detector's own scores gave them.
        evidence: Whether the scores beat a constant answer; None in older detectors.
        groups: Groups of photographs for each of which the promise holds; None if it holds for all together.
    """

    low: float
    high: float
    policy: str
    n: int
    calibration_hash: str
    real: int | None = None
    fake: int | None = None
    target: float | None = None
    confidence: float | None = None
    band: bool = False
    errors: dict[str, int] | None = None
    folds: int | None = None
    evidence: CalibrationEvidence | None = None
    groups: PromisedGroups | None = None

    def verdict(self, score: float) -> Verdict:
        """Return what a score means."""
        low, high = self.decided
        if score >= high:
            return "fake"
        return "real" if score < low else "unsure"

    @property
    def decided(self) -> tuple[float, float]:
        """Return below which score the verdict is real and from which on it is fake.

        No score reaches them where the scores were not shown to beat a constant answer: every verdict is `unsure`.
        """
        return (-math.inf, math.inf) if self.no_better_than_constant else (self.low, self.high)

    @property
    def no_better_than_constant(self) -> str | None:
        """Return why these scores were not shown to beat a constant answer, or None where they were."""
        if self.evidence is None:
            return None
        area, gain = self.evidence.auroc, self.evidence.loss_gain
        failed = [f"AUROC {_interval(area)}"] if area.low is None or area.low <= 0.5 else []
        if gain.low is None or gain.low <= 0:
            failed.append(f"loss lower by {_interval(gain)} nats")
        said = f"not shown to beat a constant answer: {', '.join(failed)}, {self.n:,} {self._images}"
        return said if failed else None

    @property
    def not_calibrated(self) -> str | None:
        """Return why the detector is called not calibrated, or None where it is calibrated or that is not known."""
        if self.policy == AUTHOR:
            return f"not calibrated: scores are the network's own, {self.high:g} is its author's threshold"
        if self.real is None or self.fake is None or min(self.real, self.fake) >= CALIBRATED:
            return None
        return f"not calibrated: {self.basis} set the thresholds, {CALIBRATED} of each are needed"

    @property
    def caveats(self) -> list[str]:
        """Return what every output must say of these thresholds."""
        return [caveat for caveat in (self.no_better_than_constant, self.not_calibrated) if caveat is not None]

    def weakness(self, verdict: Verdict) -> str | None:
        """Return why a verdict is weak evidence (see `WEAK`), or None."""
        if verdict == "unsure" or self.errors is None:
            return None
        wrong, images, label = (
            (self.errors["fake_called_real"], self.fake, "fake")
            if verdict == "real"
            else (self.errors["real_called_fake"], self.real, "real")
        )
        if not images or wrong < WEAK * images:
            return None
        return f"weak evidence: {wrong:,} of {images:,} {label} {self._images} were called {verdict}, too"

    @property
    def basis(self) -> str:
        """Return how many images the thresholds rest on, in words."""
        if self.policy == AUTHOR:
            return "no calibration images"
        if self.real is None or self.fake is None:
            return f"{self.n:,} {self._images}"
        return f"{self.real:,} real and {self.fake:,} fake {self._images}"

    @property
    def origin(self) -> str | None:
        """Return in a sentence that other networks gave the scores behind the thresholds, or None."""
        if self.folds is None:
            return None
        return (
            f"out-of-fold scores of {self.folds} other networks, each trained by the same recipe without the images it"
            " scored; this network was trained on all of them"
        )

    @property
    def _images(self) -> str:
        return "calibration images" if self.folds is None else "images scored out of fold"

    @property
    def promise(self) -> str | None:
        """Return in a sentence what error rate was promised, or None."""
        if self.target is None or self.confidence is None:
            return None
        share = f"{100 * self.target:.3g} %"
        both = f" and at most {share} of fakes called real, each" if self.band else ","
        each = "" if self.groups is None else f" in each of {len(self.groups.images)} groups by {self.groups.by}"
        return (
            f"at most {share} of photographs{each} called fake{both} with {100 * self.confidence:.0f} % confidence"
            f" over calibration sets, for images like the {self.n:,} {self._images}"
        )


def _interval(figure: Estimate) -> str:
    return f"{figure.value:.3f} (95 % CI {figure.low:.3f} to {figure.high:.3f})"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingData(Record):
    """The data that a detector was trained on.

    Attributes:
        name: Name of the data folder, or what an author states.
        hash: Content hash of the data folder; empty where unknown.
        images: How many; None where unknown.
    """

    name: str
    hash: str
    images: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Card(Record):
    """Facts about a detector.

    Attributes:
        temperature: Its logits are divided by it already.
        thresholds: Thresholds of the verdict.
        domain: The kind of input it was calibrated on.
        trained_on: The training data.
        figures: Measured ones with their intervals, by the data they were measured on.
        recipe_hash: Hash of the recipe.
        seed: Seed of the run; None of an adopted network.
        start_weights: Where training started.
        license: License under which the weights may be used; those of data and start weights bear on it.
    """

    temperature: float
    thresholds: Thresholds
    domain: Domain
    trained_on: TrainingData
    figures: dict[str, dict[str, Estimate]]
    recipe_hash: str
    seed: int | None
    start_weights: str
    license: str = "not stated"

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Build it from the JSON of any version."""
        settings = present_names(value)
        settings["thresholds"] = Thresholds.from_dict(value["thresholds"])
        settings["figures"] = {
            origin: {name: Estimate.from_dict(figure) for name, figure in figures.items()}
            for origin, figures in value["figures"].items()
        }
        settings["trained_on"] = TrainingData.from_dict(value["trained_on"])
        settings["domain"] = Domain.from_dict(value["domain"])
        return cls(**settings)
