"""Look at what a user has and understand it before anything is read: which source, which layout, what each image is."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypedDict

from asli.datasets import cifake as cifake_data
from asli.datasets import walking
from asli.datasets.archived import Archives, open_source
from asli.datasets.layouts import LABELS, LabelNames, Listing, published, table_layout, trees
from asli.datasets.layouts.imagefolder import origin
from asli.datasets.layouts.label_tables import Beside, beside, unused_tables
from asli.datasets.layouts.label_tables import table_layout as tables
from asli.datasets.layouts.layout_registry import Found, Layout, find, registered
from asli.datasets.layouts.places import FolderMeaning, Parts, Reading
from asli.datasets.layouts.webdataset import gas_station, webdataset
from asli.datasets.parquet_rows import ParquetRows, has_images
from asli.datasets.sources import TABLES, Folder, JoinedSource, Source
from asli.datasets.table_files import open_table
from asli.errors import DataError


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
        hidden = walking.describe(self.source.left_out.hidden)
        return "\n".join([head, self.listing.describe(), *([f"  {hidden}"] if hidden else [])])


class SurveyOptions(TypedDict, total=False):
    """How images are understood: keyword arguments of `understand`."""

    real: Sequence[str | Path]
    fake: Sequence[str | Path]
    layout: str | None
    labels: LabelNames | None
    generator: str | None
    include_hidden: bool


def understand(
    path: str | Path | None,
    *,
    real: Sequence[str | Path] = (),
    fake: Sequence[str | Path] = (),
    layout: str | None = None,
    labels: LabelNames | None = None,
    generator: str | None = None,
    include_hidden: bool = False,
) -> Survey:
    """Understand a user's own images, without decoding any.

    Args:
        path: A folder, an archive, a folder of archives, a table, or Parquet files; None with `real` and `fake`.
        real: Folders or archives of real images.
        fake: Folders or archives of fake images; one of `real` and `fake` alone makes a data set of one label.
        layout: One of `layouts()`; by default the one that fits.
        labels: What names mean beyond the known ones.
        generator: What made the fake images of which nothing else says it.
        include_hidden: Whether hidden and system files count.

    Raises:
        DataError: A label cannot be told, two layouts disagree, or all images have one label and nothing declares it.
    """
    if path is None:
        if layout is not None or labels not in (None, LabelNames()):
            raise DataError("--real and --fake say all labels; leave out --layout, --real-label and --fake-label")
        made = survey_pair([Path(one) for one in real], [Path(one) for one in fake], include_hidden=include_hidden)
    elif real or fake:
        raise DataError("give a path, or --real and --fake, not both")
    else:
        made = survey(Path(path), labels or LabelNames(), layout, include_hidden=include_hidden)
    _require_both(made)
    return made if generator is None else replace(made, listing=with_generator(made.listing, generator))


def with_generator(listing: Listing, generator: str) -> Listing:
    """Name the generator of the fake images that have none."""
    return replace(
        listing,
        entries=[
            replace(entry, generator=generator) if entry.label == "fake" and entry.generator is None else entry
            for entry in listing.entries
        ],
    )


def _require_both(made: Survey) -> None:
    present = {entry.label for entry in made.listing.entries}
    if len(present) == 1 and not made.listing.one_label:
        (only,) = present
        (other,) = set(LABELS) - present
        count = f"{len(made.listing.entries):,}"
        raise DataError(
            f"{made.origin} has {only} images only ({count}); add {other} ones, or declare it with:"
            f" asli data open DIR --{only} {made.origin}"
            + "".join(f"; not read: {reason}" for reason in made.listing.ignored[:2])
        )


def layouts() -> dict[str, Layout]:
    """Return every layout by name, in the order in which they are tried; those of other packages come first."""
    return {
        **registered(),
        "gas-station": gas_station,
        "webdataset": webdataset,
        "parquet": parquet,
        "ntire": published.ntire,
        "table": tables,
        "cifake": cifake,
        **{name: partial(_one_tree, name) for name in trees.LAYOUTS},
    }


def survey(path: Path, names: LabelNames, layout: str | None = None, *, include_hidden: bool = False) -> Survey:
    """Understand a folder, an archive, a folder of archives, a table or Parquet files.

    Args:
        path: Where they are.
        names: What label names mean.
        layout: One of `layouts()`; by default the one that fits.
        include_hidden: Whether hidden and system files count.

    Raises:
        DataError: No layout fits, or two fit and disagree, or something cannot be told.
    """
    known = layouts()
    asked = None if layout is None else find(layout, known)
    if path.is_file() and path.suffix.lower() in TABLES:
        return _file(path, names, layout)
    source = open_source(path, include_hidden=include_hidden)
    found = Found(path, source, source.names(), names)
    origin = str(path.resolve())
    if layout is not None and asked is not None:
        made = asked(found)
        if made is None:
            raise DataError(f"{path} does not have the layout {layout}; leave out --layout to have it recognized")
        return _survey(found, made, layout, origin)
    for name, read in known.items():
        if name not in trees.LAYOUTS and (made := read(found)) is not None:
            return _survey(found, made, name, origin)
    _require_images(found)
    try:
        name, made = recognize(found.images, found.others, names)
    except DataError as error:
        raise DataError(f"{error}{unused_tables(found)}") from error
    return _survey(found, made, name, origin)


def _survey(found: Found, made: Listing, layout: str, origin: str) -> Survey:
    source = made.source or found.source
    left = {*found.source.left_out.ignored, *source.left_out.ignored}
    ignored = list(dict.fromkeys([*made.ignored, *sorted(left)]))
    return Survey(source, replace(made, ignored=ignored, source=None), layout, origin)


def _require_images(found: Found) -> None:
    if not found.images:
        left = found.source.left_out
        reasons = [*left.ignored[:3], *([walking.describe(left.hidden)] if left.hidden else [])]
        unused = Counter(Path(name).suffix.lower() or "no ending" for name in found.others)
        held = ", ".join(f"{ending} {count:,}" for ending, count in unused.most_common(5))
        what = "; ".join([*reasons, *([f"it holds: {held}"] if held else [])])
        raise DataError(f"no images found in {found.path}" + (f": {what}" if what else ""))


def survey_pair(real: Sequence[Path], fake: Sequence[Path], *, include_hidden: bool = False) -> Survey:
    """Understand folders or archives of which is said what they hold; folders in them may name splits.

    Folders right below a place with fake images are their generators, where there are several.

    Raises:
        DataError: There is no place, or a place has no image.
    """
    if not real and not fake:
        raise DataError("give --real or --fake, or both, each perhaps several times")
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
    images, extra, sources = [], [], {}
    for key, (_, path) in places.items():
        source = sources[key] = _open_place(path, include_hidden=include_hidden)
        found = Found(path, source, source.names(), LabelNames()) if not isinstance(source, ParquetRows) else None
        inner = source.names() if found is None else found.images
        if found is not None:
            _require_images(found)
        images += [f"{key}/{name}" for name in inner]
        extra += [] if found is None else [f"{key}/{name}" for name in found.others]
    stated = {key: (label, f"--{label} {path}") for key, (label, path) in places.items()}

    def read(folders: Collection[Parts]) -> Reading:
        placed = {f: trees.stated_place(f, *stated[f[0]]) for f in folders}
        return Reading(_with_generators(placed), one_label=True)

    made = trees.listing(images, extra, LabelNames(), read)
    joined = JoinedSource(sources)
    made = replace(made, ignored=[*made.ignored, *joined.left_out.ignored])
    return Survey(joined, made, "pair", " + ".join(str(path.resolve()) for _, path in places.values()))


def _open_place(path: Path, *, include_hidden: bool) -> Folder | Archives | ParquetRows:
    if path.suffix.lower() == ".parquet" and path.is_file():
        return ParquetRows(path.parent, [path])
    return open_source(path, include_hidden=include_hidden)


def _with_generators(places: dict[Parts, FolderMeaning]) -> dict[Parts, FolderMeaning]:
    """Take the folders right below a place of fake images for generators, where there are several of them."""
    below: dict[str, set[str]] = {}
    for folder in places:
        below.setdefault(folder[0], set()).add(origin(folder, 0) or "")
    return {
        folder: replace(place, generator=origin(folder, 0))
        if place.label == "fake" and len(below[folder[0]] - {""}) > 1
        else place
        for folder, place in places.items()
    }


def recognize(
    images: Sequence[str], others: Sequence[str], names: LabelNames, layout: str | None = None
) -> tuple[str, Listing]:
    """Choose the layout of a tree: the first that is sure, else the one all possible ones agree with.

    Args:
        images: Names of the images.
        others: Names of the other files.
        names: What label names mean.
        layout: One of `trees.LAYOUTS`; by default the one that fits.

    Returns:
        The layout's name and what it makes of the files.

    Raises:
        DataError: None fits, or two fit and disagree.
    """
    if layout is not None:
        return layout, trees.listing(images, others, names, partial(_asked, layout, names))
    fitting: list[str] = []

    def read(folders: Collection[Parts]) -> Reading:
        possible: dict[str, Reading] = {}
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

    made = trees.listing(images, others, names, read)
    return fitting[0], made


def cifake(found: Found) -> Listing | None:
    """Read CIFAKE's own file names (see `asli.datasets.cifake`)."""
    return cifake_data.cifake(found.names, complete=False) if cifake_data.is_cifake(found.images) else None


def parquet(found: Found) -> Listing | None:
    """Read Parquet files with images inside; others beside them are named.

    Raises:
        DataError: A label cannot be told.
    """
    source = found.source
    if not isinstance(source, Folder):
        return None
    files = [name for name in found.names if name.lower().endswith(".parquet")]
    if not any(has_images(source.root / name) for name in files):
        return None
    rows = ParquetRows(source.root, [source.root / name for name in files])
    made = _rows(rows, found.labels, found.path)
    return replace(made, source=rows, extra=[name for name in found.names if name not in rows.files])


def _rows(rows: ParquetRows, names: LabelNames, path: Path) -> Listing:
    files = rows.files.values()
    if any(published.is_community_forensics(file.known) for file in files):
        names = published.one_is_fake(names)
    names = table_layout.with_polarity(names, next(iter(files)).columns)

    def label_of(name: str) -> str | None:
        return next((part for part in reversed(Path(name).with_suffix("").parts) if names.meaning(part)), None)

    return table_layout.listing(lambda: rows.rows(label_of), names, str(path))


def _one_tree(layout: str, found: Found) -> Listing | None:
    _require_images(found)
    return recognize(found.images, found.others, found.labels, layout)[1]


def _asked(layout: str, names: LabelNames, folders: Collection[Parts]) -> Reading:
    reading = trees.LAYOUTS[layout](folders, names)
    if reading is None:
        example = "/".join(min(folders))
        raise DataError(f"these folders do not have the layout {layout}, for example {example or '.'}")
    return reading


def _agree(readings: dict[str, dict[Parts, FolderMeaning]]) -> None:
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
    """Understand a table, or a Parquet file of images, that was given itself."""
    origin = str(path.resolve())
    if path.suffix.lower() == ".parquet" and layout in (None, "parquet") and has_images(path, wanted=True):
        rows = ParquetRows(path.parent, [path])
        return Survey(rows, _rows(rows, names, path), "parquet", origin)
    if layout not in (None, "table", "ntire"):
        raise DataError(f"{path} is a table; it does not have the layout {layout}")
    source = Folder(path.parent)
    table = open_table(path.name, lambda: path.open("rb"))
    is_ntire = layout != "table" and published.is_ntire(table.known)
    known: Beside = beside(table, source, published.one_is_fake(names) if is_ntire else names)
    made = known.listing()
    return Survey(source, made, "ntire" if is_ntire else "table", origin)
