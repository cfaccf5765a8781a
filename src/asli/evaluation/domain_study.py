"""Test a detector on ordinary pictures that are shrunk to its size: the function behind `asli domain-study`.

A detector for small images may tell photographs from fakes by how they were shrunk. Here whole pictures go through
every common kernel, are encoded as the images of the detector's domain, and are scored at the unchanged threshold.
False alarms that move with the kernel are the kernel's, not the picture's.
"""

import io
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.images import Facts, decode
from asli.detector.base import Detector
from asli.detector.classifier import Classifier, as_classifier
from asli.detector.runtimes import batch_of
from asli.errors import DataError
from asli.evaluation.described import DetectorSummary
from asli.evaluation.domain_study_result import (
    PHOTOGRAPHS,
    DomainStudy,
    FalseAlarms,
    KernelResult,
    SourceRates,
    StudyData,
)
from asli.metrics.classification import Floats, score_of_logits
from asli.metrics.delong import auroc_interval
from asli.metrics.intervals import Estimate, share_of
from asli.models.device import pick_device, set_threads
from asli.parallel import ordered
from asli.progress import progress
from asli.transforms.corruptions import KERNELS, Kernel, resized

logger = logging.getLogger("asli")

ANTIALIASED: tuple[Kernel, ...] = tuple(kernel for kernel in KERNELS if kernel != "nearest")

GROUP = 64
"""Pictures that one thread decodes and shrinks, and that are scored together; fewer of a large input size."""

_Shrunk = tuple[list[Facts], list[npt.NDArray[np.uint8]]]


@dataclass(frozen=True, slots=True)
class KernelScores:
    """Pictures through one kernel.

    Attributes:
        scores: P(fake), n.
        outside: Whether the domain rule holds each back, n.
    """

    scores: Floats
    outside: npt.NDArray[np.bool_]


def domain_study(
    detector: str | Path, data: str | Path | DataFolder, *, device: str | None = None, threads: int | None = None
) -> DomainStudy:
    """Shrink every picture of a data folder by every kernel and score it.

    Args:
        detector: A detector folder or a run folder.
        data: A data folder of pictures larger than the detector's size; all its parts are taken, and the ledger says so
            where test is among them.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.

    Returns:
        For each kernel and source (photographs, each generator): the share called fake, with and without the domain
        rule, and AUROC against the photographs; the spread of false alarms between kernels.

    Raises:
        DetectorError, DataError: See their messages.
    """
    opened = as_classifier(Detector.load(detector), "the domain study")
    data = open_data(data)
    set_threads(threads)
    rows = _large_enough(data, opened.preprocessing.size)
    sources = _sources(data, rows)
    labels, groups = data.labels[rows], data.groups(rows)
    found = _score(opened, data, rows, device)
    tested = data.table(["split"], rows)["split"].to_pylist().count("test")
    if tested:
        data.record_opening(
            split="test",
            recipe_hash=opened.card.recipe_hash,
            detector_hash=opened.hash or "unsaved",
            images=tested,
        )
    threshold = opened.card.thresholds.high
    kernels: dict[str, KernelResult] = {
        kernel: KernelResult(
            sources={
                source: _source_rates(scored, sources == source, threshold, groups) for source in sorted(set(sources))
            },
            auroc=_aurocs(scored, labels, sources, groups),
        )
        for kernel, scored in found.items()
    }
    return DomainStudy(
        detector=DetectorSummary.of(opened),
        threshold=threshold,
        data=StudyData(
            name=data.name,
            hash=data.hash,
            pictures=len(rows),
            too_small=int(data.readable.sum()) - len(rows),
        ),
        encoding=_encoding_text(opened),
        kernels=kernels,
        false_alarms=_spread(kernels),
    )


def _large_enough(data: DataFolder, size: int) -> npt.NDArray[np.int64]:
    sides = data.table(["height", "width"])
    shorter = np.minimum(*(sides[side].fill_null(0).to_numpy() for side in ("height", "width")))
    rows = np.flatnonzero(data.readable & (shorter > size))
    if not len(rows):
        raise DataError(f"{data.path} has no picture larger than the detector's {size} px; give one of whole pictures")
    return rows


def _sources(data: DataFolder, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    named = data.table(["generator"], rows)["generator"].to_pylist()
    return np.array(
        [
            PHOTOGRAPHS if label == 0 else name or "fakes, unnamed"
            for label, name in zip(data.labels[rows], named, strict=True)
        ]
    )


def _score(
    detector: Classifier, data: DataFolder, rows: npt.NDArray[np.int64], device: str | None
) -> dict[Kernel, KernelScores]:
    """Score every picture through every kernel; threads decode each picture once, ahead of the network."""
    runtime, domain = detector.runtime(detector.near(pick_device(device))), detector.card.domain
    size = detector.preprocessing.size
    scores: dict[Kernel, list[Floats]] = {kernel: [] for kernel in KERNELS}
    outside: dict[Kernel, list[bool]] = {kernel: [] for kernel in KERNELS}

    def shrunk(part: npt.NDArray[np.int64]) -> dict[Kernel, _Shrunk]:
        seen: dict[Kernel, _Shrunk] = {kernel: ([], []) for kernel in KERNELS}
        for row in part.tolist():
            square = _central_square(data.pixels.image(row))
            for kernel in KERNELS:
                pixels, facts = decode(_encoded(detector, resized(square, (size, size), kernel)))
                seen[kernel][0].append(facts)
                seen[kernel][1].append(detector.preprocessing.to_input(pixels))
        return seen

    group = min(GROUP, batch_of(size))
    parts = (rows[start : start + group] for start in range(0, len(rows), group))
    with progress("shrinking", len(rows), unit="pictures") as bar:
        for seen in ordered(shrunk, parts):
            for kernel, (facts, windows) in seen.items():
                outside[kernel] += [reason is not None for reason in domain.why_all_outside(facts, windows)]
                scores[kernel].append(score_of_logits(runtime.logits(windows)))
            bar.advance(len(facts))
    return {kernel: KernelScores(np.concatenate(scores[kernel]), np.array(outside[kernel])) for kernel in KERNELS}


def _central_square(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _quality(detector: Classifier) -> int | None:
    """Return the middle of the JPEG qualities in the detector's domain, or None without JPEG."""
    known = detector.card.domain.qualities
    return None if known is None else sum(known) // 2


def _encoding_text(detector: Classifier) -> str:
    quality = _quality(detector)
    return "kept without loss (PNG)" if quality is None else f"encoded as JPEG of quality {quality}, 4:2:0"


def _encoded(detector: Classifier, pixels: npt.NDArray[np.uint8]) -> bytes:
    quality, buffer = _quality(detector), io.BytesIO()
    if quality is None:
        Image.fromarray(pixels).save(buffer, "PNG")
    else:
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()


def _source_rates(
    found: KernelScores, chosen: npt.NDArray[np.bool_], threshold: float, groups: npt.NDArray[np.int64]
) -> SourceRates:
    called, outside, of = found.scores[chosen] >= threshold, found.outside[chosen], groups[chosen]
    return SourceRates(
        called_fake=share_of(called, of),
        called_fake_with_rule=share_of(called & ~outside, of),
        outside=share_of(outside, of),
    )


def _aurocs(
    found: KernelScores, labels: npt.NDArray[np.int8], sources: npt.NDArray[np.str_], groups: npt.NDArray[np.int64]
) -> dict[str, Estimate | None]:
    """Return AUROC against the photographs of all fakes, and of each generator; None where there is nothing to rank."""
    real = labels == 0
    fakes = {"all fakes": ~real, **{source: sources == source for source in sorted(set(sources[~real]))}}
    areas: dict[str, Estimate | None] = {}
    for name, chosen in fakes.items():
        of = real | chosen
        both = real.any() and chosen.any()
        areas[name] = auroc_interval(labels[of], found.scores[of], groups[of]) if both else None
    return areas


def _spread(kernels: dict[str, KernelResult]) -> FalseAlarms:
    shares = {
        kernel: share
        for kernel, found in kernels.items()
        if PHOTOGRAPHS in found.sources and (share := found.sources[PHOTOGRAPHS].called_fake.value) is not None
    }
    if not shares:
        return FalseAlarms()
    smooth = [share for kernel, share in shares.items() if kernel in ANTIALIASED]
    return FalseAlarms(
        spread=max(shares.values()) - min(shares.values()),
        spread_antialiased=max(smooth) - min(smooth),
        lowest=min(shares, key=lambda kernel: shares[kernel]),
        highest=max(shares, key=lambda kernel: shares[kernel]),
    )
