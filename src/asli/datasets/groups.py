"""Groups of images that belong together: by a column of the manifest, or by a table of the user's.

A group (a camera, a site, a scene, a generator) is the unit of resampling of an evaluation and a calibration, and is
never parted by a split. Duplicates are always one group.
"""

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from asli.datasets.folder import DataFolder
from asli.datasets.portable import portable
from asli.datasets.table_files import records_of
from asli.errors import DataError

COLUMNS = ("source", "generator", "category", "date", "prompt")
"""Columns of the manifest that can group images."""

_NAMES = ("id", "name", "path", "filename", "file_name", "file", "image", "image_name")
_GROUPS = ("group", "group_id", "cluster", "scene", "source", "generator")


def grouped(data: DataFolder, by: str | None = None, file: str | Path | None = None) -> DataFolder:
    """Return a view of a data folder whose `groups` join what belongs together; the folder itself if nothing is asked.

    Args:
        data: The data folder; it is not changed.
        by: One of `COLUMNS`; images of which nothing is known stand alone.
        file: A table with a column `id` (or `name`, `path`) and a column `group`.

    Raises:
        DataError: Both are given, or no image has a group.
    """
    if by is None and file is None:
        return data
    view = copy.copy(data)
    names = group_names(data.table(["id"])["id"].to_pylist(), data, by, file)
    view.unit = units(codes(names), data.duplicate_groups)
    known = {name for name in names if name is not None}
    view.grouped_by = f"{by or Path(str(file)).name}, {len(known):,} groups"
    return view


def group_names(
    ids: Sequence[str], data: DataFolder | None, by: str | None, file: str | Path | None
) -> list[str | None]:
    """Return the group of each image, None where it has none.

    Args:
        ids: IDs of the images.
        data: Where a column is read from; not needed with `file`.
        by: One of `COLUMNS`.
        file: The table.

    Raises:
        DataError: Both `by` and `file` are given, or no image has a group.
    """
    if by is not None and file is not None:
        raise DataError("give --group-by or --group-file, not both")
    if file is not None:
        return from_table(Path(file), ids)
    assert by is not None
    if data is None:
        raise DataError("a column needs a data folder")
    return known(require_column(by), data.table([by])[by].to_pylist())


def require_column(by: str) -> str:
    """Return the name of a column that can group images.

    Raises:
        DataError: There is no such column.
    """
    if by not in COLUMNS:
        raise DataError(
            f"images are grouped by {', '.join(COLUMNS)}, not by '{by}'; for other groups: --group-file FILE"
        )
    return by


def known(by: str, values: list[str | None]) -> list[str | None]:
    """Return the values of a column that groups.

    Raises:
        DataError: None is known.
    """
    if not any(value is not None for value in values):
        raise DataError(f"of no image the {by} is known; give the groups as a table: --group-file FILE")
    return values


def from_table(path: Path, ids: Sequence[str]) -> list[str | None]:
    """Return the group of each image out of a table, by its id or, where it is no other image's, its file name.

    Raises:
        DataError: The table lacks a column, gives an image two groups, or names none of the images.
    """
    columns, records = records_of(path)
    by_key = {column.strip().lower(): column for column in columns}
    name = next((by_key[key] for key in _NAMES if key in by_key), None)
    group = next((by_key[key] for key in _GROUPS if key in by_key), None)
    if name is None or group is None:
        raise DataError(
            f"{path} needs a column 'id' (or name, path) and a column 'group'; it has {', '.join(columns) or 'none'}"
        )
    bases = Counter(PurePosixPath(identity).name for identity in ids)
    row_of = {identity: row for row, identity in enumerate(ids)}
    row_of |= {base: row for row, identity in enumerate(ids) if bases[base := PurePosixPath(identity).name] == 1}
    found: list[str | None] = [None] * len(ids)
    foreign = 0
    for named, value in _pairs(records, name, group):
        row = row_of.get(portable(named))
        if row is None:
            foreign += 1
        elif found[row] not in (None, value):
            raise DataError(f"{path} puts {ids[row]} into two groups, '{found[row]}' and '{value}'; keep one")
        else:
            found[row] = value
    if all(value is None for value in found):
        raise DataError(f"{path} names none of the {len(ids):,} images ({foreign:,} others); give ids as `id` has them")
    return found


def _pairs(records: Iterable[dict[str, object]], name: str, group: str) -> Iterator[tuple[str, str]]:
    for record in records:
        named, value = record.get(name), record.get(group)
        if named is not None and value is not None and str(value).strip():
            yield str(named).strip(), str(value).strip()


def units(*partitions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Join several groupings: images that share a group in any of them share a number.

    Args:
        partitions: Group of each image, int64, -1 where it has none.

    Returns:
        int64, a number of each image; those without any group have one of their own.
    """
    rows = len(partitions[0])
    edges, size = [], rows
    for codes in partitions:
        members = np.flatnonzero(codes >= 0)
        edges.append(np.stack([members, size + codes[members]]))
        size += int(codes.max(initial=-1)) + 1
    joined = np.concatenate(edges, axis=1)
    graph = coo_matrix((np.ones(joined.shape[1], dtype=np.int8), (joined[0], joined[1])), shape=(size, size))
    _, found = connected_components(graph, directed=False)
    return np.asarray(found[:rows], dtype=np.int64)


def codes(names: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Return a number for each name, -1 for None."""
    numbers: dict[str, int] = {}
    return np.array([-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
