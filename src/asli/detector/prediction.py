"""Predictions of a detector for one image, and for many."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Literal, overload

from asli.detector.card import Thresholds, Verdict
from asli.detector.description import DetectorDescription
from asli.notebook import data_frame
from asli.provenance.read import Provenance
from asli.records import Record

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class DomainCheck(Record):
    """Whether an image is of the kind that the detector was calibrated on.

    Attributes:
        inside: Whether it is.
        why: Why not; None inside.
    """

    inside: bool
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Stability(Record):
    """How far the score moves when the image is re-encoded or resized a little.

    Attributes:
        low: Lowest score of all views and the image itself.
        high: Highest score.
        views: Score of each view by name; None where the format of a view cannot hold the image.
    """

    low: float
    high: float
    views: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class VerdictThresholds(Record):
    """Thresholds of a verdict.

    Attributes:
        low: Scores below are `real`.
        high: Scores from here on are `fake`; between the two it is `unsure`.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Prediction(Record):
    """A detector's prediction for one image.

    Attributes:
        path: The image's path or name.
        score: P(fake), float64 in [0, 1]; None with an error. It means little outside the domain.
        verdict: `real`, `unsure` or `fake`; None with an error.
        reasons: Why the verdict is `unsure`, or is weak evidence.
        thresholds: Thresholds of the detector, or of the member that answered.
        stability: See `Stability`; None unless it was asked for.
        domain: Whether the image lies inside the detector's domain; None with an error.
        provenance: What the file states about its own origin (`asli.provenance`); it affects neither score nor verdict.
        member: Name of the member of a family that answered; None for other kinds.
        error: Why the image could not be scored; None where it was.
    """

    path: str
    score: float | None = None
    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    thresholds: VerdictThresholds | None = None
    stability: Stability | None = None
    domain: DomainCheck | None = None
    provenance: Provenance | None = None
    member: str | None = None
    error: str | None = None

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Prediction({self.path!r}, error={self.error!r})"
        score = f", score={self.score:.4f}" if self.domain is None or self.domain.inside else ""
        reasons = f", reasons={list(self.reasons)}" if self.reasons else ""
        return f"Prediction({self.path!r}, {self.verdict!r}{score}{reasons})"

    def _repr_html_(self) -> str:
        return html_of([self])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Predictions(Record, Sequence[Prediction]):
    """Predictions for several images, in their order, and output of `asli predict --json`.

    Attributes:
        version: Version of this structure.
        detector: The detector that answered.
        images: The predictions.
    """

    version: Literal[1] = 1
    detector: DetectorDescription
    images: tuple[Prediction, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.images)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> "Predictions": ...
    def __getitem__(self, index: int | slice) -> "Prediction | Predictions":
        if isinstance(index, slice):
            return replace(self, images=self.images[index])
        return self.images[index]

    @property
    def failed(self) -> list[Prediction]:
        """Return those of images that could not be scored."""
        return [prediction for prediction in self if prediction.error is not None]

    def to_arrow(self) -> "pa.Table":
        """Return a table, one row an image, with the fields of `Prediction` as columns; `provenance` is JSON."""
        import pyarrow as pa

        columns = {
            "path": pa.array([p.path for p in self], pa.string()),
            "score": pa.array([p.score for p in self], pa.float64()),
            "verdict": pa.array([p.verdict for p in self], pa.string()),
            "reasons": pa.array([list(p.reasons) for p in self], pa.list_(pa.string())),
            "member": pa.array([p.member for p in self], pa.string()),
            "inside_domain": pa.array([p.domain and p.domain.inside for p in self], pa.bool_()),
            "stability_low": pa.array([p.stability and p.stability.low for p in self], pa.float64()),
            "stability_high": pa.array([p.stability and p.stability.high for p in self], pa.float64()),
            "provenance": pa.array(
                [p.provenance and json.dumps(p.provenance.to_dict(), ensure_ascii=False) for p in self], pa.string()
            ),
            "error": pa.array([p.error for p in self], pa.string()),
        }
        return pa.table(columns)

    def to_pandas(self) -> "pd.DataFrame":
        """Return `to_arrow` as a data frame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame(self.to_arrow())

    def __repr__(self) -> str:
        counts = {name: sum(p.verdict == name for p in self) for name in ("real", "unsure", "fake")}
        text = ", ".join(f"{count} {name}" for name, count in counts.items())
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"Predictions({len(self)} images: {text}{failed})"

    def _repr_html_(self) -> str:
        return html_of(self.images)


OUTSIDE = "outside domain: "
"""Begins the reason that is about the image; the others are about the detector."""

SHOWN = 50
"""Rows that a notebook shows."""


def html_of(predictions: Sequence[Prediction]) -> str:
    """Return predictions as a table for a notebook."""
    head = "".join(f"<th>{name}</th>" for name in ("image", "verdict", "P(fake)", "reasons"))
    rows = []
    for p in predictions[:SHOWN]:
        inside = p.score is not None and (p.domain is None or p.domain.inside)
        cells = (p.path, p.verdict or "error", f"{p.score:.4f}" if inside else "", p.error or "; ".join(p.reasons))
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    more = f"<p>and {len(predictions) - SHOWN:,} more</p>" if len(predictions) > SHOWN else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"


def decide(
    thresholds: Thresholds, score: float, outside: str | None, *, force_domain: bool
) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict on a scored image and its reasons: the same at every entry point.

    Args:
        thresholds: Thresholds of the detector that answers.
        score: P(fake).
        outside: Why the image lies outside the detector's domain, or None.
        force_domain: Give a verdict there, too.
    """
    verdict: Verdict = "unsure" if outside and not force_domain else thresholds.verdict(score)
    about_image = f"{OUTSIDE}{outside}" if outside else thresholds.weakness(verdict)
    return verdict, (*((about_image,) if about_image else ()), *thresholds.caveats)
