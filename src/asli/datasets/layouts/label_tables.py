"""Tables beside images: any table in the tree with a column of paths and one of labels, relative to its own folder."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import PurePosixPath

from asli.datasets.archived import Archives
from asli.datasets.layouts.labels import LABELS, SPLIT_ALIASES, LabelNames
from asli.datasets.layouts.layout_registry import Found
from asli.datasets.layouts.listing import Entry, Listing
from asli.datasets.layouts.places import parts
from asli.datasets.layouts.table_layout import COLUMNS, Row, listing, rows_of, with_polarity
from asli.datasets.portable import resolve
from asli.datasets.sources import TABLES, Files
from asli.datasets.table_files import Table, open_table
from asli.errors import DataError

PROBED = 200
"""Rows looked at to tell whether a table is about images that are there."""

MOST_TABLES = 1000
"""In a tree with more files that could be tables, only those at its top are looked into."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A table, what its labels mean, and how its names become names of its source.

    Attributes:
        table: The table.
        names: What its labels mean.
        find: The file that a name means, or None.
        name_in: Where an image lies that a table names by its archive and its name in it.
    """

    table: Table
    names: LabelNames
    find: Callable[[str], str | None]
    name_in: Callable[[str, str], str] | None = None

    def rows(self) -> Iterable[Row]:
        """Read the table from its start; a split is also taken from its name, as in `train.csv`."""
        stem = PurePosixPath(self.table.name).stem.split("-")[0].split("_")[0].lower()
        split = SPLIT_ALIASES.get(stem)
        bad: list[str] = []
        for row in rows_of(self.table.records(), self.table.columns, bad, self.table.name, self.name_in):
            yield replace(row, split=split) if split and row.split is None else row
        self.table.bad.extend(bad)

    def listing(self, others: Sequence[str] = ()) -> Listing:
        """List the images of the table.

        Raises:
            DataError: A label cannot be told, or no image is there.
        """
        made = listing(self.rows, self.names, self.table.name, find=self.find, others=others)
        columns = ", ".join(f"{meaning} from '{column}'" for meaning, column in self.table.columns.items())
        made.notes.insert(0, f"columns of {self.table.name}: {columns}")
        bad = self.table.bad
        made.ignored.extend([f"{len(bad):,} rows: {bad[0]}"] if len(bad) > 1 else bad)
        return made


def beside(table: Table, source: Files, names: LabelNames) -> Beside:
    """Return a table with what its names mean in the source that it lies in, relative to its folder or to the top.

    Raises:
        DataError: It has no column of paths or none of labels.
    """
    for meaning in ("path", "label"):
        if meaning not in table.columns:
            known = ", ".join(COLUMNS[meaning])
            raise DataError(
                f"{table.name} has no column of {meaning}s; it has {', '.join(map(repr, table.known))}; name one of"
                f" them {known}"
            )
    folder = "/".join(parts(table.name))

    def find(name: str) -> str | None:
        if folder:
            inner = resolve(name, lambda tried: f"{folder}/{tried}" in source)
            if inner is not None:
                return f"{folder}/{inner}"
        return resolve(name, source.__contains__)

    name_in = source.name_in if isinstance(source, Archives) else None
    return Beside(table, with_polarity(names, table.columns), find, name_in)


def table_layout(found: Found) -> Listing | None:
    """Read the tables of a tree that name images which are there.

    Several tables, such as those of shards or of `train.csv` and `test.csv`, are taken together.

    Raises:
        DataError: Two tables name one image, or a label cannot be told.
    """
    usable = usable_tables(found)
    if not usable:
        return None
    if len(usable) > 1:
        return _joined(found, usable)
    (only,) = usable
    made = only.listing([name for name in found.names if name != only.table.name])
    compare_with_folders(made, found.labels, only.table.name)
    return made


def usable_tables(found: Found) -> list[Beside]:
    """Return the tables of a tree that name images which are there; `left_out` has those that are damaged."""
    images = set(found.images)
    stems = {name[: name.rfind(".")] for name in images}
    tables = [
        name
        for name in found.others
        if name.lower().endswith(TABLES) and not (name.lower().endswith(".json") and name[: name.rfind(".")] in stems)
    ]
    if len(tables) > MOST_TABLES:
        tables = [name for name in tables if "/" not in name]
    usable: list[Beside] = []
    ignored: list[str] = []
    for name in tables:
        try:
            table = open_table(name, partial(found.source.open, name))
            if not table.usable:
                ignored += table.bad[:1]
                continue
            known = beside(table, found.source, found.labels)
            if any(known.find(row.name) in images for row in islice(known.rows(), PROBED)):
                usable.append(known)
        except (DataError, OSError) as error:
            ignored.append(str(error))
    known_bad = found.source.left_out.ignored
    known_bad.extend(reason for reason in ignored if reason not in known_bad)
    return usable


def unused_tables(found: Found) -> str:
    """Return why tables beside the images do not state their labels, for the error that no folder does; or nothing."""
    reasons = []
    for name in [name for name in found.others if name.lower().endswith(TABLES)][:3]:
        try:
            table = open_table(name, partial(found.source.open, name))
            known = beside(table, found.source, found.labels)
            first = next((row.name for row in known.rows()), None)
        except (DataError, OSError) as error:
            reasons.append(str(error))
        else:
            reasons.append(f"{name} names no image that is there (first: {first})")
    return f"; tables beside the images are not used: {'; '.join(reasons)}" if reasons else ""


def _joined(found: Found, usable: Sequence[Beside]) -> Listing:
    entries: dict[str, Entry] = {}
    home: dict[str, str] = {}
    total = Listing([])
    for known in usable:
        made = known.listing()
        for entry in made.entries:
            if entry.name in entries:
                raise DataError(
                    f"{found.path} holds several tables of the same images: {home[entry.name]} and {known.table.name}"
                    f" name {entry.name}; give one of them itself, or read folder names: --layout imagefolder"
                )
            entries[entry.name], home[entry.name] = entry, known.table.name
        total.missing.extend(made.missing)
        total.said.update(made.said)
        total.dropped.update(made.dropped)
        total.ignored.extend(made.ignored)
        total.notes.extend(made.notes[1:] if total.notes else made.notes)
    total.notes.insert(0, f"{len(usable):,} tables taken together: {', '.join(k.table.name for k in usable[:5])}")
    tables = {known.table.name for known in usable}
    total.extra.extend(name for name in found.names if name not in entries and name not in tables)
    made = replace(total, entries=[entries[name] for name in sorted(entries)], notes=list(dict.fromkeys(total.notes)))
    compare_with_folders(made, found.labels, "a table")
    return made


def compare_with_folders(made: Listing, names: LabelNames, table: str) -> None:
    """Refuse a table that says otherwise than the folders its images lie in, where these say a label at all.

    Raises:
        DataError: They disagree.
    """
    for entry in made.entries:
        said = {names.label(part) for part in parts(entry.name)} - {None}
        if len(said) == 1 and entry.label not in said and entry.label in LABELS:
            raise DataError(
                f"{table} says {entry.label} of {entry.name}, its folder says {said.pop()};"
                " say which is right with --layout table or --layout imagefolder"
            )
