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
    levels = pixels.astype(np.float64)
    red, green, blue = levels[..., 0], levels[..., 1], levels[..., 2]
    brightness = 0.299 * red + 0.587 * green + 0.114 * blue
    first, second = red - green, (red + green) / 2 - blue
    spread = np.hypot(first.std(), second.std())
    colorfulness = spread + 0.3 * np.hypot(first.mean(), second.mean())
    across, down = np.diff(brightness, axis=1), np.diff(brightness, axis=0)
    pairs = max(across.size + down.size, 1)
    texture = np.sqrt(((across**2).sum() + (down**2).sum()) / pairs)
    return Measures(float(colorfulness), float(texture), _flatness(brightness))


def _flatness(brightness: npt.NDArray[np.float64]) -> float:
    grid = max(1, min(GRID, min(brightness.shape) // 2))
    edges = [np.linspace(0, side, grid + 1).astype(np.int64) for side in brightness.shape]
    counts = np.outer(*(np.diff(edge) for edge in edges))

    def means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums = np.add.reduceat(np.add.reduceat(values, edges[0][:-1], axis=0), edges[1][:-1], axis=1)
        blocks: npt.NDArray[np.float64] = sums / counts
        return blocks

    centerd = brightness - brightness.mean()  # squares of large means would cost digits
    variance = means(centerd**2) - means(centerd) ** 2
    ring = np.ones((grid, grid), dtype=np.bool_)
    ring[1:-1, 1:-1] = False
    return float((variance[ring] < FLAT**2).mean())
