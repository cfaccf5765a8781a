"""The statistics of an evaluation from anyone's arrays: `asli.evaluate_scores`."""

import datetime
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.detector.card import Thresholds
from asli.errors import DataError
from asli.evaluation.described import DetectorSummary
from asli.evaluation.measure import PREVALENCES, measure
from asli.evaluation.parts import Attachments, DataSummary
from asli.evaluation.result import EvaluationResult
from asli.files import sha256_of_json
from asli.metrics.classification import Floats, Labels
from asli.metrics.metric import LabeledScores

NAMES = {"real": 0, "fake": 1}
RESERVED = ("worst", "enough", "id", "score", "verdict", "label", "real", "fake")
"""Keys and columns that stand beside the properties of groups."""


def evaluate_scores(
    labels: Sequence[Any] | npt.NDArray[Any],
    scores: Sequence[float] | npt.NDArray[Any],
    *,
    groups: Mapping[str, Sequence[str | None]] | Sequence[str | None] | None = None,
    thresholds: float | tuple[float, float] | Thresholds = 0.5,
    duplicates: Sequence[Hashable] | npt.NDArray[Any] | None = None,
    prevalences: Sequence[float] = PREVALENCES,
    name: str = "scores",
) -> EvaluationResult:
    """Compute every metric with its 95% interval from labels and scores; nothing is written.

    Args:
        labels: n: `real` and `fake`, 0 and 1, or False and True; fake is 1.
        scores: n: P(fake), from 0 to 1.
        groups: Names of the groups of each property, such as `{"generator": [...]}`, n each, None where unknown; one
            sequence is taken for the property `group`.
        thresholds: Fake from here on; a pair: real below the first, fake from the second on, unsure between.
        duplicates: n: what images that depend on each other share, such as a hash or the id of a scene; they are
            resampled together. None takes images as independent.
        prevalences: Shares of fakes among images to come, for PPV and NPV.
        name: Name of the scores, for reports.

    Returns:
        The result; `save` writes it.

    Raises:
        DataError: Lengths differ, a label is unknown, a score is no probability, or thresholds are not in order.
    """
    codes, probabilities = _labels(labels), _scores(scores)
    n = len(codes)
    properties = {key: _group_names(key, names) for key, names in _properties(groups).items()}
    lengths = {"scores": len(probabilities), **{f"groups of '{key}'": len(of) for key, of in properties.items()}}
    if duplicates is not None:
        lengths["duplicates"] = len(duplicates)
    for what, length in lengths.items():
        if length != n:
            raise DataError(f"there are {n:,} labels and {length:,} {what}; give one for each image")
    require_prevalences(prevalences)
    limits = _thresholds(thresholds)
    of = LabeledScores.of(
        codes,
        probabilities,
        None if duplicates is None else np.unique(np.asarray(duplicates), return_inverse=True)[1],
        threshold=limits.high,
    )
    origin = [codes.tolist(), probabilities.tolist(), of.groups.tolist(), properties]
    return EvaluationResult.of(
        measure(of, limits.decided, properties, prevalences=prevalences),
        date=now(),
        detector=DetectorSummary.of_scores(name, sha256_of_json(probabilities.tolist()), limits),
        seed=None,
        thresholds=limits,
        data=summary_of(of, name="arrays", hash=sha256_of_json(origin)),
        attachments=Attachments(
            scores=_table(of, limits, properties), command="asli.evaluate_scores(labels, scores, ...)"
        ),
    )


def now() -> str:
    """Return date and time, ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def summary_of(
    of: LabeledScores, *, name: str, hash: str, split: str | None = None, across: npt.NDArray[np.bool_] | None = None
) -> DataSummary:
    """Return the counts of evaluated images; `across` marks those with a duplicate in another official split."""
    return DataSummary(
        name=name,
        hash=hash,
        split=split,
        images=len(of.labels),
        real=int((~of.fake).sum()),
        fake=int(of.fake.sum()),
        duplicates=len(of.labels) - len(np.unique(of.groups)),
        cross_split_duplicates=0 if across is None else int(across.sum()),
    )


def given_thresholds(low: float, high: float) -> Thresholds:
    """Return thresholds that were given rather than fitted.

    Raises:
        DataError: They are not in (0, 1], or not in order.
    """
    if not 0 < low <= high <= 1:
        shown = f"{high}" if low == high else f"{low} and {high}"
        raise DataError(f"a threshold of {shown} makes no sense; scores lie between 0 and 1, and real lies below fake")
    return Thresholds(low=low, high=high, policy="given", n=0, calibration_hash="")


def require_prevalences(prevalences: Sequence[float]) -> None:
    """Refuse prevalences that are no shares.

    Raises:
        DataError: One is not between 0 and 1.
    """
    if any(not 0 < prevalence < 1 for prevalence in prevalences):
        raise DataError(f"prevalences are shares of fakes between 0 and 1, not {', '.join(map(str, prevalences))}")


def _thresholds(given: float | tuple[float, float] | Thresholds) -> Thresholds:
    if isinstance(given, Thresholds):
        return given
    low, high = given if isinstance(given, tuple) else (given, given)
    return given_thresholds(float(low), float(high))


def _labels(labels: Sequence[Any] | npt.NDArray[Any]) -> Labels:
    values = np.asarray(labels)
    if values.ndim != 1 or not len(values):
        raise DataError(f"labels have the shape {values.shape}; give one label for each image")
    if values.dtype == np.bool_:
        return values.astype(np.int8)
    codes = [NAMES.get(value.lower(), -1) if isinstance(value, str) else value for value in values.tolist()]
    for number, (code, value) in enumerate(zip(codes, values.tolist(), strict=True)):
        if code not in (0, 1):
            raise DataError(f"label {number} is {value!r}; labels are real or fake, or 0 (real) or 1 (fake)")
    return np.array(codes, dtype=np.int8)


def _scores(scores: Sequence[float] | npt.NDArray[Any]) -> Floats:
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"scores are not numbers ({error}); give P(fake) of each image") from None
    if values.ndim != 1:
        raise DataError(f"scores have the shape {values.shape}; give P(fake) of each image, one number each")
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))  # NaN too
    if len(wrong):
        raise DataError(
            f"score {wrong[0]} is {values[wrong[0]]}; scores are P(fake), from 0 to 1: map others there first, for"
            " example by the logistic function"
        )
    return values


def _properties(
    groups: Mapping[str, Sequence[str | None]] | Sequence[str | None] | None,
) -> dict[str, Sequence[str | None]]:
    if groups is None:
        return {}
    by_name: Any = groups
    is_table = isinstance(groups, Mapping) or hasattr(groups, "columns")  # or a data frame
    found: dict[str, Sequence[str | None]] = dict(by_name) if is_table else {"group": by_name}
    for name in found:
        if name in RESERVED:
            raise DataError(f"groups cannot be called '{name}', which means something else in the result; rename them")
    return found


def _group_names(key: str, names: Sequence[str | None]) -> list[str | None]:
    if isinstance(names, str):
        raise DataError(f"groups of '{key}' are the text '{names}'; give a name for each image")
    return [None if name is None or name != name else str(name) for name in np.asarray(names, dtype=object).tolist()]


def _table(of: LabeledScores, limits: Thresholds, properties: Mapping[str, Sequence[str | None]]) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            "id": [str(number) for number in range(len(of.labels))],
            "score": of.scores,
            "verdict": [limits.verdict(value) for value in of.scores],
            "label": np.where(of.fake, "fake", "real"),
            **properties,
        }
    )
