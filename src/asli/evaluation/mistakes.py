"""The most confident mistakes of both kinds (figure 10 of the paper), and whether mistakes look otherwise at all."""

import io
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.stats import mannwhitneyu

from asli.datasets.folder import DataFolder
from asli.detector.card import Thresholds
from asli.metrics.appearance import NAMES, measure
from asli.metrics.classification import Floats, Labels
from asli.metrics.delong import auroc_interval
from asli.metrics.paired import holm
from asli.progress import progress

SHOWN = 12
"""Pictures of each kind."""

LARGEST = 192
"""Larger pictures are shrunk to this many pixels along their longer side before they go into the report."""

LEVEL = 0.05
_AT_ONCE = 256

KINDS = ("real called fake", "fake called real")


def gallery(data: DataFolder, rows: npt.NDArray[np.int64], score: Floats, thresholds: Thresholds) -> dict[str, Any]:
    """Measure every image, compare mistakes with rightly judged images of the same label, and pick the worst mistakes.

    Args:
        data: The data folder.
        rows: The judged ones.
        score: P(fake) of each.
        thresholds: Where scores become verdicts; what is called unsure is neither a mistake nor rightly judged.

    Returns:
        What `metrics.json` holds under `gallery`.
    """
    labels, values = data.labels[rows], _measured(data, rows)
    mistaken = np.where(labels == 1, score < thresholds.low, score >= thresholds.high)
    decided = (score < thresholds.low) | (score >= thresholds.high)
    # One of each group of duplicates, so that images are independent; the same pixels got the same verdict.
    _, single = np.unique(np.stack([data.groups(rows), labels]), axis=1, return_index=True)
    single = single[decided[single]]
    claims = _claims(labels[single], mistaken[single], {name: of[single] for name, of in values.items()})
    worst = {}
    for code, kind in enumerate(KINDS):
        of_kind = np.sort(single[mistaken[single] & (labels[single] == code)])
        confident = of_kind[np.argsort(-score[of_kind] if code == 0 else score[of_kind], kind="stable")][:SHOWN]
        known = data.table(["id", "category", "generator"], rows[confident]).to_pylist()
        worst[kind] = [
            {
                **line,
                "score": float(score[i]),
                **{name: float(of[i]) for name, of in values.items()},
                "row": int(rows[i]),
            }
            for line, i in zip(known, confident, strict=True)
        ]
    return {
        "images": len(rows),
        "independent": len(single),
        "threshold": thresholds.high,
        "unsure": int((~decided).sum()),
        "level": LEVEL,
        "mistakes": {kind: int((mistaken & (labels == code)).sum()) for code, kind in enumerate(KINDS)},
        "claims": claims,
        "worst": worst,
    }


def pictures_of(data: DataFolder, part: dict[str, Any]) -> dict[int, bytes]:
    """Return the gallery's pictures by row, as PNG files."""
    pictures = {}
    for row in (line["row"] for lines in part["worst"].values() for line in lines):
        image = Image.fromarray(data.pixels.image(row))
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        pictures[row] = buffer.getvalue()
    return pictures


def _measured(data: DataFolder, rows: npt.NDArray[np.int64]) -> dict[str, Floats]:
    found = []
    with progress("measuring pictures", len(rows), unit="images") as bar:
        for start in range(0, len(rows), _AT_ONCE):
            block = rows[start : start + _AT_ONCE]
            found += data.pixels.map(lambda row, image: asdict(measure(image)), block)
            bar.advance(len(block))
    return {name: np.array([values[name] for values in found]) for name in NAMES}


def _claims(labels: Labels, mistaken: npt.NDArray[np.bool_], values: dict[str, Floats]) -> list[dict[str, Any]]:
    """Test each measure for each kind of mistake; the area is the chance that a mistake measures higher."""
    claims: list[dict[str, Any]] = []
    for code, kind in enumerate(KINDS):
        of_label = labels == code
        wrong = mistaken[of_label].astype(np.int8)
        for name, of in values.items():
            measured = of[of_label]
            claim: dict[str, Any] = {
                "kind": kind,
                "measure": name,
                "mistakes": int(wrong.sum()),
                "right": int((wrong == 0).sum()),
            }
            if min(claim["mistakes"], claim["right"]) > 1:
                test = mannwhitneyu(measured[wrong == 1], measured[wrong == 0], method="asymptotic")
                claim["medians"] = [float(np.median(measured[wrong == code])) for code in (1, 0)]
                claim["area"] = asdict(auroc_interval(wrong, measured))
                claim["p"] = float(test.pvalue)
            claims.append(claim)
    tested = [claim for claim in claims if "p" in claim]
    for claim, adjusted in zip(tested, holm([claim["p"] for claim in tested]), strict=True):
        claim["p_holm"] = adjusted
        shown = adjusted < LEVEL
        claim["says"] = ("higher" if claim["area"]["value"] > 0.5 else "lower") if shown else "not shown"
    return claims
