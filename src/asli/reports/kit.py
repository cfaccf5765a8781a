"""The parts of a report: plain data, without HTML. `asli.reports.render` makes the page.

A text is a `str` (English) or a `Message` of the catalog, which the page shows in the reader's language.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from asli.messages import Language, Message
from asli.reports.colors import Status
from asli.reports.numbers import counted, ends, interval_text, percent, percent_interval, value_text

Text = str | Message

Triple = tuple[float, float, float]
"""Value, lower and upper end of its interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCell:
    """A cell of a table that is more than text.

    Attributes:
        text: What is shown.
        value: What it is sorted by and exported as; None takes the text.
        note: A second, smaller line.
        status: Shown as a colored symbol before the text.
        drawing: Inline SVG after the text.
        interval: Ends of its 95 % interval, exported as two columns.
    """

    text: str
    value: float | str | None = None
    note: str = ""
    status: Status | None = None
    drawing: Markup | None = None
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """Rows and columns; readers can sort them and save them as CSV.

    Attributes:
        columns: Heading of each.
        rows: Cells of each row, as many as there are columns.
        caption: Above it; empty for none.
        marked: Rows to point out by number, with a few words why, which are shown below the row's name.
        void: Rows whose numbers prove nothing, in the same form; they are gray. A cell may have the words instead.
        void_columns: Numbers of the columns whose numbers prove nothing; their headings state why.
        notes: Paragraphs below it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str | TableCell]]
    caption: str = ""
    marked: Mapping[int, str] = field(default_factory=dict)
    void: Mapping[int, str] = field(default_factory=dict)
    void_columns: frozenset[int] = frozenset()
    notes: Sequence[str] = ()

    @property
    def numeric(self) -> list[bool]:
        """Return for each column whether it holds numbers, which are aligned right; the first names its row."""
        columns = list(zip(*self.rows, strict=True))
        return [number > 0 and all(map(_is_number, columns[number])) for number in range(len(columns))]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFigure:
    """A drawing; it is written to `figures/` as SVG and PNG, and the SVG into the page.

    Attributes:
        name: Name of its files; unique in the report.
        title: Above it.
        drawing: A matplotlib figure; or a finished SVG file, which is only put into the page; or None where it is
            missing, and `note` tells why.
        note: Below it.
    """

    name: str
    title: str
    drawing: Figure | str | None
    note: str = ""

    @property
    def wide(self) -> bool:
        """Whether it takes a whole row."""
        return isinstance(self.drawing, Figure) and bool(self.drawing.get_figwidth() > 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionedImage:
    """A small or large image with lines of text below it.

    Attributes:
        data: Bytes of a PNG or JPEG file, or of one for each language, where text is drawn in it.
        lines: Lines of text, the first one bold.
        alternative: What it shows, for those who do not see it.
        wide: It takes a whole row.
    """

    data: bytes | Mapping[Language, bytes]
    lines: Sequence[Text]
    alternative: Text = ""
    wide: bool = False

    @property
    def sources(self) -> dict[Language | None, str]:
        """Return the image as a data URI, by language; by None where there is one for all."""
        files = self.data if isinstance(self.data, Mapping) else {None: self.data}
        return {code: _data_uri(data) for code, data in files.items()}

    def alternative_in(self, language: Language | None) -> str:
        """Return what the image shows in a language; None takes English."""
        return self.alternative.text(language or "en") if isinstance(self.alternative, Message) else self.alternative


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the report; whatever is empty is not shown.

    Attributes:
        id: Anchor in the page.
        title: Its heading.
        headline: Lines for the main findings at the head of the page: what a reader must know who reads nothing else.
        paragraphs: At its beginning.
        tables: In order.
        figures: Two in a row, wide ones alone.
        panels: Images in one row, which belong together; on phones the last has a row of its own.
        images: In a grid.
        facts: Pairs of a term and its text.
        notes: Paragraphs at its end: how it was measured.
    """

    id: str
    title: Text
    headline: Sequence[Text] = ()
    paragraphs: Sequence[Text] = ()
    tables: Sequence[ReportTable] = ()
    figures: Sequence[ReportFigure] = ()
    panels: Sequence[CaptionedImage] = ()
    images: Sequence[CaptionedImage] = ()
    facts: Sequence[tuple[str, str]] = ()
    notes: Sequence[Text] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNumber:
    """A number in large type at the head of the page.

    Attributes:
        title: What it is.
        value: The number.
        detail: Below it: counts, interval.
        status: What it means for the reader.
        meaning: The same in a few words; empty for a neutral number.
    """

    title: Text
    value: Text
    detail: Text = ""
    status: Status = Status.NEUTRAL
    meaning: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRate:
    """How often either verdict is wrong, by the share of fakes among the pictures that are checked: with a slider.

    Attributes:
        recall: Value, low and high of the share of fakes called fake.
        false_positive_rate: The same of the share of photographs called fake.
        missed: The same of the share of fakes called real.
        cleared: The same of the share of photographs called real.
        photographs: On how many that rests.
        fakes: And on how many fakes.
    """

    recall: Triple
    false_positive_rate: Triple
    missed: Triple
    cleared: Triple
    photographs: int
    fakes: int

    def false_alarms(self, prevalence: float) -> Triple | None:
        """Return the share of alarms that are false, with both rates at opposite ends of their intervals.

        Args:
            prevalence: Share of fakes among the pictures.
        """
        return _share_wrong(self.false_positive_rate, self.recall, 1 - prevalence)

    def wrong_reals(self, prevalence: float) -> Triple | None:
        """Return the share of pictures called real that are fake; the interval as that of `false_alarms`.

        Args:
            prevalence: Share of fakes among the pictures.
        """
        return _share_wrong(self.missed, self.cleared, prevalence)

    @property
    def measured(self) -> dict[str, int]:
        """Return counts on the tested images: false alarms among all, and wrong ones among the verdicts real."""
        false, wrong = round(self.false_positive_rate[0] * self.photographs), round(self.missed[0] * self.fakes)
        return {
            "false": false,
            "alarms": false + round(self.recall[0] * self.fakes),
            "wrong": wrong,
            "reals": wrong + round(self.cleared[0] * self.photographs),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A page.

    Attributes:
        title: What was measured on what.
        origin: One line below it.
        sections: In order.
        warning: What makes the result optimistic; stands before the summary.
        summary: The result in words.
        key_numbers: The four or so numbers that matter most.
        base_rate: For reports on detectors.
        limits: What a reader must know; the sections' headlines follow.
        commands: That produced it, as typed.
        language: The one shown first; None takes the browser's.
    """

    title: Text
    origin: Text
    sections: Sequence[Section]
    warning: Text | None = None
    summary: Sequence[Text] = ()
    key_numbers: Sequence[KeyNumber] = ()
    base_rate: BaseRate | None = None
    limits: Sequence[Text] = ()
    commands: Sequence[str] = ()
    language: Language | None = None

    @property
    def switchable(self) -> bool:
        """Return whether any of it is in the catalog, so that readers can choose a language."""
        texts = [self.title, *self.summary, *self.limits, *(number.title for number in self.key_numbers)]
        texts += [section.title for section in self.sections]
        return any(isinstance(text, Message) for text in texts)


def measured(figure: Any) -> list[str | TableCell]:
    """Return a figure as two cells of a table: value and 95 % interval."""
    value, low, _, _ = ends(figure)
    interval = TableCell(text=interval_text(figure), value=low, interval=_ends(figure))
    return [TableCell(text=value_text(figure), value=value), interval]


def rate(figure: Any) -> list[str | TableCell]:
    """Return a share of images as two cells: `10.5 %` with its counts below, and its 95 % interval."""
    value, low, _, _ = ends(figure)
    return [
        TableCell(text=percent(figure), value=value, note=counted(figure)),
        TableCell(text=percent_interval(figure), value=low, interval=_ends(figure)),
    ]


def stacked(figure: Any) -> TableCell:
    """Return a figure as one cell with its 95 % interval below, for wide tables; empty where it is undefined."""
    value = ends(figure)[0]
    if value is None:
        return TableCell(text="")
    return TableCell(text=value_text(figure), value=value, note=interval_text(figure), interval=_ends(figure))


def stacked_rate(figure: Any) -> TableCell:
    """Return a share of images as one cell with its counts and 95 % interval below, for wide tables."""
    value = ends(figure)[0]
    if value is None:
        return TableCell(text="")
    note = f"{counted(figure)}; {percent_interval(figure)}"
    return TableCell(text=percent(figure), value=value, note=note, interval=_ends(figure))


def _ends(figure: Any) -> tuple[float, float] | None:
    _, low, high, _ = ends(figure)
    return None if low is None or high is None else (low, high)


def _share_wrong(wrong: Triple, right: Triple, weight: float) -> Triple | None:
    """Return the share of the wrong ones, with both rates at opposite ends of their intervals.

    Args:
        wrong: Rate of the verdict among the images of the other label.
        right: Rate of the verdict among those of its own label.
        weight: Share of the other label's images.
    """
    pairs = ((wrong[0], right[0]), (wrong[1], right[2]), (wrong[2], right[1]))
    both = [(weight * a, (1 - weight) * b) for a, b in pairs]
    if any(a + b == 0 for a, b in both):
        return None
    value, low, high = (a / (a + b) for a, b in both)
    return value, low, high


def _data_uri(data: bytes) -> str:
    kind = "jpeg" if data.startswith(b"\xff\xd8") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


_NUMBER = re.compile(r"[<+-]?[\d.,]+")


def _is_number(cell: str | TableCell) -> bool:
    if isinstance(cell, TableCell) and isinstance(cell.value, float | int):
        return cell.status is None
    return not str(cell) or (_NUMBER.match(str(cell)) is not None and len(str(cell)) <= 24)
