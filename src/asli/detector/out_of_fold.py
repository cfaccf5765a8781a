"""Out-of-fold scores in a run's `folds/`: written, read, and judged."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from asli.datasets.folder import DataFolder
from asli.errors import DataError, RunError
from asli.files import replacing
from asli.metrics.built_in import CARD_METRICS, built_in
from asli.metrics.classification import Floats, log_losses, score_of_logits
from asli.metrics.estimate import Estimate
from asli.metrics.metric import LabeledScores
from asli.metrics.registry import measure
from asli.metrics.thresholds import Policy, choose

Rows = npt.NDArray[np.int64]

SCORES = "scores.parquet"


def write_fold(path: Path, data: DataFolder, rows: Rows, logits: Floats) -> None:
    """Write one fold's logits, n x 2 (real, fake), before temperature; the file appears whole or not at all."""
    columns = {"id": data.table(["id"], rows)["id"], "logit_real": logits[:, 0], "logit_fake": logits[:, 1]}
    _write(path, pa.table(columns))


def read_fold(path: Path, data: DataFolder, rows: Rows) -> Floats:
    """Read the logits of rows.

    Raises:
        RunError: The file is damaged or scores other images.
    """
    try:
        table = pq.read_table(path, columns=["id", "logit_real", "logit_fake"])
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path} is damaged ({error}); delete it to train that fold again") from error
    if table["id"].to_pylist() != data.table(["id"], rows)["id"].to_pylist():
        raise RunError(f"{path} scores other images than this fold's; delete it to train that fold again")
    return np.stack([table[name].to_numpy() for name in ("logit_real", "logit_fake")], axis=1)


def write_out_of_fold(
    folder: Path, data: DataFolder, rows: Rows, fold: Rows, logits: Floats, temperature: float
) -> None:
    """Write `scores.parquet`: what every out-of-fold figure and threshold is made of, for anyone to make again.

    Args:
        folder: Folder of the folds, in the run.
        data: The data folder.
        rows: Rows of its manifest, n.
        fold: Fold of each row, from 0, n.
        logits: n x 2, before temperature.
        temperature: Temperature of the score.
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


def figures_out_of_fold(
    logits: Floats, data: DataFolder, rows: Rows, fold: Rows, policy: Policy, threshold: float
) -> dict[str, Estimate]:
    """Return the figures of out-of-fold logits, after temperature.

    Each fold is judged at the threshold that the other folds' scores give, so no image has set the threshold it is
    judged at. Where the others are too few for the policy's promise, `threshold`, that of all folds, is taken.
    """
    labels, groups, scores = data.labels[rows], data.groups(rows), score_of_logits(logits)
    above = np.empty(len(rows))
    for number in range(int(fold.max()) + 1):
        held = fold == number
        try:
            high = choose(policy, labels[~held], scores[~held], groups[~held]).high
        except DataError:
            high = threshold
        above[held] = scores[held] - high
    metrics = built_in(*CARD_METRICS)
    losses = log_losses(labels, logits)
    at = LabeledScores.of(labels, above, groups, losses=losses, threshold=0.0)
    free = LabeledScores.of(labels, scores, groups, losses=losses)
    return {
        **measure([metric for metric in metrics if metric.needs == "threshold"], at),
        **measure([metric for metric in metrics if metric.needs != "threshold"], free),
    }


def read_out_of_fold(folder: Path, data: DataFolder) -> tuple[Rows, Rows, Floats]:
    """Return the rows that a run's `scores.parquet` scores, the fold of each from 0, and logits before temperature.

    Raises:
        RunError: The file is missing, damaged or of other data.
    """
    path = folder / SCORES
    places = {identity: row for row, identity in enumerate(data.table(["id"])["id"].to_pylist())}
    try:
        table = pq.read_table(path, columns=["id", "fold"])
        rows = np.array([places[identity] for identity in table["id"].to_pylist()], dtype=np.int64)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise RunError(f"{path} is missing, damaged or of other data ({error}); train again with --folds") from error
    return rows, table["fold"].to_numpy() - 1, read_fold(path, data, rows)


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
