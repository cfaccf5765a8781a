"""Errors on corrupted images at the unchanged saved threshold."""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import torch
from PIL import features

from asli.datasets.folder import DataFolder
from asli.datasets.pixels import Pixels
from asli.detector.base import Detector
from asli.detector.card import Thresholds
from asli.detector.scoring import Scores, row_logits
from asli.errors import DataError
from asli.evaluation.further import CorruptionLevel, LevelMetrics, Robustness
from asli.files import replacing, sha256_of_json, write_json
from asli.metrics.built_in import built_in
from asli.metrics.classification import Floats, score_of_logits
from asli.metrics.intervals import Estimate, percentile, resampled, share_of, weighted_f1
from asli.metrics.metric import LabeledScores
from asli.metrics.registry import measure
from asli.progress import Progress, progress
from asli.transforms.corruptions import WEBP_SIDE, Array
from asli.transforms.ladder import LADDER, VERSION, Corruption, corrupted
from asli.transforms.preprocessing import Preparation
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

    def fitted(self, rows: Rows, preparation: Preparation) -> list[Any]:
        """Return each row's corrupted image, prepared by `preparation.to_input`."""

        def one(row: int, image: Array) -> Any:
            return preparation.to_input(corrupted(image, self.corruption, self.level, seed=self.seed, row=row))

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
    folder: Path | None,
    device: torch.device,
    *,
    images: int = IMAGES,
    seed: int = 0,
    ladder: Sequence[Corruption] = LADDER,
    batch_size: int | None = None,
) -> Robustness:
    """Score corrupted images at every level of the ladder.

    The logits of each finished level are kept under a name that hashes everything they depend on. So an interrupted
    sweep resumes, and a finished one is only read.

    Args:
        detector: The evaluated one; its threshold is used unchanged.
        data: The data folder.
        scores: Scores of the uncorrupted images; the rows are drawn from theirs.
        folder: Keeps the logits of each level; None keeps none.
        device: Where to compute.
        images: How many to draw at most.
        seed: Seed of the draw and of chance in corruptions.
        ladder: The corruptions.
        batch_size: Images computed at a time; None chooses by input size.

    Raises:
        DataError: Too few images.
    """
    rows = drawn_rows(data, scores.rows, images, seed)
    origin: dict[str, Any] = {
        "ladder": VERSION,
        "seed": seed,
        "detector": detector.hash,
        "data": data.hash,
        "rows": sha256_of_json(rows.tolist()),
        "codecs": {"Pillow": PIL.__version__, **{name: features.version(name) for name in ("libjpeg_turbo", "webp")}},
    }
    kept = None if folder is None else folder / sha256_of_json(origin)[:16]
    if kept is not None:
        write_json(kept / "origin.json", origin)
    cells = [(corruption, level) for corruption in ladder for level in corruption.levels]
    found = [None if kept is None else _kept(kept / _file_name(*cell), len(rows)) for cell in cells]
    done = sum(logits is not None for logits in found)
    if done:
        logger.info("robustness: %d of %d levels were scored before", done, len(cells))
    compute = row_logits(detector, device, batch_size) if done < len(cells) else None
    labels, thresholds = data.labels[rows], detector.card.thresholds
    clean = scores.score[np.searchsorted(scores.rows, rows)]
    measured, called = [], [clean >= thresholds.high]
    with progress("robustness", len(cells) * len(rows), unit="images", done=done * len(rows)) as bar:
        for (corruption, level), logits in zip(cells, found, strict=True):
            if logits is None:
                assert compute is not None
                changed = CorruptedPixels(data.pixels, corruption, level, seed)
                note = f"{corruption.name} {level_text(level)}"
                logits = _advancing(compute(changed, rows), bar, note)
                if kept is not None:
                    _keep(kept / _file_name(corruption, level), logits)
            found_scores = score_of_logits(logits)
            called.append(found_scores >= thresholds.high)
            metrics = _metrics(labels, found_scores, thresholds)
            measured.append(CorruptionLevel(corruption=corruption.name, axis=corruption.axis, level=level, **metrics))
    return Robustness(
        **origin,
        images=len(rows),
        real=int((labels == 0).sum()),
        fake=int((labels == 1).sum()),
        of=len(scores.rows),
        threshold=thresholds.high,
        low=thresholds.low,
        clean=LevelMetrics(**_metrics(labels, clean, thresholds)),
        levels=tuple(measured),
        f1=mean_f1(labels, np.array(called), [level.corruption for level in measured]),
        worst={
            "false_positive_rate": _extreme(max, [level.false_positive_rate for level in measured]),
            "false_negative_rate": _extreme(max, [level.false_negative_rate for level in measured]),
            "auroc": _extreme(min, [level.auroc for level in measured]),
        },
    )


def mean_f1(labels: npt.NDArray[np.int8], called: npt.NDArray[np.bool_], kinds: Sequence[str]) -> dict[str, Estimate]:
    """Return F1 of clean and of corrupted images, and the mean of the two: one number to choose detectors by.

    Corrupted: the mean over kinds of corruption, each the mean over its levels, so that a kind with many levels does
    not count for more. Intervals by bootstrap, an image being drawn together with all its corrupted forms.

    Args:
        labels: Labels of the images.
        called: 1 + levels x images: which are called fake, clean ones first.
        kinds: Kinds of each level.
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
    return dict(zip(mix, figures, strict=True))


def level_text(level: float | str) -> str:
    """Return a level as it is printed."""
    return level if isinstance(level, str) else f"{level:g}"


def _advancing(parts: Iterable[Floats], bar: Progress, note: str) -> Floats:
    logits = []
    for part in parts:
        logits.append(part)
        bar.advance(len(part), note)
    return np.concatenate(logits)


def _file_name(corruption: Corruption, level: float | str) -> str:
    return f"{corruption.name.replace(' ', '-')}-{level_text(level)}.npy"


def _keep(path: Path, logits: Floats) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, logits, allow_pickle=False)


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


def _metrics(labels: npt.NDArray[np.int8], scores: Floats, thresholds: Thresholds) -> dict[str, Estimate]:
    of = LabeledScores.of(labels, scores, threshold=thresholds.high)  # images are independent, see `drawn_rows`
    low, high = thresholds.decided
    unsure = (scores >= low) & (scores < high)
    metrics = measure(built_in("false_positive_rate", "false_negative_rate", "f1", "auroc"), of)
    return {**metrics, "unsure": share_of(unsure, of.groups)}


def _extreme(pick: Callable[..., int], estimates: Sequence[Estimate]) -> int:
    """Return the number of the highest or the lowest estimate."""
    return pick(range(len(estimates)), key=lambda number: estimates[number].value)
