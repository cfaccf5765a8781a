"""Measurements of an audit: made once, read by every check."""

from dataclasses import dataclass

import pyarrow as pa

from asli.auditing.duplicates import Duplicates
from asli.auditing.findings import Counts, Oddity, Shortcuts
from asli.auditing.read_pixels import PixelReader
from asli.datasets.folder import DataFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A data folder and what was measured on it.

    Attributes:
        data: The folder, with `labels`, `groups`, `rows(split)` and `table(columns)`.
        table: Columns of its manifest, one row a file (see `asli.auditing.facts.COLUMNS`).
        pixels: Decoded images by row of the manifest.
        duplicates: Exact and near-duplicates: a summary, pairs, and a group number for each row.
        counts: Readable images per label, by split, generator and category.
        oddities: Damaged or unusual files, by kind.
        shortcuts: How well labels are read from what should not matter.
        seed: Seed of random choices.
    """

    data: DataFolder
    table: pa.Table
    pixels: PixelReader
    duplicates: Duplicates
    counts: Counts
    oddities: tuple[Oddity, ...]
    shortcuts: Shortcuts
    seed: int
