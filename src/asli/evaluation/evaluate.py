"""Judge a detector, or anyone's scores, on a part of a data folder: the verb behind `asli evaluate`."""

import datetime
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asli._version import __version__
from asli.datasets.folder import DataFolder
from asli.datasets.groups import grouped
from asli.detector.bundle import Detector
from asli.detector.card import Thresholds
from asli.detector.scoring import Scores, count_seen, record_table, score_split, write_scores
from asli.errors import DataError
from asli.evaluation import external
from asli.evaluation.comparison import open_others
from asli.evaluation.further import Asked, measure_further
from asli.evaluation.judge import PREVALENCES, judge
from asli.evaluation.sections.overview import page_of, training_section
from asli.files import read_json, sha256_of_file, write_json, write_text
from asli.models.device import pick_device, set_threads
from asli.reports.kit import write_report
from asli.reports.pages import require_page
from asli.run import Run

logger = logging.getLogger("asli")

NAMED = 20
"""How many images that were left out are named in `metrics.json`; `unscored.txt` names all."""


def evaluate(
    detector: str | Path,
    data: str | Path | DataFolder,
    *,
    split: str = "test",
    out: str | Path | None = None,
    robustness: int = 0,
    against: Sequence[str | Path] = (),
    threshold: float | None = None,
    prevalences: Sequence[float] = PREVALENCES,
    group_by: str | None = None,
    group_file: str | Path | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Score a split once and report every figure with its interval and origin.

    Args:
        detector: A detector folder, a run folder, or a table of `filename,score` from any detector.
        data: A data folder.
        split: Which part; opening `test` is recorded in the data's ledger.
        out: Where the report goes; None puts it into the detector's run, under `evaluation/DATA-SPLIT`.
        robustness: How many images at most to corrupt and score again; 0 leaves it out.
        against: Detectors or runs to compare with on the same images; several runs of a recipe that differ by their
            seed are taken together.
        threshold: Where fake begins for a table of scores, 0.5 if None; a detector brings its own.
        prevalences: Shares of fakes among images to come, for which it is said how often a verdict is right.
        group_by: A column of the manifest, such as `source`, whose groups are resampled as one for every interval.
        group_file: A table of `id,group` for the same.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.

    Returns:
        What `metrics.json` holds; `folder` says where that is.

    Raises:
        DetectorError, DataError: See their messages.
    """
    path, data = Path(detector), data if isinstance(data, DataFolder) else DataFolder.open(data)
    data = grouped(data, group_by, group_file)
    if any(not 0 < prevalence < 1 for prevalence in prevalences):
        raise DataError(f"prevalences are shares of fakes between 0 and 1, not {', '.join(map(str, prevalences))}")
    set_threads(threads)
    opened = None if external.is_score_file(path) else Detector.open(detector)
    run = None if opened is None or opened.run_folder is None else Run.open(opened.run_folder)
    if robustness and opened is None:
        raise DataError(f"{path} is a table of scores; --robustness needs the detector itself")
    if (robustness or against) and len(np.unique(data.labels[data.rows(split)])) < 2:
        raise DataError(f"the {split} part of {data.path} has one label only; --robustness and --against need both")
    asked = Asked(rivals=open_others(against, path, opened, data, split), robustness=robustness)
    if out is not None:
        folder = Path(out)
    elif run is not None:
        folder = run.evaluation(f"{data.name}-{split}")
    else:
        raise DataError(f"{path} lies in no run folder; say with --out where the report goes")
    _require_report(folder)
    if opened is None:
        subject = _given(path, data, split, 0.5 if threshold is None else threshold)
    elif threshold is not None:
        raise DataError(f"{path} brings its own thresholds; --threshold is for tables of scores")
    else:
        subject = _Subject(
            score_split(opened, data, split, pick_device(device)),
            opened.card.thresholds,
            {**opened.describe(), "temperature": opened.card.temperature, "start_weights": opened.card.start_weights},
            opened.card.seed,
        )
    result: dict[str, Any] = {
        "version": 2,
        "asli": __version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "detector": subject.described,
        "seed": subject.seed,
        "thresholds": asdict(subject.thresholds),
        "unscored": subject.unscored,
        "seen_in_training": None if opened is None else count_seen(opened, data, split),
        **judge(subject.scores, data, split, subject.thresholds, tuple(prevalences)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_scores(folder / "scores.parquet", subject.scores, data, subject.thresholds)
    if subject.left_out:
        write_text(folder / "unscored.txt", "".join(f"{line}\n" for line in subject.left_out))
    # What only some evaluations measure: its part of `result` first, then its section from that part.
    metrics = [] if run is None else run.read_metrics()
    further = [training_section(metrics)] if metrics else []
    further += measure_further(
        result,
        asked,
        path=path,
        detector=opened,
        thresholds=subject.thresholds,
        data=data,
        scores=subject.scores,
        folder=folder,
        device=pick_device(device),
    )
    openings = [line for line in data.ledger() if line["split"] == split]  # those it was compared with included
    result["test_opened"] = {"times": len(openings), "recipes": len({line["recipe_hash"] for line in openings})}
    write_json(folder / "metrics.json", result)
    if opened is not None:
        write_text(folder / "model_card.md", opened.model_card(result))
    logger.info("report: %s", write_report(folder, page_of(result, further)))
    return {**result, "folder": str(folder)}


def _require_report(folder: Path) -> None:
    """Refuse to write into a folder where files of these names are somebody else's; an earlier report is replaced.

    Raises:
        AsliError: They are, or the folder's name is not UTF-8.
    """
    require_page(folder / "report.html", "--out")
    metrics = folder / "metrics.json"
    if metrics.exists():
        try:
            ours = "asli" in read_json(metrics)
        except (OSError, ValueError, TypeError):
            ours = False
        if not ours:
            raise DataError(f"{metrics} is there already and asli did not write it; give another --out")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is judged: scores, where they become verdicts, and what `metrics.json` says of their origin."""

    scores: Scores
    thresholds: Thresholds
    described: dict[str, Any]
    seed: int | None = None
    unscored: dict[str, Any] | None = None
    left_out: Sequence[str] = ()


def _given(path: Path, data: DataFolder, split: str, threshold: float) -> _Subject:
    """Read a table of scores; for the test part that is an opening like any other."""
    if not 0 < threshold <= 1:
        raise DataError(f"a threshold of {threshold} makes no sense; scores lie between 0 and 1")
    joined = external.join(external.read_scores(path), data, split, str(path))
    digest = sha256_of_file(path)
    record_table(data, split, digest, len(joined.scores.rows))
    described = {
        "network": path.name,
        "hash": digest,
        "recipe_hash": None,
        "thresholds": {"low": threshold, "high": threshold, "policy": "given"},
        "trained_on": None,
        "scores": True,
    }
    unscored = {
        "missing": len(joined.missing),
        "missing_names": joined.missing[:NAMED],
        "extra": len(joined.extra),
        "extra_names": joined.extra[:NAMED],
        "elsewhere": joined.elsewhere,
    }
    left_out = [f"no score: {name}" for name in joined.missing] + [f"no image: {name}" for name in joined.extra]
    for line in left_out[:3]:
        logger.warning("%s", line)
    if len(left_out) > 3:
        logger.warning("and %s more, see unscored.txt beside the report", f"{len(left_out) - 3:,}")
    thresholds = Thresholds(low=threshold, high=threshold, policy="given", n=0, calibration_hash="")
    return _Subject(joined.scores, thresholds, described, None, unscored, left_out)
