"""Where a table comes from: the detector of a scan, and the ledger of a data folder."""

import json
from pathlib import Path
from typing import Any

from asli.datasets.folder import record_opening
from asli.evaluation.parts import Openings
from asli.tables.reading import TableFile

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
