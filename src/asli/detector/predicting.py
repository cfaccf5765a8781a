"""From images to predictions, the same way for every kind of detector: read, prepare, compute, decide."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from asli.detector.examining import Examined, examine_all
from asli.detector.image_inputs import ImageLike, inputs
from asli.detector.prediction import DomainCheck, Prediction, VerdictThresholds, decide
from asli.detector.runtimes import Logits
from asli.errors import ImageError
from asli.metrics.classification import score_of_logits
from asli.parallel import ordered

if TYPE_CHECKING:
    from asli.detector.base import Detector

SHARES = 8
"""Pieces of a batch that threads take, whatever their number, so that this changes no last bit."""


def stream(
    detector: "Detector",
    images: ImageLike | Iterable[ImageLike],
    batch_size: int | None,
    *,
    stability: bool,
    force_domain: bool,
) -> Iterator[Prediction]:
    """Yield a prediction for each image, in order; see `Detector.stream`."""
    size = batch_size or detector.batch_size
    if size < 1:
        raise ValueError(f"batch_size is {size}; it must be 1 or more")
    named, threads = inputs(images), detector.reading_threads
    share = max(1, -(-size // SHARES))

    def shares() -> Iterator[list[Any]]:
        while group := list(islice(named, share)):
            yield group

    def examined(group: list[Any]) -> list[tuple[str, Examined]]:
        found = examine_all([one.load for one in group], detector, keep_pixels=stability)
        return list(zip([one.name for one in group], found, strict=True))

    flat = (one for group in ordered(examined, shares(), threads=threads, depth=2 * SHARES) for one in group)
    while batch := list(islice(flat, size)):
        yield from predictions(detector, batch, force_domain=force_domain, stability=stability)


def logits(detector: "Detector", images: ImageLike | Iterable[ImageLike], batch_size: int | None) -> Logits:
    """Return the logits of images, float64, n x 2; see `Detector.logits`."""
    parts, named = [np.zeros((0, 2))], inputs(images)
    while group := list(islice(named, batch_size or detector.batch_size)):
        found = examine_all([one.load for one in group], detector)
        bad = next(((one.name, image.error) for one, image in zip(group, found, strict=True) if image.error), None)
        if bad is not None:
            raise ImageError(f"{bad[0]}: {bad[1]}")
        parts.append(detector.forward([image.prepared for image in found]))
    return np.concatenate(parts)


def predictions(
    detector: "Detector", images: Sequence[tuple[str, Examined]], *, force_domain: bool, stability: bool
) -> list[Prediction]:
    """Compute the predictions of a batch of examined images; see `Detector.predictions`."""
    good = [image for _, image in images if image.error is None]
    computed = detector.forward([image.prepared for image in good]) if good else np.zeros((0, 2))
    scores = iter(score_of_logits(computed).tolist())
    return [
        Prediction(path=name, error=image.error)
        if image.error is not None
        else _prediction(detector, name, image, next(scores), force_domain=force_domain, stability=stability)
        for name, image in images
    ]


def _prediction(
    detector: "Detector", name: str, image: Examined, score: float, *, force_domain: bool, stability: bool
) -> Prediction:
    leaf, member, _ = detector.answering(image.prepared)
    verdict, reasons = decide(leaf.thresholds, score, image.outside, force_domain=force_domain)
    moved = None
    if stability and image.pixels is not None:
        from asli.detector.stability import score_range  # here: it needs scipy, which a cold start does not

        moved = score_range(image.pixels, score, leaf.preparation, leaf.engine)
    return Prediction(
        path=name,
        score=score,
        verdict=verdict,
        reasons=reasons,
        thresholds=VerdictThresholds(leaf.thresholds.low, leaf.thresholds.high),
        domain=DomainCheck(image.outside is None, image.outside),
        provenance=image.provenance,
        stability=moved,
        member=member,
    )
