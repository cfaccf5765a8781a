"""Pixels of single rows of a data folder, packed or not: the only place in the audit that opens files."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from asli.data.cifake import cifake
from asli.data.folder import DataFolder
from asli.data.images import decode
from asli.data.layouts import Layout, folders
from asli.data.sources import open_source
from asli.errors import DataError

Image8 = npt.NDArray[np.uint8]
Result = TypeVar("Result")
_LAYOUTS: dict[str, Layout] = {"cifake": partial(cifake, complete=False), "folders": folders}
_AT_ONCE = 64


class Pixels:
    """Decoded images by row: from the packed array, or once more from the source.

    Args:
        data: The data folder.
    """

    def __init__(self, data: DataFolder) -> None:
        self._data = data
        self._packed = data.info["packed"] is not None
        self._lock = Lock()
        if self._packed:
            return
        self._source = open_source(Path(data.info["source"]))
        listing = _LAYOUTS[data.info["layout"]](self._source.names())
        self._names = {entry.id: entry.name for entry in listing.entries}
        table = data.table(["id", "sha256"])
        self._ids, self._digests = table["id"], table["sha256"]

    def read(self, row: int) -> Image8:
        """Return one image, uint8, height x width x 3.

        Raises:
            DataError: The file is not the one the manifest describes any more.
        """
        if self._packed:
            return self._data.images[row]  # type: ignore[no-any-return]
        identity = self._ids[row].as_py()
        try:
            with self._lock:  # one open archive is shared
                content = self._source.read(self._names[identity])
        except (KeyError, OSError):
            content = b""
        if hashlib.sha256(content).hexdigest() != self._digests[row].as_py():
            raise DataError(f"{identity} has changed since the data folder was made; make it again")
        return decode(content)[0]

    def map(self, function: Callable[[Image8], Result], rows: npt.NDArray[np.int64]) -> Iterator[Result]:
        """Yield a function of each image, in the order of the rows; few images are in memory at once."""
        if self._packed:
            for row in rows:
                yield function(self.read(int(row)))
            return
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(rows), _AT_ONCE):
                yield from pool.map(lambda row: function(self.read(int(row))), rows[start : start + _AT_ONCE])
