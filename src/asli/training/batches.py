"""Training batches: update t is a pure function of (rows, recipe, seed, t)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from asli.datasets.folder import DataFolder
from asli.errors import DataError
from asli.recipe import AugmentSettings, Interpolation, LoopSettings
from asli.transforms.apply import to_input
from asli.transforms.color import color
from asli.transforms.cutmix import cutmix
from asli.transforms.degrade import degrade
from asli.transforms.preprocessing import Preprocessing
from asli.transforms.randomness import order
from asli.transforms.views import random_views


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One forward pass's worth.

    Attributes:
        inputs: float32, n x 3 x size x size, normalized.
        targets: int64, n: 0 real, 1 fake; or float32, n x 2: the share of each label, where images were mixed.
    """

    inputs: torch.Tensor
    targets: torch.Tensor


class TrainingBatches:
    """The training stream.

    Args:
        data: The data folder.
        rows: Which of its rows to train on.
        augment: What chance does to an image.
        preprocessing: Size, kernel and normalization; the same as at evaluation.
        loop: Portions and seed.
        device: Where batches are made.

    Raises:
        DataError: The augmentation does not suit the images.
    """

    def __init__(
        self,
        data: DataFolder,
        rows: npt.NDArray[np.int64],
        augment: AugmentSettings,
        preprocessing: Preprocessing,
        loop: LoopSettings,
        device: torch.device,
    ) -> None:
        self._pixels, self._labels, self._rows = data.pixels, data.labels, rows
        self._augment, self._preprocessing, self._loop, self._device = augment, preprocessing, loop, device
        if augment.crop == "padded" and data.info["packed"] is None:
            raise DataError("augment.crop=padded is for packed images of one small size; set augment.crop=random")
        self._order = lru_cache(maxsize=2)(lambda epoch: order(loop.seed, epoch, len(rows)))

    @property
    def updates_per_epoch(self) -> int:
        """Return how many updates one pass takes, a last group of fewer micro-batches or images included."""
        return ceil(ceil(len(self._rows) / self._loop.micro_batch) / self._loop.accumulation)

    def group(self, update: int) -> list[npt.NDArray[np.int64]]:
        """Return the manifest rows of each micro-batch of an update, counted from 0 over all epochs."""
        epoch, place = divmod(update, self.updates_per_epoch)
        whole = self._loop.micro_batch * self._loop.accumulation
        rows = self._rows[self._order(epoch)[place * whole : (place + 1) * whole]]
        return [rows[i : i + self._loop.micro_batch] for i in range(0, len(rows), self._loop.micro_batch)]

    def micro_batches(self, update: int) -> Iterator[MicroBatch]:
        """Make the micro-batches of an update, one after the other."""
        epoch = update // self.updates_per_epoch
        for rows in self.group(update):
            yield self.make(rows, epoch)

    def make(self, rows: npt.NDArray[np.int64], epoch: int) -> MicroBatch:
        """Make one micro-batch of these rows, augmented as in this epoch."""
        size, kernel = self._preprocessing.size, cast("Interpolation", self._preprocessing.interpolation)
        views = random_views(
            self._augment, self._pixels.sizes(rows), size=size, seed=self._loop.seed, epoch=epoch, samples=rows
        )
        pixels = self._pixels.seen(rows, views, size, kernel, self._device)
        if self._augment.degrade:
            pixels = self._degraded(pixels, rows, epoch)
        inputs = to_input(pixels, self._preprocessing.mean, self._preprocessing.std)
        if self._augment.color:
            inputs = color(inputs, self._augment.color, seed=self._loop.seed, epoch=epoch, samples=rows)
        targets = torch.from_numpy(self._labels[rows].astype(np.int64)).to(self._device)
        if self._augment.cutmix:
            inputs, targets = cutmix(
                inputs, targets, self._augment.cutmix, seed=self._loop.seed, epoch=epoch, samples=rows
            )
        return MicroBatch(inputs, targets)

    def _degraded(self, pixels: torch.Tensor, rows: npt.NDArray[np.int64], epoch: int) -> torch.Tensor:
        images = pixels.permute(0, 2, 3, 1).round().clamp(0, 255).to("cpu", torch.uint8).numpy()
        degraded = degrade(images, self._augment, seed=self._loop.seed, epoch=epoch, samples=rows)
        return torch.from_numpy(degraded).to(self._device).permute(0, 3, 1, 2)
