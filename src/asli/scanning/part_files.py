"""A scan under way: `OUT.parts`, which holds finished parts until they are joined into OUT."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from asli.errors import RunError
from asli.files import read_json, replacing, write_text
from asli.scanning.inputs import Place
from asli.scanning.name_list import NameList
from asli.scanning.score_table import ROWS, SCHEMA

SECONDS = 10.0
"""A part is written at least this often: what a kill can cost."""

VERSION = 3


class Parts:
    """The folder beside a table that is being made.

    Rows are written in their order, so the parts there are always hold a beginning of the table.

    Args:
        out: The table.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out.with_name(f"{out.name}.parts")
        self._tables: list[pa.Table] = []
        self._written = 0
        self._next = time.monotonic() + SECONDS

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; it is removed afterwards where it holds nothing to go on with.

        Raises:
            RunError: Another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / ".lock", timeout=0):
                try:
                    yield
                finally:
                    if not self._scan.exists():
                        self.remove()
        except Timeout:
            raise RunError(f"another process is writing {self.out}; wait for it or give another -o") from None

    @property
    def _scan(self) -> Path:
        return self.path / "scan.json"

    def begin(self, header: dict[str, Any], now: NameList) -> tuple[NameList, int]:
        """Begin a scan, or go on with an interrupted one.

        Args:
            header: What determines every row.
            now: The images as they are now.

        Returns:
            The images as they were when the scan began, and how many of them are done.

        Raises:
            RunError: The interrupted scan is another one.
        """
        if not self._scan.exists():
            now = replace(now, path=now.path.replace(self.path / "listing.parquet"))
            places = [asdict(place) for place in now.places]
            # Not every path is UTF-8; escaped, it is read back as it was.
            write_text(self._scan, json.dumps({**header, "images": now.count, "places": places}))
            return now, 0
        try:
            saved = read_json(self._scan)
            found = [Place(**{**line, "stamp": _pair(line["stamp"])}) for line in saved.pop("places")]
            then = NameList(self.path / "listing.parquet", found, saved.pop("images"), saved["inputs"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self._scan} is damaged ({error}); remove {self.path} to begin again") from error
        different = [key for key in header if key != "inputs" and header[key] != saved.get(key)]
        if [p for p in found if p.stamp] != [p for p in now.places if p.stamp]:
            different.append("archives or Parquet files among the inputs")
        elif [(p.kind, p.path, p.id) for p in found] != [(p.kind, p.path, p.id) for p in now.places]:
            different.append("paths")
        if different:
            raise RunError(
                f"{self.path} is an interrupted scan with other {', '.join(different)};"
                " remove it to begin again, or give another -o"
            )
        return then, self._done()

    def add(self, table: pa.Table) -> None:
        """Take in the next rows; they are on disk once `flush` was called or a part is full."""
        self._tables.append(table)
        if sum(map(len, self._tables)) >= ROWS or time.monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Write the rows taken in as a part."""
        if self._tables:
            table = pa.concat_tables(self._tables)
            end = self._written + len(table)
            with replacing(self.path / f"{self._written:012d}-{end:012d}.parquet") as temporary:
                pq.write_table(table, temporary, compression="zstd")
            self._written, self._tables = end, []
        self._next = time.monotonic() + SECONDS

    def joined(self) -> Iterator[pa.Table]:
        """Yield all rows in groups of `ROWS`, the last with fewer."""
        waiting = SCHEMA.empty_table()
        for part in self._files():
            waiting = pa.concat_tables([waiting, pq.read_table(part)])
            while len(waiting) >= ROWS:
                yield waiting.slice(0, ROWS)
                waiting = waiting.slice(ROWS).combine_chunks()
        if len(waiting):
            yield waiting

    def remove(self) -> None:
        """Remove the folder: the table is finished, or never began."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("????????????-????????????.parquet"))

    def _done(self) -> int:
        for part in self._files():
            start, end = map(int, part.stem.split("-"))
            if start != self._written:
                raise RunError(f"{part} does not follow the part before it; remove {self.path} to begin again")
            self._written = end
        return self._written


def _pair(value: list[int] | None) -> tuple[int, int] | None:
    return None if value is None else (value[0], value[1])
