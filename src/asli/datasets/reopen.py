"""Open a source again from what the data folder kept of it."""

from pathlib import Path
from typing import Any

from asli.datasets.archived import Archives
from asli.datasets.parquet_rows import ParquetRows
from asli.datasets.sources import Folder, JoinedSource, Source


def reopen(spec: dict[str, Any]) -> Source:
    """Open the source that `spec()` described.

    Raises:
        DataError: An archive or a Parquet file of it is gone or damaged.
    """
    if spec["kind"] == "folder":
        return Folder(Path(spec["root"]))
    if spec["kind"] == "archives":
        beside = spec.get("beside")
        return Archives(
            [Path(path) for path in spec["paths"]],
            spec.get("prefixes", ()),
            (Folder(Path(beside["root"])), beside["names"]) if beside else None,
            include_hidden=True,  # which entries count was decided when the data folder was made
        )
    if spec["kind"] == "parquet":
        return ParquetRows(Path(spec["root"]), [Path(path) for path in spec["paths"]])
    return JoinedSource({key: reopen(part) for key, part in spec["sources"].items()})
