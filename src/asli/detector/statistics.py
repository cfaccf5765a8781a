"""How unlike the calibration images an image's pixels are: a Mahalanobis distance of five simple statistics.

The statistics are computed after preprocessing, from the pixels that the network sees. An image shrunk by an unusual
kernel, a drawing or a chart differs in them even if its file looks like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.records import Record

Floats = npt.NDArray[np.float64]

NAMES = (
    "contrast",
    "detail at 1 px",
    "detail at 2 px",
    "detail at 4 px",
    "diagonal detail",
)
"""Names of the statistics, in their order."""

_FLOOR = 1e-3
"""Added before logarithms, in levels squared of [0, 1]: below it, detail is rounding."""

KEPT = 0.99
"""Share of the calibration images that lie inside."""


def statistics(fitted: Sequence[npt.NDArray[np.uint8]]) -> Floats:
    """Return the statistics of images, n x len(NAMES).

    Args:
        fitted: What the network sees of each, uint8, windows x size x size x 3; statistics are means over windows.
    """
    counts = np.array([len(windows) for windows in fitted])
    sums = np.add.reduceat(_of_windows(np.concatenate(fitted)), np.cumsum(counts) - counts, axis=0)
    means: Floats = sums / counts[:, None]
    return means


@dataclass(frozen=True, slots=True)
class PixelDomain(Record):
    """Distribution of the calibration images in the space of the statistics.

    Attributes:
        mean: Mean of each statistic.
        precision: Inverse of their covariance, row after row.
        limit: Distance within which `KEPT` of the calibration images lie.
        n: Calibration images.
    """

    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    limit: float
    n: int

    @classmethod
    def fit(cls, values: Floats) -> "PixelDomain":
        """Fit to the statistics of calibration images, n x len(NAMES).

        The covariance is shrunk towards its diagonal by as many pseudo-images as there are statistics, so that a few
        images are enough.
        """
        n, k = values.shape
        mean = values.mean(axis=0)
        covariance = np.atleast_2d(np.cov(values, rowvar=False)) if n > 1 else np.zeros((k, k))
        diagonal = np.diag(np.maximum(np.diag(covariance), 1e-6))
        precision = np.linalg.inv((n * covariance + k * diagonal) / (n + k))
        distances = _distances(values - mean, precision)
        return cls(
            mean=tuple(mean.tolist()),
            precision=tuple(tuple(row) for row in precision.tolist()),
            limit=float(np.quantile(distances, KEPT, method="higher")),
            n=n,
        )

    def distances(self, values: Floats) -> Floats:
        """Return the distance of each image, n, from statistics n x len(NAMES)."""
        return _distances(values - np.array(self.mean), np.array(self.precision))

    def why_all_outside(self, values: Floats) -> list[str | None]:
        """Return in plain words why each image, of statistics n x len(NAMES), lies outside, or None if inside."""
        distances = self.distances(values).tolist()
        return [
            None if distance <= self.limit else self._why(distance, row)
            for distance, row in zip(distances, values, strict=True)
        ]

    def _why(self, distance: float, values: Floats) -> str:
        off = values - np.array(self.mean)
        # What each statistic adds to the squared distance.
        share = off * (np.array(self.precision) @ off)
        most = int(share.argmax())
        direction = "more" if off[most] > 0 else "less"
        how = f"distance {distance:.1f}, limit {self.limit:.1f}; {direction} {NAMES[most]}"
        return f"pixels unlike the known images' ({how})"


def _distances(off: Floats, precision: Floats) -> Floats:
    squared = np.einsum("ni,ij,nj->n", off, precision, off)
    distances: Floats = np.sqrt(np.maximum(squared, 0))
    return distances


def _of_windows(windows: npt.NDArray[np.uint8]) -> Floats:
    # Luminance as in JPEG (ITU-R BT.601), in [0, 1].
    luma = windows.astype(np.float32) @ (np.array([0.299, 0.587, 0.114], dtype=np.float32) / np.float32(255))
    columns = [
        np.log(luma.var(axis=(1, 2)) + _FLOOR),
        *(_detail(luma, lag) for lag in (1, 2, 4)),
        np.log((np.diff(np.diff(luma, axis=1), axis=2) ** 2).mean(axis=(1, 2)) + _FLOOR),
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def _detail(channel: npt.NDArray[np.floating[Any]], lag: int) -> npt.NDArray[np.floating[Any]]:
    """Return the logarithm of the mean squared difference of pixels `lag` apart."""
    rows = ((channel[:, lag:] - channel[:, :-lag]) ** 2).mean(axis=(1, 2))
    columns = ((channel[:, :, lag:] - channel[:, :, :-lag]) ** 2).mean(axis=(1, 2))
    energy: npt.NDArray[np.floating[Any]] = np.log((rows + columns) / 2 + _FLOOR)
    return energy
