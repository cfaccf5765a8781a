"""From names to what the network sees, by threads and ahead of the network, never more than a few batches."""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, Protocol

from asli.detector.base import Detector
from asli.detector.examining import Examined, check_domain, examine
from asli.detector.predicting import SHARES

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
    share, closing = -(-batch // SHARES), threading.Event()
    waiting: deque[deque[Future[list[Read]]]] = deque()

    def read(part: Sequence[Any]) -> list[Read]:
        return read_images(takewhile(lambda _: not closing.is_set(), part), places, detector, known)

    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        try:
            while True:
                while len(waiting) <= AHEAD and (group := list(islice(items, batch))):
                    # Consecutive images together: a Parquet file is read forwards.
                    shares = [group[start : start + share] for start in range(0, len(group), share)]
                    waiting.append(deque(pool.submit(read, part) for part in shares))
                if not waiting:
                    return
                yield from _gathered(waiting.popleft())
        finally:
            closing.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _gathered(shares: deque[Future[list[Read]]]) -> Iterator[list[Read]]:
    """Yield the images of a batch: all at once, or as they come where they are slow."""
    ready: list[Read] = []
    due = time.monotonic() + SLOW
    while shares:
        try:
            ready += shares[0].result(timeout=POLL)
            shares.popleft()
        except TimeoutError:
            if not ready:
                yield []
        if not shares or (ready and time.monotonic() > due):
            yield ready
            ready, due = [], time.monotonic() + SLOW
