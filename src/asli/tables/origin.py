"""Where a table comes from: the detector of a scan, and the ledger of a data folder."""

import json
from pathlib import Path
from typing import Any

from asli.datasets.folder import record_opening
from asli.detector.base import Detector
from asli.detector.card import Thresholds
from asli.errors import DataError
from asli.evaluation.parts import Openings
from asli.tables.table_file import TableFile

_KEYS = (b"asli.part", b"asli.scan")


def scan_header(table: TableFile) -> dict[str, Any] | None:
    """Return what a table of a scan is the scan of; None for any other table."""
    metadata = table.metadata
    for key in _KEYS:
        if key in metadata:
            try:
                return dict(json.loads(metadata[key]))
            except (ValueError, TypeError):
                return None
    return None


def detector_of(table: TableFile) -> tuple[str, str] | None:
    """Return name and hash of the detector whose scan a table is; None for any other table."""
    header = scan_header(table)
    if header is None or not header.get("detector"):
        return None
    digest = str(header["detector"])
    return f"{Path(table.place.rstrip('/')).name} (scan by detector {digest[:12]})", digest


def record(described: TableFile, split: str | None, digest: str, images: int) -> Openings | None:
    """Record in a data folder's ledger that scores of its test part were evaluated; return how often that was done."""
    if not described.data_folder or split != "test":
        return None
    origin, folder = f"scores {digest}", Path(described.place)
    record_opening(folder, split=split, recipe_hash=origin, detector_hash=origin, images=images)
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    opened = [line for line in lines if line["split"] == split]
    return Openings(times=len(opened), recipes=len({line["recipe_hash"] for line in opened}))


def require_own(detector: Detector, table: TableFile) -> None:
    """Refuse a table that is not the scan of a detector.

    Raises:
        DataError: It is another detector's, or no scan.
    """
    header = scan_header(table)
    if header is None or header.get("detector") != detector.hash:
        found = "no scan by asli" if header is None else f"a scan by detector {str(header.get('detector'))[:12]}"
        raise DataError(
            f"{table.place} is {found}, and this detector is {str(detector.hash)[:12]}; its thresholds"
            " belong to its own scores: run asli scan with it"
        )


def thresholds_of(detector: str | Path | Detector, scores: str | Path) -> Thresholds:
    """Return the thresholds of the detector whose scan a table is.

    Raises:
        DataError: The scores are not those of this detector.
        DetectorError: The detector cannot be used.
    """
    opened = detector if isinstance(detector, Detector) else Detector.load(detector)
    require_own(opened, TableFile(scores))
    return opened.thresholds
