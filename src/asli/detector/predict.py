"""Score pictures: the verb behind `asli predict`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asli.data.images import Facts, decode
from asli.detector.bundle import Detector, Verdict
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
            fitted = opened.preprocessing.fit(pixels)
        except OSError as error:
            results.append(_failed(path, f"cannot be read: {error.strerror}"))
            continue
        except ImageError as error:
            results.append(_failed(path, str(error)))
            continue
        score = float(score_of_logits(runtime.logits([fitted]))[0])
        results.append(_judge(opened, str(path), score, facts, force_domain))
    described = opened.describe()
    if force_domain:
        described["force_domain"] = True
    return {"detector": described, "images": results}


def judge(detector: Detector, score: float, facts: Facts, *, force_domain: bool) -> tuple[Verdict, str | None]:
    """Return the verdict on a scored image, and why it lies outside the detector's domain or None."""
    outside = detector.card.domain.why_outside(facts)
    return "unsure" if outside and not force_domain else detector.card.thresholds.verdict(score), outside


def reasons(outside: str | None) -> list[str]:
    """Return the reasons that go with a verdict."""
    return [f"outside domain: {outside}"] if outside else []


def _judge(detector: Detector, path: str, score: float, facts: Facts, force_domain: bool) -> dict[str, Any]:
    verdict, outside = judge(detector, score, facts, force_domain=force_domain)
    return {
        "path": path,
        "score": score,
        "verdict": verdict,
        "reasons": reasons(outside),
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
