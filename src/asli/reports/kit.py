"""The report: one HTML file that needs nothing else and prints well, made of sections.

A section is what one pure function makes of a part of `metrics.json`; this module knows no figure by name.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from matplotlib.figure import Figure as Drawing

from asli.files import write_text
from asli.reports import plots
from asli.reports.pages import MARK


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Text in rows and columns; the first column is aligned left, the others right.

    Attributes:
        columns: Heading of each.
        rows: Cells of each row, as many as there are columns.
        caption: Above it; empty for none.
        marked: Numbers of the rows to point out.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A drawing; it is written to `figures/` as SVG and PNG, and the SVG into the page.

    Attributes:
        name: Of its files.
        title: Above it.
        figure: From `plots`.
        note: Below it.
    """

    name: str
    title: str
    figure: Drawing
    note: str = ""

    @property
    def wide(self) -> bool:
        """Whether it takes a whole row."""
        return bool(self.figure.get_figwidth() > 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A small image with a few lines of text below it.

    Attributes:
        png: Its file's bytes.
        lines: Of text, the first one bold.
    """

    png: bytes
    lines: Sequence[str]

    @property
    def source(self) -> str:
        """Return the image as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report; whatever is empty is not shown.

    Attributes:
        id: Anchor in the page.
        title: Its heading.
        headline: Lines for the list of limits at the head of the page: what a reader must know who reads nothing else.
        tables: In order.
        pictures: Two in a row, wide ones alone.
        tiles: Small images in a grid.
        facts: Pairs of a term and its text.
        notes: Paragraphs at its end: how it was measured.
    """

    id: str
    title: str
    headline: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    tiles: Sequence[Tile] = ()
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A number in large type at the head of the page."""

    title: str
    value: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A report.

    Attributes:
        title: What was judged on what.
        origin: One line below it.
        boxes: The four or so figures that matter most.
        limits: Sentences right below them; the sections' headlines follow.
        sections: In order.
    """

    title: str
    origin: str
    boxes: Sequence[Box]
    limits: Sequence[str]
    sections: Sequence[Section]


def write_report(folder: Path, page: Page, name: str = "report.html") -> Path:
    """Write a page and the drawings in it, under `figures/`; return the page's path."""
    source = (resources.files("asli") / "reports" / "page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    drawn = {
        picture.name: Markup(plots.save(picture.figure, folder / "figures", picture.name))  # noqa: S704 - ours
        for section in page.sections
        for picture in section.pictures
    }
    path = folder / name
    write_text(path, environment.from_string(source).render(page=page, drawn=drawn, mark=MARK))
    return path


def value_text(figure: dict[str, Any]) -> str:
    """Return a figure's value as the report prints it: four decimals, or `undefined`."""
    return "undefined" if figure["value"] is None else f"{figure['value']:.4f}"


def interval_text(figure: dict[str, Any]) -> str:
    """Return a figure's 95% interval as the report prints it."""
    return "" if figure["low"] is None else f"{figure['low']:.4f} to {figure['high']:.4f}"


def cells(figure: dict[str, Any]) -> list[str]:
    """Return a figure as two cells of a table: value and interval."""
    return [value_text(figure), interval_text(figure)]


def percent_text(figure: dict[str, Any]) -> str:
    """Return a share and its 95% interval in per cent, for sentences: `5.92% [5.06%, 6.91%]`."""
    if figure["value"] is None:
        return "undefined"
    ends = [figure[end] for end in ("low", "high") if figure[end] is not None]
    smallest = min((v for v in (figure["value"], *ends) if v > 0), default=1.0)
    digits = min(max(1, math.ceil(-math.log10(100 * smallest)) + 1), 4)
    text = f"{figure['value']:.{digits}%}"
    return f"{text} [{', '.join(f'{end:.{digits}%}' for end in ends)}]" if ends else text
