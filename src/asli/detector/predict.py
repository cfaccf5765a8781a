"""Score pictures: the verb behind `asli predict`."""

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.datasets.images import decoding
from asli.detector.bundle import Detector
from asli.detector.card import Verdict
from asli.detector.locate import DEFAULT
from asli.detector.runtime import Kind, Runtime
from asli.errors import ImageError
from asli.files import printable, read_regular
from asli.metrics.classification import score_of_logits
from asli.provenance.read import provenance


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
        domain, provenance and error.

    Raises:
        DetectorError, MissingExtraError: The detector cannot be used.
    """
    opened = Detector.open(detector)
    scorer = Scorer(opened, opened.runtime(device, runtime, threads))
    return scorer.result(
        (
            scorer.score(
                printable(path), partial(read_file, Path(path)), stability=stability, force_domain=force_domain
            )
            for path in images
        ),
        force_domain=force_domain,
    )


class Scorer:
    """A detector that scores pictures one by one, for every door that takes single ones.

    Args:
        detector: Gives the verdicts.
        runtime: Its own, see `Detector.runtime`.
    """

    def __init__(self, detector: Detector, runtime: Runtime) -> None:
        self.detector, self._runtime = detector, runtime

    def score(
        self, path: str, read: Callable[[], bytes], *, stability: bool = False, force_domain: bool = False
    ) -> dict[str, Any]:
        """Score one picture; the object that `predict` returns of it.

        Args:
            path: Names it in the result.
            read: Returns the file's bytes, or raises an ImageError.
            stability: See `predict`.
            force_domain: Likewise.
        """
        try:
            data = read()
            with decoding(data) as (pixels, facts):
                fitted = self.detector.preprocessing.fit(pixels)
                score = float(score_of_logits(self._runtime.logits([fitted]))[0])
                spread = self._stability(pixels, score) if stability else None
        except ImageError as error:
            return _failed(path, str(error))
        outside = self.detector.card.domain.why_outside(facts, fitted)
        judged = _judge(self.detector, path, score, outside, force_domain)
        return judged | {"provenance": provenance(data), "stability": spread}

    def _stability(self, pixels: npt.NDArray[np.uint8], score: float) -> dict[str, Any]:
        from asli.detector.stability import score_range

        return score_range(pixels, score, self.detector.preprocessing, self._runtime)

    def result(self, images: Iterable[dict[str, Any]], *, force_domain: bool = False) -> dict[str, Any]:
        """Return scored pictures with the detector beside them, as `predict` returns them."""
        described = self.detector.describe()
        if force_domain:
            described["force_domain"] = True
        return {"detector": described, "images": list(images)}


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


def read_file(path: Path) -> bytes:
    """Return a picture's bytes.

    Raises:
        ImageError: There are none.
    """
    if os.path.isdir(path):  # noqa: PTH112 - no error on a name with a zero byte
        folder = shlex.quote(printable(path))
        raise ImageError(f"is a folder; score all that is in it with: asli scan {folder} -o scores.parquet")
    try:
        return read_regular(path)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError(f"cannot be read: {reason}") from error


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
