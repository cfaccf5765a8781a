"""Audit a data set: the verb behind `asli audit`."""

import datetime
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from asli._version import __version__
from asli.auditing import facts
from asli.auditing.duplicates import find_duplicates
from asli.auditing.findings import verdicts
from asli.auditing.pixels import Pixels
from asli.auditing.shortcuts import measure
from asli.datasets.build import open_folders
from asli.datasets.folder import DataFolder, is_data_folder
from asli.datasets.layouts import LABELS
from asli.errors import DataError
from asli.reports.pages import require_page


@contextmanager
def opened(path: Path, **how: Any) -> Iterator[DataFolder]:
    """Yield a data folder, or one made for the moment of what `asli data open` takes.

    Args:
        path: The folder, archive or table.
        how: See `asli.datasets.survey.understand`; `real` and `fake` need a data folder made by `asli data open`.
    """
    if is_data_folder(path):
        yield DataFolder.open(path)
        return
    with tempfile.TemporaryDirectory(prefix="asli-audit-") as folder:
        yield open_folders(path, Path(folder) / (path.stem or "data"), **how)


def audit(data: DataFolder, *, seed: int = 0, html: Path | None = None) -> dict[str, Any]:
    """Look for everything that would let a classifier cheat.

    Args:
        data: The data folder; nothing is written into it.
        seed: Of folds and permutations.
        html: Also write a page here.

    Returns:
        Findings, and under `verdicts` what they mean.

    Raises:
        DataError: All images have one label.
    """
    if html is not None:
        require_page(html)
    _require_both(data)
    table, pixels = facts.read(data), Pixels(data)
    duplicates = find_duplicates(data, pixels)
    result: dict[str, Any] = {
        "version": 1,
        "asli": __version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "data": {"name": data.name, "hash": data.hash, "images": len(data), "readable": int(data.readable.sum())},
        "not_images": data.info["problems"],
        "counts": facts.counts(table),
        "oddities": facts.oddities(table),
        "facts": facts.side_by_side(table),
        "duplicates": duplicates.summary,
        "shortcuts": measure(data, pixels, duplicates.groups, seed=seed),
    }
    result["verdicts"] = verdicts(result)
    if html is not None:
        from asli.auditing.page import write_page

        write_page(html, result, data, pixels, duplicates)
    return result


def _require_both(data: DataFolder) -> None:
    present = np.unique(data.labels[data.readable])
    if len(present) < 2:
        held = f"only {LABELS[int(present[0])]} images" if len(present) else "no readable image"
        raise DataError(f"{data.path} has {held}; an audit compares real with fake ones, so it needs both")
