"""Tables of images on disk or in an archive: CSV, TSV, JSON, JSON lines and Parquet, read row by row."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from asli.datasets.layouts.table_layout import find_columns
from asli.datasets.portable import encoding_of_file
from asli.datasets.sources import TABLES
from asli.errors import DataError
from asli.files import LFS_POINTER, open_regular


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be read from its start as often as wanted.

    Attributes:
        name: For messages.
        columns: Column of each meaning (see `find_columns`).
        known: All of its columns.
        records: Reads the rows, each a mapping from column to value.
        bad: Rows that could not be read, each with its reason, of the last reading.
    """

    name: str
    columns: dict[str, str]
    known: list[str]
    records: Callable[[], Iterator[dict[str, Any]]]
    bad: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether it says of images where they are and what they are."""
        return {"path", "label"} <= self.columns.keys()


def open_table(name: str, opened: Callable[[], IO[bytes]], *, every: bool = False) -> Table:
    """Open a table. Rows that cannot be read are left out and named in `Table.bad`.

    Args:
        name: File name; its ending says the format.
        opened: Opens the file anew.
        every: Read all columns of a Parquet table, not only those of a known meaning.

    Raises:
        DataError: It is damaged as a whole or of an unknown format.
    """
    bad: list[str] = []
    columns, records = _open(name, opened, bad, every=every)

    def guarded() -> Iterator[dict[str, Any]]:
        bad.clear()
        with damage_of(name):
            yield from records()

    return Table(name, find_columns(columns), columns, guarded, bad)


def records_of(path: Path) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Return the columns of a table on disk, whatever they mean, and its rows.

    Raises:
        DataError: It is damaged or of an unknown format; damage further down shows while the rows are read.
    """
    columns, records = _open(str(path), lambda: open_regular(path), None, every=True)
    return columns, records()


def _open(name: str, opened: Callable[[], IO[bytes]], bad: list[str] | None, *, every: bool = False) -> "Opened":
    suffix = PurePosixPath(name).suffix.lower()
    with damage_of(name):
        with opened() as stream:
            if stream.read(len(LFS_POINTER)) == LFS_POINTER:
                raise DataError(f"{name} is a Git LFS pointer, not the file itself; fetch it with: git lfs pull")
        if suffix in (".csv", ".tsv"):
            return _csv(opened, name, "\t" if suffix == ".tsv" else None, bad)
        if suffix == ".parquet":
            return _parquet(opened, every=every)
        if suffix in TABLES:
            return _json(opened, name, bad)
    raise DataError(f"{name} is no table; tables end in {', '.join(TABLES)}")


@contextmanager
def damage_of(name: str) -> Iterator[None]:
    """Turn what libraries raise on a damaged table into one line.

    Raises:
        DataError: Naming the table and what is wrong with it.
    """
    try:
        yield
    except RecursionError as error:
        raise DataError(f"{name} cannot be read as a table: its JSON is nested too deeply") from error
    except (OSError, csv.Error, ValueError, pa.ArrowException) as error:  # bad UTF-8 and bad JSON are ValueErrors
        raise DataError(f"{name} cannot be read as a table: {' '.join(str(error).split())}") from error


Opened = tuple[list[str], Callable[[], Iterator[dict[str, Any]]]]


def _csv(opened: Callable[[], IO[bytes]], name: str, delimiter: str | None, bad: list[str] | None) -> Opened:
    csv.field_size_limit(1 << 24)  # prompts may be long
    encoding = encoding_of_file(opened)
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    with io.TextIOWrapper(opened(), encoding) as stream:
        header = stream.readline()
    chosen = delimiter or max(",;\t|", key=header.count)
    columns = [column.strip() for column in next(csv.reader([header], delimiter=chosen), [])]

    def records() -> Iterator[dict[str, Any]]:
        with io.TextIOWrapper(opened(), encoding, newline="") as stream:
            reader = csv.reader(stream, delimiter=chosen)
            next(reader, None)
            for values in reader:
                if not any(values):
                    continue
                while len(values) > len(columns) and not values[-1]:
                    values.pop()
                if len(values) != len(columns):
                    reason = f"line {reader.line_num} of {name} has {len(values)} fields, not {len(columns)}"
                    if bad is None:
                        raise DataError(reason)
                    bad.append(reason)
                    continue
                yield dict(zip(columns, values, strict=True))

    return columns, records


def _parquet(opened: Callable[[], IO[bytes]], *, every: bool = False) -> Opened:
    with opened() as stream:
        columns = pq.ParquetFile(stream).schema_arrow.names
    wanted = columns if every else list(find_columns(columns).values())

    def records() -> Iterator[dict[str, Any]]:
        with opened() as stream:
            table = pq.ParquetFile(stream)
            classes = class_labels(table.schema_arrow)
            for batch in table.iter_batches(4096, columns=wanted):
                for record in batch.to_pylist():
                    yield {key: class_name(classes, key, value) for key, value in record.items()}

    return columns, records


def _json(opened: Callable[[], IO[bytes]], name: str, bad: list[str] | None) -> Opened:
    encoding = encoding_of_file(opened)
    with opened() as stream:
        head = stream.read(4096).decode(encoding, "ignore").lstrip("\ufeff \t\r\n")
    whole = head.startswith("[")  # an array has no lines to go by: it is read whole
    lines = not name.lower().endswith(".json")

    def parsed(stream: io.TextIOWrapper) -> Iterator[Any]:
        if whole:
            yield from json.loads(stream.read().lstrip("\ufeff"))
            return
        for number, line in enumerate(stream, start=1):
            if not line.strip(" \t\r\n\ufeff"):
                continue
            try:
                yield json.loads(line.lstrip("\ufeff"))
            except ValueError as error:
                if bad is None or not lines:
                    raise
                bad.append(f"line {number} of {name} is no JSON: {error}")

    def records() -> Iterator[dict[str, Any]]:
        with io.TextIOWrapper(opened(), encoding) as stream:
            for value in parsed(stream):
                if not isinstance(value, dict):
                    raise DataError(f"{name} holds something else than records: {str(value)[:40]!r}")
                yield value

    try:
        first = next(records(), {})
    except DataError:
        first = {}  # an array of names or numbers: some other file, not a table of records
    except ValueError:
        if whole or lines:
            raise
        first = {}  # one object over several lines: some other file too
    return list(first), records


def class_labels(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names behind the numbers of each column that Hugging Face's `datasets` wrote as a ClassLabel."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: list(feature["names"])
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and "names" in feature
        }
    except (KeyError, TypeError, ValueError):
        return {}


def class_name(classes: dict[str, list[str]], column: str, value: Any) -> Any:
    """Return the name behind a number of a ClassLabel column, any other value as it is; -1 means no label."""
    names = classes.get(column)
    if names is None or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None
