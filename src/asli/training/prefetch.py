"""Batches made ahead by threads while the device computes; the bits do not depend on the threads."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from asli.training.batches import Draft, MicroBatch, TrainingBatches

AHEAD = 2
"""Micro-batches a thread, made or in the making: what bounds memory."""


class Prefetching:
    """A training stream whose CPU part is made ahead, in the order in which updates ask for it.

    A micro-batch is a function of its update and number alone, so nothing depends on the threads. The device's part is
    made by the caller, so that no operation of the device runs in two threads.

    Args:
        batches: The stream.
        updates: How many updates there will be; none is made beyond.
        threads: Threads of the pool.
    """

    def __init__(self, batches: TrainingBatches, updates: int, threads: int) -> None:
        self._batches, self._updates, self._most = batches, updates, threads * AHEAD
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="prefetch")
        self._made: deque[Future[Draft]] = deque()
        self._next: tuple[int, int, int, int] | None = None  # update, number in it, first and step

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
        if self._next is None:
            self._next = (update, 0, first, step)
            self._expected = update
        if update != self._expected or (first, step) != self._next[2:]:
            yield from self._batches.micro_batches(update, first, step)
            return
        self._expected = update + 1
        for _ in range(len(self.group(update)[first::step])):
            self._fill()
            draft = self._made.popleft().result()
            self._fill()
            yield self._batches.finish(draft)

    def close(self) -> None:
        """End the threads; what was made ahead is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fill(self) -> None:
        assert self._next is not None
        update, number, first, step = self._next
        while len(self._made) < self._most and update < self._updates:
            drafts = self._batches.drafts(update, first, step)
            if number == len(drafts):
                update, number = update + 1, 0
                continue
            self._made.append(self._pool.submit(drafts[number]))
            number += 1
        self._next = (update, number, first, step)
