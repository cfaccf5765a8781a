"""Make pages: one HTML file that needs nothing else, fetches nothing, and runs no script but its own."""

import base64
import hashlib
import math
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, FunctionLoader
from markupsafe import Markup, escape

from asli.files import write_text
from asli.messages import LANGUAGES, Language, Message, Number, catalog, message
from asli.records import Json
from asli.reports.colors import Status
from asli.reports.hover import HoverFigure, inline, to_svg
from asli.reports.kit import BaseRate, Report, ReportFigure, TableCell, Text
from asli.reports.pages import MARK
from asli.reports.plots import STYLE

ODDS = (2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)
"""Positions of the slider: one picture in so many is fake."""

FIRST = 100
"""The position it starts at."""

OUT_OF = (100, 1_000, 10_000, 100_000)
"""Pictures called real among which wrong ones are counted."""


def write_report(folder: Path, report: Report, name: str = "report.html") -> Path:
    """Write a report and the drawings in it, under `figures/`; return the page's path."""
    drawn = {
        figure.name: _drawn(figure, folder / "figures") for section in report.sections for figure in section.figures
    }
    path = folder / name
    write_text(
        path,
        render(asset("report.html.j2"), report.language if report.switchable else "en", report=report, drawn=drawn),
    )
    return path


def render(template: str, language: Language | None = None, *, scripts: tuple[str, ...] = (), **values: Any) -> str:
    """Fill a template with the style sheet and script of the kit.

    Args:
        template: Its text; it extends `base.html.j2`.
        language: The one shown first; None takes the browser's.
        scripts: Texts of further scripts, run after the kit's own.
        values: Values of the template.
    """
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(asset), finalize=_unbroken
    )
    environment.filters |= {"text": in_every_language, "cell": _cell_attributes, "lines": _lines}
    code = "\n".join((asset("kit.js"), *scripts))
    return environment.from_string(template).render(
        mark=Markup(MARK),  # noqa: S704 - ours
        policy=_policy(code),
        style=Markup(asset("kit.css")),  # noqa: S704 - ours
        script=Markup(code),  # noqa: S704 - ours
        language=language,
        languages=LANGUAGES,
        message=message,
        base_rate_of=_base_rate,
        Status=Status,
        **values,
    )


def in_every_language(text: Text) -> Markup:
    """Return a text as HTML: a message as one element a language, of which the page shows one."""
    if not isinstance(text, Message):
        return escape(text)
    parts = [Markup('<span lang="{}">{}</span>').format(code, _unbroken(text.text(code))) for code in LANGUAGES]
    return Markup("").join(parts)


@cache
def asset(name: str) -> str:
    """Return a file of this package as text."""
    return (resources.files("asli.reports") / name).read_text(encoding="utf-8")


def _unbroken(value: Any) -> Any:
    """Keep a per cent sign on the line of its number; what is HTML already stays."""
    return value.replace(" %", "\u00a0%") if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(code: str) -> str:
    """Return the content security policy: no request leaves the page, and no script runs but the kit's own."""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    rules = (
        "default-src 'none'",
        "img-src data: 'self' file:",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _drawn(figure: ReportFigure, folder: Path) -> Markup | None:
    if figure.drawing is None:
        return None
    if isinstance(figure.drawing, str):
        return Markup(inline(figure.drawing.encode(), figure.name, figure.title))  # noqa: S704 - ours
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure.drawing.savefig(folder / f"{figure.name}.png", dpi=200)
        svg = to_svg(figure.drawing)
    (folder / f"{figure.name}.svg").write_bytes(svg)
    texts = figure.drawing.hover_texts if isinstance(figure.drawing, HoverFigure) else None
    return Markup(inline(svg, figure.name, figure.title, texts))  # noqa: S704 - ours


def _cell_attributes(cell: str | TableCell) -> Markup:
    if not isinstance(cell, TableCell):
        return Markup("")
    low, high = cell.interval or (None, None)
    values = {"value": cell.value, "low": low, "high": high}
    return Markup("").join(Markup(' data-{}="{}"').format(name, v) for name, v in values.items() if v is not None)


def _lines(text: str) -> Markup:
    """Return `**bold**` and `code` marks of a sentence as HTML."""
    pieces = re.split(r"\*\*(.+?)\*\*|`(.+?)`", text)
    marked = []
    for number, piece in enumerate(pieces):
        if piece:
            form = ("{}", "<b>{}</b>", "<code>{}</code>")[number % 3]
            marked.append(Markup(form).format(piece))  # noqa: S704 - constant
    return Markup("").join(marked)


def _base_rate(rates: BaseRate) -> dict[str, Any]:
    """Return what the template and the script need of a base rate: numbers, and texts with names in braces."""
    texts = {
        code: {name.removeprefix("base."): text for name, text in catalog(code).items() if name.startswith("base.")}
        for code in LANGUAGES
    }
    data: Json = {
        "recall": rates.recall,
        "alarm": rates.false_positive_rate,
        "odds": ODDS,
        "texts": texts,
        "of": OUT_OF,
    }
    data |= {"missed": rates.missed, "cleared": rates.cleared, "photographs": rates.photographs, "fakes": rates.fakes}
    measured = message("base.measured", photographs=rates.photographs, fakes=rates.fakes, **rates.measured)
    said = (_false_alarms(rates), _wrong_reals(rates))
    return {"data": data, "first": ODDS.index(FIRST), "said": said, "measured": measured}


def _false_alarms(rates: BaseRate) -> Message:
    found = rates.false_alarms(1 / FIRST)
    if found is None:
        return message("base.none")
    value, low, high = (round(100 * share) for share in found)
    if not found[0]:
        return message("base.zero", n=FIRST, whole=rates.photographs, high=high)
    few = "few" if found[0] < 0.005 else "most" if 0.995 < found[0] < 1 else "about"
    return message("base.text", n=FIRST, false=message(f"base.{few}", count=value), low=low, high=high)


def _wrong_reals(rates: BaseRate) -> Message:
    found = rates.wrong_reals(1 / FIRST)
    if found is None:
        return message("base.real_none")
    # A wrong "real" is rare: of so many pictures that ten or more are wrong, whole ones are counted.
    whole = next((of for of in OUT_OF if (found[0] or found[2]) * of >= 9.5), OUT_OF[-1])
    value, low, high = (_pictures(share * whole) for share in found)
    of = Number(f"{whole:,}")
    if not found[0]:
        return message("base.real_zero", n=FIRST, whole=rates.fakes, high=high, of=of)
    wrong = value if isinstance(value, Message) else message("base.about", count=value)
    return message("base.real_text", n=FIRST, wrong=wrong, low=low, high=high, of=of)


def _pictures(count: float) -> Number | Message:
    """Return a number of pictures, in two digits."""
    return message("base.few") if 0 < count < 1 else Number(f"{math.floor(float(f'{count:.2g}') + 0.5):,}")
