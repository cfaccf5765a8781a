"""Evaluate a detector, or anyone's scores, on a part of a data folder: the function behind `asli evaluate`."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.groups import grouped
from asli.detector.locate import find_detector
from asli.detector.scoring import Scores, count_seen, score_table
from asli.errors import DataError
from asli.evaluation.arrays import now, require_prevalences, summary_of
from asli.evaluation.breakdown import group_names
from asli.evaluation.commands import evaluate_command
from asli.evaluation.comparison import Contender, compare_with, disagreements_of, open_others
from asli.evaluation.external import Joined, is_score_file
from asli.evaluation.measure import PREVALENCES, measure
from asli.evaluation.mistakes import find_mistakes, pictures_of
from asli.evaluation.parts import Attachments, Openings, Unscored
from asli.evaluation.report import require_report_folder
from asli.evaluation.result import EvaluationResult
from asli.evaluation.robustness import sweep
from asli.evaluation.subject import Given, Subject
from asli.messages import Language
from asli.metrics.metric import LabeledScores
from asli.metrics.registry import registered
from asli.models.device import pick_device, set_threads
from asli.run import Run

if TYPE_CHECKING:
    from asli.tracking.wandb import WeightsAndBiases

logger = logging.getLogger("asli")

NAMED = 20
"""How many images without a score are named in the result; `unscored.txt` names all."""


def evaluate(
    detector: Given,
    data: str | Path | DataFolder,
    *,
    split: str = "test",
    out: str | Path | None = None,
    robustness: int = 0,
    against: Sequence[Given] = (),
    threshold: float | None = None,
    prevalences: Sequence[float] = PREVALENCES,
    group_by: str | None = None,
    group_file: str | Path | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    language: Language | None = None,
    track: Sequence[str] = (),
) -> EvaluationResult:
    """Score a split once and compute every metric with its interval and origin.

    Args:
        detector: A detector, its folder, run or name; or anyone's scores, as a table of `filename,score` or a mapping
            from file names to P(fake).
        data: A data folder.
        split: The part to evaluate; the ledger gets an entry if it is `test`.
        out: Folder of the report, see `report_folder`; None writes nothing, the result's `save` does.
        robustness: How many images at most to corrupt and score again; 0 for none.
        against: Detectors, runs or tables to compare with on the same images. Runs of one recipe with different seeds
            are combined.
        threshold: Threshold for a table of scores; None takes 0.5. A detector has its own.
        prevalences: Shares of fakes among images to come, for PPV and NPV.
        group_by: A column of the manifest, such as `source`, whose groups are resampled as one for every interval.
        group_file: A table of `id,group` for the same.
        batch_size: Images computed at a time; None chooses by input size.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.
        language: Language of the report's summary; None takes the browser's.
        track: `wandb` adds metrics, confusion matrix, figures and the report to the W&B run of the detector's run.

    Raises:
        DetectorError, DataError: See their messages.
    """
    data = grouped(open_data(data), group_by, group_file)
    require_prevalences(prevalences)
    registered()  # a metric that cannot be loaded is found before test is opened
    set_threads(threads)
    subject = Subject.open(detector, data, split, threshold)
    if robustness and subject.detector is None:
        raise DataError(f"{subject.where} is a table of scores; --robustness needs the detector itself")
    if (robustness or against) and len(np.unique(data.labels[data.rows(split)])) < 2:
        raise DataError(f"the {split} part of {data.path} has one label only; --robustness and --against need both")
    others = open_others(against, subject, data, split)
    folder = None if out is None else Path(out)
    if folder is not None:
        require_report_folder(folder)
    tracker = _tracker(subject, folder) if "wandb" in track else None  # a missing key is found before test is opened
    place = pick_device(device)
    scores = subject.score(data, split, place, batch_size)
    contender = Contender.of(subject, scores, data)
    comparison = compare_with(contender, others, data, split, place, batch_size=batch_size)[0] if others else None
    mistakes = find_mistakes(data, scores.rows, scores.score, subject.thresholds)
    result = _measured(subject, scores, data, split, prevalences)
    command = evaluate_command(
        subject.where,
        data.path,
        split=split,
        out=out,
        robustness=robustness,
        against=[other.where for other in others],
        threshold=threshold,
        prevalences=prevalences,
    )
    result = replace(
        result,
        seen_in_training=None if subject.detector is None else count_seen(subject.detector, data, split),
        comparison=comparison,
        robustness=sweep(
            subject.detector,
            data,
            scores,
            None if folder is None else folder / "robustness",
            place,
            images=robustness,
            batch_size=batch_size,
        )
        if robustness and subject.detector is not None
        else None,
        mistakes=mistakes,
        test_opened=_openings(data, split),  # those of the others included
        attachments=replace(
            result.attachments,
            pictures=pictures_of(data, mistakes) | disagreements_of(data, comparison),
            command=command,
        ),
    )
    if subject.detector is not None:
        card = partial(subject.detector.model_card, result.to_dict())  # its network is not read before it is saved
        result = replace(result, attachments=replace(result.attachments, model_card=card))
    if folder is None:
        return result
    result.save(folder, language=language)
    if tracker is not None:
        tracker.log_evaluation(folder)
    return replace(result, folder=folder)


def _tracker(subject: Subject, folder: Path | None) -> "WeightsAndBiases":
    from asli.tracking.wandb import WeightsAndBiases

    if subject.run is None or folder is None:
        raise DataError("--track adds to the W&B run of a training: give its run folder, and a folder for the report")
    return WeightsAndBiases(subject.run.path, asdict(subject.run.recipe))


def report_folder(detector: str | Path, data: str | Path | DataFolder, split: str) -> Path:
    """Return where the report of a run's detector goes: `evaluation/DATA-SPLIT` in the run.

    Raises:
        DataError: The detector lies in no run, or is a table of scores.
        DetectorError: There is none.
    """
    if not is_score_file(Path(detector)):
        folder = find_detector(detector).resolve()
        if folder.name == "detector" and (folder.parent / "recipe.toml").is_file():
            name = data.name if isinstance(data, DataFolder) else Path(data).resolve().name
            return Run.open(folder.parent).evaluation(f"{name}-{split}")
    raise DataError(f"{detector} lies in no run folder; name the folder of the report with --out")


def _measured(
    subject: Subject, scores: Scores, data: DataFolder, split: str, prevalences: Sequence[float]
) -> EvaluationResult:
    rows, across = scores.rows, data.cross_split_duplicate[scores.rows]
    labels = data.labels[rows]
    of = LabeledScores.of(
        labels,
        scores.score,
        data.groups(rows),
        losses=scores.losses(labels),
        threshold=subject.thresholds.high,
    )
    run = subject.run
    return EvaluationResult.of(
        measure(of, subject.thresholds.decided, group_names(data, rows), across=across, prevalences=prevalences),
        date=now(),
        detector=subject.describe(),
        seed=None if subject.detector is None else subject.detector.card.seed,
        thresholds=subject.thresholds,
        data=replace(
            summary_of(of, name=data.name, hash=data.hash, split=split, across=across),
            duplicates=data.count_duplicates(rows),
            grouped_by=data.grouped_by,
        ),
        unreadable=data.info["problems"]["unreadable"],
        unscored=None if subject.joined is None else _unscored(subject.joined),
        attachments=Attachments(
            scores=score_table(scores, data, subject.thresholds),
            left_out=() if subject.joined is None else _left_out(subject.joined),
            training=() if run is None else run.read_metrics(),
        ),
    )


def _openings(data: DataFolder, split: str) -> Openings:
    lines = [line for line in data.ledger() if line["split"] == split]
    return Openings(times=len(lines), recipes=len({line["recipe_hash"] for line in lines}))


def _unscored(joined: Joined) -> Unscored:
    return Unscored(
        missing=len(joined.missing),
        missing_names=tuple(joined.missing[:NAMED]),
        extra=len(joined.extra),
        extra_names=tuple(joined.extra[:NAMED]),
        elsewhere=joined.elsewhere,
    )


def _left_out(joined: Joined) -> list[str]:
    lines = [f"no score: {name}" for name in joined.missing] + [f"no image: {name}" for name in joined.extra]
    for line in lines[:3]:
        logger.warning("%s", line)
    if len(lines) > 3:
        logger.warning("and %s more; unscored.txt in the report's folder lists all", f"{len(lines) - 3:,}")
    return lines
