"""Which images there are, and what their names say: label, split, category, generator."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol

from asli.data.images import EXTENSIONS
from asli.errors import DataError

LABELS = ("real", "fake")
"""Label names at their index: fake is 1, the positive class, everywhere."""

SPLITS = ("train", "validation", "calibration", "test")

LABEL_ALIASES = {
    **dict.fromkeys(("real", "nature", "natural", "human", "authentic", "camera", "photo", "original"), "real"),
    **dict.fromkeys(("fake", "ai", "synthetic", "generated", "artificial", "gen"), "fake"),
}
"""Folder names that say a label, in lower case. Numbers are not among them: 0 means real here and fake there."""

SPLIT_ALIASES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("calibration", "calib"), "calibration"),
    **dict.fromkeys(("test", "testing"), "test"),
}


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


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of a source, in the order of their ids, and the files that are none."""

    entries: list[Entry]
    extra: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


class Layout(Protocol):
    """Turns file names into a listing."""

    def __call__(self, names: Iterable[str]) -> Listing:
        """Read the names.

        Raises:
            DataError: They do not have this layout.
        """


def folders(names: Iterable[str]) -> Listing:
    """Read a tree in which one folder on the way to each image names its label, and perhaps another its split.

    `train/REAL/x.jpg`, `fake/x.png`, `photos/nature/2023/x.webp`: any depth, any case, the aliases above.

    Raises:
        DataError: No image, or an image without a label, or with two.
    """
    entries, extra = [], []
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() not in EXTENSIONS or path.name.startswith("."):
            extra.append(name)
            continue
        parents = [part.lower() for part in path.parent.parts]
        labels = {LABEL_ALIASES[part] for part in parents if part in LABEL_ALIASES}
        if len(labels) != 1:
            raise DataError(_label_trouble(name, labels))
        splits = {SPLIT_ALIASES[part] for part in parents if part in SPLIT_ALIASES}
        if len(splits) > 1:
            raise DataError(f"{name} lies in folders of two splits: {', '.join(sorted(splits))}")
        entries.append(Entry(name, name, labels.pop(), splits.pop() if splits else None))
    if not entries:
        raise DataError("no images found; images end in " + ", ".join(sorted(EXTENSIONS)))
    return Listing(sorted(entries, key=lambda entry: entry.id), extra)


def summary(entries: Iterable[Entry]) -> dict[str, dict[str, int]]:
    """Count images per split (`unnamed` where none is said) and label."""
    counts = Counter((entry.split or "unnamed", entry.label) for entry in entries)
    order = [split for split in (*SPLITS, "unnamed") if any(key[0] == split for key in counts)]
    return {split: {label: counts[split, label] for label in LABELS} for split in order}


def _label_trouble(name: str, labels: set[str]) -> str:
    if labels:
        return f"{name} lies in folders of both labels; keep real and fake images in separate folders"
    known = {label: ", ".join(alias for alias, to in LABEL_ALIASES.items() if to == label) for label in LABELS}
    return (
        f"cannot tell the label of {name}: none of its folders has a known name"
        f" (real: {known['real']}; fake: {known['fake']}); rename the folders"
    )
