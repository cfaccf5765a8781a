"""Score everything below some paths: the function behind `asli scan`."""

import logging
import statistics
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import wait
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from asli.datasets import walking
from asli.detector.base import Detector
from asli.detector.locate import DEFAULT
from asli.detector.runtimes import Kind, usable_threads
from asli.errors import DataError, Interrupted, RunError
from asli.files import keeping
from asli.parallel import begun
from asli.progress import progress
from asli.scanning import score_table
from asli.scanning.gallery_page import require_place, write_gallery
from asli.scanning.inputs import Inputs, Item, Places
from asli.scanning.name_list import NameList, write_listing
from asli.scanning.part_files import VERSION, Parts
from asli.scanning.reading import POLL, read_batches
from asli.scanning.scan_result import ScanResult
from asli.scanning.summary import summarize
from asli.scanning.workers import WorkerJob, side_by_side, suits
from asli.signals import stop_on_signal

SMALL = 1 << 13
"""Bytes of a small file."""

MANY = 5_000
"""Small files from which on processes are worth their start, which takes as long as about 2,500 files."""

MOST = 8
"""Processes at most, by default: each takes about 0.4 GB."""

AHEAD = 8
"""Batches begun for each process: the first is ready while the others start."""

SAMPLES = 16
"""Files whose size is looked at, spread over all."""

SLOW = 0.5
"""Seconds for these, above which the storage is slow."""

logger = logging.getLogger("asli")


def scan(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    detector: str | Path | Detector = DEFAULT,
    *,
    batch_size: int | None = None,
    html: str | Path | None = None,
    force_domain: bool = False,
    include_hidden: bool = False,
    device: str | None = None,
    runtime: Kind | None = None,
    threads: int | None = None,
    workers: int | None = None,
) -> ScanResult:
    """Score every image in some paths and write a table; repeat an interrupted call to resume it.

    Args:
        paths: Folders, zip and tar archives, Parquet files with images inside, lists of paths (`.txt`), image files.
        out: The table to make: Parquet, or CSV where it ends in `.csv`. A finished one is never overwritten.
        detector: A detector, a detector folder, a run folder, `hub:owner/name[@revision]`, or `default`.
        batch_size: Images computed at a time; None chooses by input size.
        html: Also write a page with the most telling pictures here.
        force_domain: Give a verdict on images outside the detector's domain too; echoed in the result.
        include_hidden: Also score hidden files and those in system and thumbnail folders.
        device: cuda, mps or cpu; None leaves it to the runtime.
        runtime: torch or onnx; None takes ONNX where there is nothing against it (see `Detector.runtime`).
        threads: CPU threads of the network, and as many that read and decode; None takes the usual number, and one that
            reads small files.
        workers: Processes that share the work, and the threads; None takes one, or several for many small files.

    Returns:
        Counts by verdict, of images outside the domain and of unreadable ones by reason, files that were not taken for
        images, and the speed of this call.

    Raises:
        DataError: A path does not exist or holds no image.
        DetectorError, MissingExtraError: The detector cannot be used.
        RunError: `out` is something else, or is being written by another process; or one of the workers ended.
        AsliError: There is no writing to `out` or `html`.
        Interrupted: Ctrl-C; what was scored is kept.
    """
    out = Path(out)
    score_table.check_ending(out)
    if not isinstance(detector, Detector):
        detector = Detector.load(detector, device=device, runtime=runtime, threads=threads)
    given = [paths] if isinstance(paths, (str, Path)) else paths
    inputs, parts = Inputs([Path(path) for path in given], include_hidden), Parts(out)
    if html is not None:
        require_place(Path(html), (out, score_table.beside(out), parts.path))
    computing = detector.engine
    clock = time.perf_counter()
    with keeping("what was scored before is safe; make room, and the same command goes on from there"), parts.locked():
        now = write_listing(inputs, parts.path / "listing-now.parquet")
        if not now.count:
            raise DataError(_nothing(given, inputs))
        header = {
            "version": VERSION,
            "detector": detector.hash,
            "runtime": type(computing).__name__,
            "force_domain": force_domain,
            "inputs": now.digest,
        }
        finished = out.exists()
        start = 0
        if finished:
            _require_same(score_table.header_of(out), header, out)
            listing = now
        else:
            listing, start = parts.begin(header, now)
            if listing.digest != now.digest:
                logger.warning(
                    "the folders hold %s images now, %s when this scan began; it goes on with those of then",
                    f"{now.count:,}",
                    f"{listing.count:,}",
                )
            batch, most = batch_size or detector.batch_size, threads or usable_threads()
            small = most > 1 and mostly_small(listing)
            if workers is None:
                many = small and listing.count - start >= MANY and suits(detector)
                workers = min(most, MOST) if many else 1
            if workers > 1:
                job = WorkerJob.of(detector, listing.places, threads=max(1, most // workers), force_domain=force_domain)
                tables = _tables_of_workers(listing.items(start), job, batch, workers)
            else:
                reading = threads or (1 if small else most)
                tables = _tables(listing, start, detector, batch, reading, force_domain=force_domain)
            _keep(tables, parts, listing, start)
            score_table.write(out, parts.joined(), {**header, "inputs": listing.digest})
        seconds = time.perf_counter() - clock
        summary = summarize(out, detector.thresholds)
        result = ScanResult(
            out=str(out),
            detector=detector.describe().forced(force_domain),
            **summary.counts(),
            not_images=dict(inputs.skipped.most_common()),
            hidden=dict(inputs.hidden.most_common()),
            ignored=inputs.ignored,
            unsafe_entries=inputs.unsafe,
            done_before=summary.images if finished else start,
            seconds=seconds,
            images_per_second=None if finished else (listing.count - start) / seconds,
            html=str(html) if html else None,
        )
        if html is not None:
            write_gallery(Path(html), summary, result, listing, detector)
        parts.remove()
    return result


def mostly_small(listing: NameList) -> bool:
    """Return whether most files are small, and quick to read.

    A small file takes Python longer than the JPEG decoder, and threads that wait for the interpreter lock are slower
    than one (docs/speed.md). Threads that wait for slow storage are not.
    """
    places = Places(listing.places)
    start, sizes = time.monotonic(), []
    for number in range(0, listing.count, -(-listing.count // SAMPLES)):
        if time.monotonic() - start > SLOW:
            return False
        try:
            sizes.append(len(places.read(next(listing.items(number)))))
        except (OSError, ValueError):  # it becomes a row with its error
            continue
    return bool(sizes) and statistics.median(sizes) <= SMALL


def _nothing(paths: Sequence[str | Path], inputs: Inputs) -> str:
    """Return why there is nothing to score."""
    held = ", ".join(f"{ending} {count:,}" for ending, count in inputs.skipped.most_common(5))
    reasons = [*inputs.ignored[:3], walking.describe(inputs.hidden), f"it holds: {held}" if held else ""]
    what = "; ".join(reason for reason in reasons if reason)
    return f"no image in {', '.join(map(str, paths))}" + (f": {what}" if what else "")


def _tables(
    listing: NameList, start: int, detector: Detector, batch: int, threads: int, *, force_domain: bool
) -> Generator[pa.Table | None]:
    """Yield the rows of the images from `start` on, in order; None where nothing is ready."""
    places = Places(listing.places)
    with closing(read_batches(listing.items(start), places, detector, batch=batch, threads=threads)) as read:
        for images in read:
            yield score_table.score_batch(images, places, detector, force_domain=force_domain) if images else None


def _tables_of_workers(items: Iterator[Item], job: WorkerJob, batch: int, workers: int) -> Generator[pa.Table | None]:
    """Yield the same, of some images, scored by several processes.

    Raises:
        RunError: One of them ended.
    """
    batches = iter(lambda: list(islice(items, batch)), [])
    with (
        side_by_side(job, workers) as score,
        closing(begun(score, batches, threads=workers, depth=AHEAD * workers)) as futures,
    ):
        for future in futures:
            while not wait([future], timeout=POLL).done:
                yield None
            yield future.result()


def _keep(tables: Generator[pa.Table | None], parts: Parts, listing: NameList, start: int) -> None:
    """Take the rows of the images from `start` on into parts.

    Raises:
        Interrupted: Ctrl-C.
    """
    if start:
        logger.info("resuming: %s of %s images were scored before", f"{start:,}", f"{listing.count:,}")
    done = start
    with stop_on_signal() as stop, progress("scanning", listing.count, unit="images", done=start) as bar:
        try:
            for table in tables:
                if table is not None:
                    parts.add(table)
                    done += len(table)
                    bar.advance(len(table))
                if stop.requested and done < listing.count:
                    parts.flush()
                    raise Interrupted(
                        f"stopped after {done:,} of {listing.count:,} images; the same command goes on from there"
                    )
        finally:
            tables.close()
        parts.flush()


def _require_same(found: dict[str, Any] | None, header: dict[str, Any], out: Path) -> None:
    if found is None:
        raise RunError(f"{out} is there already and no scan wrote it; give another -o")
    different = [key for key in header if header[key] != found.get(key)]
    if different:
        raise RunError(f"{out} is a finished scan with other {', '.join(different)}; give another -o")
