"""Exponential moving average of a network's weights."""

import copy

import torch
from torch import nn


class EMA:
    """A second network whose floating-point tensors follow the first's.

    The decay rises to its value as (1 + t) / (10 + t), so that the first updates do not weigh on the average for long.

    It is not torch's `AveragedModel`, which blends integer buffers, too, and has names of tensors that would keep older
    runs from resuming.

    Args:
        module: The network that is trained.
        decay: Decay of the average, below 1.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).requires_grad_(False).eval()
        self._decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, update: int) -> None:
        """Take in the weights after an update, counted from 0."""
        weight = 1 - min(self._decay, (1 + update) / (10 + update))
        for average, value in zip(self.module.state_dict().values(), module.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(value, weight)
            else:
                average.copy_(value)
