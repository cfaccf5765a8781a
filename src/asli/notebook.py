"""Results in notebooks: tables, text and data frames."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from asli.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def data_frame(table: "pa.Table") -> "pd.DataFrame":
    """Return an Arrow table as a data frame.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        return table.to_pandas()
    except ImportError as error:
        raise MissingExtraError("pandas", None) from error


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a plain HTML table."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_text(text: str) -> str:
    """Return text with its line breaks and columns."""
    return f"<pre>{escape(text)}</pre>"
