"""The manifest: one row an image, as Parquet. This module alone knows its columns."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from asli.datasets.images import Facts
from asli.datasets.layouts import Entry

VERSION = 2

FACTS: dict[str, Any] = {
    "format": pa.string(),
    "mode": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "bytes": pa.int64(),
    "subsampling": pa.string(),
    "quantization": pa.string(),
    "quality": pa.int16(),
    "orientation": pa.int16(),
    "has_exif": pa.bool_(),
    "icc": pa.bool_(),
    "frames": pa.int32(),
}
assert list(FACTS) == [field.name for field in fields(Facts)]

READ_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "label": pa.string(),
        "named_split": pa.string(),
        "category": pa.string(),
        "generator": pa.string(),
        "source": pa.string(),
        "prompt": pa.string(),
        "date": pa.string(),
        "sha256": pa.string(),
        "pixel_sha256": pa.string(),
        "phash": pa.uint64(),
        **FACTS,
        "error": pa.string(),
    }
)
"""Columns that reading each file by itself can fill; the split that the source names is `named_split`."""

SCHEMA = pa.schema(
    [
        *[pa.field("split", pa.string()) if f.name == "named_split" else f for f in READ_SCHEMA],
        pa.field("duplicate_group", pa.int64()),
        pa.field("cross_split_duplicate", pa.bool_()),
    ]
)
"""The manifest's columns: what was read, the final split, and what only the whole can say."""


FORMER_NAMES = {
    "duplicate_group": "twin_group",
    "cross_split_duplicate": "crosses_split",
    "quantization": "quantisation",
}
"""Columns of manifests of version 1, by present name."""


def read(path: Path, columns: list[str]) -> pa.Table:
    """Read columns of a manifest of any version; columns that an older one lacks are null."""
    there = pq.read_schema(path).names
    stored = {name: name if name in there else FORMER_NAMES.get(name, name) for name in columns}
    table = pq.read_table(path, columns=[name for name in stored.values() if name in there])
    rows = len(table)
    return pa.table(
        {name: table[old] if old in there else pa.nulls(rows, SCHEMA.field(name).type) for name, old in stored.items()}
    )


def count_known(path: Path, column: str) -> int:
    """Return in how many rows a column is not null, without reading it where the file's statistics say so."""
    there = pq.ParquetFile(path)
    if column not in there.schema_arrow.names:
        return 0
    place, meta, known = there.schema_arrow.names.index(column), there.metadata, 0
    for group in range(meta.num_row_groups):
        counted = meta.row_group(group).column(place).statistics
        if counted is None or not counted.has_null_count:
            return sum(len(b) - b.column(0).null_count for b in there.iter_batches(columns=[column]))
        known += meta.row_group(group).num_rows - counted.null_count
    return known


def row(entry: Entry, **read: Any) -> dict[str, Any]:
    """Return one image's row under `READ_SCHEMA`.

    Args:
        entry: The image.
        read: `facts`, `sha256`, `pixel_sha256`, `phash` or `error`, as far as they are known.
    """
    facts = read.pop("facts", None) or Facts()
    return {
        "id": entry.id,
        "label": entry.label,
        "named_split": entry.split,
        "category": entry.category,
        "generator": entry.generator,
        "source": entry.source,
        "prompt": entry.prompt,
        "date": entry.date,
        **dict.fromkeys(("sha256", "pixel_sha256", "phash", "error")),
        **read,
        **asdict(facts),
    }


def group_duplicates(
    pixel_hashes: pa.ChunkedArray, named_splits: pa.ChunkedArray
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Group images whose decoded pixels are identical.

    Args:
        pixel_hashes: One hash an image; null where it could not be read.
        named_splits: The split the source names, or null.

    Returns:
        Group number of each image, -1 without a duplicate; whether its group has members in several splits.
    """
    codes = _codes(pixel_hashes)
    readable = codes >= 0
    counts = np.bincount(codes[readable], minlength=1)
    duplicate = readable & (counts[codes] > 1)
    groups = np.full(len(codes), -1, dtype=np.int64)
    _, first, numbers = np.unique(codes[duplicate], return_index=True, return_inverse=True)
    groups[duplicate] = np.argsort(np.argsort(first))[numbers]  # numbered by first appearance
    splits = _codes(named_splits)
    crosses = np.zeros(len(codes), dtype=np.bool_)
    if duplicate.any():
        number = int(groups.max()) + 1
        lowest, highest = np.full(number, np.iinfo(np.int64).max), np.full(number, -2, dtype=np.int64)
        np.minimum.at(lowest, groups[duplicate], splits[duplicate])
        np.maximum.at(highest, groups[duplicate], splits[duplicate])
        crosses[duplicate] = (lowest != highest)[groups[duplicate]]
    return groups, crosses


def _codes(values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    encoded = values.combine_chunks().dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def finish(read: pa.Table, splits: pa.Array, groups: npt.NDArray[np.int64], crosses: npt.NDArray[np.bool_]) -> pa.Table:
    """Turn rows as read into rows of the manifest."""
    table = read.set_column(read.column_names.index("named_split"), "split", splits)
    table = table.append_column("duplicate_group", pa.array(groups, mask=groups < 0))
    return table.append_column("cross_split_duplicate", pa.array(crosses)).cast(SCHEMA)


def content_hash(path: Path) -> str:
    """Hash id, label, split and pixels of each image in order, independent of the program that wrote the file."""
    digest = hashlib.sha256()
    columns = ["id", "label", "split", "pixel_sha256"]
    for batch in pq.ParquetFile(path).iter_batches(columns=columns):
        lines = pc.binary_join_element_wise(*batch.columns, "\t", null_handling="replace", null_replacement="-")
        digest.update("".join(f"{line}\n" for line in lines.to_pylist()).encode())
    return digest.hexdigest()


def write(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables of `SCHEMA` as row groups."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
