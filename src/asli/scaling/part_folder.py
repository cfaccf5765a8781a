"""A folder of Parquet parts, local or in an object store: what a sharded scan writes and resumes from."""

import io
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from asli._version import __version__
from asli.errors import AsliError, RunError
from asli.files import replacing
from asli.scaling.urls import brief, filesystem, retried, scheme_of
from asli.scanning.score_table import ROWS, SCHEMA

PART_ROWS = 100_000
"""Rows of a part, about: a batch is never divided."""

VERSION = 1

KEY = b"asli.part"

_NAME = re.compile(r"part-(\d{5,})-of-(\d{5,})-(\d{6,})\.parquet")


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is there, by its name.

    Attributes:
        shard: From 1 on.
        of: Number of shards.
        number: Within its shard, from 0 on.
    """

    shard: int
    of: int
    number: int

    @property
    def name(self) -> str:
        """Return its file name."""
        return f"part-{self.shard:05d}-of-{self.of:05d}-{self.number:06d}.parquet"


class PartFolder:
    """A folder of parts, which are a result: each states in itself what it is, and may lie in an object store.

    The parts of `asli.scanning.part_files.Parts` are something else: a table under way on this machine, in the order of
    its rows, kept until they are joined.

    Args:
        place: Path or URL.

    Raises:
        AsliError: It cannot be listed or is a file.
    """

    def __init__(self, place: str) -> None:
        self.place = place.rstrip("/") or "/"
        self.fs, self.root = filesystem(self.place)
        self.root = self.root.rstrip("/")
        self.local = scheme_of(self.place) is None
        if self.local and Path(self.root).is_file():
            raise AsliError(f"{place} is a file; a sharded scan writes a folder: give another -o")

    def parts(self) -> list[Part]:
        """Return the parts that are there, in their order.

        Raises:
            AsliError: The folder cannot be listed.
        """
        try:
            self.fs.invalidate_cache()
            names = [str(one).rpartition("/")[2] for one in retried(lambda: self.fs.ls(self.root, detail=False))]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise AsliError(f"{self.place} cannot be listed: {brief(error)}") from error
        found = (_NAME.fullmatch(name) for name in names)
        return sorted((Part(*map(int, one.groups())) for one in found if one), key=lambda p: (p.of, p.shard, p.number))

    def open(self, part: Part) -> pq.ParquetFile:
        """Open a part.

        Raises:
            RunError: It is no part of a scan.
        """
        try:
            return pq.ParquetFile(retried(lambda: self.fs.open(f"{self.root}/{part.name}", "rb")))
        except (OSError, pa.ArrowException) as error:
            raise RunError(
                f"{self.place}/{part.name} is damaged ({brief(error)}); remove it and run shard"
                f" {part.shard}/{part.of} again"
            ) from error

    def header(self, part: Part) -> dict[str, Any]:
        """Return what a part is: the scan's header, and its place in its shard.

        Raises:
            RunError: It is no part of a scan.
        """
        with self.open(part) as file:
            try:
                found = dict(json.loads((file.schema_arrow.metadata or {})[KEY]))
            except (KeyError, ValueError, TypeError) as error:
                raise RunError(f"{self.place}/{part.name} is no part of a scan; give another folder") from error
            return {**found, "found_rows": file.metadata.num_rows}

    def write(self, part: Part, table: pa.Table, header: dict[str, Any]) -> None:
        """Write a part aside and rename it.

        Raises:
            AsliError: The folder cannot be written to.
        """
        header = {**header, "shard": part.shard, "of": part.of, "part": part.number, "rows": len(table)}
        schema = SCHEMA.with_metadata({KEY: json.dumps(header).encode()})
        stream = io.BytesIO()
        pq.write_table(table.cast(schema), stream, compression="zstd", row_group_size=ROWS)
        self._place(part.name, stream.getvalue())

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write a small file of JSON beside the parts, aside and renamed."""
        self._place(name, (json.dumps(value, indent=2) + "\n").encode())

    def _place(self, name: str, data: bytes) -> None:
        if self.local:
            with replacing(Path(self.root) / name) as temporary:
                temporary.write_bytes(data)
            return
        aside, final = f"{self.root}/_aside/{uuid.uuid4().hex}-{name}", f"{self.root}/{name}"
        try:
            retried(lambda: self.fs.pipe_file(aside, data))
            retried(lambda: self.fs.copy(aside, final))
            retried(lambda: self.fs.rm_file(aside))
        except OSError as error:
            raise AsliError(f"{self.place}/{name} could not be written: {brief(error)}") from error

    def clear_aside(self) -> None:
        """Remove what killed processes left aside."""
        try:
            self.fs.rm(f"{self.root}/_aside", recursive=True)
        except (OSError, ValueError):
            return  # there is nothing, or another process is at it

    def tables(self, parts: list[Part], columns: list[str] | None = None) -> Iterator[tuple[Part, pa.RecordBatch]]:
        """Yield the rows of parts, some at a time."""
        for part in parts:
            with self.open(part) as file:
                yield from ((part, batch) for batch in file.iter_batches(ROWS, columns=columns))


def header_of(detector_hash: str | None, runtime: str, inputs: str, *, force_domain: bool) -> dict[str, Any]:
    """Return what all parts of a scan have in common."""
    return {
        "version": VERSION,
        "asli": __version__,
        "detector": detector_hash,
        "runtime": runtime,
        "force_domain": force_domain,
        "inputs": inputs,
    }
