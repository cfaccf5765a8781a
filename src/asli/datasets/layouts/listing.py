"""The images of a source and what is known of each before it is read."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asli.datasets.layouts.labels import LABELS, SPLITS

if TYPE_CHECKING:
    from asli.datasets.sources import Source

SHOWN = 5
"""Ignored parts that are named in the summary; the data folder's `problems.txt` names all."""

SHOWN_NAMES = 30
"""Generators, sources or categories that are named in the summary, those with most images."""


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
        dropped: Images left out because the user said so, by the name they are left out for.
        ignored: Parts that cannot be used, each with its reason.
        one_label: Whether images of one label only are what this data set is meant to hold.
        source: Reads the images, where it is not the source whose names the layout was given.
    """

    entries: list[Entry]
    extra: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    ignored: list[str] = field(default_factory=list)
    one_label: bool = False
    source: "Source | None" = None

    def describe(self) -> str:
        """Return what was understood, for a person, before anything is read: polarity, splits, generators."""
        lines = []
        for code, label in enumerate(LABELS):
            names = [f"'{name}' ({count:,})" for (to, name), count in sorted(self.said.items()) if to == label]
            positive = ", positive" if label == "fake" else ""
            lines.append(f"  {label} ({code}{positive}) <- {', '.join(names) or 'nothing'}")
        for split, counts in summary(self.entries).items():
            lines.append(f"  split {split}: {counts['real']:,} real + {counts['fake']:,} fake")
        lines += origins(
            Counter(entry.generator for entry in self.entries if entry.label == "fake"),
            Counter(entry.source for entry in self.entries if entry.label == "real" or entry.source is not None),
            Counter(entry.category for entry in self.entries),
            Counter(entry.date for entry in self.entries),
            sum(entry.prompt is not None for entry in self.entries),
        )
        if self.dropped:
            named = ", ".join(f"'{name}' {count:,}" for name, count in sorted(self.dropped.items()))
            lines.append(f"  dropped as asked: {named}")
        if self.missing or self.extra:
            lines.append(f"  {len(self.missing):,} images missing, {len(self.extra):,} extra files not used")
        lines += [f"  ignored: {reason}" for reason in self.ignored[:SHOWN]]
        if len(self.ignored) > SHOWN:
            lines.append(f"  ignored: {len(self.ignored) - SHOWN:,} more parts")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def origins(
    generators: Counter[str | None],
    sources: Counter[str | None],
    categories: Counter[str | None],
    dates: Counter[str | None],
    prompts: int,
) -> list[str]:
    """Return in words where images come from, one line for each kind that is known.

    Args:
        generators: Images of each generator, None for unknown.
        sources: Images of each source.
        categories: Images of each category.
        dates: Images of each date.
        prompts: Images with a prompt.
    """
    lines = []
    for what, values in (("generators", generators), ("sources", sources), ("categories", categories)):
        values = Counter(values)
        unknown = values.pop(None, 0)
        if not values:
            continue
        shown = sorted(values.most_common(SHOWN_NAMES), key=lambda item: str(item[0]))
        named = [f"{name} {count:,}" for name, count in shown]
        if len(values) > SHOWN_NAMES:
            named.append(f"{len(values) - SHOWN_NAMES:,} more")
        lines.append(f"  {what}: {', '.join(named)}" + (f", not known {unknown:,}" if unknown else ""))
    dated = sorted(date for date in dates if date is not None)
    if dated:
        undated = f", no date {dates[None]:,}" if dates[None] else ""
        lines.append(f"  dates: {dated[0]} to {dated[-1]} ({len(dated):,} different){undated}")
    if prompts:
        lines.append(f"  prompts: {prompts:,} images")
    return lines


def summary(entries: Iterable[Entry]) -> dict[str, dict[str, int]]:
    """Count images per split (`unnamed` where none is said) and label."""
    counts = Counter((entry.split or "unnamed", entry.label) for entry in entries)
    order = [split for split in (*SPLITS, "unnamed") if any(key[0] == split for key in counts)]
    return {split: {label: counts[split, label] for label in LABELS} for split in order}
