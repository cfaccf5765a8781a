"""Bins of equally many images, for calibration."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from asli.metrics.calibration import BINS
from asli.metrics.classification import Floats
from asli.tables.tally import Counts, Tally


@dataclass(frozen=True, slots=True)
class CoarseBins:
    """Bins of a tally, joined into at most `BINS` of nearly equally many images.

    Attributes:
        of: The number of each bin of the tally.
        counts: Images in each, k.
        fakes: Fake ones, k.
        scores: Mean score, k.
        spread: Sum of score * (1 - score), k: the variance of the number of fakes if scores are probabilities.
    """

    of: Counts
    counts: Counts
    fakes: Counts
    scores: Floats
    spread: Floats

    @property
    def distances(self) -> Floats:
        """Return mean label minus mean score."""
        return self.fakes / self.counts - self.scores

    @classmethod
    def of_tally(cls, tally: Tally) -> Self:
        """Join bins as `asli.metrics.calibration.equal_mass` does for equal scores."""
        totals = tally.counts.sum(axis=0)
        below = np.cumsum(totals)
        starts = np.unique(np.searchsorted(below, np.arange(BINS) * tally.n // BINS, side="right"))
        of = np.maximum(np.searchsorted(starts, np.arange(len(totals)), side="right") - 1, 0)
        k = len(starts)
        counts = np.bincount(of, totals, k).astype(np.int64)
        score, square = (np.bincount(of, sums.sum(axis=0), k) for sums in (tally.score, tally.square))
        fakes = np.bincount(of, tally.counts[1], k).astype(np.int64)
        return cls(of, counts, fakes, score / counts, np.maximum(score - square, 0.0))
