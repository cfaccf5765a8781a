"""From names to what the network sees, by threads and ahead of the network, never more than a few batches."""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, takewhile

from asli.datasets.images import Facts, decoding
from asli.detector.domain import Domain
from asli.detector.runtime import Windows
from asli.errors import ImageError
from asli.provenance.read import provenance
from asli.scanning.inputs import Item, Places
from asli.transforms.preprocessing import Preprocessing

AHEAD = 2
"""Batches read beside the one the network is at."""

SLOW, POLL = 5.0, 0.5
"""Seconds; see `read_batches`."""

SHARES = 8
"""Pieces of a batch that threads take, whatever their number, so that this changes no last bit."""


@dataclass(slots=True)
class Read:
    """One image as far as it could be read.

    Attributes:
        item: Which.
        sha256: Of the file's bytes; None where they could not be read.
        facts: Of the file; None with an error.
        fitted: What the network sees, uint8, windows x size x size x 3; None with an error.
        outside: Why it lies outside the detector's domain, or None.
        provenance: What the file says of its own origin, as JSON; None where it says nothing.
        error: Why it cannot be scored.
    """

    item: Item
    sha256: str | None = None
    facts: Facts | None = None
    fitted: Windows | None = None
    outside: str | None = None
    provenance: str | None = None
    error: str | None = None


def read_image(item: Item, places: Places, preprocessing: Preprocessing) -> Read:
    """Read, decode and fit one image; whatever is wrong with it becomes its error."""
    try:
        data = places.read(item)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Read(item, error=f"cannot be read: {reason}")
    digest = hashlib.sha256(data).hexdigest()
    try:
        with decoding(data) as (pixels, facts):
            fitted = preprocessing.fit(pixels)
        said = provenance(data)
        return Read(item, digest, facts, fitted, provenance=json.dumps(said, ensure_ascii=False) if said else None)
    except ImageError as error:
        return Read(item, digest, error=str(error))


def read_images(items: Iterable[Item], places: Places, preprocessing: Preprocessing, domain: Domain) -> list[Read]:
    """Read some images and compare them with the domain, all at once since that is quicker."""
    images = [read_image(item, places, preprocessing) for item in items]
    good = [image for image in images if image.facts is not None and image.fitted is not None]
    facts = [image.facts for image in good if image.facts is not None]
    fitted = [image.fitted for image in good if image.fitted is not None]
    for image, outside in zip(good, domain.why_all_outside(facts, fitted), strict=True):
        image.outside = outside
    return images


def read_batches(
    items: Iterator[Item], places: Places, preprocessing: Preprocessing, domain: Domain, *, batch: int, threads: int
) -> Generator[list[Read]]:
    """Yield the images in their order, `batch` at a time, the next batches being read meanwhile.

    What takes long to read comes as far as it is after `SLOW` seconds. Where nothing is ready for `POLL` seconds an
    empty batch comes, so that the caller may stop.

    Args:
        items: Which images.
        places: Where they are.
        preprocessing: The detector's.
        domain: The detector's.
        batch: Images a batch; the last may have fewer.
        threads: That read, decode and fit (Pillow lets go of the interpreter lock).
    """
    share, closing = -(-batch // SHARES), threading.Event()
    waiting: deque[deque[Future[list[Read]]]] = deque()

    def read(part: Sequence[Item]) -> list[Read]:
        return read_images(takewhile(lambda _: not closing.is_set(), part), places, preprocessing, domain)

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
