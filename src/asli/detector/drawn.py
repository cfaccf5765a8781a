"""Screenshots and drawings: pictures that no camera and no generator of photographs made, by their flat neighbors.

Neighboring pixels of a photograph differ by noise, those of a drawn surface do not; what is not flat in a screenshot
is a sharp edge. The limits were set on pages that a browser rendered and on photographs of many sources
(`benchmarks/screenshots.py` measures both errors).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LIMITS = {"equal": 0.9, "alike": 0.7, "edges": 0.1}
"""Drawn is what has more equal neighbors than the first, or more alike ones than the second and, among its other
neighbors, more edges than the third."""

EDGE = 24
"""Levels of 255 by which two neighbors differ at an edge."""


def drawn_statistics(fitted: Sequence[npt.NDArray[np.uint8]]) -> Floats:
    """Return three shares of neighboring pixels for each image, n x 3, means over its windows.

    The share of equal ones; of those that differ by one level at most; and, of the others, of those at an edge.

    Args:
        fitted: What the network sees of each, uint8, windows x size x size x 3.
    """
    return np.array([np.mean([_of_window(window) for window in windows], axis=0) for windows in fitted]).reshape(-1, 3)


def why_drawn(values: Floats) -> str | None:
    """Return in plain words why an image with these statistics counts as drawn, or None."""
    equal, alike, edges = values.tolist()
    if equal > LIMITS["equal"] or (alike > LIMITS["alike"] and edges > LIMITS["edges"]):
        return f"looks like a screenshot or drawing ({alike:.0%} of it flat); give the photograph itself"
    return None


def _of_window(window: npt.NDArray[np.uint8]) -> tuple[float, float, float]:
    levels = window.astype(np.int16)
    steps = np.concatenate([np.abs(np.diff(levels, axis=axis)).max(axis=-1).ravel() for axis in (0, 1)])
    rough = int((steps > 1).sum())
    return float((steps == 0).mean()), 1 - rough / len(steps), int((steps > EDGE).sum()) / max(rough, 1)
