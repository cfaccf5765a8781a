"""Look at what a user has and understand it before anything is read: which source, which layout, what each image is."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from asli.datasets import cifake as cifake_data
from asli.datasets.images import EXTENSIONS
from asli.datasets.layouts import Listing, table_layout, trees
from asli.datasets.layouts.labels import LabelNames
from asli.datasets.parquet_rows import ParquetRows, image_column
from asli.datasets.sources import Archives, Folder, Joined, Source, open_source
from asli.datasets.table_files import SUFFIXES, Table, open_table
from asli.errors import DataError

LAYOUTS = ("parquet", "table", "cifake", *trees.LAYOUTS)
"""In the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Survey:
    """A source and its images.

    Attributes:
        source: Reads them.
        listing: What is known of each.
        layout: Name of the layout.
        origin: Where they are, for a person.
    """

    source: Source
    listing: Listing
    layout: str
    origin: str

    def describe(self) -> str:
        """Return what was understood, for a person."""
        head = f"{self.origin}: {len(self.listing.entries):,} images, layout {self.layout}"
        return f"{head}\n{self.listing.describe()}"


def understand(
    path: str | Path | None,
    *,
    real: Sequence[str | Path] = (),
    fake: Sequence[str | Path] = (),
    layout: str | None = None,
    labels: LabelNames | None = None,
    generator: str | None = None,
) -> Survey:
    """Understand a user's own images, without reading any.

    Args:
        path: A folder, an archive, a folder of archives, a table, or Parquet files; None with `real` and `fake`.
        real: Folders or archives of real images.
        fake: Folders or archives of fake images.
        layout: One of `LAYOUTS`; by default the one that fits.
        labels: What names mean beyond the known ones.
        generator: What made the fake images of which nothing else says it.

    Raises:
        DataError: A label cannot be told, or two layouts disagree.
    """
    if path is None:
        if layout is not None or labels not in (None, LabelNames()):
            raise DataError("--real and --fake say all labels; leave out --layout, --real-label and --fake-label")
        found = survey_pair([Path(one) for one in real], [Path(one) for one in fake])
    elif real or fake:
        raise DataError("give a path, or --real and --fake, not both")
    else:
        found = survey(Path(path), labels or LabelNames(), layout)
    return found if generator is None else replace(found, listing=with_generator(found.listing, generator))


def with_generator(listing: Listing, generator: str) -> Listing:
    """Name the generator of the fake images that have none."""
    return replace(
        listing,
        entries=[
            replace(entry, generator=generator) if entry.label == "fake" and entry.generator is None else entry
            for entry in listing.entries
        ],
    )


def survey(path: Path, names: LabelNames, layout: str | None = None) -> Survey:
    """Understand a folder, an archive, a folder of archives, a table or Parquet files.

    Args:
        path: Where they are.
        names: What label names mean.
        layout: One of `LAYOUTS`; by default the one that fits.

    Raises:
        DataError: No layout fits, or two fit and disagree, or something cannot be told.
    """
    if layout is not None and layout not in LAYOUTS:
        raise DataError(f"there is no layout {layout!r}; known: {', '.join(LAYOUTS)}")
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return _file(path, names, layout)
    source = open_source(path)
    if isinstance(source, Folder) and layout in (None, "parquet"):
        found = _parquet(path, names, asked=layout is not None)
        if found is not None:
            return found
    files = source.names()
    if layout in (None, "table"):
        table = _table_inside(source, files, path, asked=layout is not None)
        if table is not None:
            listing = _table_listing(table, source, names, files)
            if layout is None:
                _compare_with_folders(listing, names, table.name)
            return Survey(source, listing, "table", str(path.resolve()))
    chosen, listing = recognise(files, names, layout)
    return Survey(source, listing, chosen, str(path.resolve()))


def survey_pair(real: Sequence[Path], fake: Sequence[Path]) -> Survey:
    """Understand folders or archives of which is said what they hold; folders in them may name splits.

    Raises:
        DataError: One label has no place, or a place no image.
    """
    if not real or not fake:
        raise DataError("give both --real and --fake, each at least once")
    resolved = [path.resolve() for path in (*real, *fake)]
    for number, path in enumerate(resolved):
        others = resolved[:number] + resolved[number + 1 :]
        if outer := {path, *path.parents}.intersection(others):
            raise DataError(f"{path} lies in {outer.pop()}, which is given too: its images would count twice")
    places = {
        f"{label}-{number}" if len(paths) > 1 else label: (label, path)
        for label, paths in (("real", real), ("fake", fake))
        for number, path in enumerate(paths, start=1)
    }
    source = Joined({key: open_source(path) for key, (_, path) in places.items()})
    files = source.names()
    images, _ = trees.split_images(files)
    for key, (_, path) in places.items():
        if not any(name.startswith(f"{key}/") for name in images):
            raise DataError(f"{path} holds no image; images end in {', '.join(sorted(EXTENSIONS))}")

    stated = {key: (label, f"--{label} {path}") for key, (label, path) in places.items()}

    def read(folders: Collection[trees.Parts]) -> trees.Reading:
        return trees.Reading({f: trees.stated_place(f, *stated[f[0]]) for f in folders})

    listing = trees.listing(files, read)
    return Survey(source, listing, "pair", " + ".join(str(path.resolve()) for _, path in places.values()))


def recognise(files: Sequence[str], names: LabelNames, layout: str | None = None) -> tuple[str, Listing]:
    """Choose the layout of a tree: the first that is sure, else the one all possible ones agree with.

    Returns:
        The layout's name and what it makes of the files.

    Raises:
        DataError: None fits, or two fit and disagree.
    """
    if layout == "cifake" or (layout is None and cifake_data.is_cifake(files)):
        return "cifake", cifake_data.cifake(files, complete=False)
    if layout is not None:
        return layout, trees.listing(files, partial(_asked, layout, names))
    fitting: list[str] = []

    def read(folders: Collection[trees.Parts]) -> trees.Reading:
        possible: dict[str, trees.Reading] = {}
        for name, attempt in trees.LAYOUTS.items():
            reading = attempt(folders, names)
            if reading is None:
                continue
            if reading.sure:
                fitting.append(name)
                return reading
            possible[name] = reading
        first, *others = possible
        for other in others:
            _agree({first: possible[first].places, other: possible[other].places})
        fitting.append(first)
        return possible[first]

    listing = trees.listing(files, read)
    return fitting[0], listing


def _asked(layout: str, names: LabelNames, folders: Collection[trees.Parts]) -> trees.Reading:
    if layout not in trees.LAYOUTS:
        raise DataError(f"this is no {layout}; leave out --layout, or give the file itself")
    reading = trees.LAYOUTS[layout](folders, names)
    if reading is None:
        example = "/".join(min(folders))
        raise DataError(f"these folders do not have the layout {layout}, for example {example or '.'}")
    return reading


def _agree(readings: dict[str, dict[trees.Parts, trees.Place]]) -> None:
    (one, first), (two, second) = readings.items()
    for folder, place in first.items():
        other = second[folder]
        if (place.label, place.split) != (other.label, other.split):
            raise DataError(
                f"two layouts fit and disagree about {'/'.join(folder)}: {one} says {place.label}, split"
                f" {place.split or 'none'}; {two} says {other.label}, split {other.split or 'none'};"
                f" say which with --layout {one} or --layout {two}"
            )


def _file(path: Path, names: LabelNames, layout: str | None) -> Survey:
    if path.suffix.lower() == ".parquet" and layout in (None, "parquet") and _holds_images(path):
        return _rows(ParquetRows(path.parent, [path]), names, path)
    if layout not in (None, "table"):
        raise DataError(f"{path} is a table; it does not have the layout {layout}")
    source = Folder(path.parent)
    table = open_table(path.name, lambda: path.open("rb"))
    return Survey(source, _table_listing(table, source, names, ()), "table", str(path.resolve()))


def _parquet(path: Path, names: LabelNames, *, asked: bool) -> Survey | None:
    files = sorted(path.rglob("*.parquet"))
    if not files and asked:
        raise DataError(f"{path} holds no .parquet file")
    if not files or not (asked or _holds_images(files[0])):
        return None
    source = ParquetRows(path, files)
    others = [name for name in Folder(path).names() if name not in source.files]
    found = _rows(source, names, path)
    return replace(found, listing=replace(found.listing, extra=others))


def _holds_images(path: Path) -> bool:
    try:
        return image_column(pq.read_schema(path)) is not None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is not a readable Parquet file: {' '.join(str(error).split())}") from error


def _rows(source: ParquetRows, names: LabelNames, path: Path) -> Survey:
    return Survey(source, table_layout.listing(source.rows(), names, str(path)), "parquet", str(path.resolve()))


def _table_inside(source: Folder | Archives, files: Sequence[str], path: Path, *, asked: bool) -> Table | None:
    """Find the table that describes the images beside it: at the top, with a column of paths and one of labels."""
    top = [name for name in files if "/" not in name and name.lower().endswith(SUFFIXES)]
    usable = [table for table in (open_table(name, partial(source.open, name)) for name in top) if table.usable]
    if len(usable) > 1:
        named = ", ".join(table.name for table in usable)
        raise DataError(
            f"{path} holds several tables of images: {named}; keep one, or read folder names: --layout NAME"
        )
    if not usable and asked:
        raise DataError(f"{path} has no table at its top with a column of paths and one of labels")
    return usable[0] if usable else None


def _table_listing(table: Table, source: Folder | Archives, names: LabelNames, files: Sequence[str]) -> Listing:
    for meaning in ("path", "label"):
        if meaning not in table.columns:
            known = ", ".join(table_layout.COLUMNS[meaning])
            raise DataError(f"{table.name} has no column of {meaning}s; name one of its columns {known}")
    rows = table_layout.rows_of(table.records(), table.columns, table.name)
    exists: Callable[[str], bool] = source.__contains__
    listing = table_layout.listing(rows, names, table.name, exists=exists, others=[f for f in files if f != table.name])
    columns = ", ".join(f"{meaning} from '{column}'" for meaning, column in table.columns.items())
    listing.notes.insert(0, f"columns of {table.name}: {columns}")
    return listing


def _compare_with_folders(listing: Listing, names: LabelNames, table: str) -> None:
    """Refuse a table that says otherwise than the folders its images lie in, where these say a label at all."""
    for entry in listing.entries:
        said = {names.label(part) for part in trees.parts(entry.name)} - {None}
        if len(said) == 1 and entry.label not in said:
            raise DataError(
                f"{table} says {entry.label} of {entry.name}, its folder says {said.pop()};"
                " say which is right with --layout table or --layout imagefolder"
            )
