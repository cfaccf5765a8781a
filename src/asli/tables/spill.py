"""Rows divided among temporary files by a hash, so that what belongs together can be brought together in parts."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.void]
Hashes = npt.NDArray[np.uint64]

PARTS = 128
"""Files: of 100 million rows each has about 800,000."""


class Spill:
    """Records in temporary files.

    Args:
        dtype: Fields of a record.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.rows = 0
        self._stack = ExitStack()
        self._files: list[BinaryIO] = [
            self._stack.enter_context(tempfile.TemporaryFile(prefix="asli-rows-"))  # noqa: SIM115
            for _ in range(PARTS)
        ]

    def __enter__(self) -> "Spill":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, keys: Hashes, records: Records) -> None:
        """Write records; those of one key lie in one file."""
        part = (keys % np.uint64(PARTS)).astype(np.uint8)
        order = np.argsort(part, kind="stable")
        ordered, ends = records[order], np.cumsum(np.bincount(part, minlength=PARTS))
        for number, (start, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
            if end > start:
                self._files[number].write(ordered[start:end].tobytes())
        self.rows += len(records)

    def parts(self) -> Iterator[Records]:
        """Yield the records of each file."""
        for file in self._files:
            file.seek(0)
            yield np.frombuffer(file.read(), dtype=self.dtype)
            file.seek(0, 2)


def hashes(values: Sequence[Any]) -> Hashes:
    """Return 64-bit hashes of texts, the same for equal ones in this process."""
    return np.fromiter(map(hash, values), dtype=np.int64, count=len(values)).view(np.uint64)


def long_hashes(values: Sequence[str]) -> tuple[Hashes, Hashes]:
    """Return two independent hashes of each text, 128 bits together: equal for equal texts, else never in practice."""
    return hashes(values), hashes([value + "\0" for value in values])
