"""The page of a scan: counts, and the pictures a person should look at first. It needs nothing else."""

import base64
import io
from collections.abc import Iterable
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment
from PIL import Image

from asli.datasets.images import decode
from asli.detector.base import Detector
from asli.errors import AsliError, ImageError
from asli.files import write_text
from asli.reports.pages import MARK, require_page
from asli.scanning.inputs import Item, Places
from asli.scanning.name_list import Listing
from asli.scanning.summary import BINS, Summary

SIDE = 176
"""Pixels of a thumbnail's longer side; smaller images are shown as they are, enlarged by the browser."""


def require_place(path: Path, taken: Iterable[Path]) -> None:
    """Refuse to write the page where something else is or will be.

    Args:
        path: Of the page.
        taken: What the scan itself writes.

    Raises:
        AsliError: It is one of these, or there and no page of asli.
    """
    if path.resolve() in {other.resolve() for other in taken}:
        raise AsliError(f"{path} is what this scan writes its table to; give another --html")
    require_page(path)


def write_gallery(path: Path, summary: Summary, result: dict[str, Any], listing: Listing, detector: Detector) -> None:
    """Write the page.

    Args:
        path: Of the HTML file.
        summary: Of the finished table.
        result: What the scan returns.
        listing: Its images; those shown are read again.
        detector: The one that scored them.
    """
    groups = {
        "Highest scores": summary.highest,
        "Lowest scores": summary.lowest,
        "Unsure": summary.unsure,
    }
    thumbnails = _thumbnails(listing, {image.row for images in groups.values() for image in images})
    highest = max(int(summary.histogram.max()), 1)
    source = (resources.files("asli") / "scanning" / "gallery.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(source).render(
        mark=MARK,
        result=result,
        groups=groups,
        thumbnails=thumbnails,
        bars=[(n / BINS, (n + 1) / BINS, int(c), 100 * int(c) / highest) for n, c in enumerate(summary.histogram)],
        examples=summary.examples,
        thresholds=detector.card.thresholds,
        domain=detector.card.domain,
    )
    write_text(path, page)


def _thumbnails(listing: Listing, rows: Iterable[int]) -> dict[int, str | None]:
    """Return a data address for each row, or None where the file can no longer be read."""
    places, items = Places(listing.places), listing.items()
    found: dict[int, str | None] = {}
    before = -1
    for row in sorted(rows):
        item = next(islice(items, row - before - 1, None))
        found[row], before = _thumbnail(item, places), row
    return found


def _thumbnail(item: Item, places: Places) -> str | None:
    try:
        pixels, _ = decode(places.read(item))
    except (OSError, ValueError, ImageError):
        return None
    image = Image.fromarray(pixels)
    small = max(image.size) <= SIDE
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    if small:
        image.save(stream, "PNG")
    else:
        image.save(stream, "JPEG", quality=88)
    return f"data:image/{'png' if small else 'jpeg'};base64,{base64.b64encode(stream.getvalue()).decode()}"
