"""Three numbers about a picture: colorfulness, texture, and flatness of the background."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.uint8]

SIDE = 256
"""Larger pictures are looked at with their shorter side at this length."""

GRID = 8
FLAT = 5.0
"""A block is flat where the standard deviation of its brightness is below this many levels of 255."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Appearance of one picture.

    Attributes:
        colorfulness: Hasler & Suesstrunk (2003), equation 11: about 0 for gray, 109 for extremely colorful.
        texture: Root of the energy of the gradient (Subbarao, Choi & Nikzad 1993): the root mean square difference of
            adjacent pixels' brightness, in levels of 255.
        flatness: Share of flat blocks along the picture's edge: the outer ring of a grid of 8 x 8. Things are mostly
            shown in the middle, so the ring stands in for the background.
    """

    colorfulness: float
    texture: float
    flatness: float


NAMES = {"colorfulness": "colorfulness", "texture": "texture", "flatness": "background flatness"}


def measure(pixels: Array) -> Measures:
    """Measure one picture, uint8, height x width x 3."""
    short = min(pixels.shape[:2])
    if short > SIDE:
        height, width = (max(SIDE, round(side * SIDE / short)) for side in pixels.shape[:2])
        pixels = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))
    return measure_all(pixels[None])[0]


def measure_all(pixels: Array) -> list[Measures]:
    """Measure pictures of one size, at most `SIDE` a side, uint8, n x height x width x 3; quicker than one by one."""
    levels = pixels.astype(np.float64)
    red, green, blue = levels[..., 0], levels[..., 1], levels[..., 2]
    brightness = 0.299 * red + 0.587 * green + 0.114 * blue
    first, second = (_rows(values) for values in (red - green, (red + green) / 2 - blue))
    spread = np.hypot(first.std(axis=1), second.std(axis=1))
    colorfulness = spread + 0.3 * np.hypot(first.mean(axis=1), second.mean(axis=1))
    across, down = (_rows(np.diff(brightness, axis=axis)) for axis in (2, 1))
    pairs = max(across.shape[1] + down.shape[1], 1)
    texture = np.sqrt(((across**2).sum(axis=1) + (down**2).sum(axis=1)) / pairs)
    found = zip(colorfulness.tolist(), texture.tolist(), _flatness(brightness), strict=True)
    return [Measures(*values) for values in found]


def _rows(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return each picture's values in a row."""
    return np.ascontiguousarray(values).reshape(len(values), -1)


def _flatness(brightness: npt.NDArray[np.float64]) -> list[float]:
    grid = max(1, min(GRID, min(brightness.shape[1:]) // 2))
    edges = [np.linspace(0, side, grid + 1).astype(np.int64) for side in brightness.shape[1:]]
    counts = np.outer(*(np.diff(edge) for edge in edges))

    def means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums = np.add.reduceat(np.add.reduceat(values, edges[0][:-1], axis=1), edges[1][:-1], axis=2)
        blocks: npt.NDArray[np.float64] = sums / counts
        return blocks

    # Squares of large means would cost digits.
    centered = brightness - _rows(brightness).mean(axis=1)[:, None, None]
    variance = means(centered**2) - means(centered) ** 2
    ring = np.ones((grid, grid), dtype=np.bool_)
    ring[1:-1, 1:-1] = False
    shares: list[float] = (variance[:, ring] < FLAT**2).mean(axis=1).tolist()
    return shares
