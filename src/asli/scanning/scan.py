"""Score everything below some paths: the function behind `asli scan`."""

import logging
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asli.datasets import walking
from asli.detector.base import Detector
from asli.detector.locate import DEFAULT
from asli.detector.runtimes import Kind, usable_threads
from asli.errors import DataError, Interrupted, RunError
from asli.files import keeping
from asli.progress import progress
from asli.scanning import score_table
from asli.scanning.gallery_page import require_place, write_gallery
from asli.scanning.inputs import Inputs, Places
from asli.scanning.name_list import NameList, write_listing
from asli.scanning.part_files import VERSION, Parts
from asli.scanning.reading import read_batches
from asli.scanning.scan_result import ScanResult
from asli.scanning.summary import summarize
from asli.signals import stop_on_signal

SMALL = 1 << 13
"""Bytes of a small file."""

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

    Returns:
        Counts by verdict, of images outside the domain and of unreadable ones by reason, files that were not taken for
        images, and the speed of this call.

    Raises:
        DataError: A path does not exist or holds no image.
        DetectorError, MissingExtraError: The detector cannot be used.
        RunError: `out` is something else, or is being written by another process.
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
    begun = time.perf_counter()
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
            places = Places(listing.places)
            _score(
                parts,
                listing,
                start,
                places,
                detector,
                force_domain=force_domain,
                batch=batch_size or detector.batch_size,
                threads=threads or reading_threads(listing, places, usable_threads()),
            )
            score_table.write(out, parts.joined(), {**header, "inputs": listing.digest})
        seconds = time.perf_counter() - begun
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


def reading_threads(listing: NameList, places: Places, most: int) -> int:
    """Return how many threads read and decode: one where most files are small, else as many as there may be.

    A small file takes Python longer than the JPEG decoder, and threads that wait for the interpreter lock are slower
    than one (docs/speed.md). Threads that wait for slow storage are not.
    """
    if most == 1:
        return 1
    begun, sizes = time.monotonic(), []
    for number in range(0, listing.count, -(-listing.count // SAMPLES)):
        if time.monotonic() - begun > SLOW:
            return most
        try:
            sizes.append(len(places.read(next(listing.items(number)))))
        except (OSError, ValueError):  # it becomes a row with its error
            continue
    return 1 if sizes and statistics.median(sizes) <= SMALL else most


def _nothing(paths: Sequence[str | Path], inputs: Inputs) -> str:
    """Return why there is nothing to score."""
    held = ", ".join(f"{ending} {count:,}" for ending, count in inputs.skipped.most_common(5))
    reasons = [*inputs.ignored[:3], walking.describe(inputs.hidden), f"it holds: {held}" if held else ""]
    what = "; ".join(reason for reason in reasons if reason)
    return f"no image in {', '.join(map(str, paths))}" + (f": {what}" if what else "")


def _score(
    parts: Parts,
    listing: NameList,
    start: int,
    places: Places,
    detector: Detector,
    *,
    force_domain: bool,
    batch: int,
    threads: int,
) -> None:
    """Score the images from `start` on into parts.

    Raises:
        Interrupted: Ctrl-C.
    """
    if start:
        logger.info("resuming: %s of %s images were scored before", f"{start:,}", f"{listing.count:,}")
    read = read_batches(listing.items(start), places, detector, batch=batch, threads=threads)
    done = start
    with stop_on_signal() as stop, progress("scanning", listing.count, unit="images", done=start) as bar:
        try:
            for images in read:
                if images:
                    parts.add(score_table.score_batch(images, places, detector, force_domain=force_domain))
                    done += len(images)
                    bar.advance(len(images))
                if stop.requested and done < listing.count:
                    parts.flush()
                    raise Interrupted(
                        f"stopped after {done:,} of {listing.count:,} images; the same command goes on from there"
                    )
        finally:
            read.close()
        parts.flush()


def _require_same(found: dict[str, Any] | None, header: dict[str, Any], out: Path) -> None:
    if found is None:
        raise RunError(f"{out} is there already and no scan wrote it; give another -o")
    different = [key for key in header if header[key] != found.get(key)]
    if different:
        raise RunError(f"{out} is a finished scan with other {', '.join(different)}; give another -o")
