"""Images inside Parquet files, as the Hugging Face hub keeps data sets: a source that reads them row by row."""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from asli.datasets.archives import LeftOut
from asli.datasets.layouts.labels import SPLIT_ALIASES
from asli.datasets.layouts.table_layout import COLUMNS, Row, find_columns
from asli.datasets.sources import Folder
from asli.datasets.table_files import class_labels, class_name, damage_of
from asli.errors import DataError
from asli.files import LFS_POINTER, open_regular, require_regular

IMAGE_COLUMNS = (
    *("image", "img", "picture", "jpg", "jpeg", "png", "webp", "image_bytes", "image_data", "img_bytes", "bytes"),
    *("data", "content"),
)
BATCH = 64
"""Rows decoded at a time: what a reading thread holds in memory."""


def image_column(schema: pa.Schema) -> str | None:
    """Return the column that holds images: binary, or a struct with a binary field `bytes`; None without one.

    The known names come first, then names with `image` or `img` in them, then the only binary column there is.
    """
    by_key = {name.lower(): name for name in schema.names if _binary_field(schema.field(name).type)}
    named = [by_key[key] for key in IMAGE_COLUMNS if key in by_key]
    named += [name for key, name in by_key.items() if "image" in key or "img" in key]
    if len(by_key) == 1:
        named += by_key.values()
    return named[0] if named else None


def has_images(path: Path, *, wanted: bool = False) -> bool:
    """Return whether a Parquet file has a column of images; of a damaged one, no.

    Args:
        path: The file.
        wanted: Raise for a damaged one.

    Raises:
        DataError: It is damaged, and `wanted`.
    """
    try:
        require_regular(path.stat())
        return image_column(pq.read_schema(path)) is not None
    except (OSError, pa.ArrowException) as error:
        if wanted:
            raise unreadable(path, error) from error
        return False


def _binary_field(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" and _binary_field(kind.field(i).type) for i in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


class _File:
    """One Parquet file: its columns and where its row groups begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            require_regular(path.stat())
            with pq.ParquetFile(path) as file:
                schema, metadata = file.schema_arrow, file.metadata
                sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        except (OSError, pa.ArrowException) as error:
            raise unreadable(path, error) from error
        column = image_column(schema)
        if column is None:
            raise DataError(
                f"{path} has no column of images (binary, or a struct with bytes, such as {IMAGE_COLUMNS[0]}); it has"
                f" {', '.join(schema.names)}"
            )
        self.image, self.classes = column, class_labels(schema)
        self.columns = find_columns(name for name in schema.names if name != column)
        self.columns.pop("path", None)
        self.columns.pop("archive", None)
        self.known = schema.names
        self.starts = [0]
        for size in sizes:
            self.starts.append(self.starts[-1] + size)


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the error for a file that is no Parquet file, or a damaged one."""
    try:
        with open_regular(path) as stream:
            if stream.read(len(LFS_POINTER)) == LFS_POINTER:
                return DataError(f"{path} is a Git LFS pointer, not the file itself; fetch it with: git lfs pull")
    except OSError:
        pass  # the first error says why
    return DataError(f"{path} is not a readable Parquet file: {' '.join(str(error).split())}")


@dataclass(slots=True)
class _Cursor:
    """Where one thread is in one row group."""

    key: tuple[str, int]
    batches: Iterator[pa.RecordBatch]
    start: int
    batch: pa.Array = field(default_factory=lambda: pa.array([], pa.null()))


class ParquetRows:
    """Rows of Parquet files as named images: row 7 of `data/train-0.parquet` is `data/train-0.parquet/00000007`.

    Each reading thread goes through a row group `BATCH` rows at a time, so files of any size need little memory.
    Reading in the order of the names is fast; reading backwards is slow.

    Args:
        root: The folder names are relative to.
        paths: The files.

    A file that cannot be used is named in `left_out`.

    Raises:
        DataError: No file has images.
    """

    def __init__(self, root: Path, paths: Sequence[Path]) -> None:
        self.root, self.left_out = root, LeftOut()
        self.files: dict[str, _File] = {}
        errors = []
        for path in sorted(paths):
            try:
                self.files[path.relative_to(root).as_posix()] = _File(path)
            except DataError as error:
                errors.append(error)
        if errors and not self.files:
            raise errors[0]
        self.left_out.ignored = [str(error) for error in errors]
        self._local = threading.local()

    def rows(self, label_of: Callable[[str], str | None] = lambda name: None) -> Iterator[Row]:
        """Read what the other columns say of each image; the split is also taken from the file's name.

        Args:
            label_of: What the name of a file without a column of labels says of its images, or None.

        Raises:
            DataError: A file is damaged or has no labels.
        """
        for name, file in self.files.items():
            label = None if "label" in file.columns else label_of(name)
            if label is None and "label" not in file.columns:
                known = ", ".join(COLUMNS["label"])
                raise DataError(
                    f"{file.path} has no column of labels (named {known}); it has {', '.join(file.known)};"
                    f" for images of one label: asli data open DIR --fake {file.path}"
                )
            split = split_of(name)
            with damage_of(str(file.path)), pq.ParquetFile(file.path) as table:
                number = 0
                for batch in table.iter_batches(8192, columns=list(file.columns.values())):
                    for record in batch.to_pylist() if file.columns else [{}] * batch.num_rows:
                        said = {
                            meaning: class_name(file.classes, column, record[column])
                            for meaning, column in file.columns.items()
                        }
                        said.setdefault("label", label)
                        stated = said.get("split")
                        if split and str(stated or "").strip().lower() not in SPLIT_ALIASES:
                            said["split"] = split
                            said["source"] = said.get("source") or stated
                        yield Row(f"{name}/{number:08d}", **said)
                        number += 1

    def original_names(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the file name an image had before it was put into Parquet, where that is kept."""
        for name, file in self.files.items():
            with pq.ParquetFile(file.path) as table:
                kind = table.schema_arrow.field(file.image).type
                if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
                    continue
                number = 0
                for batch in table.iter_batches(8192, columns=[f"{file.image}.path"]):
                    for value in batch.column(0).to_pylist():
                        if value and value["path"]:
                            yield f"{name}/{number:08d}", value["path"]
                        number += 1

    def names(self) -> list[str]:
        """Return every image's name, sorted."""
        return sorted(self.walk())

    def walk(self) -> Iterator[str]:
        """Yield every image's name, file after file, row after row."""
        for name, file in self.files.items():
            for row in range(file.starts[-1]):
                yield f"{name}/{row:08d}"

    def read(self, name: str) -> bytes:
        """Return an image's bytes.

        Raises:
            OSError: The row has none, or the file is damaged.
        """
        path, _, row = name.rpartition("/")
        file, number = self.files[path], int(row)
        group = bisect_right(file.starts, number) - 1
        wanted = number - file.starts[group]
        cursor: _Cursor | None = getattr(self._local, "cursor", None)
        try:
            if cursor is None or cursor.key != (path, group) or wanted < cursor.start:
                cursor = _Cursor((path, group), _images(file, group), 0)
                self._local.cursor = cursor
            while wanted >= cursor.start + len(cursor.batch):
                cursor.start += len(cursor.batch)
                cursor.batch = next(cursor.batches).column(0)
        except (pa.ArrowException, StopIteration) as error:
            self._local.cursor = None
            raise OSError(f"{file.path} is damaged: {' '.join(str(error).split())}") from error
        value = cursor.batch[wanted - cursor.start].as_py()
        data = value["bytes"] if isinstance(value, dict) else value
        if data is None:
            raise OSError("the row holds no image bytes")
        return bytes(data)

    def fingerprint(self, names: Sequence[str]) -> str:
        """Hash each file's name, size and time of change."""
        return Folder(self.root).fingerprint(list(self.files))

    def spec(self) -> dict[str, Any]:
        """Return what opens them again."""
        paths = [str(file.path.resolve()) for file in self.files.values()]
        return {"kind": "parquet", "root": str(self.root.resolve()), "paths": paths}


def _images(file: _File, group: int) -> Iterator[pa.RecordBatch]:
    # buffer_size: pages are read as they are needed, not a row group at once.
    table = pq.ParquetFile(file.path, buffer_size=1 << 20)
    yield from table.iter_batches(BATCH, row_groups=[group], columns=[file.image], use_threads=False)


def split_of(name: str) -> str | None:
    """Return the split that `train-00000-of-00002.parquet` or `default/test/0000.parquet` belongs to."""
    path = PurePosixPath(name)
    for part in (path.stem, *reversed(path.parent.parts)):
        first = part.split("-")[0]
        if first.lower() in SPLIT_ALIASES:
            return first
    return None
