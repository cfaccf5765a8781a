"""The quantization tables of a JPEG file: a hash of them, and the quality that they correspond to."""

import hashlib
from functools import lru_cache

import numpy as np

# Luminance table of the JPEG standard (ITU T.81, annex K) in row order; libjpeg scales it by "quality".
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_QUALITIES = np.arange(1, 101)
_SCALES = np.where(_QUALITIES < 50, 5000 // _QUALITIES, 200 - 2 * _QUALITIES)
_TABLE_SUMS = np.clip((_LUMINANCE.reshape(1, 64) * _SCALES[:, None] + 50) // 100, 1, 255).sum(axis=1)


@lru_cache(maxsize=1024)  # most files share the tables of a few encoders
def of_tables(tables: tuple[tuple[int, tuple[int, ...]], ...]) -> tuple[str, int]:
    """Return the hash of quantization tables, and the quality of the first."""
    flat = repr([(key, list(values)) for key, values in tables]).encode()
    quality = int(_QUALITIES[np.abs(_TABLE_SUMS - sum(tables[0][1])).argmin()])
    return hashlib.sha256(flat).hexdigest()[:16], quality
