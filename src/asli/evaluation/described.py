"""Description of the evaluated detector or table of scores in a result."""

from dataclasses import dataclass, field
from typing import Self

from asli.detector.author import Origin
from asli.detector.base import Detector
from asli.detector.card import Thresholds
from asli.detector.description import MemberSummary
from asli.records import OPTIONAL, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSummary(Record):
    """A detector, or a table of scores.

    Attributes:
        network: Architecture, or members; of a table its name.
        kind: Kind of detector; None for a table.
        hash: SHA-256 of the detector; of a table, of its scores.
        recipe_hash: Hash of the recipe it was trained by; None where there is none.
        thresholds: Where scores become verdicts.
        caveats: What must be said of its verdicts, such as that it is not calibrated.
        trained_on: Name of the training data; None where unknown.
        temperature: Divides the logits; missing for a table.
        start_weights: Where training started; missing for a table.
        members: Members by name; missing for what has none.
        origin: Origin of an adopted detector: source, license and what proved it equal; missing for others.
        scores: Whether it is a table of scores.
        name: What the user called it: a folder, a run, the name of a bundled detector; missing for arrays.
    """

    network: str
    kind: str | None
    hash: str | None
    recipe_hash: str | None
    thresholds: Thresholds
    caveats: tuple[str, ...]
    trained_on: str | None
    temperature: float | None = field(default=None, metadata=OPTIONAL)
    start_weights: str | None = field(default=None, metadata=OPTIONAL)
    members: dict[str, MemberSummary] | None = field(default=None, metadata=OPTIONAL)
    origin: Origin | None = field(default=None, metadata=OPTIONAL)
    scores: bool = False
    name: str | None = field(default=None, metadata=OPTIONAL)

    @classmethod
    def of(cls, detector: Detector, name: str | None = None) -> Self:
        """Describe a detector.

        Args:
            detector: The detector.
            name: What the user called it.
        """
        card, described = detector.card, detector.describe()
        return cls(
            network=detector.name,
            name=name,
            kind=detector.kind,
            hash=detector.hash,
            recipe_hash=card.recipe_hash,
            thresholds=detector.thresholds,
            caveats=tuple(detector.thresholds.caveats),
            trained_on=card.trained_on.name,
            temperature=card.temperature,
            start_weights=card.start_weights,
            origin=described.origin,
            members=described.members,
        )

    @classmethod
    def of_scores(cls, name: str, hash: str, thresholds: Thresholds) -> Self:
        """Describe a table of scores."""
        return cls(
            network=name,
            kind=None,
            hash=hash,
            recipe_hash=None,
            thresholds=thresholds,
            caveats=(),
            trained_on=None,
            scores=True,
        )
