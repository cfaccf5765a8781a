"""The typed result of a scan; `asli scan --json` prints it."""

from dataclasses import dataclass
from typing import Literal

from asli.detector.description import DetectorDescription
from asli.notebook import html_table
from asli.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedReasons(Record):
    """Images of a kind.

    Attributes:
        count: How many.
        reasons: Images by reason, most first.
    """

    count: int
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedOrigins(Record):
    """Counts of statements of files about their own origin.

    Attributes:
        count: Images whose files name a source.
        says: Images by statement, most first; one with several statements counts for each.
        not_understood: Images with metadata that asli does not interpret or could not read.
    """

    count: int
    says: dict[str, int]
    not_understood: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult(Record):
    """Result of `scan`, and output of `asli scan --json`.

    Attributes:
        version: Version of this structure.
        out: The table.
        detector: What answered.
        images: Rows of the table.
        verdicts: Images by verdict.
        outside_domain: Images outside the detector's domain.
        provenance: What files state about their origin.
        unreadable: Images that could not be scored.
        not_images: Files that were not taken for images, by ending.
        hidden: Files and folders that were left out because they are hidden, by kind.
        ignored: What else was not scanned, and why.
        unsafe_entries: Archive entries that would leave their folder; they are not read.
        done_before: Images that earlier calls had scored.
        seconds: Seconds of this call.
        images_per_second: Images per second of this call; None where the scan was finished before.
        html: The page, or None.
    """

    version: Literal[1] = 1
    out: str
    detector: DetectorDescription
    images: int
    verdicts: dict[str, int]
    outside_domain: CountedReasons
    provenance: StatedOrigins
    unreadable: CountedReasons
    not_images: dict[str, int]
    hidden: dict[str, int]
    ignored: list[str]
    unsafe_entries: int
    done_before: int
    seconds: float
    images_per_second: float | None
    html: str | None

    def _repr_html_(self) -> str:
        counts = {**self.verdicts, "outside the domain": self.outside_domain.count, "unreadable": self.unreadable.count}
        rows = [[name, f"{count:,}"] for name, count in counts.items()]
        return html_table([self.out, f"{self.images:,} images"], rows)
