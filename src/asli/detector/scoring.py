"""Scores of a part of a data folder, as a table; computed once, everything else reads them."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from asli.datasets.folder import DataFolder
from asli.detector.base import Detector
from asli.detector.card import Thresholds
from asli.detector.runtimes import Fitted, logits_of_rows
from asli.metrics.classification import Floats, Labels, log_losses, losses_of_scores, score_of_logits
from asli.progress import progress

RowLogits = Callable[[Fitted, npt.NDArray[np.int64]], Iterator[Floats]]

logger = logging.getLogger("asli")


@dataclass(frozen=True, slots=True)
class Scores:
    """Scored rows of a data folder.

    Attributes:
        rows: Rows of the manifest, int64, n.
        score: P(fake), float64, n.
        logits: float64, n x 2 (real, fake), after temperature; None where only scores are known.
    """

    rows: npt.NDArray[np.int64]
    score: Floats
    logits: Floats | None = None

    def losses(self, labels: Labels) -> Floats:
        """Return each image's negative log-likelihood, in nats."""
        return losses_of_scores(labels, self.score) if self.logits is None else log_losses(labels, self.logits)


def row_logits(detector: Detector, device: torch.device, batch_size: int | None = None) -> RowLogits:
    """Return a function of pixels and rows of a data folder that yields their logits, batch after batch.

    Args:
        detector: Prepares and computes.
        device: Where to compute.
        batch_size: Images computed at a time; None chooses by input size.
    """
    runtime = detector.runtime(detector.near(device))
    return lambda pixels, rows: logits_of_rows(runtime, pixels, rows, detector.preparation, batch_size)


def logits_of_split(
    detector: Detector,
    data: DataFolder,
    split: str,
    device: torch.device,
    pixels: Fitted | None = None,
    batch_size: int | None = None,
) -> Floats:
    """Return the logits of every readable image of a split, float64, n x 2, in the order of `data.rows(split)`.

    Args:
        detector: What scores.
        data: The data folder.
        split: Split of the data folder.
        device: Where to compute.
        pixels: Pixels of its images in other views; None takes them as they are.
        batch_size: Images computed at a time; None chooses by input size.
    """
    rows, parts, compute = data.rows(split), [], row_logits(detector, device, batch_size)
    with progress(f"scoring {split}", len(rows), unit="images") as bar:
        for logits in compute(pixels or data.pixels, rows):
            parts.append(logits)
            bar.advance(len(logits))
    return np.concatenate(parts)


def score_split(
    detector: Detector, data: DataFolder, split: str, device: torch.device, batch_size: int | None = None
) -> Scores:
    """Score every readable image of a split; the test part's opening is recorded in the data's ledger."""
    logits = logits_of_split(detector, data, split, device, batch_size=batch_size)
    if split == "test":
        data.record_opening(
            split=split,
            recipe_hash=detector.card.recipe_hash,
            detector_hash=detector.hash or "unsaved",
            images=len(logits),
        )
    return Scores(data.rows(split), score_of_logits(logits), logits)


def seen_in_training(detector: Detector, data: DataFolder, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
    """Return which rows' images, to the pixel, the detector was trained on; None where it does not know."""
    known = detector.training_images
    return None if known is None else np.isin(data.keys(rows), known)


def count_seen(detector: Detector, data: DataFolder, split: str) -> int | None:
    """Count the images of a split that the detector was trained on, and warn of them; None where it does not know."""
    seen = seen_in_training(detector, data, data.rows(split))
    if seen is None:
        return None
    if seen.any() and split != "train":
        logger.warning(
            "%s of %s images of the %s part were training images of %s: metrics on them are optimistic",
            f"{int(seen.sum()):,}",
            f"{len(seen):,}",
            split,
            detector.folder,
        )
    return int(seen.sum())


def record_table(data: DataFolder, split: str, digest: str, images: int) -> None:
    """Record that a table of scores, by its SHA-256, was held against the test part: an opening like any other."""
    if split == "test":
        origin = f"scores {digest}"
        data.record_opening(split=split, recipe_hash=origin, detector_hash=origin, images=images)


def score_table(scores: Scores, data: DataFolder, thresholds: Thresholds) -> pa.Table:
    """Return what `scores.parquet` holds: id, logits, score, verdict, and the manifest's columns of each image."""
    known = data.table(["id", "label", "split", "generator", "category"], scores.rows)
    logits = {} if scores.logits is None else dict(zip(("logit_real", "logit_fake"), scores.logits.T, strict=True))
    return pa.table(
        {
            "id": known["id"],
            **logits,
            "score": scores.score,
            "verdict": [thresholds.verdict(value) for value in scores.score],
            **{name: known[name] for name in ("label", "split", "generator", "category")},
        }
    )
