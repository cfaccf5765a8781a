"""Scores of a part of a data folder, as a table; computed once, everything else reads them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from asli.data.folder import DataFolder
from asli.detector.bundle import Detector
from asli.detector.runtime import logits_of_rows
from asli.files import replacing
from asli.metrics.classification import Floats, score_of_logits
from asli.progress import progress


@dataclass(frozen=True, slots=True)
class Scores:
    """Scored rows of a data folder.

    Attributes:
        rows: Of the manifest, int64, n.
        logits: float64, n x 2 (real, fake), after temperature.
    """

    rows: npt.NDArray[np.int64]
    logits: Floats

    @property
    def score(self) -> Floats:
        """Return P(fake), float64, n."""
        return score_of_logits(self.logits)


def score_split(detector: Detector, data: DataFolder, split: str, device: torch.device) -> Scores:
    """Score every readable image of a split; the test part's opening is recorded in the data's ledger."""
    rows = data.rows(split)
    runtime, parts = detector.runtime(device), []
    with progress(f"scoring {split}", len(rows), unit="images") as bar:
        for logits in logits_of_rows(runtime, data.pixels, rows, detector.preprocessing):
            parts.append(logits)
            bar.advance(len(logits))
    if split == "test":
        data.record_opening(
            split=split,
            recipe_hash=detector.card.recipe_hash,
            detector_hash=detector.hash or "unsaved",
            images=len(rows),
        )
    return Scores(rows, np.concatenate(parts))


def write_scores(path: Path, scores: Scores, data: DataFolder, detector: Detector) -> None:
    """Write `scores.parquet`: id, logits, score, verdict, and what the manifest says of each image."""
    known = data.table(["id", "label", "split", "generator", "category"], scores.rows)
    score = scores.score
    table = pa.table(
        {
            "id": known["id"],
            "logit_real": scores.logits[:, 0],
            "logit_fake": scores.logits[:, 1],
            "score": score,
            "verdict": [detector.card.thresholds.verdict(value) for value in score],
            **{name: known[name] for name in ("label", "split", "generator", "category")},
        }
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
