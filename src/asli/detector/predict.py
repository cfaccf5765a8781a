"""Score pictures: the verb behind `asli predict`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asli.data.images import decode
from asli.detector.bundle import Detector
from asli.detector.card import Verdict
from asli.detector.names import DEFAULT
from asli.detector.runtime import Kind
from asli.errors import ImageError
from asli.metrics.classification import score_of_logits


def predict(
    images: Sequence[str | Path],
    detector: str | Path = DEFAULT,
    *,
    stability: bool = False,
    force_domain: bool = False,
    device: str | None = None,
    runtime: Kind | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Score image files.

    Args:
        images: Paths. One that cannot be read is reported in its place, not dropped.
        detector: A detector folder, a run folder, `hub:owner/name[@revision]`, or `default`.
        stability: Also score re-encoded and rescaled views of each image (see `asli.detector.stability`).
        force_domain: Give a verdict on images outside the detector's domain too; echoed in the result.
        device: cuda, mps or cpu; None leaves it to the runtime.
        runtime: torch or onnx; None takes ONNX where there is nothing against it (see `Detector.runtime`).
        threads: CPU threads of one operation; None leaves the library's choice.

    Returns:
        `{"detector": {...}, "images": [...]}`, one object an image with its path, score, verdict, reasons, stability,
        domain and error.

    Raises:
        DetectorError, MissingExtraError: The detector cannot be used.
    """
    opened = Detector.open(detector)
    computing = opened.runtime(device, runtime, threads)
    results = []
    for path in images:
        try:
            pixels, facts = decode(_read(Path(path)))
            fitted = opened.preprocessing.fit(pixels)
            score = float(score_of_logits(computing.logits([fitted]))[0])
        except ImageError as error:
            results.append(_failed(path, str(error)))
            continue
        outside = opened.card.domain.why_outside(facts, fitted)
        judged = _judge(opened, str(path), score, outside, force_domain)
        if stability:
            from asli.detector.stability import score_range

            judged["stability"] = score_range(pixels, score, opened.preprocessing, computing)
        results.append(judged)
    described = opened.describe()
    if force_domain:
        described["force_domain"] = True
    return {"detector": described, "images": results}


def judge(detector: Detector, score: float, outside: str | None, *, force_domain: bool) -> tuple[Verdict, list[str]]:
    """Return the verdict on a scored image and its reasons: what every door says.

    Args:
        detector: Has the thresholds.
        score: P(fake).
        outside: Why the image lies outside the detector's domain, or None.
        force_domain: Give a verdict there, too.
    """
    reasons = [f"outside domain: {outside}"] if outside else []
    return "unsure" if outside and not force_domain else detector.card.thresholds.verdict(score), reasons


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise ImageError(f"is a folder; score all that is in it with: asli scan {path} -o scores.parquet")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error


def _judge(detector: Detector, path: str, score: float, outside: str | None, force_domain: bool) -> dict[str, Any]:
    verdict, reasons = judge(detector, score, outside, force_domain=force_domain)
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
