"""Layouts of tables: which column means what, and rows to a listing."""

import datetime
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from asli.datasets.layouts.labels import LABELS, OPPOSITE, SPLIT_ALIASES, LabelNames, numbered_generator, split_named
from asli.datasets.layouts.listing import Entry, Listing
from asli.errors import DataError

_ONE_IS_FAKE = (
    *("is_fake", "fake", "is_ai", "ai", "is_generated", "ai_generated", "is_ai_generated", "is_synthetic"),
    *("generated", "synthetic", "isfake", "isai", "is_deepfake"),
)
_ONE_IS_REAL = ("is_real", "real")

COLUMNS = {
    "path": (
        *("path", "image", "file", "filename", "file_name", "filepath", "file_path", "image_path", "img", "img_path"),
        *("image_name", "img_name", "image_file", "image_filename", "relative_path", "file_path_in_archive"),
        *("image_id", "name", "id", "key"),
    ),
    "label": ("label", "labels", "target", "class", "ground_truth", "gt", *_ONE_IS_FAKE, *_ONE_IS_REAL),
    "split": ("split", "subset", "partition"),
    "generator": (
        *("generator", "model", "gen", "model_name", "generator_name", "source_model", "gen_model", "architecture"),
    ),
    "category": ("category", "class", "class_name"),
    "source": (
        "source",
        "real_source",
        "source_name",
        "platform",
        "site",
        "dataset",
        "data_source",
        "camera",
        "domain",
    ),
    "prompt": ("prompt", "caption", "text_prompt"),
    "date": ("date", "release_date", "created", "created_at", "creation_date", "timestamp", "year"),
    "archive": ("archive_filename", "archive", "archive_name", "shard", "shard_name", "tar"),
}
"""Column names of each meaning, in any case, the first found is taken; one column has one meaning."""

DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?")
"""Dates that sort: years, months or days as ISO 8601 writes them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One image in a table; values as they are in the table."""

    name: str
    label: Any
    split: Any = None
    category: Any = None
    generator: Any = None
    source: Any = None
    prompt: Any = None
    date: Any = None


def find_columns(columns: Iterable[str]) -> dict[str, str]:
    """Return the column of each meaning that the table has."""
    by_key = {column.strip().lower().replace(" ", "_"): column for column in columns}
    found: dict[str, str] = {}
    for meaning, aliases in COLUMNS.items():
        column = next((by_key[a] for a in aliases if a in by_key and by_key[a] not in found.values()), None)
        if column is not None:
            found[meaning] = column
    return found


def with_polarity(names: LabelNames, columns: Mapping[str, str]) -> LabelNames:
    """Return what label values mean where the column's name says it: 1 in `is_fake` is fake, in `is_real` real."""
    key = columns.get("label", "").strip().lower()
    yes = tuple(text for text in ("1", "true", "yes") if names.label(text) is None)
    if key in _ONE_IS_FAKE:
        return replace(names, fake=(*names.fake, *yes))
    if key in _ONE_IS_REAL:
        return replace(names, real=(*names.real, *yes))
    return names


def rows_of(
    records: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str],
    bad: list[str],
    where: str,
    name_in: Callable[[str, str], str] | None = None,
) -> Iterable[Row]:
    """Turn records into rows; those that name no image are added to `bad`.

    Args:
        records: Records of the table.
        columns: Column of each meaning.
        bad: Takes the reasons.
        where: The table's name.
        name_in: Where an image lies that a table names by its archive and its name in it.
    """
    meanings = [key for key in COLUMNS if key not in ("path", "archive")]
    for number, record in enumerate(records, start=1):
        name = record.get(columns["path"])
        if isinstance(name, int):  # a number that stands for a file name
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            bad.append(f"row {number:,} of {where} has no path in its column '{columns['path']}'")
            continue
        name = name.strip()
        if name_in is not None and "archive" in columns and record.get(columns["archive"]):
            name = name_in(str(record[columns["archive"]]), name)
        yield Row(name, **{key: record.get(columns[key]) if key in columns else None for key in meanings})


@dataclass(slots=True)
class _Tally:
    """Rows that were left out, by reason, with the first of each."""

    first: dict[str, str] = field(default_factory=dict)
    count: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, name: str) -> None:
        self.first.setdefault(reason, name)
        self.count[reason] += 1

    def lines(self, where: str) -> list[str]:
        return [f"{where}: {n:,} rows {reason} (first: {self.first[reason]})" for reason, n in self.count.items()]


def listing(
    rows: Callable[[], Iterable[Row]],
    names: LabelNames,
    where: str,
    *,
    find: Callable[[str], str | None] | None = None,
    others: Sequence[str] = (),
) -> Listing:
    """List the images of a table.

    Args:
        rows: Reads them from the start, one an image; called twice.
        names: What label names mean.
        where: The table's name, for messages.
        find: The file that a name in the table means, or None; images that are not there are counted as missing.
        others: Files beside the table; those it does not name are counted as extra.

    Raises:
        DataError: A label or split cannot be told, or no image is there.
    """
    labels, notes = _labels(rows(), names, where)
    splits = _Splits(where)
    entries: dict[str, Entry] = {}
    missing: list[str] = []
    said: Counter[tuple[str, str]] = Counter()
    shared: dict[str, str | None] = {"": None}  # one object for each text that many rows repeat
    dropped: Counter[str] = Counter()
    tally = _Tally()
    contradicted: set[str] = set()

    def text(value: Any) -> str | None:
        found = _text(value)
        return shared.setdefault(found, found)

    for row in rows():
        label_text = _text(row.label)
        label = labels.get(label_text)
        if label is None:
            if names.drops(label_text):
                dropped[label_text] += 1
            else:
                tally.add("have no label", row.name)
            continue
        name = row.name if find is None else find(row.name)
        if name is None:
            missing.append(row.name)
            continue
        if name in entries:
            same = entries[name].label == label
            tally.add("repeat an image" if same else "contradict an earlier row; neither is used", name)
            contradicted.update(() if same else (name,))
            continue
        said[label, label_text] += 1
        split, beside = splits.of(row.split, row.name)
        generator, source = text(row.generator), text(row.source)
        if label == LABELS[0]:
            # What a table names the generator of a photograph is where it comes from, unless it is a label.
            source = source or (generator if generator and names.label(generator) is None else None)
            generator = None
        elif generator is None:
            generator = numbered_generator(label_text)
        source = source or text(beside)
        entries[name] = Entry(
            *(name, name, label, split, text(row.category), generator, source),
            *(_text(row.prompt) or None, text(_date(row.date))),
        )
    for name in contradicted:
        del entries[name]
    if not entries:
        gone = f": none of its {len(missing):,} images is there, for example {missing[0]}" if missing else ""
        raise DataError(f"{where} gives no image{gone}; paths are relative to the table's folder")
    used = entries.keys() | set(missing)
    extra = [name for name in others if name not in used]
    ignored = tally.lines(where)
    return Listing(
        [entries[name] for name in sorted(entries)],
        *(extra, sorted(missing), said, [*notes, *splits.notes()], dropped, ignored),
    )


def _labels(rows: Iterable[Row], names: LabelNames, where: str) -> tuple[dict[str, str], list[str]]:
    """Return the label of each text in the label column, and what was decided.

    Raises:
        DataError: A text says no label.
    """
    counts: Counter[str] = Counter()
    made: Counter[str] = Counter()
    first: dict[str, str] = {}
    for row in rows:
        text = _text(row.label)
        counts[text] += 1
        generator = _text(row.generator)
        made[text] += bool(generator) and names.label(generator) is None
        first.setdefault(text, row.name)
    known, notes = {}, []
    unknown: Counter[str] = Counter()
    for text in counts:
        meaning = names.meaning(text)
        if meaning is not None:
            known[text] = meaning.label
            if meaning.word is not None:
                notes.append(proposal(text, meaning.label, meaning.word))
        elif text and not names.drops(text):
            unknown[text] = counts[text]
    pair = sorted(unknown)
    if len(pair) == 2 and OPPOSITE.get(pair[0].lower()) == pair[1].lower() and not known:
        fake = [text for text in pair if made[text] == counts[text]]
        if len(fake) == 1 and sum(made[text] for text in pair) == counts[fake[0]]:
            (real,) = set(pair) - set(fake)
            notes.append(f"label {fake[0]} is fake: all of its images have a generator, and none of label {real}")
            return {fake[0]: "fake", real: "real"}, notes
    if unknown:
        text = next(iter(unknown))
        raise names.trouble(f"{first[text]} in {where}", list(unknown), unknown)
    if not known:
        raise names.trouble(f"{next(iter(first.values()), 'any image')} in {where}", ["(empty)"])
    return known, notes


def proposal(name: str, label: str, word: str) -> str:
    """Return how a name is read of which only a word says the label."""
    return f"using '{name}' as {label} (matched '{word}'); if that is wrong: --real-label NAME or --fake-label NAME"


class _Splits:
    """The split column: names of splits, or names of something else."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._other: Counter[str] = Counter()
        self._known = False
        self._first = ""

    def of(self, value: Any, name: str) -> tuple[str | None, str | None]:
        """Return the split a value names, and the value where it names none.

        Raises:
            DataError: Some values name splits and this one does not.
        """
        text = _text(value)
        if not text:
            return None, None
        split = SPLIT_ALIASES.get(text.lower())
        if split is None:
            self._other[text] += 1
            self._first = self._first or name
        else:
            self._known = True
        if self._known and self._other:
            raise DataError(str(_unknown_split(next(iter(self._other)), f"{self._first} in {self.where}")))
        return split, text if split is None else None

    def notes(self) -> list[str]:
        named = ", ".join(f"'{name}' {count:,}" for name, count in self._other.most_common(5))
        return [f"its column of splits names none ({named}); they are kept as sources"] if self._other else []


def _unknown_split(name: str, where: str) -> DataError:
    try:
        split_named(name, where)
    except DataError as error:
        return error
    raise AssertionError(name)


def _date(value: Any) -> str | None:
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return _text(value) or None


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):  # NaN, as pandas writes nothing
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
