"""What a detector says of ordinary pictures, shrunk to its size: the verb behind `asli domain-study`.

A detector for small images may tell photographs from fakes by how they were shrunk. Here whole pictures go through
every common kernel, are encoded as the images the detector knows, and are judged at the unchanged threshold. False
alarms that move with the kernel are the kernel's, not the picture's.
"""

import dataclasses
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from asli.datasets.folder import DataFolder
from asli.datasets.images import decode
from asli.detector.base import Detector
from asli.detector.classifier import Classifier, as_classifier
from asli.detector.runtimes import BATCH
from asli.errors import DataError
from asli.metrics.classification import Floats, score_of_logits
from asli.metrics.delong import auroc_interval
from asli.metrics.figures import as_json
from asli.metrics.intervals import Figure, share_of
from asli.models.device import pick_device, set_threads
from asli.progress import progress
from asli.transforms.corruptions import KERNELS, Kernel, resized

logger = logging.getLogger("asli")

ANTIALIASED: tuple[Kernel, ...] = tuple(kernel for kernel in KERNELS if kernel != "nearest")
PHOTOGRAPHS = "photographs"


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """Pictures through one kernel.

    Attributes:
        scores: P(fake), n.
        outside: Whether the domain rule holds each back, n.
    """

    scores: Floats
    outside: npt.NDArray[np.bool_]


def domain_study(
    detector: str | Path, data: str | Path | DataFolder, *, device: str | None = None, threads: int | None = None
) -> dict[str, Any]:
    """Shrink every picture of a data folder by every kernel and judge it.

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
    data = data if isinstance(data, DataFolder) else DataFolder.open(data)
    set_threads(threads)
    rows = _large_enough(data, opened.preprocessing.size)
    sources = _sources(data, rows)
    labels, groups = data.labels[rows], data.groups(rows)
    judged = _judge(opened, data, rows, device)
    tested = data.table(["split"], rows)["split"].to_pylist().count("test")
    if tested:
        data.record_opening(
            split="test",
            recipe_hash=opened.card.recipe_hash,
            detector_hash=opened.hash or "unsaved",
            images=tested,
        )
    threshold = opened.card.thresholds.high
    kernels = {
        kernel: {
            "sources": {
                source: _source_figures(found, sources == source, threshold, groups) for source in sorted(set(sources))
            },
            "auroc": _aurocs(found, labels, sources, groups),
        }
        for kernel, found in judged.items()
    }
    return {
        "version": 1,
        "detector": opened.describe(),
        "threshold": threshold,
        "data": {
            "name": data.name,
            "hash": data.hash,
            "pictures": len(rows),
            "too_small": int(data.readable.sum()) - len(rows),
        },
        "encoding": _encoding_text(opened),
        "kernels": kernels,
        "false_alarms": _spread(kernels),
    }


def describe(result: dict[str, Any]) -> str:
    """Return the study as a table for a person."""
    names = list(result["kernels"])
    sources = list(next(iter(result["kernels"].values()))["sources"])
    data = result["data"]
    lines = [
        f"{data['pictures']:,} pictures of {data['name']}, shrunk by each kernel, {result['encoding']};",
        f"share called fake at the saved threshold {result['threshold']:.4f}, in brackets with the domain rule:",
        f"{'':<28}{'n':>5}" + "".join(f"{name:>14}" for name in names),
    ]
    for source in sources:
        cells = [result["kernels"][name]["sources"][source] for name in names]
        shares = [f"{c['called_fake']['value']:.2f} ({c['called_fake_with_rule']['value']:.2f})" for c in cells]
        lines.append(f"{source:<28}{cells[0]['called_fake']['n']:>5}" + "".join(f"{share:>14}" for share in shares))
    areas = {group: [result["kernels"][name]["auroc"][group] for name in names] for group in _groups(result)}
    if areas:
        lines.append("AUROC within each kernel, against the photographs:")
    lines += [f"{group:<33}" + "".join(f"{area['value']:>14.3f}" for area in found) for group, found in areas.items()]
    alarms = result["false_alarms"]
    if alarms["spread"] is not None:
        ends = f"{alarms['lowest']} to {alarms['highest']}; without nearest by {alarms['spread_antialiased']:.2f}"
        lines.append(f"false alarms move by {alarms['spread']:.2f} with the kernel alone ({ends})")
    return "\n".join(lines)


def _groups(result: dict[str, Any]) -> list[str]:
    """Return the groups of fakes that can be ranked against the photographs: all, and each generator's."""
    return [group for group, area in next(iter(result["kernels"].values()))["auroc"].items() if area is not None]


def for_card(result: dict[str, Any]) -> dict[str, Any]:
    """Return what of a study a detector's card keeps: its tables, kernels as columns."""
    kernels = result["kernels"]
    sources = sorted(next(iter(kernels.values()))["sources"], key=lambda name: (name != PHOTOGRAPHS, name))
    columns = {
        source: {
            key: [found["sources"][source][key] for found in kernels.values()]
            for key in ("called_fake", "called_fake_with_rule")
        }
        for source in sources
    }
    return {
        "data": result["data"],
        "encoding": result["encoding"],
        "threshold": result["threshold"],
        "kernels": list(kernels),
        "sources": [{"name": source, "n": found["called_fake"][0]["n"], **found} for source, found in columns.items()],
        "auroc": [found["auroc"].get("all fakes") for found in kernels.values()],
        **{key: result["false_alarms"][key] for key in ("spread", "spread_antialiased")},
    }


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


def _judge(
    detector: Classifier, data: DataFolder, rows: npt.NDArray[np.int64], device: str | None
) -> dict[Kernel, Judged]:
    """Judge every picture through every kernel; each picture is decoded once."""
    runtime, domain = detector.runtime(detector.near(pick_device(device))), detector.card.domain
    scores: dict[Kernel, list[Floats]] = {kernel: [] for kernel in KERNELS}
    outside: dict[Kernel, list[bool]] = {kernel: [] for kernel in KERNELS}
    with progress("shrinking", len(rows), unit="pictures") as bar:
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            fitted: dict[Kernel, list[npt.NDArray[np.uint8]]] = {kernel: [] for kernel in KERNELS}
            for row in part:
                square = _central_square(data.pixels.image(int(row)))
                for kernel in KERNELS:
                    small = resized(square, (detector.preprocessing.size,) * 2, kernel)
                    pixels, facts = decode(_encoded(detector, small))
                    windows = detector.preprocessing.fit(pixels)
                    fitted[kernel].append(windows)
                    outside[kernel].append(domain.why_outside(facts, windows) is not None)
                bar.advance(1)
            for kernel in KERNELS:
                scores[kernel].append(score_of_logits(runtime.logits(fitted[kernel])))
    return {kernel: Judged(np.concatenate(scores[kernel]), np.array(outside[kernel])) for kernel in KERNELS}


def _central_square(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _quality(detector: Classifier) -> int | None:
    """Return the JPEG quality in the middle of what the detector knows, or None where it knows no JPEG."""
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


def _source_figures(
    found: Judged, chosen: npt.NDArray[np.bool_], threshold: float, groups: npt.NDArray[np.int64]
) -> dict[str, Any]:
    called, outside, of = found.scores[chosen] >= threshold, found.outside[chosen], groups[chosen]
    return as_json(
        {
            "called_fake": share_of(called, of),
            "called_fake_with_rule": share_of(called & ~outside, of),
            "outside": share_of(outside, of),
        }
    )


def _aurocs(
    found: Judged, labels: npt.NDArray[np.int8], sources: npt.NDArray[np.str_], groups: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Return AUROC against the photographs of all fakes, and of each generator; None where there is nothing to rank."""
    real = labels == 0
    fakes = {"all fakes": ~real, **{source: sources == source for source in sorted(set(sources[~real]))}}
    return {
        name: dataclasses.asdict(_auroc(found, labels, groups, real | chosen)) if real.any() and chosen.any() else None
        for name, chosen in fakes.items()
    }


def _auroc(
    found: Judged, labels: npt.NDArray[np.int8], groups: npt.NDArray[np.int64], of: npt.NDArray[np.bool_]
) -> Figure:
    return auroc_interval(labels[of], found.scores[of], groups[of])


def _spread(kernels: dict[Kernel, dict[str, Any]]) -> dict[str, Any]:
    """Return how far false alarms on photographs move between kernels."""
    shares = {
        kernel: found["sources"][PHOTOGRAPHS]["called_fake"]["value"]
        for kernel, found in kernels.items()
        if PHOTOGRAPHS in found["sources"]
    }
    if not shares:
        return {"spread": None, "spread_antialiased": None, "lowest": None, "highest": None}
    smooth = [share for kernel, share in shares.items() if kernel in ANTIALIASED]
    return {
        "spread": max(shares.values()) - min(shares.values()),
        "spread_antialiased": max(smooth) - min(smooth),
        "lowest": min(shares, key=lambda kernel: shares[kernel]),
        "highest": max(shares, key=lambda kernel: shares[kernel]),
    }
