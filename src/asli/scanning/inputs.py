"""Inputs of a scan: folders, archives, Parquet files, lists and files, as one sequence of named images."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from asli.datasets.archived import Archives
from asli.datasets.archives import is_archive, must_unpack
from asli.datasets.parquet_rows import ParquetRows, image_column
from asli.datasets.portable import lines_of, resolve
from asli.datasets.sources import Folder, Source, is_image_of
from asli.errors import DataError
from asli.files import printable

OPEN_PLACES = 8
"""Archives and Parquet files kept open at a time; the order of the scan needs one or two."""

logger = logging.getLogger("asli")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, an archive or a Parquet file, and how the names in it are shown.

    Attributes:
        kind: What it is.
        path: Where it is, absolute.
        shown: What `path` of its images begins with.
        id: What `id` of its images begins with.
        stamp: Size and time of change of an archive or Parquet file: its rows are found by their order.
    """

    kind: Literal["files", "zip", "parquet"]  # zip: any archive
    path: str
    shown: str
    id: str
    stamp: tuple[int, int] | None = None

    def open(self) -> Source:
        """Open it for reading.

        Raises:
            DataError: It is damaged or gone.
        """
        if self.kind == "zip":
            return Archives([Path(self.path)], include_hidden=True)  # which entries count was decided before
        if self.kind == "parquet":
            return ParquetRows(Path(self.path).parent, [Path(self.path)])
        return Folder(Path(self.path))


class Item(NamedTuple):
    """One image of a scan."""

    place: int
    name: str


class Places:
    """Places opened when they are first read; the last few stay open."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places  # no copy: a walk that is under way adds to them
        self._open = lru_cache(maxsize=OPEN_PLACES)(lambda place: self._places[place].open())

    def read(self, item: Item) -> bytes:
        """Return an image's bytes.

        Raises:
            OSError: It cannot be read.
        """
        try:
            return self._open(item.place).read(item.name)
        except (DataError, KeyError) as error:
            raise OSError(str(error)) from error

    def ids(self, item: Item) -> tuple[str, str]:
        """Return an image's id and path as text; bytes that are no UTF-8 are shown escaped."""
        place = self._places[item.place]
        name = printable(item.name)
        name = name.split("/", 1)[1] if place.kind == "parquet" else name  # a Parquet source begins with its file
        return place.id + name, name if name.startswith("/") else place.shown + name


@dataclass(slots=True)
class Inputs:
    """The images below the paths a user gave.

    Args:
        given: Folders (searched recursively, archives and Parquet files in them included), zip and tar archives,
            Parquet files with images inside, lists of paths (`.txt`), image files.
        include_hidden: Whether hidden and system files count (see `asli.datasets.walking`).

    Attributes:
        places: Found so far by `items`.
        skipped: Files in folders and archives that are no images, by ending.
        hidden: Hidden and system files, by what they are left out for.
        ignored: Archives that must be unpacked, and damaged parts of others, each with its reason.
        unsafe: Entries of archives that would leave their folder, never read.

    Raises:
        DataError: A path does not exist, is given twice, or lies in another.
    """

    given: Sequence[Path]
    include_hidden: bool = False
    places: list[Place] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    ignored: list[str] = field(default_factory=list)
    unsafe: int = 0

    def __post_init__(self) -> None:
        resolved: set[Path] = set()
        for path in self.given:
            if not path.exists():
                raise DataError(f"{path} does not exist; give folders, archives, lists or images")
            if path.resolve() in resolved:
                raise DataError(f"{path} is given twice; each image is scored once")
            resolved.add(path.resolve())
        for path in self.given:
            outer = resolved.intersection(path.resolve().parents)
            if outer:
                raise DataError(f"{path} lies in {outer.pop()}, which is scanned too; give one of them")

    def items(self) -> Iterator[Item]:
        """Yield every image in an order that depends on the names alone.

        Raises:
            DataError: A given archive, list or Parquet file is damaged.
        """
        for path in self.given:
            shown = printable(path.as_posix())
            alone = len(self.given) == 1
            if path.is_dir():
                yield from self._folder(path, "" if shown == "." else f"{shown.rstrip('/')}/", alone)
            elif is_archive(path.name) or must_unpack(path.name) or path.suffix.lower() == ".parquet":
                yield from self._container(path, f"{shown}/", "" if alone else f"{shown}/")
            elif path.suffix.lower() == ".txt":
                yield from self._list(path, _prefix(path.parent), alone)
            else:
                before = _prefix(path.parent)
                place = Place("files", str(path.parent.resolve()), before, "" if alone else before)
                if not self.places or self.places[-1] != place:  # many files of one folder are one place
                    self.places.append(place)
                yield Item(len(self.places) - 1, path.name)

    def _folder(self, root: Path, shown: str, alone: bool) -> Iterator[Item]:
        number = self._enter(Place("files", str(root.resolve()), shown, "" if alone else shown))
        folder = Folder(root, include_hidden=self.include_hidden)
        folder.left_out.hidden = self.hidden
        for name in folder.walk():
            suffix = _ending(name)
            if is_archive(name) or (suffix == ".parquet" and _may_hold_images(root / name)):
                try:
                    inner = f"{printable(name)}/"
                    yield from self._container(root / name, shown + inner, inner if alone else shown + inner)
                except (DataError, OSError) as error:
                    self._ignore(str(error))
                    self.skipped[suffix] += 1
            elif remedy := must_unpack(name):
                self._ignore(f"{printable(name)} is an archive that asli does not read; {remedy}")
                self.skipped[suffix] += 1
            elif is_image_of(folder, name):
                yield Item(number, name)
            else:
                self.skipped[suffix or "no ending"] += 1

    def _ignore(self, reason: str) -> None:
        logger.warning("%s", reason)
        self.ignored.append(reason)

    def _container(self, path: Path, shown: str, before: str) -> Iterator[Item]:
        stat = path.stat()
        source: ParquetRows | Archives
        if path.suffix.lower() == ".parquet":
            source = ParquetRows(path.parent, [path])
        else:
            source = Archives([path], include_hidden=self.include_hidden)
        kind: Any = "parquet" if isinstance(source, ParquetRows) else "zip"
        number = self._enter(Place(kind, str(path.resolve()), shown, before, (stat.st_size, stat.st_mtime_ns)))
        if isinstance(source, ParquetRows):
            yield from (Item(number, name) for name in source.walk())
            return
        left = source.left_out
        self.unsafe += len(left.unsafe)
        self.hidden += left.hidden
        for reason in left.ignored:
            self._ignore(reason)
        found = 0
        for name in source.names():
            if is_image_of(source, name):
                found += 1
                yield Item(number, name)
            else:
                self.skipped[_ending(name) or "no ending"] += 1
        if not found and left.ignored and path in self.given:
            raise DataError(f"no image in {path}: {left.ignored[0]}")

    def _list(self, path: Path, shown: str, alone: bool) -> Iterator[Item]:
        number = self._enter(Place("files", str(path.parent.resolve()), shown, "" if alone else shown))
        beside = Folder(path.parent)
        try:
            for line in lines_of(lambda: path.open("rb")):
                name = line.removeprefix("\ufeff").removeprefix("./")
                if name.strip():
                    yield Item(number, resolve(name, beside.__contains__) or name)  # a missing one gets its row
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is no list of paths: {error}") from error
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from error

    def _enter(self, place: Place) -> int:
        self.places.append(place)
        return len(self.places) - 1


def _ending(name: str) -> str:
    base = name.rpartition("/")[2]
    return f".{base.rpartition('.')[2].lower()}" if "." in base else ""


def _prefix(folder: Path) -> str:
    return "" if folder == Path() else f"{printable(folder.as_posix()).rstrip('/')}/"


def _may_hold_images(path: Path) -> bool:
    """Return whether a Parquet file has a column of images, or is too damaged to tell."""
    try:
        return image_column(pq.read_schema(path)) is not None
    except (OSError, pa.ArrowException):
        return True
