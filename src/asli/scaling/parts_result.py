"""The typed results of a sharded scan and of its merge; `--json` prints them."""

from dataclasses import dataclass
from typing import Literal

from asli.detector.description import DetectorDescription
from asli.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsResult(Record):
    """Result of a sharded scan, and output of its `--json`.

    Attributes:
        version: Version of this structure.
        out: The folder of parts.
        shard: Which share of the scan, such as `3/8`.
        detector: What answered.
        images: Rows of this share.
        errors: Rows of this call that have an error.
        first_error: One of them, or None.
        parts: Parts of this share.
        done_before: Rows that earlier calls had written.
        not_images: Files that were not taken for images, by ending.
        ignored: What else was not scanned, and why.
        seconds: Seconds of this call.
        images_per_second: Images per second of this call; None where there was nothing to do.
    """

    version: Literal[1] = 1
    out: str
    shard: str
    detector: DetectorDescription
    images: int
    errors: int
    first_error: str | None
    parts: int
    done_before: int
    not_images: dict[str, int]
    ignored: list[str]
    seconds: float
    images_per_second: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult(Record):
    """Result of `asli scan merge`, and output of its `--json`.

    Attributes:
        version: Version of this structure.
        folder: The parts.
        out: The table that was written, or None.
        images: Rows.
        errors: Rows with an error.
        parts: How many there are.
        shards: How many there are.
        units: Shards, row groups and blocks of rows that were read, each by one process.
        verdicts: Images by verdict.
        compared: Ids of the list or table that the rows were compared with; None without one.
        detector: Hash of the detector.
        asli: Version that scored.
    """

    version: Literal[1] = 1
    folder: str
    out: str | None
    images: int
    errors: int
    parts: int
    shards: int
    units: int
    verdicts: dict[str, int]
    compared: int | None
    detector: str | None
    asli: str
