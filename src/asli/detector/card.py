"""A detector's card: thresholds with their promise, domain, origin, figures."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from asli.detector.domain import Domain
from asli.detector.store import present_names

Verdict = Literal["real", "unsure", "fake"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Where scores become verdicts, fitted on the calibration part.

    Attributes:
        low: Scores below are `real`.
        high: Scores from here on are `fake`; between the two it is `unsure`.
        policy: How they were chosen.
        n: Calibration images.
        calibration_hash: Content hash of the data they came from.
        real: Real calibration images, a group of duplicates counted once; None where an older asli did not say.
        fake: Fake ones, likewise.
        target: The error rate that was promised, or None where none was.
        confidence: Of the promise.
        band: Whether the rate of missed fakes was promised too.
        errors: On the calibration part itself: real images called fake, fake ones called real, and `unsure` ones.
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

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    def verdict(self, score: float) -> Verdict:
        """Return what a score means."""
        if score >= self.high:
            return "fake"
        return "real" if score < self.low else "unsure"

    @property
    def promise(self) -> str | None:
        """Return in a sentence what error rate was promised, or None."""
        if self.target is None:
            return None
        both = " and at most as many fakes called real, each" if self.band else ","
        return (
            f"at most {self.target:.3g} of photographs called fake{both} with {self.confidence:.0%} confidence over"
            f" calibration sets, for images like the {self.n:,} of the calibration part"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What is known of a detector.

    Attributes:
        temperature: Its logits are divided by it already.
        thresholds: Of the verdict.
        domain: The kind of input it was calibrated on.
        trained_on: Name, content hash and counts of the training data.
        figures: Measured ones with their intervals, by the data they were measured on.
        recipe_hash: Of the recipe.
        seed: Of the run.
        start_weights: Where training started.
        license: Under which the weights may be used; those of data and start weights bear on it.
    """

    temperature: float
    thresholds: Thresholds
    domain: Domain
    trained_on: dict[str, Any]
    figures: dict[str, Any]
    recipe_hash: str
    seed: int
    start_weights: str
    license: str = "not stated"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Build it from the JSON of any version."""
        settings = present_names(value)
        settings["thresholds"] = Thresholds(**value["thresholds"])
        settings["domain"] = Domain.from_json(value["domain"])
        return cls(**settings)
