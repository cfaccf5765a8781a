"""Layouts of tables: which column means what, and rows to a listing."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asli.datasets.layouts.labels import LABELS, LabelNames, split_named
from asli.datasets.layouts.listing import Entry, Listing
from asli.errors import DataError

COLUMNS = {
    "path": (
        "path",
        "image",
        "file",
        "filename",
        "file_name",
        "filepath",
        "file_path",
        "image_path",
        "img",
        "img_path",
    ),
    "label": ("label", "labels", "target", "class"),
    "split": ("split", "subset", "partition"),
    "generator": ("generator", "model", "gen"),
    "category": ("category", "class", "class_name"),
}
"""Column names of each meaning, in any case, the first found is taken; one column has one meaning."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a table says of one image."""

    name: str
    label: Any
    split: Any = None
    category: Any = None
    generator: Any = None


def find_columns(columns: Iterable[str]) -> dict[str, str]:
    """Return the column of each meaning that the table has."""
    by_key = {column.strip().lower(): column for column in columns}
    found: dict[str, str] = {}
    for meaning, aliases in COLUMNS.items():
        column = next((by_key[a] for a in aliases if a in by_key and by_key[a] not in found.values()), None)
        if column is not None:
            found[meaning] = column
    return found


def rows_of(records: Iterable[Mapping[str, Any]], columns: Mapping[str, str], where: str) -> Iterable[Row]:
    """Turn records into rows.

    Raises:
        DataError: A record names no image.
    """
    for number, record in enumerate(records, start=1):
        name = record.get(columns["path"])
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"row {number:,} of {where} has no path in its column '{columns['path']}'; fill it in")
        others = {key: record.get(columns[key]) if key in columns else None for key in COLUMNS if key != "path"}
        yield Row(name.strip().removeprefix("./"), **others)


def listing(
    rows: Iterable[Row],
    names: LabelNames,
    where: str,
    *,
    exists: Callable[[str], bool] | None = None,
    others: Sequence[str] = (),
) -> Listing:
    """List the images of a table.

    Args:
        rows: One an image.
        names: What label names mean.
        where: The table's name, for messages.
        exists: Whether an image is there; those that are not are counted as missing.
        others: Files beside the table; those it does not name are counted as extra.

    Raises:
        DataError: A label or split cannot be told, an image is named twice, or there is none at all.
    """
    entries: dict[str, Entry] = {}
    missing: list[str] = []
    said: Counter[tuple[str, str]] = Counter()
    labels: dict[str, str] = {}
    splits: dict[str, str | None] = {"": None}
    shared: dict[str, str | None] = {"": None}  # one object for each text that many rows repeat
    dropped: Counter[str] = Counter()
    for row in rows:
        at = f"{row.name} in {where}"
        text, split = _text(row.label), _text(row.split)
        if text not in labels:
            label = names.label(text)
            if label is None:
                raise names.trouble(at, [text] if text else ["(empty)"])
            labels[text] = label
        if split not in splits:
            splits[split] = split_named(split, at)
        if row.name in entries:
            raise DataError(f"{where} names {row.name} twice; keep one row of it")
        if exists is not None and not exists(row.name):
            missing.append(row.name)
            continue
        said[labels[text], text] += 1
        category, generator = (shared.setdefault(t, t) for t in (_text(row.category), _text(row.generator)))
        if labels[text] == LABELS[0] and generator is not None:
            dropped[generator] += 1
            generator = None
        entries[row.name] = Entry(row.name, row.name, labels[text], splits[split], category, generator)
    if not entries:
        gone = f": none of its {len(missing):,} images is there, for example {missing[0]}" if missing else ""
        raise DataError(f"{where} gives no image{gone}; paths are relative to the table's folder")
    notes = [f"'{name}' is no generator: its {n:,} images are real" for name, n in sorted(dropped.items())]
    used = entries.keys() | set(missing)
    extra = [name for name in others if name not in used]
    return Listing([entries[name] for name in sorted(entries)], extra, sorted(missing), said, notes)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
