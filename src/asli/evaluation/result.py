"""The typed result of an evaluation; `metrics.json`, `--json`, text and reports all come from it."""

from dataclasses import dataclass, field, fields
from html import escape
from pathlib import Path
from typing import Any, Final, Literal, Self

from asli._version import __version__
from asli.detector.card import Thresholds
from asli.errors import DataError
from asli.evaluation.described import DetectorSummary
from asli.evaluation.further import Comparison, Mistakes, Robustness
from asli.evaluation.measure import Measured
from asli.evaluation.parts import Attachments, DataSummary, GroupTable, Openings, Unscored
from asli.messages import Language
from asli.metrics.estimate import Estimate
from asli.notebook import html_table
from asli.records import HIDDEN, OPTIONAL

VERSION: Final = 3
"""Version of `metrics.json`."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EvaluationResult(Measured):
    """Result of `asli.evaluate` and `asli.evaluate_scores`.

    Attributes:
        version: Version of this structure.
        asli: Version that computed it.
        date: Date, ISO 8601, UTC.
        detector: The detector, or the table of scores.
        seed: Seed of the detector's run.
        thresholds: Thresholds of the verdict.
        data: The evaluated images.
        unreadable: Images of the data folder that could not be decoded; they are not counted.
        unscored: How a table of scores and the data differ; None for a detector.
        seen_in_training: Number of evaluated images whose pixels equal those of a training image; None if unknown.
        test_opened: How often scores of this part were computed; None for arrays.
        comparison: Comparison with other detectors.
        robustness: Robustness under corruptions.
        mistakes: The most confident mistakes, and how mistakes look.
        folder: Where it was saved.
        attachments: Further content of a report.
    """

    version: Literal[3] = VERSION
    asli: str = __version__
    date: str
    detector: DetectorSummary
    seed: int | None
    thresholds: Thresholds
    data: DataSummary
    unreadable: int = 0
    unscored: Unscored | None = None
    seen_in_training: int | None = None
    test_opened: Openings | None = None
    comparison: Comparison | None = field(default=None, metadata=OPTIONAL)
    robustness: Robustness | None = field(default=None, metadata=OPTIONAL)
    mistakes: Mistakes | None = field(default=None, metadata=OPTIONAL)
    folder: Path | None = field(default=None, metadata=HIDDEN, compare=False)
    attachments: Attachments = field(metadata=HIDDEN, compare=False)

    @classmethod
    def of(cls, measured: Measured, **settings: Any) -> Self:
        """Build it from what `measure` returned and the other attributes."""
        return cls(**{item.name: getattr(measured, item.name) for item in fields(measured)}, **settings)

    def to_dict(self) -> dict[str, Any]:
        """Return what `metrics.json` and `asli evaluate --json` hold."""
        found = super(EvaluationResult, self).to_dict()  # the short form fails in a class with slots (Python < 3.14)
        first = ("version", "asli", "date", "detector", "seed", "data")
        return {key: found[key] for key in first} | found

    @property
    def metrics(self) -> dict[str, Estimate]:
        """Return every metric by name: those of verdicts at the saved threshold, then the threshold-free ones."""
        return {**self.figures.threshold, **self.figures.threshold_free}

    def groups(self, property: str) -> GroupTable:
        """Return the metrics of each group of a property, such as `generator`.

        Raises:
            DataError: There is no such property.
        """
        known = self.by_group.properties
        if property not in known:
            raise DataError(f"no groups by '{property}'; there are {', '.join(known) or 'none'}")
        return GroupTable(property, known[property])

    def save(self, folder: str | Path, *, language: Language | None = None) -> Path:
        """Write `metrics.json`, `scores.parquet`, `report.html` and what belongs to them into a folder.

        An earlier report there is replaced.

        Args:
            folder: Where.
            language: Language of the report's summary; None takes the browser's.

        Returns:
            The path of `report.html`.

        Raises:
            AsliError: Files of these names are there and asli did not write them.
        """
        from asli.evaluation.report import require_report_folder, write_report_folder  # brings matplotlib

        require_report_folder(Path(folder))
        return write_report_folder(self, Path(folder), language)

    @property
    def title(self) -> str:
        """Return what was evaluated on what, in a few words."""
        part = "" if self.data.split is None else f", {self.data.split} part"
        return f"{self.detector.name or self.detector.network} on {self.data.name}{part}"

    def __repr__(self) -> str:
        data = self.data
        lines = [
            f"{self.title}: {data.images:,} images ({data.real:,} real, {data.fake:,} fake);"
            f" fake from {self.threshold:.4f}; 95% intervals",
        ]
        lines += [f"  the detector is {caveat}" for caveat in self.detector.caveats]
        lines += [f"  {name.replace('_', ' '):<20} {text}" for name, text in self._texts()]
        for rate, worst in self.by_group.worst.items():
            lines.append(
                f"  worst {rate.replace('_', ' ')} of {worst.of} groups: {worst.property} {worst.name} {worst.figure}"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [[self.definitions[name].title, text, f"{self.metrics[name].n:,}"] for name, text in self._texts()]
        return f"<p>{escape(self.title)}</p>" + html_table(["metric", "value [95% interval]", "images"], rows)

    def _texts(self) -> list[tuple[str, str]]:
        return [(name, estimate.text(self.definitions[name].format)) for name, estimate in self.metrics.items()]


FORMER_KEYS = {"ranking": "threshold_free"}
"""Keys of `figures` in version 2 of `metrics.json`, and their present names."""


def present_figures(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the `figures` of a `metrics.json` of version 2 or 3 under their present names."""
    return {FORMER_KEYS.get(kind, kind): metrics for kind, metrics in figures.items()}
