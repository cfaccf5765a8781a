"""Score images: the function behind `asli predict`."""

from collections.abc import Iterable
from pathlib import Path
from typing import overload

from asli.detector.base import Detector
from asli.detector.image_inputs import ImageLike
from asli.detector.locate import DEFAULT
from asli.detector.prediction import Prediction, Predictions
from asli.detector.runtimes import Kind


@overload
def predict(  # type: ignore[overload-overlap]  # text, bytes and pixels are iterables, but one image
    images: ImageLike,
    detector: str | Path | Detector = DEFAULT,
    *,
    batch_size: int | None = None,
    stability: bool = False,
    force_domain: bool = False,
    device: str | None = None,
    runtime: Kind | None = None,
    threads: int | None = None,
) -> Prediction: ...
@overload
def predict(
    images: Iterable[ImageLike],
    detector: str | Path | Detector = DEFAULT,
    *,
    batch_size: int | None = None,
    stability: bool = False,
    force_domain: bool = False,
    device: str | None = None,
    runtime: Kind | None = None,
    threads: int | None = None,
) -> Predictions: ...
def predict(
    images: ImageLike | Iterable[ImageLike],
    detector: str | Path | Detector = DEFAULT,
    *,
    batch_size: int | None = None,
    stability: bool = False,
    force_domain: bool = False,
    device: str | None = None,
    runtime: Kind | None = None,
    threads: int | None = None,
) -> Prediction | Predictions:
    """Score one image or several.

    To score many images in several calls, load a detector once: `Detector.load(...).predict(...)`.

    Args:
        images: A path, the bytes of a file, an open binary file, a Pillow image, pixels (uint8, height x width x 3), a
            folder, or an iterable of these. One that cannot be read is reported in its place, not dropped.
        detector: A detector, a detector folder, a run folder, `hub:owner/name[@revision]`, or `default`.
        batch_size: Images computed at a time; None chooses by input size.
        stability: Also score re-encoded and resized views of each image (see `asli.detector.stability`).
        force_domain: Give a verdict on images outside the detector's domain too; echoed in the result.
        device: cuda, mps or cpu; None leaves it to the runtime.
        runtime: torch or onnx; None takes ONNX Runtime on the CPU where the detector has an ONNX form.
        threads: CPU threads of one operation; None leaves the library's choice.

    Returns:
        A `Prediction` for one image, `Predictions` for several. A type checker takes every path and array for one
        image, though a folder is several.

    Raises:
        DetectorError, MissingExtraError: The detector cannot be used.
        DataError: `images` is nothing of the above.
    """
    if not isinstance(detector, Detector):
        detector = Detector.load(detector, device=device, runtime=runtime, threads=threads)
    return detector.predict(images, batch_size=batch_size, stability=stability, force_domain=force_domain)
