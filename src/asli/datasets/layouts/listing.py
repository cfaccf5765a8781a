"""The images of a source and what is known of each before it is read."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from asli.datasets.layouts.labels import LABELS, SPLITS


@dataclass(frozen=True, slots=True)
class Entry:
    """One image file and what its place says about it."""

    name: str
    """Where its source reads it."""
    id: str
    """Its name in the manifest."""
    label: str
    split: str | None = None
    category: str | None = None
    generator: str | None = None
    source: str | None = None
    """Where it comes from: a camera, site, platform or data set."""
    prompt: str | None = None
    date: str | None = None
    """When it, or its generator, was published, as the source writes it (ISO 8601 sorts)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of a source, in the order of their ids, and the files that are none.

    Attributes:
        entries: The images.
        extra: Files that are not used.
        missing: Images that should be there and are not.
        said: How often each name (as written) was taken for each label, by (label, name).
        notes: What was decided and is not plain to see.
    """

    entries: list[Entry]
    extra: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Return what was understood, for a person, before anything is read: polarity, splits, generators."""
        lines = []
        for code, label in enumerate(LABELS):
            names = [f"'{name}' ({count:,})" for (to, name), count in sorted(self.said.items()) if to == label]
            positive = ", positive" if label == "fake" else ""
            lines.append(f"  {label} ({code}{positive}) <- {', '.join(names) or 'nothing'}")
        for split, counts in summary(self.entries).items():
            lines.append(f"  split {split}: {counts['real']:,} real + {counts['fake']:,} fake")
        for what, values in (
            ("generators", Counter(entry.generator for entry in self.entries if entry.label == "fake")),
            ("sources", Counter(entry.source for entry in self.entries)),
            ("categories", Counter(entry.category for entry in self.entries)),
        ):
            unknown = values.pop(None, 0)
            if values:
                named = [f"{name} {count:,}" for name, count in sorted(values.items(), key=lambda item: str(item[0]))]
                lines.append(f"  {what}: {', '.join(named)}" + (f", not known {unknown:,}" if unknown else ""))
        if self.missing or self.extra:
            lines.append(f"  {len(self.missing):,} images missing, {len(self.extra):,} extra files not used")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


class Layout(Protocol):
    """Turns file names into a listing."""

    def __call__(self, names: Iterable[str]) -> Listing:
        """Read the names.

        Raises:
            DataError: They do not have this layout.
        """


def summary(entries: Iterable[Entry]) -> dict[str, dict[str, int]]:
    """Count images per split (`unnamed` where none is said) and label."""
    counts = Counter((entry.split or "unnamed", entry.label) for entry in entries)
    order = [split for split in (*SPLITS, "unnamed") if any(key[0] == split for key in counts)]
    return {split: {label: counts[split, label] for label in LABELS} for split in order}
