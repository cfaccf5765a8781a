"""A function of each of many images, with few of them in memory at once."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.parallel import ordered
from asli.progress import progress

Image8 = npt.NDArray[np.uint8]
Result = TypeVar("Result")


class PixelReader:
    """Decoded images by row.

    Args:
        data: The data folder.
    """

    def __init__(self, data: DataFolder) -> None:
        self._pixels, self._packed = data.pixels, data.info["packed"] is not None

    def read(self, row: int) -> Image8:
        """Return one image, uint8, height x width x 3.

        Raises:
            DataError: The file is not the one the manifest describes any more.
        """
        return self._pixels.image(row)

    def map(
        self, function: Callable[[Image8], Result], rows: npt.NDArray[np.int64], what: str = "comparing images"
    ) -> Iterator[Result]:
        """Yield a function of each image, in the order of the rows; few images are in memory at once.

        Args:
            function: Called in threads where images are decoded.
            rows: Rows of the manifest.
            what: Names the work in the progress bar.
        """
        with progress(what, len(rows), unit="images") as bar:
            for found in self._mapped(function, rows):
                yield found
                bar.advance()

    def _mapped(self, function: Callable[[Image8], Result], rows: npt.NDArray[np.int64]) -> Iterator[Result]:
        if self._packed:
            for row in rows.tolist():
                yield function(self.read(row))
            return
        yield from ordered(lambda row: function(self.read(row)), rows.tolist())
