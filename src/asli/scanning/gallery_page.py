"""The page of a scan: counts, and a list of the images to filter, search and sort. It fetches nothing."""

import base64
import io
from collections.abc import Iterable
from importlib import resources
from itertools import islice
from pathlib import Path

from PIL import Image

from asli.datasets.images import decode
from asli.detector.base import Detector
from asli.detector.card import Thresholds
from asli.detector.family import Family
from asli.errors import AsliError, ImageError
from asli.files import write_text
from asli.reports.kit import ReportTable
from asli.reports.pages import require_page
from asli.reports.render import render
from asli.scanning.gallery_rows import LISTED, gallery_rows, page_data
from asli.scanning.inputs import Item, Places
from asli.scanning.name_list import NameList
from asli.scanning.scan_result import ScanResult
from asli.scanning.summary import BINS, Summary

SIDE = 176
"""Pixels of a thumbnail's longer side; smaller images are shown as they are, enlarged by the browser."""


def require_place(path: Path, taken: Iterable[Path]) -> None:
    """Refuse to write the page where something else is or will be.

    Args:
        path: Path of the page.
        taken: What the scan itself writes.

    Raises:
        AsliError: It is one of these, or there and no page of asli.
    """
    if path.resolve() in {other.resolve() for other in taken}:
        raise AsliError(f"{path} is what this scan writes its table to; give another --html")
    require_page(path)


def write_gallery(path: Path, summary: Summary, result: ScanResult, listing: NameList, detector: Detector) -> None:
    """Write the page.

    Args:
        path: Path of the HTML file.
        summary: Summary of the finished table.
        result: What the scan returns.
        listing: Its images; those with the most telling scores are read again, and shown even without their files.
        detector: The one that scored them.
    """
    found = gallery_rows(Path(result.out), listing)
    groups = summary.highest, summary.lowest, summary.unsure, summary.outsiders
    telling = {image.row for group in groups for image in group}
    shown = _thumbnails(listing, telling)
    highest = max(int(summary.histogram.max()), 1)
    members = detector.members if isinstance(detector, Family) else {"": detector}
    bands = {name: member.card.thresholds for name, member in members.items()}
    template, script = (
        (resources.files("asli") / "scanning" / name).read_text(encoding="utf-8")
        for name in ("gallery.html.j2", "gallery.js")
    )
    page = render(
        template,
        "en",
        scripts=(script,),
        result=result,
        counts=found.counts,
        listed=len(found.rows),
        limit=LISTED,
        rows=page_data(found, listing, path, shown),
        bars=[
            (n / BINS, (n + 1) / BINS, int(c), 100 * int(c) / highest, _verdict((n + 0.5) / BINS, bands.values()))
            for n, c in enumerate(summary.histogram)
        ],
        tables=_tables(summary, result),
        bands=bands,
        called=detector.called,
    )
    write_text(path, page)


def _verdict(score: float, bands: Iterable[Thresholds]) -> str:
    """Return the verdict on a score, or nothing where a family's members differ in it."""
    found = {thresholds.verdict(score) for thresholds in bands}
    return found.pop() if len(found) == 1 else ""


def _tables(summary: Summary, result: ScanResult) -> list[tuple[str, ReportTable]]:
    """Return what explains the counts: reasons, statements of files, the first unreadable ones."""
    outside, stated, unreadable = result.outside_domain, result.provenance, result.unreadable
    if result.detector.force_domain:
        note = "Verdicts were forced on these images; do not rely on them."
    else:
        note = "The detector was not calibrated for such images, so they get no verdict, whatever their score."
    tables = [
        ("Why outside the domain", ["reason", "images"], outside.reasons.items(), (note,)),
        (
            "What files state about their origin",
            ["statement", "images"],
            stated.says.items(),
            (
                f"{stated.count:,} files name a source. This does not change a score: anyone can write or remove"
                " metadata, and a file without a statement proves nothing. Column provenance of the table has all.",
            ),
        ),
        ("Why unreadable", ["reason", "files"], unreadable.reasons.items(), ()),
    ]
    made = [
        (title, ReportTable(columns=columns, rows=[[text, f"{count:,}"] for text, count in rows], notes=notes))
        for title, columns, rows, notes in tables
        if rows
    ]
    if summary.examples:
        title = "Unreadable files"
        if len(summary.examples) < unreadable.count:
            title += f", the first {len(summary.examples)}"
        made.append((title, ReportTable(columns=["file", "reason"], rows=summary.examples)))
    return made


def _thumbnails(listing: NameList, rows: Iterable[int]) -> dict[int, str | None]:
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
