"""Prove that a sharded scan is complete, and join its parts: the function behind `asli scan merge`."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from asli.errors import AsliError, DataError, RunError
from asli.scaling.input_sources import Sources
from asli.scaling.parquet_units import ID_COLUMNS
from asli.scaling.part_folder import VERSION, Part, PartFolder
from asli.scaling.parts_result import MergeResult
from asli.scaling.urls import ObjectStream
from asli.scanning import score_table

IN_MEMORY = 4_000_000
"""Ids that are compared at a time: 64 MB of their hashes. Of more, hashes are divided among temporary files."""

DONE = "scan.json"
"""Written into the folder when all was proven."""

Hashes = npt.NDArray[np.uint64]
"""Hashes of ids, n x 2."""

_COMMON = ("version", "asli", "detector", "runtime", "force_domain", "inputs")


def merge_parts(folder: str | Path, out: str | Path | None = None, *, ids: str | Path | None = None) -> MergeResult:
    """Prove that a folder holds every part of a scan and every id once.

    Memory does not grow with the rows; a billion ids take 16 GB of temporary files.

    Args:
        folder: The parts, local or by URL.
        out: Also join them into this table, `.parquet` or `.csv`.
        ids: A Parquet table with a column of ids, or a list, which must have the very ids of the rows.

    Returns:
        What was counted. The folder then has a file `scan.json` that lists its parts.

    Raises:
        RunError: A part or a whole shard is missing, parts belong to different scans, or an id is lost or doubled.
        AsliError: There is no reading or writing.
    """
    parts = PartFolder(str(folder))
    if out is not None:
        score_table.check_ending(Path(out))
        if Path(out).exists():
            raise RunError(f"{out} is there already; give another -o")
    parts.fs.invalidate_cache()
    there = parts.parts()
    headers = [parts.header(part) for part in there]
    units = _require_whole(parts, there, headers)
    counted: Counter[str] = Counter()
    with ExitStack() as stack:
        found = stack.enter_context(_Hashes(sum(header["rows"] for header in headers)))
        for _, batch in parts.tables(there, ["id", "verdict", "error"]):
            found.add(batch.column("id").to_pylist())
            counted.update(filter(None, batch.column("verdict").to_pylist()))
            counted["images"] += batch.num_rows
            counted["errors"] += batch.num_rows - batch.column("error").null_count
        expected = None
        if ids is not None:
            expected = stack.enter_context(_Hashes(counted["images"]))
            for some in _given_ids(str(ids)):
                expected.add(some)
        _require_once(parts, there, found, expected, str(ids))
    first = headers[0]
    result = MergeResult(
        folder=parts.place,
        out=None if out is None else str(out),
        images=counted["images"],
        errors=counted["errors"],
        parts=len(there),
        shards=there[0].of,
        units=units,
        verdicts={verdict: counted[verdict] for verdict in ("real", "unsure", "fake")},
        compared=None if expected is None else expected.count,
        detector=first["detector"],
        asli=first["asli"],
    )
    if out is not None:
        header = {name: first[name] for name in ("detector", "runtime", "force_domain", "inputs")}
        tables = (pa.Table.from_batches([batch]) for _, batch in parts.tables(there))
        score_table.write(Path(out), _grouped(tables), {**header, "version": VERSION, "parts": len(there)})
    listed = [{"name": part.name, "rows": h["rows"]} for part, h in zip(there, headers, strict=True)]
    parts.clear_aside()
    parts.write_json(DONE, {**result.to_dict(), "files": listed})
    return result


def _require_whole(folder: PartFolder, there: list[Part], headers: list[dict[str, Any]]) -> int:
    """Refuse parts that are not all of one scan; return its number of units."""
    if not there:
        raise RunError(f"{folder.place} holds no parts; run asli scan ... -o {folder.place}/ first")
    of = there[0].of
    if any(part.of != of for part in there):
        raise RunError(f"{folder.place} holds parts of scans in {of} and {there[-1].of} shards; keep those of one")
    for key in _COMMON:
        values = {str(header.get(key)) for header in headers}
        if len(values) > 1:
            raise RunError(f"{folder.place} holds parts with different {key}: {', '.join(sorted(values)[:3])}")
    by_shard: dict[int, list[tuple[Part, dict[str, Any]]]] = {}
    for part, header in zip(there, headers, strict=True):
        if (header["shard"], header["of"], header["part"]) != (part.shard, part.of, part.number):
            raise RunError(f"{folder.place}/{part.name} was renamed; it is part {header['part']} of {header['shard']}")
        if header["rows"] != header["found_rows"] or header["rows"] != header["end"] - header["begin"]:
            raise RunError(f"{folder.place}/{part.name} has {header['found_rows']:,} rows, not {header['rows']:,}")
        by_shard.setdefault(part.shard, []).append((part, header))
    missing = [number for number in range(1, of + 1) if number not in by_shard]
    if missing:
        raise RunError(f"{folder.place} lacks {len(missing):,} of {of:,} shards, first {missing[0]}/{of}; run them")
    walks = [_require_row(folder, found) for _, found in sorted(by_shard.items())]
    seen = {(walk["total"], walk["digest"]) for walk in walks}
    if len(seen) > 1:
        raise RunError(
            f"the inputs of {folder.place} changed between shards: {len(seen)} different lists of what is there;"
            " scan again into another folder"
        )
    total, own = walks[0]["total"], sum(walk["own"] for walk in walks)
    if own != total:
        raise RunError(f"{folder.place} has {own:,} of {total:,} units; scan again into another folder")
    return int(total)


def _require_row(folder: PartFolder, found: list[tuple[Part, dict[str, Any]]]) -> dict[str, Any]:
    """Refuse the parts of one shard that do not follow each other from its beginning to its end."""
    place: Any = [0, 0]
    rows = 0
    for number, (part, header) in enumerate(found):
        if part.number != number or header["start"] != place or header["begin"] != rows:
            raise RunError(f"{folder.place} lacks a part before {part.name}; remove it and what follows, and rerun it")
        place, rows = header["next"], header["end"]
    part, last = found[-1]
    walk = last["finished"]
    if not walk or any(header["finished"] for _, header in found[:-1]):
        raise RunError(f"shard {part.shard}/{part.of} of {folder.place} is not finished; run it again to resume it")
    return dict(walk)


class _Hashes:
    """128-bit hashes of ids, in memory or divided among temporary files.

    Args:
        expected: How many there will be, about.
    """

    def __init__(self, expected: int) -> None:
        self.count = 0
        self.divisions = max(1, min(256, -(-expected // IN_MEMORY)))
        self._memory: list[bytes] = []
        self._stack = ExitStack()
        self._files: list[BinaryIO] = []
        if self.divisions > 1:
            for _ in range(self.divisions):
                file = tempfile.TemporaryFile(prefix="asli-ids-")  # noqa: SIM115 - the stack closes it
                self._files.append(self._stack.enter_context(file))

    def __enter__(self) -> "_Hashes":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, ids: Iterable[str]) -> None:
        """Take in ids."""
        data = b"".join(map(_hash, ids))
        self.count += len(data) // 16
        if not self._files:
            self._memory.append(data)
            return
        rows = np.frombuffer(data, dtype=np.uint64).reshape(-1, 2)
        division = rows[:, 0] % np.uint64(self.divisions)
        for number in np.unique(division):
            self._files[int(number)].write(rows[division == number].tobytes())

    def divided(self, divisions: int) -> Iterator[Hashes]:
        """Yield each division's hashes, n x 2, sorted."""
        assert divisions == self.divisions
        for number in range(divisions):
            if self._files:
                self._files[number].seek(0)
                data = self._files[number].read()
            else:
                data = b"".join(self._memory)
            rows = np.frombuffer(data, dtype=np.uint64).reshape(-1, 2)
            yield rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _hash(id: str) -> bytes:
    return hashlib.blake2b(id.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _require_once(folder: PartFolder, there: list[Part], found: _Hashes, expected: _Hashes | None, where: str) -> None:
    doubled, unknown, lost = set[bytes](), set[bytes](), set[bytes]()
    count = 0
    others: Iterator[Any] = expected.divided(found.divisions) if expected else iter([None] * found.divisions)
    for rows, wanted in zip(found.divided(found.divisions), others, strict=True):
        same = (rows[1:] == rows[:-1]).all(axis=1) if len(rows) > 1 else np.zeros(0, dtype=np.bool_)
        count += int(same.sum())
        doubled.update(row.tobytes() for row in rows[1:][same][:10])
        if wanted is not None:
            for side, missing in zip((unknown, lost), _differences(rows, wanted), strict=True):
                side.update(row.tobytes() for row in missing[:10])
    if count:
        names = _names(folder, there, doubled)
        raise RunError(
            f"{folder.place} has {count:,} doubled ids, such as {names}: two inputs give the same id; make the ids of"
            " lists and tables unique"
        )
    if unknown or lost:
        example = _names(folder, there, unknown) if unknown else next(_named(where, lost), "?")
        what = "has an id that is not in" if unknown else "lacks an id of"
        raise RunError(f"{folder.place} {what} {where}: {example}")


def _differences(ours: Hashes, theirs: Hashes) -> tuple[Hashes, Hashes]:
    """Return the hashes that only one side has."""
    both = np.concatenate([ours, theirs])
    if not len(both):
        return ours, theirs
    order = np.lexsort((both[:, 1], both[:, 0]))
    both, is_theirs = both[order], order >= len(ours)
    group = np.concatenate([[0], np.cumsum((both[1:] != both[:-1]).any(axis=1))])
    counts = [np.bincount(group, weights=side)[group] for side in (~is_theirs, is_theirs)]
    return both[counts[1] == 0], both[counts[0] == 0]


def _names(folder: PartFolder, there: list[Part], wanted: set[bytes]) -> str:
    for _, batch in folder.tables(there, ["id"]):
        for id in batch.column("id").to_pylist():
            if _hash(id) in wanted:
                return str(id)
    return "?"


def _named(where: str, wanted: set[bytes]) -> Iterator[str]:
    yield from (id for some in _given_ids(where) for id in some if _hash(id) in wanted)


def _given_ids(place: str) -> Iterator[list[str]]:
    """Yield the ids of a table or list, some at a time."""
    if place.lower().endswith(".parquet"):
        try:
            with pq.ParquetFile(ObjectStream(place)) as file:
                names = file.schema_arrow.names
                column = next((name for name in (*ID_COLUMNS, "url") if name in names), None)
                if column is None:
                    raise DataError(f"{place} has no column id; it has {', '.join(names)}")
                for batch in file.iter_batches(1 << 16, columns=[column]):
                    yield [str(value) for value in batch.column(0).to_pylist()]
        except (OSError, pa.ArrowException) as error:
            raise AsliError(f"{place} cannot be read: {error}") from error
        return
    for unit in Sources([place]).units():
        yield [picture.id for picture in unit.pictures(0)]


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows in groups of `ROWS`."""
    waiting = score_table.SCHEMA.empty_table()
    for table in tables:
        waiting = pa.concat_tables([waiting, table.replace_schema_metadata(None)])
        while len(waiting) >= score_table.ROWS:
            yield waiting.slice(0, score_table.ROWS)
            waiting = waiting.slice(score_table.ROWS).combine_chunks()
    if len(waiting):
        yield waiting
