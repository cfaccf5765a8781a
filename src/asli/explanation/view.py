"""The part of a picture a detector looks at, and maps over it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from asli.metrics.classification import Floats
from asli.transforms.preprocessing import Preprocessing

Array = npt.NDArray[np.uint8]

Method = Literal["grad-cam", "occlusion"]
"""How a map is made."""

LogOdds = Callable[[list[Array]], Floats]
"""Maps fitted images, as `View.fitted` gives them, to the log-odds of fake of each."""

CELLS = 8
"""Cells along the shorter side: what is covered, removed or put back at a time."""


@dataclass(frozen=True, slots=True)
class View:
    """The part of a picture that contains the detector's windows.

    Attributes:
        pixels: uint8, height x width x 3: the picture as the windows cut it, resized where they resize it.
        corners: Top and left of each window.
        preprocessing: The detector's.
    """

    pixels: Array
    corners: list[tuple[int, int]]
    preprocessing: Preprocessing

    @classmethod
    def of(cls, pixels: Array, preprocessing: Preprocessing) -> Self:
        """Place a detector's windows on a picture, uint8, height x width x 3, and leave out what lies around them.

        Raises:
            ImageError: See `Preprocessing.to_input`.
        """
        placed, corners = preprocessing.place(pixels)
        top, left = np.min(corners, axis=0)
        bottom, right = np.max(corners, axis=0) + preprocessing.size
        moved = [(int(y - top), int(x - left)) for y, x in corners]
        return cls(placed[top:bottom, left:right], moved, preprocessing)

    def fitted(self, changed: Array | None = None) -> Array:
        """Cut the windows out of the view or a changed copy, as `to_input` does: uint8, windows x size x size x 3."""
        return self.preprocessing.cut(self.pixels if changed is None else changed, self.corners)

    def joined(self, maps: Floats, log_odds: Floats) -> Floats:
        """Lay maps of each window over the view and add them up as the image's log-odds add up those of the windows.

        Args:
            maps: windows x size x size, in the order of `fitted`.
            log_odds: Log-odds of fake of each window, which decide where only some windows count
                (`Preprocessing.pooling`).

        Returns:
            height x width; NaN where no window looks. A window that does not count adds 0.
        """
        corners, weights = self.corners, self.preprocessing.weights(log_odds)
        if self.preprocessing.crop_mode == "mirrored":
            first, mirrored = np.split(maps, 2)
            maps, corners = np.concatenate([first, mirrored[:, :, ::-1]]), [*self.corners, *self.corners]
        total, size = np.zeros(self.pixels.shape[:2]), self.preprocessing.size
        for (top, left), window, weight in zip(corners, maps, weights, strict=True):
            total[top : top + size, left : left + size] += weight * window
        return np.where(self.seen, total, np.nan)

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """Return whether a window looks at each pixel: height x width. Tiles leave gaps in large pictures."""
        seen, size = np.zeros(self.pixels.shape[:2], dtype=np.bool_), self.preprocessing.size
        for top, left in self.corners:
            seen[top : top + size, left : left + size] = True
        return seen

    def grid(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Part the view into square cells; return the row of each line of pixels and the column of each column."""
        height, width = self.pixels.shape[:2]
        side = min(height, width) / CELLS
        rows, columns = (
            np.minimum(np.arange(extent) / side, round(extent / side) - 1).astype(np.int64)
            for extent in (height, width)
        )
        return rows, columns

    def by_cell(self, heat: Floats) -> Floats:
        """Add up a map, height x width, over the cells: rows x columns. What no window looks at adds nothing."""
        rows, columns = self.grid()
        total = np.zeros((rows[-1] + 1, columns[-1] + 1))
        np.add.at(total, (rows[:, None], columns[None, :]), np.nan_to_num(heat))
        return total
