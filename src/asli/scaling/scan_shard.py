"""Score one shard of a scan into parts: reading, decoding, computing and writing side by side."""

import hashlib
import logging
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from asli.detector.base import Detector
from asli.errors import Interrupted, RunError
from asli.files import sha256_of_json
from asli.parallel import taken_ahead
from asli.progress import LINE_SECONDS
from asli.scaling.input_sources import Sources, shard_of
from asli.scaling.once import score_once
from asli.scaling.part_folder import PART_ROWS, Part, PartFolder, header_of
from asli.scaling.parts_result import PartsResult
from asli.scaling.pictures import Picture
from asli.scaling.shard import Shard
from asli.scanning import score_table
from asli.scanning.reading import read_batches
from asli.signals import stop_on_signal

LOADING = 16
"""Threads at least that load pictures of lists and tables, since most of that is waiting."""

logger = logging.getLogger("asli")


@dataclass(slots=True)
class _Walk:
    """The units of all shards, gone through once; those of one shard are read.

    Attributes:
        own: Units of this shard so far.
        total: Units of all so far.
        digest: Over the names of all so far.
    """

    sources: Sources
    shard: Shard
    own: int = 0
    total: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def pictures(self, start: tuple[int, int], stamp: str) -> Iterator[Picture]:
        """Yield this shard's pictures from a place on.

        Raises:
            RunError: The file in which the scan was interrupted has changed.
        """
        for unit in self.sources.units():
            self.total += 1
            self.digest.update(unit.name.encode("utf-8", "backslashreplace") + b"\n")
            if shard_of(unit.name, self.shard.of) != self.shard.number - 1:
                continue
            number, self.own = self.own, self.own + 1
            if number < start[0]:
                continue
            row = start[1] if number == start[0] else 0
            for picture in unit.pictures(row):
                if row and number == start[0] and stamp and picture.stamp and picture.stamp != stamp:
                    raise RunError(f"the file of {unit.name} has changed since the scan was interrupted; begin again")
                row += 1
                picture.place = number, row
                yield picture

    def finished(self) -> dict[str, Any]:
        """Return what proves that no unit was left out, after the last picture."""
        return {"own": self.own, "total": self.total, "digest": self.digest.hexdigest()}


def scan_shard(
    sources: Sources,
    folder: PartFolder,
    detector: Detector,
    shard: Shard,
    *,
    batch_size: int | None = None,
    threads: int | None = None,
    force_domain: bool = False,
    part_rows: int = PART_ROWS,
    once: bool = False,
) -> PartsResult:
    """Score one shard; a call that was cut resumes behind the last part when it is repeated.

    Args:
        sources: The pictures of the whole scan.
        folder: Takes the parts.
        detector: Scores them.
        shard: Which share.
        batch_size: Images computed at a time; None chooses by input size.
        threads: That read and decode; None takes as many as the detector's.
        force_domain: Give a verdict on images outside the domain, too.
        part_rows: Rows of a part, about.
        once: Score pictures of the same bytes once.

    Raises:
        RunError: The folder holds parts of another scan.
        Interrupted: Ctrl-C or SIGTERM; what was scored is kept.
    """
    runtime = type(detector.engine).__name__
    header = header_of(detector.hash, runtime, sha256_of_json(sources.identity()), force_domain=force_domain)
    begun = time.perf_counter()
    there = [part for part in folder.parts() if _is_of(part, shard, folder)]
    last = _last(folder, there, header)
    before = int(last["end"]) if last else 0
    result: dict[str, Any] = {"errors": 0, "first_error": None}
    writer = _Writer(folder, shard, header, there, last, part_rows)
    if not writer.finished:
        if before:
            logger.info("shard %s: resuming behind %s images", shard, f"{before:,}")
        walk = _Walk(sources, shard)
        start = tuple(last["next"]) if last else (0, 0)
        pictures = walk.pictures(start, last["stamp"] if last else "")
        found = taken_ahead(pictures, 2 * (batch_size or detector.batch_size))
        _score(found, sources, detector, writer, walk, shard, result, batch_size, threads, once=once)
    seconds = time.perf_counter() - begun
    images = writer.end
    return PartsResult(
        out=folder.place,
        shard=str(shard),
        detector=detector.describe().forced(force_domain),
        images=images,
        errors=result["errors"],
        first_error=result["first_error"],
        parts=writer.number,
        done_before=before,
        not_images=dict(sources.tally.skipped.most_common()),
        ignored=sources.tally.ignored,
        seconds=seconds,
        images_per_second=(images - before) / seconds if images > before else None,
    )


def _score(
    found: Generator[Picture],
    sources: Sources,
    detector: Detector,
    writer: "_Writer",
    walk: _Walk,
    shard: Shard,
    result: dict[str, Any],
    batch_size: int | None,
    threads: int | None,
    *,
    once: bool,
) -> None:
    known: dict[str, Any] = {}
    force = bool(writer.header["force_domain"])
    count = threads or detector.reading_threads
    if sources.one_by_one:
        count = max(count, LOADING)
    size = batch_size or detector.batch_size
    batches = read_batches(found, sources, detector, batch=size, threads=count, known=known)
    after = time.monotonic() + LINE_SECONDS
    with stop_on_signal() as stop:
        try:
            for images in batches:
                if images:
                    if once:
                        table = score_once(images, sources, detector, known, force_domain=force)
                    else:
                        table = score_table.score_batch(images, sources, detector, force_domain=force)
                    _count_errors(table, result)
                    writer.add(table, images[-1].item)
                if stop.requested:
                    writer.close(None)
                    raise Interrupted(f"shard {shard}: stopped after {writer.end:,} images; rerun to resume")
                if time.monotonic() > after:
                    after = time.monotonic() + LINE_SECONDS
                    logger.info("shard %s: %s images", shard, f"{writer.end:,}")
            writer.close(walk)
        finally:
            batches.close()
            found.close()
            writer.pool.shutdown(wait=True)


def _count_errors(table: pa.Table, result: dict[str, Any]) -> None:
    bad = len(table) - table["error"].null_count
    if bad:
        result["errors"] += bad
        if result["first_error"] is None:
            row = pc.index(pc.is_valid(table["error"]), True).as_py()
            result["first_error"] = f"{table['path'][row].as_py()}: {table['error'][row].as_py()}"


def _is_of(part: Part, shard: Shard, folder: PartFolder) -> bool:
    if part.of != shard.of:
        raise RunError(
            f"{folder.place} holds a scan in {part.of} shards, and this is shard {shard}; give --shard I/{part.of}"
            " with the same --workers, or another -o"
        )
    return part.shard == shard.number


def _last(folder: PartFolder, there: list[Part], header: dict[str, Any]) -> dict[str, Any] | None:
    if not there:
        return None
    if [part.number for part in there] != list(range(len(there))):
        raise RunError(f"{folder.place} lacks a part before {there[-1].name}; remove that one and run it again")
    last = folder.header(there[-1])
    different = [key for key in header if header[key] != last.get(key)]
    if different:
        raise RunError(f"{folder.place} holds a scan with other {', '.join(different)}; give another -o")
    return last


class _Writer:
    """Collects rows into parts and writes each while the next is scored."""

    def __init__(
        self,
        folder: PartFolder,
        shard: Shard,
        header: dict[str, Any],
        there: list[Part],
        last: dict[str, Any] | None,
        part_rows: int,
    ) -> None:
        self.header, self.number = header, len(there)
        self.finished = bool(last and last["finished"])
        self.end = int(last["end"]) if last else 0
        self._folder, self._shard, self._rows = folder, shard, part_rows
        self._next = list(last["next"]) if last else [0, 0]
        self._start, self._begin = self._next, self.end
        self._stamp = ""
        self._tables: list[pa.Table] = []
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writing: Future[None] | None = None

    def add(self, table: pa.Table, last: Picture) -> None:
        self._tables.append(table)
        self.end += len(table)
        self._next, self._stamp = list(last.place), last.stamp
        if self.end - self._begin >= self._rows:
            self._write(None)

    def close(self, walk: _Walk | None) -> None:
        """Write what is left; with the finished walk, as the last part of the shard, empty or not."""
        if self._tables or walk:
            self._write(walk)
        if self._writing:
            self._writing.result()

    def _write(self, walk: _Walk | None) -> None:
        if self._writing:
            self._writing.result()  # one part in memory beside the one that is collected
        finished = walk.finished() if walk else None
        header = {
            **self.header,
            "start": self._start,
            "next": [finished["own"], 0] if finished else self._next,
            "begin": self._begin,
            "end": self.end,
            "stamp": self._stamp,
            "finished": finished,
        }
        table = pa.concat_tables(self._tables) if self._tables else score_table.SCHEMA.empty_table()
        part = Part(self._shard.number, self._shard.of, self.number)
        self._writing = self.pool.submit(self._folder.write, part, table, header)
        self._start, self._begin, self._tables = header["next"], self.end, []
        self.number += 1
