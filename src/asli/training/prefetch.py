"""Batches made ahead by threads while the device computes; the bits do not depend on the threads."""

from collections.abc import Generator, Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from asli.parallel import ordered
from asli.training.batches import Draft, MicroBatch, TrainingBatches


class Prefetching:
    """A training stream whose CPU part is made ahead, in the order in which updates ask for it.

    A micro-batch is a function of its update and number alone, so nothing depends on the threads. The device's part is
    made by the caller, so that no operation of the device runs in two threads.

    Args:
        batches: The stream.
        updates: How many updates there will be; none is made beyond.
        threads: Threads that make micro-batches; each is two ahead at most, which bounds memory.
    """

    def __init__(self, batches: TrainingBatches, updates: int, threads: int) -> None:
        self._batches, self._updates, self._threads = batches, updates, threads
        self._made: Generator[Draft] | None = None
        self._expected, self._share = 0, (0, 1)

    @property
    def updates_per_epoch(self) -> int:
        """Return how many updates one pass takes."""
        return self._batches.updates_per_epoch

    def group(self, update: int) -> list[npt.NDArray[np.int64]]:
        """Return the manifest rows of each micro-batch of an update."""
        return self._batches.group(update)

    def micro_batches(self, update: int, first: int = 0, step: int = 1) -> Iterator[MicroBatch]:
        """Return the micro-batches of an update; those of a later one are made meanwhile.

        An update that is not the one expected next, as for BatchNorm's statistics, is made in place.
        """
        if self._made is None:
            self._expected, self._share = update, (first, step)
            later = (self._batches.drafts(number, first, step) for number in range(update, self._updates))
            self._made = ordered(lambda draft: draft(), chain.from_iterable(later), threads=self._threads)
        if update != self._expected or (first, step) != self._share:
            yield from self._batches.micro_batches(update, first, step)
            return
        self._expected += 1
        for _ in range(len(self.group(update)[first::step])):
            yield self._batches.finish(next(self._made))

    def close(self) -> None:
        """End the threads; what was made ahead is dropped."""
        if self._made:
            self._made.close()
