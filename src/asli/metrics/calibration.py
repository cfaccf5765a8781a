"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599), and how far scores are from being probabilities."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from asli.metrics.classification import Floats, Labels, log_losses
from asli.metrics.intervals import CONFIDENCE, Estimate, share_of
from asli.records import Record

TEMPERATURES = (0.05, 20.0)
"""Between which a temperature is sought."""

BINS = 15
DRAWS = 1000
RMS_ERROR = "normal on the squared scale, variance by groups of duplicates"


def fit_temperature(labels: Labels, logits: Floats, weights: Floats | None = None) -> float:
    """Return the temperature T that minimizes the negative log-likelihood of logits / T, or 1 where none lowers it.

    Args:
        labels: Labels of the calibration part.
        logits: n x 2 (real, fake), before scaling.
        weights: Images that each row stands for; None takes one.
    """

    def loss(log_temperature: float) -> float:
        return float(np.average(log_losses(labels, logits / math.exp(log_temperature)), weights=weights))

    found = minimize_scalar(loss, bounds=(math.log(TEMPERATURES[0]), math.log(TEMPERATURES[1])), method="bounded")
    return math.exp(found.x) if found.fun < loss(0.0) else 1.0


@dataclass(frozen=True, slots=True)
class Bins:
    """Images sorted by score and cut into bins of equal numbers; equal scores are never parted.

    Attributes:
        of: Bin of each image, int64, n.
        counts: Images in each, k.
        scores: Mean score of each, k.
        shares: Share of fake images in each, k.
    """

    of: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    scores: Floats
    shares: Floats

    @property
    def ece(self) -> float:
        """Return the expected calibration error: mean distance of score and share, weighted by images (l1).

        Chance alone makes it positive, see `ece_if_calibrated`.
        """
        return float(np.abs(self.shares - self.scores) @ self.counts / self.counts.sum())


def equal_mass(labels: Labels, scores: Floats, bins: int = BINS) -> Bins:
    """Cut images into at most `bins` bins of equal numbers by score."""
    ordered = np.sort(scores)
    starts = np.unique(np.searchsorted(ordered, ordered[np.arange(bins) * len(scores) // bins]))
    of = np.searchsorted(ordered[starts], scores, side="right") - 1
    counts = np.bincount(of)
    return Bins(of, counts, np.bincount(of, scores) / counts, np.bincount(of, labels) / counts)


def ece_if_calibrated(scores: Floats, groups: npt.NDArray[np.int64], bins: Bins, seed: int = 0) -> tuple[float, float]:
    """Return the mean and the 95th percentile of the ECE that perfectly calibrated scores would show by chance.

    Labels are drawn from the scores themselves, once a group of duplicates. An ECE below the second number gives no
    reason to think the scores miscalibrated.
    """
    order = np.argsort(bins.of, kind="stable")
    _, members = np.unique(groups[order], return_inverse=True)
    ordered, starts = scores[order], np.cumsum(bins.counts) - bins.counts
    random, drawn = np.random.default_rng(seed), []
    rows = max(1, min(100, 4_000_000 // len(scores)))
    for start in range(0, DRAWS, rows):
        uniform = random.random((min(rows, DRAWS - start), int(members.max()) + 1), dtype=np.float32)
        fake = np.add.reduceat((uniform[:, members] < ordered).astype(np.int64), starts, axis=1)
        drawn.append(np.abs(fake - bins.scores * bins.counts).sum(axis=1) / len(scores))
    every = np.concatenate(drawn)
    return float(every.mean()), float(np.quantile(every, 0.95))


def calibration_error(labels: Labels, scores: Floats, groups: npt.NDArray[np.int64], bins: Bins) -> Estimate:
    """Return the root mean square calibration error over bins, without the part that chance adds, with its interval.

    The variance of each bin is subtracted from its squared distance (the debiased estimator of Kumar, Liang & Ma 2019,
    arXiv 1909.10155, eq. 6), by groups of duplicates. The interval is normal on the squared scale and cut at 0. A bin
    with distance d and standard error s has the variance `4 d^2 s^2 + 2 s^4`.
    """
    residuals, n = labels - scores, len(labels)
    distances, errors = [], []
    for number, count in enumerate(bins.counts):
        inside = bins.of == number
        distance = float(residuals[inside].mean())
        _, members = np.unique(groups[inside], return_inverse=True)
        sums = np.bincount(members, residuals[inside] - distance)
        if len(sums) < 2:
            return Estimate.undefined(n)  # a bin of one image has no variance to take away
        distances.append(distance)
        errors.append(float((sums**2).sum() / count**2 * len(sums) / (len(sums) - 1)))
    return debiased(np.array(distances), np.array(errors), bins.counts)


def debiased(distances: Floats, errors: Floats, counts: npt.NDArray[np.int64]) -> Estimate:
    """Return the root mean square of distances without the part that chance adds; see `calibration_error`.

    Args:
        distances: Mean label minus mean score of each bin.
        errors: Squared standard error of each.
        counts: Images in each.
    """
    n = int(counts.sum())
    square, variance = 0.0, 0.0
    for distance, error, count in zip(distances.tolist(), errors.tolist(), counts.tolist(), strict=True):
        weight = count / n
        square += weight * (distance**2 - error)
        variance += weight**2 * (4 * max(distance**2 - error, 0) * error + 2 * error**2)
    half = float(norm.ppf(0.5 + CONFIDENCE / 2)) * math.sqrt(variance)
    value, low, high = (math.sqrt(max(s, 0.0)) for s in (square, square - half, square + half))
    return Estimate(value, low, high, n)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChanceError(Record):
    """The ECE of perfectly calibrated scores like these, over draws of labels from the scores.

    Attributes:
        mean: Mean of the draws.
        p95: Their 95th percentile.
    """

    mean: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin(Record):
    """One of the bins of equally many images.

    Attributes:
        score: Mean score of its images.
        fake: Share of fake images among them.
    """

    score: float
    fake: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration(Record):
    """How far scores are from being probabilities.

    Attributes:
        ece: Expected calibration error over bins of equally many images; chance alone makes it positive.
        ece_if_calibrated: What chance alone makes of it.
        rms_error: Root mean square error, debiased (Kumar, Liang & Ma 2019).
        bins: Bins of the reliability plot, by score.
    """

    ece: float
    ece_if_calibrated: ChanceError
    rms_error: Estimate
    bins: tuple[ReliabilityBin, ...]


def calibration_of(labels: Labels, scores: Floats, groups: npt.NDArray[np.int64]) -> Calibration:
    """Measure how far scores are from being probabilities."""
    bins = equal_mass(labels, scores)
    mean, high = ece_if_calibrated(scores, groups, bins)
    shares = [share_of(labels[bins.of == number] == 1, groups[bins.of == number]) for number in range(len(bins.counts))]
    return Calibration(
        ece=bins.ece,
        ece_if_calibrated=ChanceError(mean=mean, p95=high),
        rms_error=calibration_error(labels, scores, groups, bins),
        bins=tuple(
            ReliabilityBin(score=float(score), fake=share) for score, share in zip(bins.scores, shares, strict=True)
        ),
    )
