"""Evaluate a table of labeled scores of any length in bounded memory: the function behind `asli table evaluate`."""

import logging
from collections.abc import Sequence
from pathlib import Path

from asli.detector.card import Thresholds
from asli.errors import DataError
from asli.evaluation.arrays import given_thresholds, now, require_prevalences
from asli.evaluation.described import DetectorSummary
from asli.evaluation.measure import PREVALENCES
from asli.evaluation.parts import Attachments, DataSummary, Unscored
from asli.evaluation.result import EvaluationResult
from asli.tables.measured import TableMeasure, binning_of, further_metrics
from asli.tables.origin import detector_of, record
from asli.tables.rows import Reader
from asli.tables.tally import Collected

logger = logging.getLogger("asli")


def evaluate_table(
    scores: str | Path,
    labels: str | Path | None = None,
    *,
    split: str | None = "test",
    threshold: float | tuple[float, float] | Thresholds = 0.5,
    by: Sequence[str] | None = None,
    duplicates: str | None = None,
    prevalences: Sequence[float] = PREVALENCES,
) -> EvaluationResult:
    """Compute every metric with its interval from tables, in memory that does not depend on their length.

    Some metrics depend on ranks: AUROC, average precision, TPR at an FPR and calibration bins. They take scores as
    equal that agree to 1 part in 8,192 of the smaller of score and 1 - score. All other metrics are exact.

    Args:
        scores: Parquet, CSV or TSV with a column `score`, or a folder of Parquet files, such as that of a scan. Local
            or by URL.
        labels: A table or data folder with labels, groups and duplicates, joined by `id`; None if the first has them.
        split: Part to evaluate, where there is a column `split`; None takes all rows.
        threshold: Fake from here on; a pair: real below the first, unsure between.
        by: Columns of groups; by default generator, source, category and format, where they are there.
        duplicates: Column whose equal values mark images that depend on each other, such as `sha256`; None takes
            `duplicate_group` where it is there, else rows as independent.
        prevalences: Shares of fakes among images to come, for PPV and NPV.

    Returns:
        The result, without a table of scores.

    Raises:
        DataError: A table cannot be read, lacks a column, has an id twice, or holds what is no score or label.
    """
    require_prevalences(prevalences)
    limits = threshold if isinstance(threshold, Thresholds) else _given(threshold)
    reader = Reader.open(scores, labels, split, by, duplicates)
    for name in further_metrics():
        logger.warning("metric '%s' of an installed package needs arrays and is left out", name)
    with Collected(reader, binning_of(limits.low, limits.high, *limits.decided), limits.high) as collected:
        tally = collected.tally
        require_rows(reader, tally.n)
        measure = TableMeasure(collected, reader.names, limits)
        measured = measure.measured(prevalences)
        units = measure.sums.units["all"]
    name, digest = detector_of(reader.scores) or (Path(str(scores)).name, tally.hash)
    described, place = reader.described, Path(reader.described.place.rstrip("/")).name
    opened = record(described, split, digest, tally.n)
    chosen = split if described.column("split") else None
    return EvaluationResult.of(
        measured,
        date=now(),
        detector=DetectorSummary.of_scores(name, digest, limits),
        seed=None,
        thresholds=limits,
        data=DataSummary(
            name=place if described.data_folder or chosen is None else f"{place} ({chosen} rows)",
            hash=tally.hash,
            split=chosen if described.data_folder else None,
            images=tally.n,
            real=tally.real,
            fake=tally.fake,
            duplicates=tally.n - units,
            cross_split_duplicates=0,
            grouped_by=None if duplicates is None else f"equal {duplicates}",
        ),
        unreadable=reader.counted["unscored"],
        unscored=None if labels is None else _unscored(reader),
        test_opened=opened,
        attachments=Attachments(),
    )


def _unscored(reader: Reader) -> Unscored:
    assert reader.labels is not None
    names = {
        what: (f"row {reader.first[what]:,} of {Path(table.place.rstrip('/')).name}",) if what in reader.first else ()
        for what, table in (("missing", reader.labels), ("extra", reader.scores))
    }
    counted = reader.counted
    return Unscored(
        missing=counted["missing"],
        missing_names=names["missing"],
        extra=counted["extra"],
        extra_names=names["extra"],
        elsewhere=counted["elsewhere"],
    )


def require_rows(reader: Reader, n: int) -> None:
    """Refuse tables without a labeled score, and report rows that were left out.

    Raises:
        DataError: There is none.
    """
    counted = reader.counted
    left = ", ".join(f"{count:,} {words}" for key, words in _LEFT.items() if (count := counted[key]))
    if not n:
        raise DataError(f"{reader.scores.place} has no labeled score{f' ({left})' if left else ''}")
    if left:
        logger.warning("rows left out: %s", left)


_LEFT = {
    "unscored": "without a score",
    "unlabeled": "without a label",
    "extra": "scored but without an image of that id",
    "missing": "images without a row of scores",
}


def _given(threshold: float | tuple[float, float]) -> Thresholds:
    low, high = threshold if isinstance(threshold, tuple) else (threshold, threshold)
    return given_thresholds(float(low), float(high))
