"""Training batches: update t is a pure function of (rows, recipe, seed, t)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from math import ceil
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from asli.datasets.folder import DataFolder
from asli.errors import DataError
from asli.recipe import AugmentSettings, Interpolation, LoopSettings, Resampling
from asli.transforms.apply import Shown, to_input
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


@dataclass(frozen=True, slots=True)
class Draft:
    """A micro-batch as far as the CPU makes it; 8 bits a value, so that little is copied to the device.

    Attributes:
        shown: Its images.
        targets: int64, n: 0 real, 1 fake.
        rows: Rows of the manifest, int64, n.
        epoch: From 0.
    """

    shown: Shown
    targets: torch.Tensor
    rows: npt.NDArray[np.int64]
    epoch: int


class TrainingBatches:
    """The training stream.

    Args:
        data: The data folder.
        rows: Which of its rows to train on.
        augment: What chance does to an image.
        preprocessing: Size, kernel and normalization; the same as at evaluation.
        loop: Portions and seed.
        device: Where batches are made.
        resampling: Arithmetic of resizes; see the recipe's `data.resampling`.

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
        resampling: Resampling = "fast",
    ) -> None:
        self._resampling = resampling
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

    def micro_batches(self, update: int, first: int = 0, step: int = 1) -> Iterator[MicroBatch]:
        """Make the micro-batches of an update, one after the other: every `step`-th from number `first` on."""
        for draft in self.drafts(update, first, step):
            yield self.finish(draft())

    def drafts(self, update: int, first: int = 0, step: int = 1) -> list[Callable[[], Draft]]:
        """Return what makes the CPU's part of each micro-batch of an update; see `micro_batches`."""
        epoch = update // self.updates_per_epoch
        return [partial(self.draft, rows, epoch) for rows in self.group(update)[first::step]]

    def make(self, rows: npt.NDArray[np.int64], epoch: int) -> MicroBatch:
        """Make one micro-batch of these rows, augmented as in this epoch."""
        return self.finish(self.draft(rows, epoch))

    def draft(self, rows: npt.NDArray[np.int64], epoch: int) -> Draft:
        """Do the CPU's part of a micro-batch: read, decode, draw, degrade. Any thread may do it."""
        size, kernel = self._preprocessing.size, cast("Interpolation", self._preprocessing.interpolation)
        views = random_views(
            self._augment, self._pixels.sizes(rows), size=size, seed=self._loop.seed, epoch=epoch, samples=rows
        )
        shown = self._pixels.seen(rows, views, size, kernel, self._resampling)
        if self._augment.degrade:
            shown = self._degraded(shown, rows, epoch)
        targets = torch.from_numpy(self._labels[rows].astype(np.int64))
        if self._device.type == "cuda":  # the copy then needs no wait
            shown, targets = shown.pinned(), targets.pin_memory()
        return Draft(shown, targets, rows, epoch)

    def finish(self, draft: Draft) -> MicroBatch:
        """Do the device's part of a micro-batch: resample, normalize, color, mix."""
        inputs = to_input(draft.shown.on(self._device), self._preprocessing.mean, self._preprocessing.std)
        seed, epoch, rows = self._loop.seed, draft.epoch, draft.rows
        if self._augment.color:
            inputs = color(inputs, self._augment.color, seed=seed, epoch=epoch, samples=rows)
        targets = draft.targets.to(self._device, non_blocking=True)
        if self._augment.cutmix:
            inputs, targets = cutmix(inputs, targets, self._augment.cutmix, seed=seed, epoch=epoch, samples=rows)
        return MicroBatch(inputs, targets)

    def _degraded(self, shown: Shown, rows: npt.NDArray[np.int64], epoch: int) -> Shown:
        pixels = shown.on(torch.device("cpu")).permute(0, 2, 3, 1)
        images = pixels.round().clamp(0, 255).to(torch.uint8).numpy()
        threads = torch.get_num_threads()
        degraded = degrade(images, self._augment, seed=self._loop.seed, epoch=epoch, samples=rows, threads=threads)
        return Shown(torch.from_numpy(degraded))
