"""Temperature and thresholds, from the calibration part and nothing else: the function behind `asli calibrate`."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.groups import grouped
from asli.detector.base import Detector
from asli.detector.card import CalibrationEvidence, Thresholds
from asli.detector.classifier import Classifier, as_classifier
from asli.detector.domain import Domain
from asli.detector.named_groups import Named
from asli.detector.out_of_fold import figures_out_of_fold, read_out_of_fold
from asli.detector.runtimes import BATCH
from asli.detector.saved_views import SavedPixels
from asli.detector.scoring import count_seen, logits_of_split, seen_in_training
from asli.detector.statistics import statistics
from asli.errors import DataError, DetectorError
from asli.metrics.built_in import CARD_METRICS, built_in
from asli.metrics.calibration import TEMPERATURES, fit_temperature
from asli.metrics.classification import Floats, log_losses, score_of_logits
from asli.metrics.constant import against_constant
from asli.metrics.estimate import Estimate
from asli.metrics.metric import LabeledScores
from asli.metrics.registry import measure
from asli.metrics.thresholds import Policy, choose
from asli.metrics.worst_group import threshold_for_groups
from asli.models.device import pick_device, set_threads
from asli.transforms.preprocessing import Preparation, Preprocessing

logger = logging.getLogger("asli")

FEW = 30
"""Independent calibration images of a label below which a warning says so."""


def calibrate(
    detector: str | Path | Detector,
    data: str | Path | DataFolder,
    out: str | Path,
    policy: Policy = Policy(),  # noqa: B008 - it is frozen
    *,
    license: str | None = None,
    split: str = "calibration",
    group_by: str | None = None,
    group_file: str | Path | None = None,
    views: bool = False,
    trunk: str | Path | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> Detector:
    """Fit temperature and thresholds anew and write a new detector.

    Its domain becomes that of the calibration images, since the thresholds hold for images like these; its figures are
    measured on the data's validation part, where there is one. A run made with folds, on its own data, is calibrated on
    its out-of-fold scores.

    Args:
        detector: A detector folder or a run folder; it stays as it is.
        data: A data folder with a calibration part.
        out: The new detector's folder.
        policy: How thresholds are chosen.
        license: License under which the weights may be used, for the card; None keeps the detector's license.
        split: Must be `calibration`: images that chose or evaluate the network may not set its thresholds.
        group_by: A column of the manifest, such as `source`. A promised false positive rate then holds for each group
            of photographs, groups too small for that being taken together; without a promise a group counts as one
            independent image.
        group_file: A table of `id,group` for the same.
        views: Score each calibration image in a view of its own: as it is, or saved as JPEG of quality 40 to 100, WebP,
            AVIF or HEIC. The thresholds then hold for such files, and the domain contains them.
        trunk: Another trunk's file, for a detector that reads its features from one (see `asli.models.trunks`).
        batch_size: Images computed at a time; None chooses by input size.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.

    Returns:
        The new detector.

    Raises:
        DataError: The part is not `calibration`, lacks a label, is too small for the promise, or consists of training
            images of the detector. If only some are training images, they are left out.
        DetectorError: The detector cannot be used, or `out` exists.
    """
    if split != "calibration":
        raise DataError(
            f"thresholds are fitted on the calibration part, never on '{split}': what chooses or judges a detector"
            " cannot also set its thresholds; leave --split out"
        )
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DetectorError(f"{out} exists; give another --out")
    data = open_data(data)
    named = Named.of(data, group_by, group_file) if policy.promises else None
    if named is None:
        data = grouped(data, group_by, group_file)
    set_threads(threads)
    opened = detector if isinstance(detector, Detector) else Detector.load(detector)
    if trunk is not None:
        opened = as_classifier(opened, "--trunk").with_trunk(Path(trunk))
    place = pick_device(device)
    if isinstance(opened, Classifier) and opened.quantized:
        raise DetectorError(f"{detector} is an int8 detector; calibrate the float32 one and export that again")
    folds = _folds(opened, data)
    if folds is not None and views:
        raise DataError("--views scores the calibration part anew, and this run's thresholds come from its folds")
    saved = SavedPixels(data) if views else None
    if folds is not None:
        rows, fold, logits = read_out_of_fold(folds, data)
        logits = logits / opened.card.temperature
        temperature, thresholds = fit_thresholds(logits, data, rows, policy, opened.card.thresholds.folds, named)
        measured = figures_out_of_fold(logits / temperature, data, rows, fold, policy, thresholds.high)
        figures = {out_of_fold_of(data, int(fold.max()) + 1): measured}
    else:
        unseen = fresh(opened, data, data.rows(split))
        rows, figures = data.rows(split)[unseen], {}
        logits = logits_of_split(opened, data, split, place, saved, batch_size)[unseen]
        temperature, thresholds = fit_thresholds(logits, data, rows, policy, named=named)
    if folds is None and _has(data, "validation"):
        count_seen(opened, data, "validation")
        # Divided here, since an ONNX form, which may be what computes, does not know the new temperature.
        logits = logits_of_split(opened, data, "validation", place, batch_size=batch_size) / temperature
        measured = figures_of(logits, data, "validation", thresholds)
        figures[validation_of(data, chose=data.hash == opened.card.trained_on.hash)] = measured
    domain = dataclasses.replace(
        domain_of(data, rows, opened.preparation, saved), generators=opened.card.domain.generators
    )  # generators are those it was trained on
    card = dataclasses.replace(
        opened.card,
        temperature=opened.card.temperature * temperature,
        thresholds=thresholds,
        domain=domain,
        figures=figures,
        license=license or opened.card.license,
    )
    made = opened.recalibrated(temperature, card)
    made.save(out)
    return made


def _folds(detector: Detector, data: DataFolder) -> Path | None:
    """Return where the out-of-fold scores of this data lie, or None where the detector was made without folds."""
    if detector.card.thresholds.folds is None or detector.run_folder is None:
        return None
    return detector.run_folder / "folds" if data.hash == detector.card.trained_on.hash else None


def fresh(detector: Detector, data: DataFolder, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which calibration images the detector was not trained on; it is overconfident on the others.

    Raises:
        DataError: It was trained on all of them.
    """
    seen = seen_in_training(detector, data, rows)
    if seen is None or not seen.any():
        return np.ones(len(rows), dtype=np.bool_)
    if seen.all():
        raise DataError(
            f"the detector was trained on all {len(rows):,} calibration images of {data.path}, so they tell nothing of"
            " its errors; give data it was not trained on"
        )
    logger.warning(
        "%s of %s calibration images were seen in this detector's training and are left out",
        f"{int(seen.sum()):,}",
        f"{len(rows):,}",
    )
    return ~seen


def fit_thresholds(
    logits: Floats,
    data: DataFolder,
    rows: npt.NDArray[np.int64],
    policy: Policy,
    folds: int | None = None,
    named: Named | None = None,
) -> tuple[float, Thresholds]:
    """Return temperature and thresholds for the logits of calibration images; warn if there are too few images.

    Args:
        logits: n x 2 (real, fake) of the rows, in their order, before temperature.
        data: The folder; its labels and duplicates are used.
        rows: Rows of its calibration part.
        policy: How thresholds are chosen.
        folds: How many networks gave the logits, where they are out-of-fold ones.
        named: Groups of photographs for each of which the promise shall hold.

    Raises:
        DataError: A label is missing, or there are too few images for the promise.
    """
    labels, groups = data.labels[rows], data.groups(rows)
    temperature = fit_temperature(labels, logits)
    scores = score_of_logits(logits / temperature)
    held = None
    if named is not None and (labels == 0).any():
        own = [named.names[row] for row in rows[labels == 0].tolist()]
        held = threshold_for_groups(scores[labels == 0], scores, groups[labels == 0], own, policy)
    band = choose(policy, labels, scores, groups, None if held is None else held.high)
    real, fake = (len(np.unique(groups[labels == code])) for code in (0, 1))
    thresholds = Thresholds(
        low=band.low,
        high=band.high,
        policy=policy.name,
        n=len(rows),
        calibration_hash=data.hash,
        real=real,
        fake=fake,
        target=policy.target if policy.promises else None,
        confidence=policy.confidence if policy.promises else None,
        band=policy.band,
        errors={
            "real_called_fake": int((scores[labels == 0] >= band.high).sum()),
            "fake_called_real": int((scores[labels == 1] < band.low).sum()),
            "unsure": int(((scores >= band.low) & (scores < band.high)).sum()),
        },
        folds=folds,
        evidence=CalibrationEvidence(**against_constant(labels, logits / temperature, groups)),
        groups=None if held is None or named is None else named.kept(held, own, scores[labels == 0] >= band.high),
    )
    logger.info(
        "temperature %.4f (loss %.4f -> %.4f); policy %s: real below %.4f, fake from %.4f (%s)",
        temperature,
        log_losses(labels, logits).mean(),
        log_losses(labels, logits / temperature).mean(),
        policy.name,
        band.low,
        band.high,
        thresholds.basis,
    )
    warn_of(temperature, thresholds)
    return temperature, thresholds


def warn_of(temperature: float, thresholds: Thresholds) -> None:
    """Warn of a temperature at its bound and of thresholds that rest on too little."""
    low, high = TEMPERATURES
    if not low * 1.01 < temperature < high / 1.01:
        logger.warning(
            "temperature %.4f is at its bound (%g to %g): the scores hardly depend on the label, or there are too few"
            " calibration images",
            temperature,
            low,
            high,
        )
    if min(thresholds.real or 0, thresholds.fake or 0) < FEW:
        logger.warning(
            "the thresholds rest on %s real and %s fake images; from fewer than %d of each they are little more than"
            " chance: give more images%s",
            f"{thresholds.real:,}",
            f"{thresholds.fake:,}",
            FEW,
            "" if thresholds.folds else ", or train with --folds 5",
        )
    if thresholds.not_calibrated:
        logger.warning("%s", thresholds.not_calibrated)
    if thresholds.no_better_than_constant:
        logger.warning(
            "%s; every verdict is unsure until a calibration shows otherwise: asli calibrate DETECTOR DATA",
            thresholds.no_better_than_constant,
        )


def policy_of(thresholds: Thresholds) -> Policy:
    """Return the policy a detector's thresholds were chosen by, to choose others like them."""
    if thresholds.target is None or thresholds.confidence is None:
        return Policy(name="argmax" if thresholds.policy == "argmax" else "max-f1")
    return Policy(name="target-fpr", target=thresholds.target, confidence=thresholds.confidence, band=thresholds.band)


def figures_of(logits: Floats, data: DataFolder, split: str, thresholds: Thresholds) -> dict[str, Estimate]:
    """Return the metrics that a detector's card keeps, from the logits of a part, after temperature.

    They are part of what the detector's hash covers, so metrics of other packages are not among them.
    """
    rows = data.rows(split)
    labels = data.labels[rows]
    of = LabeledScores.of(
        labels,
        score_of_logits(logits),
        data.groups(rows),
        losses=log_losses(labels, logits),
        threshold=thresholds.high,
    )
    return measure(built_in(*CARD_METRICS), of)


def validation_of(data: DataFolder, *, chose: bool) -> str:
    """Return under which name a detector keeps its figures on the validation part, and whether that part chose it."""
    return f"validation part of {data.name}" + (" (choices were made on it)" if chose else "")


def out_of_fold_of(data: DataFolder, folds: int) -> str:
    """Return under which name a detector keeps its out-of-fold figures."""
    return f"{data.name}, out of fold ({folds} folds)"


def domain_of(
    data: DataFolder, rows: npt.NDArray[np.int64], preprocessing: Preparation, saved: SavedPixels | None = None
) -> Domain:
    """Return the domain of a data folder's rows, as a network with this preprocessing sees them.

    Args:
        data: The folder.
        rows: Rows of its calibration part.
        preprocessing: The network's.
        saved: The views they were scored in, whose formats the domain then contains.
    """
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    values, pixels = None, saved or data.pixels
    if isinstance(preprocessing, Preprocessing):
        values = np.concatenate([statistics(pixels.fitted(part, preprocessing)) for part in parts])
    facts = data.table(["format", "width", "height", "quality", "generator"], rows)
    domain = Domain.of(facts, values)
    if isinstance(preprocessing, Preprocessing) and preprocessing.native:
        domain = domain.for_crops(preprocessing.short_side)
    return domain if saved is None else saved.widen(domain)


def _has(data: DataFolder, split: str) -> bool:
    try:
        return len(data.rows(split)) > 0
    except DataError:
        return False
