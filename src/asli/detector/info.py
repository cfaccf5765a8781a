"""Describe a detector in a few lines: the function behind `asli info`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from asli.detector.base import Detector
from asli.detector.card import Card
from asli.detector.locate import DEFAULT
from asli.notebook import html_text
from asli.records import Record


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DetectorInfo(Record):
    """Result of `info`, and output of `asli info --json`.

    Attributes:
        version: Version of this structure.
        name: Architecture, or kind and members.
        kind: `classifier`, `ensemble`, `family` or another.
        hash: Hash of all that gives its verdicts.
        folder: Where it is.
        bytes: Size of its files.
        card: Thresholds, domain, origin, figures.
        members: The same of each member, by name.
        about: Further facts, by what they state: of an adopted network its origin and how it was proven equal.
    """

    version: Literal[1] = 1
    name: str
    kind: str
    hash: str | None
    folder: str
    bytes: int
    card: Card
    members: dict[str, "DetectorInfo"]
    about: dict[str, str]

    def __repr__(self) -> str:
        return self.describe()

    def _repr_html_(self) -> str:
        return html_text(self.describe())

    def describe(self, indent: str = "") -> str:
        """Return it as text for a person."""
        thresholds, card = self.card.thresholds, self.card
        lines = [
            f"{self.name} ({self.kind}), {self.bytes / 1e6:.1f} MB, hash {(self.hash or 'unsaved')[:16]}",
            f"  folder           {self.folder}",
            f"  supported input  {card.domain.describe()}",
        ]
        if self.kind != "family":
            promise = f"; promised: {thresholds.promise}" if thresholds.promise else ""
            lines.append(
                f"  verdicts         real below {thresholds.low:.4f}, fake from {thresholds.high:.4f}{promise}"
            )
        lines += [f"  caveat           {caveat}" for caveat in thresholds.caveats]
        lines += [f"  trained on       {card.trained_on.name}", f"  license          {card.license}"]
        lines += [f"  {name:<16} {text}" for name, text in self.about.items()]
        for name, member in self.members.items():
            lines += [f"  member {name}:", *(f"    {line}" for line in member.describe().splitlines())]
        return "\n".join(f"{indent}{line}" for line in lines)


def info(detector: str | Path | Detector = DEFAULT) -> DetectorInfo:
    """Describe a detector.

    Args:
        detector: A detector, a detector folder, a run folder, `hub:owner/name[@revision]`, `default`, `photo` or
            `photo-large`.

    Raises:
        DetectorError: It cannot be used.
    """
    opened = detector if isinstance(detector, Detector) else Detector.load(detector)
    size = 0 if opened.folder is None else sum((opened.folder / name).stat().st_size for name in opened.files())
    return DetectorInfo(
        name=opened.name,
        kind=opened.kind,
        hash=opened.hash,
        folder=str(opened.folder),
        bytes=size,
        card=opened.card,
        members={name: info(member) for name, member in getattr(opened, "members", {}).items()},
        about=opened.about(),
    )
