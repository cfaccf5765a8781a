"""Out-of-fold scores: each image is scored by a network of the same recipe that was trained without it."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.detector.out_of_fold import Rows, read_fold, write_fold
from asli.metrics.classification import Floats, auroc, log_losses

logger = logging.getLogger("asli")


def out_of_fold(
    folder: Path, data: DataFolder, rows: Rows, fold: Rows, fit_and_score: Callable[[Path, Rows, Rows], Floats]
) -> Floats:
    """Return the logits of every row by the network that was trained on the other folds.

    The logits of each finished fold are kept as `fold-K.parquet`, so that an interrupted call resumes with
    the unfinished fold. The state of the fold's network is then deleted; `metrics.jsonl` stays.

    Args:
        folder: Folder of the folds, in the run.
        data: The data folder.
        rows: Rows of its manifest, n.
        fold: Fold of each row, from 0, n.
        fit_and_score: Trains in a folder, from where it stands there, on the rows given first and returns the logits of
            those given second.

    Returns:
        float64, n x 2 (real, fake), before temperature.
    """
    logits, total = np.empty((len(rows), 2)), int(fold.max()) + 1
    for number in range(total):
        held, place = fold == number, folder / f"fold-{number + 1}"
        kept = place.with_suffix(".parquet")
        if not kept.exists():
            logger.info("fold %d of %d: %s images train, %s are held out", number + 1, total, *_counts(held))
            found = fit_and_score(place, rows[~held], rows[held])
            write_fold(kept, data, rows[held], found)
        shutil.rmtree(place / "checkpoints", ignore_errors=True)
        logits[held] = read_fold(kept, data, rows[held])
        labels = data.labels[rows[held]]
        loss = log_losses(labels, logits[held]).mean()
        area = auroc(labels, logits[held, 1] - logits[held, 0])
        logger.info("fold %d of %d: held-out loss %.4f, AUROC %.4f", number + 1, total, loss, area)
    return logits


def _counts(held: npt.NDArray[np.bool_]) -> tuple[str, str]:
    return f"{int((~held).sum()):,}", f"{int(held.sum()):,}"
