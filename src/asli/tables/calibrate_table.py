"""Calibrate a detector on the table of its own scan: the function behind `asli table calibrate`."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa

from asli.detector.base import Detector
from asli.detector.calibrate import warn_of
from asli.errors import DataError, DetectorError
from asli.metrics.thresholds import Policy
from asli.tables.binning import Binning
from asli.tables.evaluate_table import require_rows
from asli.tables.fit_table import TableFit
from asli.tables.origin import require_own
from asli.tables.rows import Reader
from asli.tables.table_file import TableFile
from asli.tables.tally import Collected

logger = logging.getLogger("asli")


def calibrate_table(
    detector: str | Path | Detector,
    scores: str | Path,
    labels: str | Path | None,
    out: str | Path,
    policy: Policy = Policy(),  # noqa: B008 - it is frozen
    *,
    split: str | None = "calibration",
    duplicates: str | None = None,
) -> Detector:
    """Fit temperature and thresholds on a table of scores, in memory that does not depend on its length.

    Temperature, thresholds and their promise are those of `asli.calibrate`. The table holds no pixels. So the domain
    stays that of the given detector, and no metrics are measured on a validation part.

    Args:
        detector: A detector folder or a run folder; it stays as it is.
        scores: The table or folder of parts of a scan by this detector.
        labels: A table or data folder with labels and duplicates, joined by `id`; None if the first has them.
        out: The new detector's folder.
        policy: How thresholds are chosen.
        split: Rows to fit on, where there is a column `split`; None takes all rows.
        duplicates: Column whose equal values mark images that depend on each other; None takes `duplicate_group` where
            it is there, else rows as independent.

    Returns:
        The new detector.

    Raises:
        DataError: The scores are not those of this detector, a label is missing, there are too few images for the
            promise, or the detector was trained on some of them.
        DetectorError: The detector cannot be used, or `out` exists.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DetectorError(f"{out} exists; give another --out")
    opened = detector if isinstance(detector, Detector) else Detector.load(detector)
    reader = Reader.open(scores, labels, split, (), duplicates)
    require_own(opened, reader.scores)
    _require_unseen(opened, reader.described, split)
    with Collected(reader, Binning([]), 0.5) as collected:
        require_rows(reader, collected.tally.n)
        temperature, thresholds = TableFit(collected).fit(policy)
    warn_of(temperature, thresholds)
    card = dataclasses.replace(
        opened.card, temperature=opened.card.temperature * temperature, thresholds=thresholds, figures={}
    )
    made = opened.recalibrated(temperature, card)
    made.save(out)
    return made


def _require_unseen(detector: Detector, described: TableFile, split: str | None) -> None:
    """Refuse images that the detector was trained on, as far as hashes of pixels are there."""
    known, column = detector.training_images, described.column("pixel_sha256")
    if known is None or column is None:
        logger.warning("asli cannot check whether the detector was trained on these images: no hashes of their pixels")
        return
    part, seen = described.column("split") if split else None, 0
    for chunk in described.chunks([column, *([part] if part else [])]):
        rows = chunk if part is None else chunk.filter(pa.compute.equal(chunk[part], split))
        hashes = [int(value[:16], 16) for value in rows[column].drop_null().to_pylist()]
        seen += int(np.isin(np.array(hashes, dtype=np.uint64), known).sum())
    if seen:
        raise DataError(
            f"the detector was trained on {seen:,} of these images, on which it is overconfident; leave them out"
        )
