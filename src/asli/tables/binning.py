"""Fine bins of scores: what stands for the ranks of any number of rows.

A bin holds the scores that agree in the first 13 bits of the mantissa of min(score, 1 - score). So bins are 1 part in
8,192 wide on the scale of odds at both ends, and their number is fixed. Given cuts, such as thresholds, are edges of
bins, so counts on either side of a cut are exact.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from asli.metrics.classification import Floats

MANTISSA = 13
"""Bits of the mantissa that tell bins apart."""

OCTAVES = 64
"""Octaves on each side; scores nearer to 0 or 1 than 2 to the power of -65 share a bin."""

_SHIFT = 52 - MANTISSA
_BASE = (1022 - OCTAVES) << MANTISSA
_SIDE = (OCTAVES << MANTISSA) + 1
"""Bins from 0 to 0.5."""

COARSE = 6
"""Bits by which the bins of groups are coarser: 128 an octave."""

FINE_BINS = 2 * _SIDE
COARSE_BINS = (FINE_BINS >> COARSE) + 1

Bins = npt.NDArray[np.int64]


def fine_bins(scores: Floats) -> Bins:
    """Return the bin of each score, without cuts; bins ascend with scores."""
    upper = scores > 0.5
    near = np.where(upper, 1 - scores, scores)  # exact (Sterbenz)
    found = np.clip((near.view(np.int64) >> _SHIFT) - _BASE, 0, _SIDE - 1)
    bins: Bins = np.where(upper, FINE_BINS - 1 - found, found)
    return bins


class Binning:
    """Fine bins with cuts.

    Args:
        cuts: Scores at which a bin begins.
    """

    def __init__(self, cuts: Sequence[float]) -> None:
        self.cuts = np.unique([cut for cut in cuts if 0 < cut <= 1])
        self.number = FINE_BINS + len(self.cuts)

    def of(self, scores: Floats, fine: Bins | None = None) -> Bins:
        """Return the bin of each score."""
        fine = fine_bins(scores) if fine is None else fine
        return fine + np.searchsorted(self.cuts, scores, side="right")

    def coarse(self) -> Bins:
        """Return the coarse bin of each bin."""
        every = np.arange(self.number)
        begun = [self.begins(cut) for cut in self.cuts.tolist()]
        return (every - np.searchsorted(begun, every, side="right")) >> COARSE

    def first(self, bin: int) -> float:
        """Return the least score, as a float64, whose bin is this one or a higher one."""
        low, high = np.array([0.0, 1.0]).view(np.int64).tolist()
        while low < high:  # floats that are not negative are ordered as their bits are
            middle = (low + high) // 2
            if self._of_bits(middle) >= bin:
                high = middle
            else:
                low = middle + 1
        return float(np.array([low]).view(np.float64)[0])

    def last(self, bin: int) -> float:
        """Return the greatest score whose bin is this one or a lower one."""
        return float(np.nextafter(self.first(bin + 1), -1.0)) if bin + 1 < self.number else 1.0

    def begins(self, cut: float) -> int:
        """Return the first bin at or above a score that is a cut; infinite ones are beyond all bins."""
        if cut <= 0:
            return 0
        if cut > 1:
            return self.number
        return int(self.of(np.array([cut]))[0])

    def begins_at(self, score: float) -> int:
        """Return the first bin whose scores are all at or above a score, which lies between two bins that occur."""
        bin = int(self.of(np.array([score]))[0])
        return bin if self.first(bin) >= score else bin + 1

    def _of_bits(self, bits: int) -> int:
        return int(self.of(np.array([bits]).view(np.float64))[0])
