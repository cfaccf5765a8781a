"""All pairs of 64-bit hashes within a Hamming distance, without comparing each with each.

Multi-index hashing (Norouzi, Punjani & Fleet 2012): of two hashes that differ in at most 7 bits, one of their four
16-bit bands differs in at most one. So each band is looked up as it is and with each single bit turned: exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RADIUS = 7
"""Greatest distance the look-up is exact for."""

BUCKET_LIMIT = 500
"""Hashes of one 16-bit band value; fuller buckets (flat or templated pictures) are skipped and their members named. In
CIFAKE's 120,000 images the fullest holds 124."""

_BANDS, _WIDTH = 4, 16
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Neighbors:
    """Result of a search.

    Attributes:
        pairs: int64, m x 2: places of each pair, the lower one first, each pair once.
        distances: uint8, m: differing bits.
        skipped: int64: places of hashes in buckets that were too full to search.
    """

    pairs: npt.NDArray[np.int64]
    distances: npt.NDArray[np.uint8]
    skipped: npt.NDArray[np.int64]


def neighbors(hashes: npt.NDArray[np.uint64], radius: int = RADIUS, bucket_limit: int = BUCKET_LIMIT) -> Neighbors:
    """Find all pairs of hashes that differ in at most `radius` bits.

    Time and memory are bounded by `len(hashes) * bucket_limit` comparisons for each of 68 look-ups, done in blocks.

    Args:
        hashes: 64-bit, n.
        radius: At most 7.
        bucket_limit: See `BUCKET_LIMIT`.
    """
    if not 0 <= radius <= RADIUS:
        raise ValueError(f"the search is exact for distances up to {RADIUS}, not {radius}")
    codes, skipped = [], np.zeros(len(hashes), dtype=np.bool_)
    for band in range(_BANDS):
        keys = (hashes >> np.uint64(_WIDTH * band)).astype(np.uint16)
        full = np.bincount(keys, minlength=1 << _WIDTH) > bucket_limit
        skipped |= full[keys]
        places = np.flatnonzero(~full[keys])
        for left, right in _candidates(keys[places]):
            i, j = places[left], places[right]
            near = np.bitwise_count(hashes[i] ^ hashes[j]) <= radius
            i, j = i[near], j[near]
            codes.append(np.minimum(i, j) * len(hashes) + np.maximum(i, j))
    found = np.unique(np.concatenate(codes)) if codes else np.zeros(0, dtype=np.int64)
    pairs = np.stack(np.divmod(found, max(len(hashes), 1)), axis=1)
    distances = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    return Neighbors(pairs, distances, np.flatnonzero(skipped))


def _candidates(keys: npt.NDArray[np.uint16]) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield places of keys that are equal or differ in one bit, in blocks."""
    ascending = np.argsort(keys, kind="stable")
    ordered = keys[ascending]
    here = np.arange(len(keys))
    for mask in (0, *(1 << bit for bit in range(_WIDTH))):
        if mask:
            lower = np.flatnonzero((ordered & mask) == 0)  # each pair once: from the key whose bit is off
            first = np.searchsorted(ordered, ordered[lower] | np.uint16(mask), side="left")
            last = np.searchsorted(ordered, ordered[lower] | np.uint16(mask), side="right")
        else:
            lower, first = here, here + 1
            last = np.searchsorted(ordered, ordered, side="right")
        lengths = last - first
        ends = np.cumsum(lengths)
        start = 0
        while start < len(lower):
            done = ends[start - 1] if start else 0
            stop = max(int(np.searchsorted(ends, done + _BLOCK, side="right")), start + 1)
            part = lengths[start:stop]
            left = np.repeat(lower[start:stop], part)
            offset = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part)
            right = np.repeat(first[start:stop], part) + offset
            yield ascending[left], ascending[right]
            start = stop
