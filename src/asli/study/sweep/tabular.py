"""A table of text, as Markdown, CSV and for a page."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from asli.reports.kit import ReportTable


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table.

    Attributes:
        name: Name of its files.
        title: Above it.
        columns: Their headings.
        rows: Cells as text, as many as there are columns.
        notes: Below it, one sentence or more each.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), self.name

    def to_markdown(self) -> str:
        """Return title, table and notes as Markdown."""
        lines = [f"### {self.title}", "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([cell.replace("|", "\\|") for cell in row]) for row in self.rows]
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)]) + "\n"

    def to_csv(self) -> str:
        """Return headings and rows as CSV."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([self.columns, *self.rows])
        return stream.getvalue()

    @property
    def for_page(self) -> ReportTable:
        """Return it as a table of the report kit, which readers can sort."""
        return ReportTable(columns=self.columns, rows=self.rows, caption=self.title, notes=self.notes)


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"
