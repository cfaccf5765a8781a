"""What computes logits; everything that scores calls it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asli.data.preprocessing import Preprocessing

BATCH = 256

Pixels = npt.NDArray[np.uint8]


class Runtime(Protocol):
    """Computes logits of images that went through the detector's preprocessing."""

    def logits(self, images: Sequence[Pixels] | Pixels) -> npt.NDArray[np.float64]:
        """Map images, uint8, height x width x 3 each, to logits, n x 2 (real, fake)."""


class TorchRuntime:
    """A torch module on a device, in float32.

    Args:
        module: Is put into evaluation mode.
        preprocessing: Applied to each image.
        device: Where the module is.
    """

    def __init__(self, module: nn.Module, preprocessing: Preprocessing, device: torch.device) -> None:
        self._module, self._preprocessing, self._device = module.eval(), preprocessing, device

    @torch.inference_mode()
    def logits(self, images: Sequence[Pixels] | Pixels) -> npt.NDArray[np.float64]:
        """Map images, uint8, height x width x 3 each, to logits, n x 2 (real, fake)."""
        result = self._module(self._preprocessing.batch(images, self._device))
        return result.to("cpu", torch.float64).numpy()  # type: ignore[no-any-return]


def logits_of_rows(
    runtime: Runtime, images: Pixels, rows: npt.NDArray[np.int64], size: int = 32
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the logits of packed images, batch after batch in the order of `rows`.

    Args:
        runtime: Computes them.
        images: uint8, all rows x height x width x 3.
        rows: Which of them.
        size: Of the network's input; batches shrink as it grows, to bound memory.
    """
    batch = max(16, min(BATCH, BATCH * 64 * 64 // (size * size)))
    for start in range(0, len(rows), batch):
        yield runtime.logits(images[rows[start : start + batch]])
