"""Tables on disk or by URL, of which some columns are read in chunks: Parquet files, folders of them, CSV and TSV."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from asli.datasets.folder import is_data_folder
from asli.errors import DataError
from asli.metrics.classification import Floats, Labels

logger = logging.getLogger("asli")

CHUNK = 1 << 19
"""Rows at a time, about."""

ENDINGS = (".parquet", ".csv", ".tsv")
_BLOCK = 1 << 24
_LABELS = ("real", "0", "false", "fake", "1", "true")


class TableFile:
    """A table: a Parquet, CSV or TSV file, a folder of Parquet files, or the manifest of a data folder.

    Args:
        place: Path or URL.

    Raises:
        DataError: There is no such table.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        self.data_folder = "://" not in self.place and is_data_folder(Path(self.place))
        self._fs, root = _filesystem(self.place)
        if self.data_folder:
            root = f"{root}/manifest.parquet"
        with _damage(self.place):
            self._files = self._found(root)
            self.csv = not self._files[0].endswith(".parquet")
            self.columns: list[str] = self._head()

    def column(self, *names: str) -> str | None:
        """Return the first of these columns that the table has, whatever their case."""
        by_key = {name.strip().lower(): name for name in self.columns}
        return next((by_key[name] for name in names if name in by_key), None)

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """Return the metadata of the first Parquet file."""
        if self.csv:
            return {}
        with self._fs.open(self._files[0], "rb") as stream:
            return dict(pq.read_schema(stream).metadata or {})

    def chunks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield these columns in chunks of about `CHUNK` rows, one contiguous array each.

        Raises:
            DataError: A file is damaged or lacks a column.
        """
        wanted = list(dict.fromkeys(columns))
        waiting: list[pa.RecordBatch] = []
        rows = 0
        with _damage(self.place):
            for batch in self._batches(wanted):
                waiting.append(batch)
                rows += len(batch)
                if rows >= CHUNK:
                    yield pa.Table.from_batches(waiting).combine_chunks()
                    waiting, rows = [], 0
            if rows:
                yield pa.Table.from_batches(waiting).combine_chunks()

    def _found(self, root: str) -> list[str]:
        if not self._fs.exists(root):
            raise DataError(f"{self.place} does not exist; give a table ({', '.join(ENDINGS)}) or a folder of Parquet")
        if not self._fs.isdir(root):
            if not root.lower().endswith(ENDINGS):
                raise DataError(f"{self.place} is no table; tables end in {', '.join(ENDINGS)}")
            return [root]
        names = sorted(str(name) for name in self._fs.ls(root, detail=False))
        files = [name for name in names if name.endswith(".parquet")]
        if not files:
            raise DataError(f"{self.place} holds no Parquet files; give a table or a folder of parts")
        if any("/part-" in name for name in files) and not any(name.endswith("/scan.json") for name in names):
            logger.warning("asli has not checked that %s is complete; run: asli scan merge %s", self.place, self.place)
        return files

    def _head(self) -> list[str]:
        with self._fs.open(self._files[0], "rb") as stream:
            if not self.csv:
                return list(pq.read_schema(stream).names)
            with pa_csv.open_csv(stream, parse_options=self._parsing()) as reader:
                return list(reader.schema.names)

    def _parsing(self) -> pa_csv.ParseOptions:
        delimiter = "\t" if self._files[0].endswith(".tsv") else ","
        return pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        for name in self._files:
            with self._fs.open(name, "rb") as stream:
                if self.csv:
                    options = pa_csv.ConvertOptions(
                        include_columns=columns,
                        column_types={column: pa.string() for column in columns},
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=False,
                    )
                    reading = pa_csv.ReadOptions(block_size=_BLOCK)
                    with pa_csv.open_csv(stream, reading, self._parsing(), options) as reader:
                        yield from reader
                    continue
                with pq.ParquetFile(stream, pre_buffer=False) as file:
                    missing = [column for column in columns if column not in file.schema_arrow.names]
                    if missing:
                        raise DataError(f"{name} lacks the column '{missing[0]}', which other files of it have")
                    for batch in file.iter_batches(CHUNK >> 2, columns=columns):
                        yield pa.record_batch([batch.column(column) for column in columns], names=columns)


def _filesystem(place: str) -> tuple[Any, str]:
    if "://" not in place:
        return _Local(), str(Path(place).absolute())
    from asli.scaling.urls import filesystem

    fs, root = filesystem(place)
    return fs, root.rstrip("/")


class _Local:
    """Local files, without fsspec, which the core does not need."""

    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def isdir(self, path: str) -> bool:
        return Path(path).is_dir()

    def ls(self, path: str, detail: bool = False) -> list[str]:
        return [str(one) for one in Path(path).iterdir()]

    def open(self, path: str, mode: str) -> Any:
        return Path(path).open(mode)


@contextmanager
def _damage(place: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{place} cannot be read as a table: {' '.join(str(error).split())}") from error


def scores_of(column: pa.Array, place: str, before: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return scores, and which rows have one.

    Args:
        column: Numbers, or text of CSV.
        place: For messages.
        before: Rows before these.

    Raises:
        DataError: A score is not a number from 0 to 1.
    """
    if pa.types.is_string(column.type):
        column = pc.if_else(pc.equal(column, ""), None, column)
    try:
        values = column.cast(pa.float64())
    except pa.ArrowException as error:
        raise DataError(f"scores of {place} are not numbers ({error}); give P(fake) of each image") from None
    there = values.is_valid().to_numpy(zero_copy_only=False)
    scores: Floats = values.fill_null(0.0).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(there & ~((scores >= 0) & (scores <= 1)))  # NaN too
    if len(wrong):
        raise DataError(
            f"row {before + int(wrong[0]) + 1:,} of {place} has the score {scores[wrong[0]]}; scores are P(fake), from"
            " 0 to 1"
        )
    return scores, there


def labels_of(column: pa.Array, place: str, before: int) -> Labels:
    """Return 0 for real, 1 for fake and -1 for none.

    Raises:
        DataError: A label is unknown.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    words = pc.utf8_lower(column.cast(pa.string()))
    codes = pc.index_in(words, pa.array(_LABELS))
    empty = pc.or_(pc.is_null(words), pc.fill_null(pc.equal(words, ""), True))
    unknown = pc.and_(pc.is_null(codes), pc.invert(empty))
    if pc.any(unknown).as_py():
        first = int(np.flatnonzero(unknown.to_numpy(zero_copy_only=False))[0])
        raise DataError(
            f"row {before + first + 1:,} of {place} has the label {column[first].as_py()!r}; labels are real or fake,"
            " or 0 (real) or 1 (fake)"
        )
    found = codes.fill_null(-3).to_numpy(zero_copy_only=False)
    labels: Labels = np.floor_divide(found, 3).astype(np.int8)
    return labels
