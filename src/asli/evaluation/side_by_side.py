"""Several detectors on the same images: error rates by group, promises, speed, and images on which they disagree."""

import io
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from asli.datasets.folder import DataFolder
from asli.detector.base import Detector
from asli.detector.card import Thresholds
from asli.detector.runtimes import logits_of_rows
from asli.evaluation.breakdown import group_names
from asli.metrics.built_in import built_in
from asli.metrics.classification import Floats
from asli.metrics.estimate import Estimate
from asli.metrics.metric import LabeledScores
from asli.metrics.registry import measure
from asli.records import OPTIONAL, Record

if TYPE_CHECKING:
    import torch

RATES = ("false_positive_rate", "false_negative_rate")
COMPARED = ("f1", "accuracy", "auroc", *RATES)

PROPERTIES = ("generator", "source")
"""Groups of the images by which error rates are compared."""

SHOWN = 12
"""Pictures of disagreement that a report shows."""

TIMED = 32
"""Images that are timed, in three passes after a first one that is not counted."""

THUMBNAIL = 192


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRates(Record):
    """Error rates on the images of one group.

    Attributes:
        property: `generator` or `source`.
        name: Name of the group.
        real: Real images.
        fake: Fake images.
        rates: Rates by detector: false positive and false negative rate at its own threshold.
    """

    property: str
    name: str
    real: int
    fake: int
    rates: dict[str, dict[str, Estimate]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers(Record):
    """Results of one detector on the images that all detectors scored.

    Attributes:
        name: In the comparison.
        figures: F1, accuracy, AUROC and both error rates at its own threshold.
        unsure: Share of images it calls unsure.
        threshold: Fake from here on.
        policy: How the threshold was chosen.
        promised: The false positive rate that it promises, or None.
        kept: Whether the images are in line with that promise: False where the whole interval lies above it. None
            without a promise or real images. None also where its training had some of the images.
        caveats: What must be stated of its thresholds.
        license: License of its weights; None for a table of scores.
        seconds: Median time of an image, with decoding and preprocessing; None for a table of scores.
    """

    name: str
    figures: dict[str, Estimate]
    unsure: float
    threshold: float
    policy: str
    promised: float | None
    kept: bool | None
    caveats: tuple[str, ...]
    license: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement(Record):
    """A picture that detectors judge differently.

    Attributes:
        id: ID of the image.
        label: Its label.
        generator: Where known.
        source: Where known.
        scores: P(fake) by detector.
        verdicts: Verdicts by detector.
        row: In the manifest.
    """

    id: str
    label: str
    generator: str | None
    source: str | None
    scores: dict[str, float]
    verdicts: dict[str, str]
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide(Record):
    """Several detectors on the same images.

    Attributes:
        answers: One a detector, in the order given.
        groups: Error rates by generator and source.
        conflicts: Images that one detector calls real and another one fake.
        disagreements: The pictures with the widest range of scores among these.
        timing: How time was measured; missing where it was not.
    """

    answers: tuple[Answers, ...]
    groups: tuple[GroupRates, ...]
    conflicts: int
    disagreements: tuple[Disagreement, ...]
    timing: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A detector or table with its scores of the common images.

    Attributes:
        name: In the comparison.
        score: P(fake), float64, n.
        thresholds: Its own.
        license: License of its weights, or None.
        seconds: Median time of an image, or None.
        seen: Whether its training had some of the images.
    """

    name: str
    score: Floats
    thresholds: Thresholds
    license: str | None = None
    seconds: float | None = None
    seen: bool = False


def side_by_side(scored: Sequence[Scored], data: DataFolder, rows: npt.NDArray[np.int64]) -> SideBySide:
    """Measure detectors on the same images.

    Args:
        scored: Two or more.
        data: The data folder.
        rows: Rows of the images, in the order of the scores.
    """
    labels, groups = data.labels[rows], data.groups(rows)
    of = {one.name: LabeledScores.of(labels, one.score, groups, threshold=one.thresholds.high) for one in scored}
    verdicts = {one.name: [one.thresholds.verdict(value) for value in one.score] for one in scored}
    disagreeing, conflicts = _disagreements(scored, verdicts, data, rows)
    timing = None
    if any(one.seconds is not None for one in scored):
        import torch

        what = f"median of 3 passes over up to {TIMED} images, decoding and preprocessing included"
        timing = f"{what}, {torch.get_num_threads()} CPU threads"
    return SideBySide(
        answers=tuple(_answers(one, of[one.name], verdicts[one.name]) for one in scored),
        groups=_groups(of, group_names(data, rows)),
        conflicts=conflicts,
        disagreements=disagreeing,
        timing=timing,
    )


def _answers(one: Scored, of: LabeledScores, verdicts: Sequence[str]) -> Answers:
    figures = measure(built_in(*COMPARED), of)
    rate, target = figures["false_positive_rate"], one.thresholds.target
    kept = None if target is None or rate.low is None or one.seen else bool(rate.low <= target)
    return Answers(
        name=one.name,
        figures=figures,
        unsure=verdicts.count("unsure") / len(verdicts),
        threshold=one.thresholds.high,
        policy=one.thresholds.policy,
        promised=target,
        kept=kept,
        caveats=tuple(one.thresholds.caveats),
        license=one.license,
        seconds=one.seconds,
    )


def _groups(of: Mapping[str, LabeledScores], properties: Mapping[str, Sequence[str | None]]) -> tuple[GroupRates, ...]:
    found = []
    for property_ in PROPERTIES:
        names = np.array([value or "" for value in properties[property_]])
        for name in np.unique(names[names != ""]).tolist():
            inside = {detector: scores.where(names == name) for detector, scores in of.items()}
            fake = next(iter(inside.values())).fake
            found.append(
                GroupRates(
                    property=property_,
                    name=name,
                    real=int((~fake).sum()),
                    fake=int(fake.sum()),
                    rates={detector: measure(built_in(*RATES), scores) for detector, scores in inside.items()},
                )
            )
    return tuple(found)


def _disagreements(
    scored: Sequence[Scored], verdicts: Mapping[str, Sequence[str]], data: DataFolder, rows: npt.NDArray[np.int64]
) -> tuple[tuple[Disagreement, ...], int]:
    """Return the images called real by one and fake by another with the widest range of scores, and their number."""
    said = np.array(list(verdicts.values()))
    conflicting = np.flatnonzero((said == "real").any(axis=0) & (said == "fake").any(axis=0))
    scores = np.stack([one.score for one in scored])
    spread = np.ptp(scores[:, conflicting], axis=0)
    chosen = conflicting[np.argsort(-spread, kind="stable")[:SHOWN]]
    known = data.table(["id", "label", "generator", "source"], rows[chosen]).to_pylist()
    names = [one.name for one in scored]
    found = tuple(
        Disagreement(
            **line,
            scores=dict(zip(names, scores[:, place].tolist(), strict=True)),
            verdicts={name: verdicts[name][place] for name in names},
            row=int(rows[place]),
        )
        for line, place in zip(known, chosen.tolist(), strict=True)
    )
    return found, len(conflicting)


def thumbnails(data: DataFolder, shown: Sequence[Disagreement]) -> dict[int, bytes]:
    """Return small pictures by row of the manifest, as PNG files."""
    made = {}
    for one in shown:
        image = Image.fromarray(data.pixels.image(one.row))
        image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        made[one.row] = buffer.getvalue()
    return made


def seconds_per_image(detector: Detector, data: DataFolder, split: str, device: "torch.device") -> float:
    """Return the median time of an image, in seconds: reading, decoding, preprocessing and network."""
    rows = data.rows(split)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, TIMED).astype(np.int64))]
    runtime = detector.runtime(detector.near(device))
    passes = []
    for _ in range(4):  # the first one also opens files and warms caches
        start = time.perf_counter()
        for _logits in logits_of_rows(runtime, data.pixels, rows, detector.preparation):
            pass
        passes.append((time.perf_counter() - start) / len(rows))
    return statistics.median(passes[1:])
