"""Summary of a finished scan: counts by verdict, errors by reason, and the images to look at first."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.detector.card import Thresholds
from asli.detector.prediction import OUTSIDE
from asli.provenance.read import names_a_source
from asli.scanning import score_table
from asli.scanning.scan_result import CountedReasons, StatedOrigins

SHOWN = 24
"""Images of each kind in the gallery."""

REASONS = 50
"""Different reasons that are told apart; the rest is counted together."""

BINS = 20

_COLUMNS = ["path", "score", "verdict", "reasons", "error", "provenance"]


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row to be shown.

    Attributes:
        row: Its number in the table, from 0.
        path: Where the image was.
        score: P(fake).
        verdict: On it.
        reasons: Why it lies outside the domain; empty inside.
    """

    row: int
    path: str
    score: float
    verdict: str
    reasons: str


@dataclass(slots=True)
class Summary:
    """Counts over a table, and its most telling rows."""

    images: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    """Images by the statements of their files about their origin; one with several statements counts for each."""
    saying: int = 0
    """Images whose files name a source."""
    not_understood: int = 0
    """Images whose files hold metadata that have no meaning known to asli, or that could not be read."""
    examples: list[tuple[str, str]] = field(default_factory=list)
    """Path and error of the first unreadable images."""
    histogram: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    """Images inside the domain by score, in equal bins from 0 to 1."""
    highest: list[ShownRow] = field(default_factory=list)
    lowest: list[ShownRow] = field(default_factory=list)
    unsure: list[ShownRow] = field(default_factory=list)
    """Inside the domain, as the two above; nearest to the threshold first."""
    outsiders: list[ShownRow] = field(default_factory=list)
    """The first ones outside the domain."""

    def counts(self) -> dict[str, Any]:
        """Return the counts under the names of `ScanResult`."""
        outside, errors = self.outside, self.errors
        return {
            "images": self.images,
            "verdicts": {verdict: self.verdicts[verdict] for verdict in ("real", "unsure", "fake")},
            "outside_domain": CountedReasons(count=outside.total(), reasons=dict(outside.most_common())),
            "provenance": StatedOrigins(
                count=self.saying, says=dict(self.said.most_common()), not_understood=self.not_understood
            ),
            "unreadable": CountedReasons(count=errors.total(), reasons=dict(errors.most_common())),
        }


def summarize(out: Path, thresholds: Thresholds) -> Summary:
    """Go through a finished table once.

    Args:
        out: The table.
        thresholds: Thresholds of the detector; unsure images are sorted by their distance to the band's middle.
    """
    found = Summary()
    middle = (thresholds.low + thresholds.high) / 2
    for batch in score_table.read(out, _COLUMNS):
        _count(found, batch.to_pydict(), middle, "; ".join(thresholds.caveats))
    return found


def _count(found: Summary, rows: dict[str, list[Any]], middle: float, caveats: str) -> None:
    shown: list[ShownRow] = []
    for path, error in zip(rows["path"], rows["error"], strict=True):
        if error:
            _add(found.errors, error)
            if len(found.examples) < REASONS:
                found.examples.append((path, error))
    for text in filter(None, rows["provenance"]):
        provenance = json.loads(text)
        for said in provenance["says"]:
            found.said[said if said in found.said or len(found.said) < REASONS else "other statements"] += 1
        found.saying += names_a_source(provenance)
        found.not_understood += bool(provenance.get("not_understood"))  # tables of asli 0.1.0 have no count
    columns = (rows[name] for name in ("path", "score", "verdict", "reasons"))
    for number, (path, score, verdict, why) in enumerate(zip(*columns, strict=True), start=found.images):
        if verdict is None:
            continue
        outside = _outside(why if isinstance(why, str) else "; ".join(why or ()), caveats)
        found.verdicts[verdict] += 1
        if outside:
            _add(found.outside, outside.removeprefix(OUTSIDE))
        shown.append(ShownRow(number, path, score, verdict, outside))
    inside = [image for image in shown if not image.reasons]  # outside the domain a score means nothing
    scores = np.array([image.score for image in inside])
    found.histogram += np.histogram(scores, bins=BINS, range=(0, 1))[0]
    found.images += len(rows["path"])
    found.highest = _first([*found.highest, *inside], lambda image: -image.score)
    found.lowest = _first([*found.lowest, *inside], lambda image: image.score)
    found.outsiders = [*found.outsiders, *(image for image in shown if image.reasons)][:SHOWN]
    unsure = [image for image in inside if image.verdict == "unsure"]
    found.unsure = _first([*found.unsure, *unsure], lambda image: abs(image.score - middle))


def _outside(reasons: str, caveats: str) -> str:
    """Return why an image is outside the domain, or nothing; reasons about the detector end every row alike."""
    return reasons.removesuffix(caveats).removesuffix("; ") if reasons.startswith(OUTSIDE) else ""


def _first(images: list[ShownRow], key: Callable[[ShownRow], float]) -> list[ShownRow]:
    return sorted(images, key=key)[:SHOWN]


def plain_reason(reason: str) -> str:
    """Return a reason without the figures of the distance, which say nothing to a reader."""
    return re.sub(r"\(distance [\d.]+, limit [\d.]+; ([^)]*)\)", r"(\1)", reason)


def _add(counter: Counter[str], reason: str) -> None:
    """Count a reason; figures of the image are left out of it, those of the detector, behind a semicolon, are not."""
    of_image, semicolon, of_detector = plain_reason(reason).partition(";")
    if not of_image.startswith("pixels unlike"):  # there the numbers are those of the statistic
        of_image = re.sub(r"(?!0\b)\d[\d,.]*", "N", of_image)
    reason = (
        of_image.replace("N x N pixels", "other sizes")
        .replace("quality N", "of another quality")
        .replace(" (N% of it flat)", "")
        + semicolon
        + of_detector
    )
    counter[reason if reason in counter or len(counter) < REASONS else "other reasons"] += 1
