"""Description of a detector beside its scores, in every result that has scores."""

from dataclasses import dataclass, field, replace

from asli.detector.author import Origin, Outputs
from asli.detector.card import Thresholds
from asli.records import OPTIONAL, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSummary(Record):
    """A member of an ensemble or family.

    Attributes:
        hash: Hash of the member.
        kind: Kind of detector.
        thresholds: Its own, which count in a family; missing in an ensemble.
    """

    hash: str | None
    kind: str
    thresholds: Thresholds | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorDescription(Record):
    """A detector that answered.

    Attributes:
        network: Architecture, or kind and members.
        kind: Kind of detector.
        hash: SHA-256 over all that gives its verdicts; None until it is saved.
        recipe_hash: Hash of the recipe it was trained by.
        thresholds: Thresholds of its verdicts.
        caveats: What must be said of every verdict of this detector.
        trained_on: Name of the training data.
        members: Members by name; missing for kinds without any.
        origin: Where an adopted network comes from; missing for others.
        outputs: Meaning of an adopted network's outputs; missing for others.
        force_domain: True where images outside the domain got a verdict, too; else missing.
    """

    network: str
    kind: str
    hash: str | None
    recipe_hash: str
    thresholds: Thresholds
    caveats: tuple[str, ...]
    trained_on: str
    members: dict[str, MemberSummary] | None = field(default=None, metadata=OPTIONAL)
    origin: Origin | None = field(default=None, metadata=OPTIONAL)
    outputs: Outputs | None = field(default=None, metadata=OPTIONAL)
    force_domain: bool | None = field(default=None, metadata=OPTIONAL)

    def forced(self, force_domain: bool) -> "DetectorDescription":
        """Return it with a note where images outside the domain get a verdict, too."""
        return replace(self, force_domain=True) if force_domain else self
