"""The parts of an evaluation's result that follow from labels, scores and thresholds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from asli.metrics.estimate import Estimate
from asli.notebook import data_frame, html_table
from asli.records import FLAT, Record

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ErrorRate = Literal["false_positive_rate", "false_negative_rate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSummary(Record):
    """The evaluated images.

    Attributes:
        name: Name of the data folder, or of the arrays.
        hash: Content hash of the data folder; of arrays, of their values.
        split: Part of the data folder; None for arrays.
        images: How many.
        real: Real ones.
        fake: Fake ones.
        duplicates: Images that repeat another one.
        cross_split_duplicates: Images with a duplicate in another official split.
        grouped_by: What made groups other than duplicates the units of resampling; None where nothing did.
    """

    name: str
    hash: str
    split: str | None
    images: int
    real: int
    fake: int
    duplicates: int
    cross_split_duplicates: int
    grouped_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored(Record):
    """How a table of scores and the data folder differ.

    Attributes:
        missing: Images without a score.
        missing_names: The first of them; `unscored.txt` lists all.
        extra: Scores without an image.
        extra_names: The first of them.
        elsewhere: Scores of images of other parts, or of unreadable ones.
    """

    missing: int
    missing_names: tuple[str, ...]
    extra: int
    extra_names: tuple[str, ...]
    elsewhere: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics(Record):
    """Metrics by name.

    Attributes:
        threshold: At the saved threshold.
        argmax: The same at 0.5.
        threshold_free: Those that need no threshold.
    """

    threshold: dict[str, Estimate]
    argmax: dict[str, Estimate]
    threshold_free: dict[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Record):
    """Images that share a property.

    Attributes:
        name: Value of the property.
        real: Real images.
        fake: Fake images.
        figures: False positive rate, false negative rate, accuracy and AUROC; a generator's AUROC is against all real
            images.
    """

    name: str
    real: int
    fake: int
    figures: dict[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstGroup(Record):
    """The group with the highest rate of an error.

    Attributes:
        property: Property of the group.
        name: Name of the group.
        of: Groups among which it is the worst.
        figure: The rate.
    """

    property: str
    name: str
    of: int
    figure: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups(Record):
    """Metrics by group.

    Attributes:
        properties: Groups of each property, most images first.
        worst: For each error rate the group with the highest one, among groups with `enough` images of that label.
        enough: How many images of a label that takes.
    """

    properties: dict[str, tuple[Group, ...]] = field(metadata=FLAT)
    worst: dict[ErrorRate, WorstGroup]
    enough: int


class GroupTable:
    """The groups of one property, as a table.

    Attributes:
        property: Such as `generator`.
    """

    def __init__(self, property: str, groups: Sequence[Group]) -> None:
        self.property, self._groups = property, tuple(groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups)

    def __getitem__(self, key: int | str) -> Group:
        """Return a group by its position or its name."""
        if isinstance(key, str):
            return {group.name: group for group in self._groups}[key]
        return self._groups[key]

    def to_dict(self) -> dict[str, Any]:
        """Return the groups by name."""
        return {group.name: group.to_dict() for group in self._groups}

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one flat dictionary a group: each metric with its columns `_low`, `_high` and `_n`."""
        rows = []
        for group in self._groups:
            row: dict[str, Any] = {self.property: group.name, "real": group.real, "fake": group.fake}
            for name, estimate in group.figures.items():
                row |= {name: estimate.value}
                row |= {f"{name}_{end}": getattr(estimate, end) for end in ("low", "high", "n")}
            rows.append(row)
        return rows

    def to_arrow(self) -> "pa.Table":
        """Return `to_rows` as an Arrow table."""
        import pyarrow as pa

        return pa.Table.from_pylist(self.to_rows())

    def to_pandas(self) -> "pd.DataFrame":
        """Return `to_rows` as a data frame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame(self.to_arrow())

    def __repr__(self) -> str:
        lines = [f"{self.property}: {len(self)} groups"]
        for group in self._groups:
            rates = ", ".join(f"{name.replace('_', ' ')} {estimate}" for name, estimate in group.figures.items())
            lines.append(f"  {group.name} ({group.real:,} real, {group.fake:,} fake): {rates}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        columns = [self.property, "real", "fake", *(self._groups[0].figures if self._groups else ())]
        rows = [
            [group.name, f"{group.real:,}", f"{group.fake:,}", *map(str, group.figures.values())]
            for group in self._groups
        ]
        return html_table(columns, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutCrossSplitDuplicates(Record):
    """Metrics without the images that have a duplicate in another official split.

    Attributes:
        images: How many are left.
        figures: At the saved threshold, and AUROC.
    """

    images: int
    figures: dict[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlwaysFake(Record):
    """Metrics of a detector that always answers fake.

    Attributes:
        f1: F1.
        accuracy: The share of fakes.
    """

    f1: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram(Record):
    """Scores of each label.

    Attributes:
        edges: Edges of the bins.
        real: Real images in each bin.
        fake: Fake images in each bin.
    """

    edges: tuple[float, ...]
    real: tuple[int, ...]
    fake: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RocCurve(Record):
    """Points of the ROC curve, as many as a figure can show.

    Attributes:
        fpr: False positive rates, ascending.
        tpr: True positive rates.
    """

    fpr: tuple[float, ...]
    tpr: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionRecallCurve(Record):
    """Points of the precision-recall curve, as many as a figure can show.

    Attributes:
        recall: Ascending.
        precision: At each recall.
    """

    recall: tuple[float, ...]
    precision: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves(Record):
    """Data of the figures.

    Attributes:
        histogram: Histogram of the scores.
        roc: None where a label is missing.
        precision_recall: None where a label is missing.
    """

    histogram: Histogram
    roc: RocCurve | None
    precision_recall: PrecisionRecallCurve | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings(Record):
    """How often scores of this part were computed, by the data folder's ledger.

    Attributes:
        times: Number of evaluations, of all detectors and tables of scores.
        recipes: For how many different recipes or tables.
    """

    times: int
    recipes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """Content of a saved report besides the result.

    Attributes:
        scores: One row an image, for `scores.parquet`; None where they stay in a table of their own.
        left_out: Lines of `unscored.txt`.
        training: Lines of the run's `metrics.jsonl`.
        pictures: PNG files of the most confident mistakes, by row of the manifest.
        model_card: Returns the detector's card with these metrics; None for a table of scores.
        command: That evaluates again.
    """

    scores: "pa.Table | None" = None
    left_out: Sequence[str] = ()
    training: Sequence[dict[str, Any]] = ()
    pictures: Mapping[int, bytes] = field(default_factory=dict)
    model_card: Callable[[], str] | None = None
    command: str | None = None
