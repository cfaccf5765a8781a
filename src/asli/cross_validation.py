"""Out-of-fold scores: each image is scored by a network of the same recipe that was trained without it."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from asli.datasets.folder import DataFolder
from asli.errors import RunError
from asli.files import replacing
from asli.metrics.classification import Floats, auroc, log_losses, score_of_logits
from asli.metrics.figures import figures_at, ranking_figures
from asli.metrics.intervals import Figure
from asli.metrics.thresholds import Policy, choose

Rows = npt.NDArray[np.int64]

SCORES = "scores.parquet"

logger = logging.getLogger("asli")


def out_of_fold(
    folder: Path, data: DataFolder, rows: Rows, fold: Rows, fit_and_score: Callable[[Path, Rows, Rows], Floats]
) -> Floats:
    """Return the logits of every row by the network that was trained on the other folds.

    Each fold's logits are kept as `fold-K.parquet` once they are there, so that an interrupted call goes on with the
    fold it stands at; the state of its network is then deleted, `metrics.jsonl` stays.

    Args:
        folder: Of the folds, in the run.
        data: The data folder.
        rows: Of its manifest, n.
        fold: Of each row, from 0, n.
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
            ids = data.table(["id"], rows[held])["id"]
            _write(kept, pa.table({"id": ids, "logit_real": found[:, 0], "logit_fake": found[:, 1]}))
        shutil.rmtree(place / "checkpoints", ignore_errors=True)
        logits[held] = _read(kept, data, rows[held])
        labels = data.labels[rows[held]]
        loss = log_losses(labels, logits[held]).mean()
        area = auroc(labels, logits[held, 1] - logits[held, 0])
        logger.info("fold %d of %d: held-out loss %.4f, AUROC %.4f", number + 1, total, loss, area)
    return logits


def write_out_of_fold(
    folder: Path, data: DataFolder, rows: Rows, fold: Rows, logits: Floats, temperature: float
) -> None:
    """Write `scores.parquet`: what every out-of-fold figure and threshold is made of, for anyone to make again.

    Args:
        folder: Of the folds, in the run.
        data: The data folder.
        rows: Of its manifest, n.
        fold: Of each row, from 0, n.
        logits: n x 2, before temperature.
        temperature: Of the score.
    """
    known = data.table(["id", "label", "split", "generator", "source"], rows)
    columns = {
        "id": known["id"],
        "fold": fold + 1,
        "logit_real": logits[:, 0],
        "logit_fake": logits[:, 1],
        "score": score_of_logits(logits / temperature),
        **{name: known[name] for name in ("label", "split", "generator", "source")},
    }
    _write(folder / SCORES, pa.table(columns))


def figures_out_of_fold(logits: Floats, data: DataFolder, rows: Rows, fold: Rows, policy: Policy) -> dict[str, Figure]:
    """Return the figures of out-of-fold logits, after temperature.

    Each fold is judged at the threshold that the other folds' scores give, so no image has set the threshold it is
    judged at.
    """
    labels, groups, scores = data.labels[rows], data.groups(rows), score_of_logits(logits)
    above = np.empty(len(rows))
    for number in range(int(fold.max()) + 1):
        held = fold == number
        above[held] = scores[held] - choose(policy, labels[~held], scores[~held], groups[~held]).high
    return {
        **figures_at(labels, above, 0.0, groups),
        **ranking_figures(labels, scores, log_losses(labels, logits), groups),
    }


def read_out_of_fold(folder: Path, data: DataFolder) -> tuple[Rows, Floats] | None:
    """Return the rows that a run's `scores.parquet` scores and their logits before temperature; None without one."""
    path = folder / SCORES
    if not path.is_file():
        return None
    places = {identity: row for row, identity in enumerate(data.table(["id"])["id"].to_pylist())}
    rows = np.array([places[identity] for identity in pq.read_table(path, columns=["id"])["id"].to_pylist()])
    return rows, _read(path, data, rows)


def _counts(held: npt.NDArray[np.bool_]) -> tuple[str, str]:
    return f"{int((~held).sum()):,}", f"{int(held.sum()):,}"


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _read(path: Path, data: DataFolder, rows: Rows) -> Floats:
    try:
        table = pq.read_table(path, columns=["id", "logit_real", "logit_fake"])
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path} is damaged ({error}); delete it to train that fold again") from error
    if table["id"].to_pylist() != data.table(["id"], rows)["id"].to_pylist():
        raise RunError(f"{path} scores other images than this fold's; delete it to train that fold again")
    return np.stack([table[name].to_numpy() for name in ("logit_real", "logit_fake")], axis=1)
