"""From names to what the network sees, by threads and ahead of the network, never more than a few batches."""

import hashlib
import threading
import time
from collections.abc import Container, Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, Protocol

from asli.detector.base import Detector
from asli.detector.examining import Examined, check_domain, examine
from asli.detector.predicting import SHARES
from asli.parallel import begun

AHEAD = 2
"""Batches read beside the one the network is at."""

SLOW, POLL = 5.0, 0.5
"""Seconds; see `read_batches`."""


@dataclass(slots=True)
class Read:
    """One image of a scan before the network.

    Attributes:
        item: Which.
        found: What was found of it.
        sha256: SHA-256 of the file's bytes, in hexadecimal; None where they could not be read.
    """

    item: Any
    found: Examined
    sha256: str | None = None


class Readable(Protocol):
    """What gives the bytes and names of a scan's images: `asli.scanning.inputs.Places`, or shards."""

    def read(self, item: Any) -> bytes:
        """Return an image's bytes, or raise OSError."""

    def ids(self, item: Any) -> tuple[str, str]:
        """Return an image's id and path."""


def read_image(item: Any, places: Readable, detector: Detector, known: Container[str] = ()) -> Read:
    """Read, decode and prepare one image; whatever is wrong with it becomes its error.

    Args:
        item: Which.
        places: Where it is.
        detector: Prepares it.
        known: SHA-256 of images that need no decoding, since their rows are there.
    """
    try:
        data = places.read(item)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Read(item, Examined(error=f"cannot be read: {reason}"))
    digest = hashlib.sha256(data).hexdigest()
    return Read(item, Examined() if digest in known else examine(lambda: data, detector), digest)


def read_images(items: Iterable[Any], places: Readable, detector: Detector, known: Container[str] = ()) -> list[Read]:
    """Read some images and check their domain, all at once since that is quicker."""
    images = [read_image(item, places, detector, known) for item in items]
    check_domain([image.found for image in images], detector)
    return images


def read_batches(
    items: Iterator[Any],
    places: Readable,
    detector: Detector,
    *,
    batch: int,
    threads: int,
    known: Container[str] = (),
) -> Generator[list[Read]]:
    """Yield the images in their order, `batch` at a time, the next batches being read meanwhile.

    What takes long to read comes as far as it is after `SLOW` seconds. Where nothing is ready for `POLL` seconds an
    empty batch comes, so that the caller may stop.

    Args:
        items: Which images.
        places: Where they are.
        detector: Prepares them.
        batch: Images a batch; the last may have fewer.
        threads: That read, decode and fit (Pillow lets go of the interpreter lock).
        known: SHA-256 of images that need no decoding.
    """
    share, stop = -(-batch // SHARES), threading.Event()

    def shares() -> Iterator[tuple[list[Any], bool]]:
        """Yield consecutive images together, since a Parquet file is read forwards, and whether a batch ends."""
        while group := list(islice(items, batch)):
            for start in range(0, len(group), share):
                yield group[start : start + share], start + share >= len(group)

    def read(part: tuple[list[Any], bool]) -> tuple[list[Read], bool]:
        images, last = part
        return read_images(takewhile(lambda _: not stop.is_set(), images), places, detector, known), last

    depth = AHEAD * -(-batch // share)
    with closing(begun(read, shares(), threads=threads, depth=depth)) as futures:
        try:
            yield from _gathered(futures)
        finally:
            stop.set()


def _gathered(futures: Iterable[Future[tuple[list[Read], bool]]]) -> Iterator[list[Read]]:
    """Yield the images of each batch: all at once, or as they come where they are slow."""
    ready: list[Read] = []
    due = time.monotonic() + SLOW
    for future in futures:
        while not wait([future], timeout=POLL).done:
            if not ready:
                yield []
            elif time.monotonic() > due:
                yield ready
                ready, due = [], time.monotonic() + SLOW
        images, last = future.result()
        ready += images
        if last or (ready and time.monotonic() > due):
            yield ready
            ready, due = [], time.monotonic() + SLOW
