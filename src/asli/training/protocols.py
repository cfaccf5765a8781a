"""What the training loop is given: micro-batches, what evaluates, and a log that can be cut back."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import nn

from asli.training.batches import MicroBatch
from asli.training.callbacks import Metrics

Evaluate = Callable[[nn.Module], Metrics]
"""Scores the validation part with a network in evaluation mode; the result holds `f1`, `loss` and `auroc`."""


class Batches(Protocol):
    """Micro-batches as a pure function of the update."""

    @property
    def updates_per_epoch(self) -> int:
        """Return how many updates one pass over the images takes."""

    def group(self, update: int) -> list[npt.NDArray[np.int64]]:
        """Return the rows of each micro-batch of an update."""

    def micro_batches(self, update: int, first: int = 0, step: int = 1) -> Iterator[MicroBatch]:
        """Make the micro-batches of an update: every `step`-th from number `first` on."""


class Log(Protocol):
    """An append-only file of measurements that can be cut back."""

    def append(self, kind: str, update: int, metrics: Metrics) -> None:
        """Write one line."""

    def length(self) -> int:
        """Return how many bytes have been written."""

    def truncate(self, length: int) -> None:
        """Forget what was written after `length` bytes."""
