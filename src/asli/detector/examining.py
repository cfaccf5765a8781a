"""From a file to what a detector computes on: the same steps at every entry point."""

import os
import shlex
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asli.datasets.images import Facts, decoding
from asli.errors import ImageError
from asli.files import printable, read_regular
from asli.provenance.read import Provenance, provenance

if TYPE_CHECKING:
    from asli.detector.base import Detector


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image that never was a file, or is no file any more.

    Attributes:
        pixels: uint8, height x width x 3, upright.
        facts: File facts, as far as they are known.
    """

    pixels: npt.NDArray[np.uint8]
    facts: Facts


@dataclass(slots=True)
class Examined:
    """An image before the network.

    Attributes:
        facts: Facts of the file; None with an error.
        prepared: What the detector computes on; None with an error.
        outside: Why it lies outside the detector's domain, or None.
        provenance: What the file states about its own origin, or None.
        pixels: uint8, height x width x 3, where they were asked for.
        error: Why it cannot be scored, or None.
    """

    facts: Facts | None = None
    prepared: Any = None
    outside: str | None = None
    provenance: Provenance | None = None
    pixels: npt.NDArray[np.uint8] | None = None
    error: str | None = None


def examine(read: Callable[[], bytes | Decoded], detector: "Detector", *, keep_pixels: bool = False) -> Examined:
    """Read, decode and prepare one image; what is wrong with it becomes its error. `check_domain` comes later.

    Args:
        read: Returns the bytes of its file, or the decoded image.
        detector: Prepares it.
        keep_pixels: Keep the decoded pixels.
    """
    try:
        given = read()
        with nullcontext((given.pixels, given.facts)) if isinstance(given, Decoded) else decoding(given) as found:
            pixels, facts = found
            prepared = detector.prepare(pixels, facts)
    except ImageError as error:
        return Examined(error=str(error))
    return Examined(
        facts=facts,
        prepared=prepared,
        provenance=None if isinstance(given, Decoded) else provenance(given),
        pixels=pixels if keep_pixels else None,
    )


def examine_all(
    reads: Iterable[Callable[[], bytes | Decoded]], detector: "Detector", *, keep_pixels: bool = False
) -> list[Examined]:
    """Examine several images and check their domain all at once, which is quicker."""
    images = [examine(read, detector, keep_pixels=keep_pixels) for read in reads]
    check_domain(images, detector)
    return images


def check_domain(images: Iterable[Examined], detector: "Detector") -> None:
    """Note of each image why it lies outside the detector's domain."""
    good = [(image, image.facts) for image in images if image.error is None and image.facts is not None]
    reasons = detector.outside([facts for _, facts in good], [image.prepared for image, _ in good])
    for (image, _), reason in zip(good, reasons, strict=True):
        image.outside = reason


def read_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        ImageError: It cannot be read.
    """
    if os.path.isdir(path):  # noqa: PTH112 - no error on a name with a zero byte
        folder = shlex.quote(printable(path))
        raise ImageError(f"is a folder; score all images in it with: asli scan {folder} -o scores.parquet")
    try:
        return read_regular(path)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
