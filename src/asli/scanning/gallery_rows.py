"""The rows of a scan that its page lists: as many as a browser takes, as plain data."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asli.detector.prediction import OUTSIDE
from asli.files import printable
from asli.scanning import score_table
from asli.scanning.inputs import Item
from asli.scanning.name_list import NameList
from asli.scanning.summary import plain_reason

LISTED = 50_000
"""Rows in the page at most; of more, those with the highest scores."""

CATEGORIES = ("fake", "unsure", "real", "outside the domain", "unreadable")
"""Each image is in exactly one, so the numbers add up to all images."""

_COLUMNS = ["score", "verdict", "reasons", "error", "provenance"]


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A row of the page's list.

    Attributes:
        row: Its number in the table, from 0.
        item: The image.
        score: P(fake); None where it could not be read.
        verdict: On it; None where it could not be read.
        category: Number of one of `CATEGORIES`.
        reason: Why it lies outside the domain, or could not be read; empty for others.
        provenance: What its file states of its own origin.
    """

    row: int
    item: Item
    score: float | None
    verdict: str | None
    category: int
    reason: str
    provenance: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GalleryRows:
    """The list, and how many images each category has in the whole table.

    Attributes:
        rows: In the order of the table.
        counts: Counts by category.
    """

    rows: list[ListedRow]
    counts: dict[str, int]


def gallery_rows(out: Path, listing: NameList, limit: int = LISTED) -> GalleryRows:
    """Read a finished table and the names beside it once.

    Args:
        out: The table.
        listing: Its images, in the same order.
        limit: Rows kept at most.
    """
    kept: list[ListedRow] = []
    counts: Counter[str] = Counter()
    for row in _rows(out, listing):
        counts[CATEGORIES[row.category]] += 1
        kept.append(row)
        if len(kept) >= 2 * limit:
            kept = _highest(kept, limit)
    rows = sorted(_highest(kept, limit), key=lambda row: row.row)
    return GalleryRows(rows, {category: counts[category] for category in CATEGORIES})


def page_data(found: GalleryRows, listing: NameList, page: Path, thumbnails: dict[int, str | None]) -> dict[str, Any]:
    """Return the list as compact JSON: each row an array, repeated texts by number.

    Args:
        found: The rows.
        listing: Has the places their names belong to.
        page: The page; links to image files are relative to it.
        thumbnails: Data addresses of some rows.
    """
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    rows = [
        [
            row.item.place,
            printable(row.item.name),
            None if row.score is None else round(row.score, 4),
            row.category,
            row.verdict or "",
            number(row.reason),
            [number(text) for text in row.provenance],
            thumbnails.get(row.row),
        ]
        for row in found.rows
    ]
    places = [
        {"shown": place.shown, "link": _link(Path(place.path), page) if place.kind == "files" else None}
        for place in listing.places
    ]
    return {"rows": rows, "texts": list(texts), "places": places, "categories": CATEGORIES}


def _rows(out: Path, listing: NameList) -> Iterator[ListedRow]:
    items = listing.items()
    number = 0
    for batch in score_table.read(out, _COLUMNS):
        for values in batch.to_pylist():
            yield _row(number, next(items), values)
            number += 1


def _row(number: int, item: Item, values: dict[str, Any]) -> ListedRow:
    given = values["reasons"]
    reason = given if isinstance(given, str) else "; ".join(given or ())
    if values["error"]:
        category, reason = "unreadable", values["error"]
    elif reason.startswith(OUTSIDE):  # others are about the detector
        category, reason = "outside the domain", plain_reason(reason.removeprefix(OUTSIDE))
    else:
        category, reason = values["verdict"], ""
    stated = tuple(json.loads(values["provenance"])["says"]) if values["provenance"] else ()
    return ListedRow(number, item, values["score"], values["verdict"], CATEGORIES.index(category), reason, stated)


def _highest(rows: list[ListedRow], limit: int) -> list[ListedRow]:
    return sorted(rows, key=lambda row: -1.0 if row.score is None else row.score, reverse=True)[:limit]


def _link(folder: Path, page: Path) -> str:
    """Return the address of a folder as seen from the page, ending in a slash."""
    try:
        relative = os.path.relpath(folder, page.resolve().parent)
    except ValueError:  # another drive
        return folder.as_uri() + "/"
    return quote(Path(relative).as_posix()) + "/"
