"""What becomes of a detector's errors when its images are corrupted; its threshold stays as it is saved."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import torch
from PIL import features

from asli.datasets.folder import DataFolder
from asli.datasets.pixels import Pixels
from asli.detector.bundle import Detector
from asli.detector.card import Thresholds
from asli.detector.runtime import logits_of_rows
from asli.detector.scoring import Scores
from asli.errors import DataError
from asli.files import replacing, sha256_of_json, write_json
from asli.metrics.classification import Confusion, Floats, score_of_logits
from asli.metrics.delong import auroc_interval
from asli.metrics.intervals import f1_interval, percentile, proportion, resampled, weighted_f1
from asli.progress import Progress, progress
from asli.transforms.corruptions import WEBP_SIDE, Array
from asli.transforms.ladder import LADDER, VERSION, Corruption, corrupted
from asli.transforms.preprocessing import Preprocessing
from asli.transforms.randomness import order

logger = logging.getLogger("asli")

IMAGES = 2000
"""At most as many are corrupted unless the caller says otherwise."""

Rows = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class CorruptedPixels:
    """Pixels of a data folder at one level of a corruption; what evaluation sees of each is cut out afterwards."""

    pixels: Pixels
    corruption: Corruption
    level: float | str
    seed: int

    def fitted(self, rows: Rows, preprocessing: Preprocessing) -> list[Array]:
        """Return what evaluation sees of each row: uint8, windows x size x size x 3 each."""

        def one(row: int, image: Array) -> Array:
            return preprocessing.fit(corrupted(image, self.corruption, self.level, seed=self.seed, row=row))

        return self.pixels.map(one, rows)


def drawn_rows(data: DataFolder, rows: Rows, count: int, seed: int) -> Rows:
    """Draw at most `count` rows, half of each label as far as there are enough, and one of each group of duplicates.

    One of each group, so that images are independent and a share's interval holds. Images too large for WebP are left
    out.

    Raises:
        DataError: Fewer than two images of a label are left.
    """
    fitting = rows[data.pixels.sizes(rows).max(axis=1) <= WEBP_SIDE]
    _, first = np.unique(data.groups(fitting), return_index=True)
    single = fitting[np.sort(first)]
    by_label = [single[data.labels[single] == code] for code in (0, 1)]
    chosen = []
    for code, (own, other) in enumerate((by_label, by_label[::-1])):
        take = max(count // 2, count - len(other))
        chosen.append(own[order(seed, code, len(own))[:take]])
    if min(map(len, chosen)) < 2:
        raise DataError(f"robustness needs two or more images of each label; {count} drawn from {len(rows)} gave fewer")
    return np.sort(np.concatenate(chosen))


def sweep(
    detector: Detector,
    data: DataFolder,
    scores: Scores,
    folder: Path,
    device: torch.device,
    *,
    images: int = IMAGES,
    seed: int = 0,
    ladder: Sequence[Corruption] = LADDER,
) -> dict[str, Any]:
    """Score corrupted images at every level of the ladder.

    Each level's logits are kept as they are finished, under a name that hashes all they depend on, so that an
    interrupted sweep goes on and a finished one is only read.

    Args:
        detector: The one judged; its threshold is used unchanged.
        data: The data folder.
        scores: Of the uncorrupted images; the rows are drawn from theirs.
        folder: Keeps the logits of each level.
        device: Where to compute.
        images: How many to draw at most.
        seed: Of the draw and of chance in corruptions.
        ladder: The corruptions.

    Returns:
        What `metrics.json` holds under `robustness`.

    Raises:
        DataError: Too few images.
    """
    rows = drawn_rows(data, scores.rows, images, seed)
    origin = {
        "ladder": VERSION,
        "seed": seed,
        "detector": detector.hash,
        "data": data.hash,
        "rows": sha256_of_json(rows.tolist()),
        "codecs": {"Pillow": PIL.__version__, **{name: features.version(name) for name in ("libjpeg_turbo", "webp")}},
    }
    kept = folder / sha256_of_json(origin)[:16]
    write_json(kept / "origin.json", origin)
    cells = [(corruption, level) for corruption in ladder for level in corruption.levels]
    found = [_kept(kept / _file_name(*cell), len(rows)) for cell in cells]
    done = sum(logits is not None for logits in found)
    if done:
        logger.info("robustness: %d of %d levels were scored before", done, len(cells))
    runtime = detector.runtime(detector.near(device)) if done < len(cells) else None
    labels, thresholds = data.labels[rows], detector.card.thresholds
    clean = scores.score[np.searchsorted(scores.rows, rows)]
    measured, called = [], [clean >= thresholds.high]
    with progress("robustness", len(cells) * len(rows), unit="images", done=done * len(rows)) as bar:
        for (corruption, level), logits in zip(cells, found, strict=True):
            if logits is None:
                assert runtime is not None
                changed = CorruptedPixels(data.pixels, corruption, level, seed)
                note = f"{corruption.name} {level_text(level)}"
                logits = _advancing(logits_of_rows(runtime, changed, rows, detector.preprocessing), bar, note)
                with replacing(kept / _file_name(corruption, level)) as temporary, temporary.open("wb") as stream:
                    np.save(stream, logits, allow_pickle=False)
            found_scores = score_of_logits(logits)
            called.append(found_scores >= thresholds.high)
            figures = _figures(labels, found_scores, thresholds)
            measured.append({"corruption": corruption.name, "axis": corruption.axis, "level": level, **figures})
    return {
        **origin,
        "images": len(rows),
        "real": int((labels == 0).sum()),
        "fake": int((labels == 1).sum()),
        "of": len(scores.rows),
        "threshold": thresholds.high,
        "low": thresholds.low,
        "clean": _figures(labels, clean, thresholds),
        "levels": measured,
        "f1": mean_f1(labels, np.array(called), [line["corruption"] for line in measured]),
        "worst": {
            "false_positive_rate": max(range(len(cells)), key=lambda i: measured[i]["false_positive_rate"]["value"]),
            "false_negative_rate": max(range(len(cells)), key=lambda i: measured[i]["false_negative_rate"]["value"]),
            "auroc": min(range(len(cells)), key=lambda i: measured[i]["auroc"]["value"]),
        },
    }


def mean_f1(
    labels: npt.NDArray[np.int8], called: npt.NDArray[np.bool_], kinds: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return F1 of clean and of corrupted images, and the mean of the two: one number to choose detectors by.

    Corrupted: the mean over kinds of corruption, each the mean over its levels, so that a kind with many levels does
    not count for more. Intervals by bootstrap, an image being drawn together with all its corrupted forms.

    Args:
        labels: Of the images.
        called: 1 + levels x images: which are called fake, clean ones first.
        kinds: Of each level.
    """
    names = list(dict.fromkeys(kinds))
    shares = np.array([1 / kinds.count(kind) / len(names) for kind in kinds])
    mix = {"clean": [1.0, *0 * shares], "corrupted": [0.0, *shares], "mean": [0.5, *shares / 2]}
    each = [weighted_f1(labels, row) for row in called]

    def f1(weights: Floats) -> Floats:
        means: Floats = np.stack([statistic(weights) for statistic in each], axis=1) @ np.array(list(mix.values())).T
        return means

    (values,), drawn = f1(np.ones((1, len(labels)))), resampled(f1, np.arange(len(labels)))
    figures = (percentile(drawn[:, i], float(value), len(labels)) for i, value in enumerate(values))
    return {name: dataclasses.asdict(figure) for name, figure in zip(mix, figures, strict=True)}


def level_text(level: float | str) -> str:
    """Return a level as it is printed."""
    return level if isinstance(level, str) else f"{level:g}"


def _advancing(parts: Any, bar: Progress, note: str) -> Floats:
    logits = []
    for part in parts:
        logits.append(part)
        bar.advance(len(part), note)
    return np.concatenate(logits)


def _file_name(corruption: Corruption, level: float | str) -> str:
    return f"{corruption.name.replace(' ', '-')}-{level_text(level)}.npy"


def _kept(path: Path, count: int) -> Floats | None:
    """Read the logits of a level, or None where there are none that can be used."""
    if not path.exists():
        return None
    try:
        logits: Floats = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        logger.warning("%s is damaged (%s); its level is scored again", path, error)
        return None
    if logits.shape != (count, 2) or logits.dtype != np.float64 or not np.isfinite(logits).all():
        logger.warning("%s is damaged; its level is scored again", path)
        return None
    return logits


def _figures(labels: npt.NDArray[np.int8], scores: Floats, thresholds: Thresholds) -> dict[str, Any]:
    counts = Confusion.at(labels, scores, thresholds.high)
    low, high = thresholds.decided
    unsure = (scores >= low) & (scores < high)
    return {
        "false_positive_rate": dataclasses.asdict(proportion(counts.fp, counts.fp + counts.tn)),
        "false_negative_rate": dataclasses.asdict(proportion(counts.fn, counts.fn + counts.tp)),
        "unsure": dataclasses.asdict(proportion(int(unsure.sum()), len(unsure))),
        "f1": dataclasses.asdict(f1_interval(labels, scores >= thresholds.high, np.arange(len(labels)))),
        "auroc": dataclasses.asdict(auroc_interval(labels, scores)),
    }
