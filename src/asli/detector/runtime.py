"""What computes logits; everything that scores calls it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asli.data.preprocessing import Preprocessing

BATCH = 256

Windows = npt.NDArray[np.uint8]


class Runtime(Protocol):
    """Computes logits of images that went through the detector's preprocessing."""

    def logits(self, fitted: Sequence[Windows]) -> npt.NDArray[np.float64]:
        """Map fitted images, uint8, windows x size x size x 3 each, to logits, n x 2 (real, fake).

        Where an image has several windows, its logits are their mean.
        """


class Fitted(Protocol):
    """Anything that gives what evaluation sees of a data folder's rows: its pixels, or pixels changed on the way."""

    def fitted(self, rows: npt.NDArray[np.int64], preprocessing: Preprocessing) -> list[Windows]:
        """Return what evaluation sees of each row: uint8, windows x size x size x 3 each."""


class TorchRuntime:
    """A torch module on a device, in float32.

    Args:
        module: Is put into evaluation mode.
        preprocessing: Normalises the windows.
        device: Where the module is.
    """

    def __init__(self, module: nn.Module, preprocessing: Preprocessing, device: torch.device) -> None:
        self._module, self._preprocessing, self._device = module.eval(), preprocessing, device

    @torch.inference_mode()
    def logits(self, fitted: Sequence[Windows]) -> npt.NDArray[np.float64]:
        """Map fitted images, uint8, windows x size x size x 3 each, to logits, n x 2 (real, fake)."""
        counts = np.array([len(windows) for windows in fitted])
        windows = np.concatenate(fitted)
        parts = [
            self._module(self._preprocessing.batch(windows[start : start + BATCH], self._device))
            for start in range(0, len(windows), BATCH)
        ]
        result = torch.cat(parts).to("cpu", torch.float64).numpy()
        starts = np.cumsum(counts) - counts
        means: npt.NDArray[np.float64] = np.add.reduceat(result, starts, axis=0) / counts[:, None]
        return means


def logits_of_rows(
    runtime: Runtime, pixels: Fitted, rows: npt.NDArray[np.int64], preprocessing: Preprocessing
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the logits of a data folder's rows, batch after batch in their order.

    Args:
        runtime: Computes them.
        pixels: Of the data folder.
        rows: Which of them.
        preprocessing: The detector's; batches shrink as its size grows, to bound memory.
    """
    batch = max(16, min(BATCH, BATCH * 64 * 64 // preprocessing.size**2))
    for start in range(0, len(rows), batch):
        yield runtime.logits(pixels.fitted(rows[start : start + batch], preprocessing))
