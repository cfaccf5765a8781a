"""Where pixels come from: one packed array for small images, files decoded on demand by threads for photographs.

Both show the same views of the same rows, so order and augmentation do not depend on which it is.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from asli.datasets.images import decoding
from asli.datasets.sources import Source
from asli.errors import DataError, ImageError
from asli.parallel import ordered
from asli.recipe import Interpolation, Resampling
from asli.threads import usable_cpus
from asli.transforms.apply import Shown, crop, resized
from asli.transforms.preprocessing import RESAMPLING, Preparation
from asli.transforms.views import Views, whole

Rows = npt.NDArray[np.int64]
Array = npt.NDArray[np.uint8]
S = TypeVar("S")
T = TypeVar("T")


class Pixels(Protocol):
    """Pixels of a data folder's rows."""

    def sizes(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return upright height and width of each row's image, int64, n x 2."""

    def seen(
        self, rows: Rows, views: Views, size: int, kernel: Interpolation, resampling: Resampling = "fast"
    ) -> Shown:
        """Return each row's view at `size` x `size`, ready for a device."""

    def fitted(self, rows: Rows, preparation: Preparation) -> list[Any]:
        """Return each row's image, prepared by `preparation.to_input`."""

    def image(self, row: int) -> Array:
        """Return one whole upright image, uint8, height x width x 3."""

    def map(self, function: Callable[[int, Array], T], rows: Rows) -> list[T]:
        """Return a function of each row and its whole image."""


class PackedPixels:
    """Images of one small size in one array; whole batches at once.

    Args:
        images: uint8, rows x height x width x 3.
    """

    def __init__(self, images: Array) -> None:
        self._images = images

    def sizes(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return upright height and width of each row's image, int64, n x 2."""
        return np.broadcast_to(np.array(self._images.shape[1:3]), (len(rows), 2))

    def seen(
        self, rows: Rows, views: Views, size: int, kernel: Interpolation, resampling: Resampling = "fast"
    ) -> Shown:
        """Return each row's view at `size` x `size`, ready for a device.

        With `fast` resampling the device resizes the whole batch in float32; on a GPU the CPU then only copies bytes.
        """
        images, sizes = self._images[rows], self.sizes(rows)
        if resampling == "pillow":
            every = zip(images, views.boxes, views.flips, strict=True)
            return Shown(torch.from_numpy(np.stack([_view(*view, size, kernel) for view in every])))
        if np.array_equal(views.boxes[:, 2:], sizes):  # shifts: no resampling yet
            images, views = crop(images, views), whole(sizes)
        if images.shape[1:3] == (size, size) and np.array_equal(views.boxes[:, 2:], sizes):
            return Shown(torch.from_numpy(images))
        return resized(images, views, size, kernel)

    def fitted(self, rows: Rows, preparation: Preparation) -> list[Any]:
        """Return each row's image, prepared by `preparation.to_input`."""
        return [preparation.to_input(image) for image in self._images[rows]]

    def image(self, row: int) -> Array:
        """Return one whole upright image, uint8, height x width x 3."""
        image: Array = self._images[row]
        return image

    def map(self, function: Callable[[int, Array], T], rows: Rows) -> list[T]:
        """Return a function of each row and its whole image."""
        return [function(row, self._images[row]) for row in rows.tolist()]


class FilePixels:
    """Image files of any size, decoded on demand by a pool of threads (Pillow lets go of the interpreter lock).

    Args:
        source: Where the files' bytes are.
        names: Names of every row.
        sizes: Upright height and width of every row, int64, rows x 2.
        threads: Threads of the pool; one a core by default.
    """

    def __init__(
        self, source: Source, names: Sequence[str], sizes: npt.NDArray[np.int64], threads: int | None = None
    ) -> None:
        self._source, self._names, self._sizes = source, names, sizes
        self._pool = ThreadPoolExecutor(threads or usable_cpus(), thread_name_prefix="decode")

    def sizes(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return upright height and width of each row's image, int64, n x 2."""
        return self._sizes[rows]

    def seen(
        self, rows: Rows, views: Views, size: int, kernel: Interpolation, resampling: Resampling = "fast"
    ) -> Shown:
        """Return each row's view at `size` x `size`, ready for a device; Pillow resizes, whatever `resampling` is."""

        def one(view: tuple[int, npt.NDArray[np.int64], np.bool_]) -> Array:
            row, box, flip = view
            with self._decoding(row) as image:
                return _view(image, box, flip, size, kernel)

        shown = np.stack(self._each(one, list(zip(rows.tolist(), views.boxes, views.flips, strict=True))))
        return Shown(torch.from_numpy(shown))

    def fitted(self, rows: Rows, preparation: Preparation) -> list[Any]:
        """Return each row's image, prepared by `preparation.to_input`."""
        return self.map(lambda _, image: preparation.to_input(image), rows)

    def map(self, function: Callable[[int, Array], T], rows: Rows) -> list[T]:
        """Return a function of each row and its whole image; the pool computes them."""

        def one(row: int) -> T:
            with self._decoding(row) as image:
                return function(row, image)

        return self._each(one, rows.tolist())

    def _each(self, function: Callable[[S], T], items: Sequence[S]) -> list[T]:
        """Return a function of each item; all calls share one pool, so that batches made side by side stay bounded."""
        return list(ordered(function, items, depth=len(items), pool=self._pool))

    def image(self, row: int) -> Array:
        """Return one whole upright image, uint8, height x width x 3.

        Raises:
            DataError: The file is gone, or not the one the manifest describes any more.
        """
        with self._decoding(row) as image:
            return image

    @contextmanager
    def _decoding(self, row: int) -> Iterator[Array]:
        name = self._names[row]
        with ExitStack() as stack:
            try:
                pixels, _ = stack.enter_context(decoding(self._source.read(name)))
            except (OSError, KeyError, ImageError) as error:
                raise DataError(f"{name} can no longer be read ({error}); make the data folder again") from error
            if pixels.shape[:2] != tuple(self._sizes[row]):
                raise DataError(f"{name} has changed since the data folder was made; make it again")
            yield pixels


def _view(image: Array, box: npt.NDArray[np.int64], flip: np.bool_, size: int, kernel: Interpolation) -> Array:
    """Cut a view out of an image as torchvision's transforms of Pillow images do: 8 bits, black beyond the image."""
    top, left, height, width = (int(value) for value in box)
    cut = Image.fromarray(_cut(image, top, left, height, width))  # not Pillow's crop: it has its own limit on pixels
    if (width, height) != (size, size):
        cut = cut.resize((size, size), RESAMPLING[kernel])
    pixels = np.asarray(cut)
    return pixels[:, ::-1] if flip else pixels


def _cut(image: Array, top: int, left: int, height: int, width: int) -> Array:
    """Cut a box out of an image, black where it reaches beyond."""
    inside = image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if inside.shape[:2] == (height, width):
        return np.ascontiguousarray(inside)
    box = np.zeros((height, width, 3), dtype=np.uint8)
    y, x = max(-top, 0), max(-left, 0)
    box[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return box
