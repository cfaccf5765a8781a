"""Score pictures: the verb behind `asli predict`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asli.data.images import decode
from asli.detector.bundle import Detector
from asli.errors import ImageError
from asli.metrics.classification import score_of_logits
from asli.models.device import pick_device


def predict(
    images: Sequence[str | Path],
    detector: str | Path,
    *,
    force_domain: bool = False,
    device: str | None = None,
) -> dict[str, Any]:
    """Score image files.

    Args:
        images: Paths. One that cannot be read is reported in its place, not dropped.
        detector: A detector folder or a run folder.
        force_domain: Give a verdict on images outside the detector's domain too; echoed in the result.
        device: cuda, mps or cpu; None takes the best there is.

    Returns:
        `{"detector": {...}, "images": [...]}`, one object an image with its path, score, verdict, reasons, domain and
        error.

    Raises:
        DetectorError: The detector cannot be used.
    """
    opened = Detector.open(detector)
    runtime = opened.runtime(pick_device(device))
    results = []
    for path in images:
        try:
            pixels, facts = decode(Path(path).read_bytes())
        except OSError as error:
            results.append(_failed(path, f"cannot be read: {error.strerror}"))
            continue
        except ImageError as error:
            results.append(_failed(path, str(error)))
            continue
        fitted = opened.preprocessing.fit(pixels)
        score = float(score_of_logits(runtime.logits([fitted]))[0])
        outside = opened.card.domain.why_outside(facts, fitted)
        results.append(_judge(opened, str(path), score, outside, force_domain))
    described = opened.describe()
    if force_domain:
        described["force_domain"] = True
    return {"detector": described, "images": results}


def _judge(detector: Detector, path: str, score: float, outside: str | None, force_domain: bool) -> dict[str, Any]:
    verdict, reasons = detector.card.thresholds.verdict(score), []
    if outside:
        reasons.append(f"outside domain: {outside}")
        if not force_domain:
            verdict = "unsure"
    return {
        "path": path,
        "score": score,
        "verdict": verdict,
        "reasons": reasons,
        "stability": None,
        "domain": {"inside": outside is None, "why": outside},
        "provenance": None,
        "error": None,
    }


def _failed(path: str | Path, error: str) -> dict[str, Any]:
    return {
        "path": str(path),
        "score": None,
        "verdict": None,
        "reasons": [],
        "stability": None,
        "domain": None,
        "provenance": None,
        "error": error,
    }
