"""Several detectors' answers for the same images, side by side; they are never merged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from asli.detector.base import Detector
from asli.detector.description import DetectorDescription
from asli.detector.image_inputs import ImageLike, is_one
from asli.detector.members import member_names
from asli.detector.prediction import Prediction, Predictions
from asli.detector.runtimes import Kind
from asli.errors import DetectorError
from asli.records import Record, named


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorAnswers(Record):
    """Predictions of several detectors for one image.

    Attributes:
        path: The image's path or name.
        conflict: Whether one detector's verdict is `real` and another's `fake`.
        by_detector: Each detector's own prediction, by its name.
    """

    path: str
    conflict: bool
    by_detector: dict[str, Prediction] = field(metadata=named("answers"))

    @classmethod
    def of(cls, by_detector: dict[str, Prediction]) -> Self:
        """Put predictions for the same image side by side."""
        verdicts = {prediction.verdict for prediction in by_detector.values()}
        path = next(iter(by_detector.values())).path
        return cls(path=path, conflict={"real", "fake"} <= verdicts, by_detector=by_detector)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralPredictions(Record):
    """Result of `predict_with`, and output of `asli predict --json` for several detectors.

    Attributes:
        version: Version of this structure.
        detectors: The detectors that answered, by name.
        images: In the order given.
    """

    version: Literal[1] = 1
    detectors: dict[str, DetectorDescription]
    images: tuple[DetectorAnswers, ...]

    @property
    def predictions(self) -> list[Prediction]:
        """Return all predictions, image after image."""
        return [prediction for one in self.images for prediction in one.by_detector.values()]


def predict_with(
    images: ImageLike | Iterable[ImageLike],
    detectors: Sequence[str | Path | Detector],
    *,
    batch_size: int | None = None,
    stability: bool = False,
    force_domain: bool = False,
    device: str | None = None,
    runtime: Kind | None = None,
    threads: int | None = None,
) -> SeveralPredictions:
    """Score images with several detectors.

    Args:
        images: Images, as in `asli.predict`; files and iterators are read once a detector, so give paths, bytes or
            arrays.
        detectors: Two or more; equal names are numbered.
        batch_size: Images computed at a time; None chooses by input size.
        stability: Also score re-encoded and resized views of each image.
        force_domain: Give a verdict on images outside a detector's domain, too.
        device: cuda, mps or cpu; None leaves it to the runtime.
        runtime: torch or onnx; None takes ONNX Runtime on the CPU where a detector has an ONNX form.
        threads: CPU threads of one operation; None leaves the library's choice.

    Raises:
        DetectorError: One cannot be used, or one is given twice.
        DataError: `images` is nothing that can be scored.
    """
    opened = [
        one if isinstance(one, Detector) else Detector.load(one, device=device, runtime=runtime, threads=threads)
        for one in detectors
    ]
    names = member_names(opened)
    for number, one in enumerate(opened):
        twice = next((names[k] for k in range(number) if opened[k].hash == one.hash is not None), None)
        if twice is not None:
            raise DetectorError(f"{names[number]} is the same detector as {twice}; give each one once")
    given: Any = images if is_one(images) or isinstance(images, (str, Path)) else list(images)  # type: ignore[arg-type]
    found: dict[str, list[Prediction]] = {}
    for name, one in zip(names, opened, strict=True):
        result = one.predict(given, batch_size=batch_size, stability=stability, force_domain=force_domain)
        found[name] = list(result) if isinstance(result, Predictions) else [result]
    return SeveralPredictions(
        detectors={name: one.describe().forced(force_domain) for name, one in zip(names, opened, strict=True)},
        images=tuple(
            DetectorAnswers.of(dict(zip(names, group, strict=True)))
            for group in zip(*(found[name] for name in names), strict=True)
        ),
    )
