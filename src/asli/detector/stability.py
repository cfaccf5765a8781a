"""How far a score moves when a picture is saved again or resized a little, as happens to it on its way."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from asli.detector.prediction import Stability
from asli.detector.runtimes import Runtime
from asli.errors import ImageError
from asli.metrics.classification import score_of_logits
from asli.transforms.corruptions import jpeg, rescale, scaled, webp
from asli.transforms.preprocessing import Preparation

Array = npt.NDArray[np.uint8]

VIEWS: dict[str, Callable[[Array], Array]] = {
    "JPEG 95": lambda pixels: jpeg(pixels, 95),
    "JPEG 85": lambda pixels: jpeg(pixels, 85),
    "JPEG 75": lambda pixels: jpeg(pixels, 75),
    "JPEG 60": lambda pixels: jpeg(pixels, 60),
    "WebP 80": lambda pixels: webp(pixels, 80),
    "enlarged by 1.25, bicubic": lambda pixels: scaled(pixels, 1.25, "bicubic"),
    "shrunk by 0.8, bicubic": lambda pixels: scaled(pixels, 0.8, "bicubic"),
    "shrunk by 0.8 and back, bilinear": lambda pixels: rescale(pixels, 0.8, "bilinear"),
}
"""Mild changes only: none hinders a person who looks at the picture."""


def score_range(pixels: Array, score: float, preparation: Preparation, runtime: Runtime) -> Stability:
    """Score every view of an image.

    Args:
        pixels: uint8, height x width x 3.
        score: Score of the image itself.
        preparation: The detector's.
        runtime: The detector's.

    Returns:
        Lowest and highest score over the views and the image itself, and each view's own.
    """
    names, fitted = [], []
    for name, view in VIEWS.items():
        try:
            fitted.append(preparation.to_input(view(pixels)))
            names.append(name)
        except ImageError:
            continue
    scores = [float(value) for value in score_of_logits(runtime.logits(fitted))]
    views = {**dict.fromkeys(VIEWS), **dict(zip(names, scores, strict=True))}
    return Stability(min(score, *scores), max(score, *scores), views)
