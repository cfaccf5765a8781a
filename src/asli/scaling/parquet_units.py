"""Parquet files as units: image bytes by row group, or tables of id and URL by a thousand rows."""

from collections.abc import Callable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from asli.datasets.parquet_rows import IMAGE_COLUMNS, image_column
from asli.errors import DataError
from asli.scaling.pictures import ROWS, Picture

URL_COLUMNS = ("url", "image_url", "uri", "image_uri", "link", "href")
ID_COLUMNS = ("id", "image_id", "uid", "key", "__key__")
_BATCH = 64
_GROUP = 64 << 10
"""Bytes of a page buffer: a row group of image bytes is read page by page, not at once."""


def picture_columns(schema: pa.Schema) -> tuple[str | None, str | None, str | None]:
    """Return the columns of image bytes, URL and id; of the first two one at most.

    Raises:
        DataError: There is neither.
    """
    by_key = {name.lower(): name for name in schema.names}
    image = image_column(schema)
    url = next((by_key[key] for key in URL_COLUMNS if key in by_key), None)
    if image is not None and url is not None and image.lower() not in IMAGE_COLUMNS:
        image = None  # a hash, for example
    if image is None and url is None:
        raise DataError(f"no column of images or of URLs ({', '.join(URL_COLUMNS[:3])}); it has {schema.names}")
    name = next((by_key[key] for key in ID_COLUMNS if key in by_key and by_key[key] != url), None)
    return image, None if image else url, name


def bytes_of(value: Any) -> bytes | None:
    """Return the image bytes of a cell."""
    found = value["bytes"] if isinstance(value, dict) else value
    return None if found is None else bytes(found)


class ParquetTable:
    """One Parquet file, its rows read forwards.

    Args:
        stream: The file.
        shown: What `path` of its images begins with, ending in `/`.
        before: What `id` of its images begins with.
        link: Returns what loads a URL.

    Raises:
        DataError: It is damaged, or has neither images nor URLs.
    """

    def __init__(self, stream: IO[bytes], shown: str, before: str, link: Callable[[str], Callable[[], bytes]]) -> None:
        self._shown, self._before, self._link = shown, before, link
        try:
            self._file = pq.ParquetFile(stream, buffer_size=_GROUP, pre_buffer=False)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"not a readable Parquet file: {' '.join(str(error).split())}") from error
        self._image, self._url, self._id = picture_columns(self._file.schema_arrow)
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = [sum(sizes[:group]) for group in range(len(sizes) + 1)]
        self._at: tuple[int, int, Iterator[pa.RecordBatch]] | None = None  # group, its next row, its batches

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield first and last row + 1 of each unit."""
        for start, end in zip(self._starts, self._starts[1:], strict=False):
            step = max(end - start, 1) if self._image else ROWS
            yield from ((first, min(first + step, end)) for first in range(start, end, step))

    @property
    def rows(self) -> int:
        """Return how many there are."""
        return int(self._starts[-1])

    def pictures(self, first: int, end: int) -> Iterator[Picture]:
        """Yield the pictures of some rows; damage is the error of each row behind it."""
        number = first
        try:
            for batch in self._batches(first, end):
                for record in batch.to_pylist():
                    yield self._picture(number, record)
                    number += 1
        except (OSError, pa.ArrowException) as error:
            self._at = None
            reason = f"the Parquet file is damaged: {' '.join(str(error).split())}"
            for row in range(number, end):
                yield Picture(f"{self._before}{row:08d}", f"{self._shown}{row:08d}", error=reason)

    def _picture(self, row: int, record: dict[str, object]) -> Picture:
        name = f"{row:08d}"
        if self._image:
            data = bytes_of(record[self._image])
            error = "the row holds no image bytes" if data is None else None
            return Picture(self._before + name, self._shown + name, data, error=error)
        url = record[self._url or ""]
        given = record[self._id] if self._id else url
        id = self._before + name if given is None else str(given)
        if not url:
            return Picture(id, self._shown + name, error="the row holds no URL")
        return Picture(id, str(url), load=self._link(str(url)))

    def _batches(self, first: int, end: int) -> Iterator[pa.RecordBatch]:
        columns = [name for name in (self._image, self._url, self._id) if name]
        size = _BATCH if self._image else ROWS
        for group, start in enumerate(self._starts[:-1]):
            stop = self._starts[group + 1]
            if first >= stop or end <= start:
                continue
            if self._at is None or self._at[0] != group or self._at[1] > first:
                reader = self._file.iter_batches(size, row_groups=[group], columns=columns, use_threads=False)
                self._at = group, start, reader
            _, place, reader = self._at
            while place < min(stop, end):
                batch = next(reader, None)
                if batch is None:
                    raise OSError(f"row group {group} has fewer rows than its head states")
                low, high = max(first - place, 0), min(end - place, len(batch))
                place += len(batch)
                self._at = group, place, reader
                if low < high:
                    yield batch.slice(low, high - low)
                if place > end:
                    self._at = None  # a part of the batch belongs to the next unit
