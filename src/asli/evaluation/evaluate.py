"""Judge a detector on a part of a data folder: the verb behind `asli evaluate`."""

import datetime
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asli import __version__
from asli.data.folder import DataFolder
from asli.detector.bundle import Detector
from asli.errors import DataError
from asli.evaluation.comparison import open_others
from asli.evaluation.figures import all_figures, as_json
from asli.evaluation.further import Asked, measure_further
from asli.evaluation.report import write_report
from asli.evaluation.scoring import score_split, write_scores
from asli.evaluation.sections import page_of, training_section
from asli.files import write_json
from asli.metrics.classification import Confusion
from asli.models.device import pick_device, set_threads
from asli.run import Run

logger = logging.getLogger("asli")


def evaluate(
    detector: str | Path,
    data: str | Path | DataFolder,
    *,
    split: str = "test",
    out: str | Path | None = None,
    robustness: int = 0,
    against: Sequence[str | Path] = (),
    device: str | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Score a split once and report every figure with its interval and origin.

    Args:
        detector: A detector folder or a run folder.
        data: A data folder.
        split: Which part; opening `test` is recorded in the data's ledger.
        out: Where the report goes; None puts it into the detector's run, under `evaluation/DATA-SPLIT`.
        robustness: How many images at most to corrupt and score again; 0 leaves it out.
        against: Detectors or runs to compare with on the same images; several runs of a recipe that differ by their
            seed are taken together.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.

    Returns:
        What `metrics.json` holds; `folder` says where that is.

    Raises:
        DetectorError, DataError: See their messages.
    """
    detector, data = Path(detector), data if isinstance(data, DataFolder) else DataFolder.open(data)
    set_threads(threads)
    opened, run = Detector.open(detector), _run_of(detector)
    asked = Asked(rivals=open_others(against, detector, opened), robustness=robustness)
    if out is not None:
        folder = Path(out)
    elif run is not None:
        folder = run.evaluation(f"{data.name}-{split}")
    else:
        raise DataError(f"{detector} lies in no run folder; say with --out where the report goes")
    scores = score_split(opened, data, split, pick_device(device))
    labels, threshold = data.labels[scores.rows], opened.card.thresholds.high
    figures = all_figures(labels, scores.logits, threshold, data.groups(scores.rows))
    counts = Confusion.at(labels, scores.score, threshold)
    openings = [line for line in data.ledger() if line["split"] == split]
    result: dict[str, Any] = {
        "version": 2,
        "asli": __version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "detector": opened.describe(),
        "data": {"name": data.name, "hash": data.hash, "split": split, "images": len(labels)},
        "unreadable": data.info["problems"]["unreadable"],
        "seed": opened.card.seed,
        "threshold": threshold,
        "confusion": {"tp": counts.tp, "fp": counts.fp, "tn": counts.tn, "fn": counts.fn},
        "figures": {kind: as_json(values) for kind, values in figures.items()},
        "test_opened": {"times": len(openings), "recipes": len({line["recipe_hash"] for line in openings})},
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_scores(folder / "scores.parquet", scores, data, opened)
    # What only some evaluations measure: its part of `result` first, then its section from that part.
    further = [] if run is None else [training_section(run.read_metrics())]
    further += measure_further(
        result,
        asked,
        path=detector,
        detector=opened,
        data=data,
        scores=scores,
        folder=folder,
        device=pick_device(device),
    )
    write_json(folder / "metrics.json", result)
    write_report(folder, page_of(result, further))
    logger.info("report: %s", folder / "report.html")
    return {**result, "folder": str(folder)}


def _run_of(detector: Path) -> Run | None:
    """Return the run a detector belongs to, or None."""
    for folder in (detector, detector.resolve().parent):
        if (folder / "recipe.toml").is_file():
            return Run.open(folder)
    return None
