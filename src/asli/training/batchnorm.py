"""BatchNorm statistics computed anew, so that an evaluation does not judge running averages that lag behind.

In a short run the averages still hold the statistics of weights long gone: after 48 updates with momentum 0.1 a deep
network's evaluation loss can rise while its training loss falls. Wu & Johnson (2021, arXiv 2105.07576, section 3)
compute them exactly instead, as here.
"""

from collections.abc import Iterable

import torch
from torch import nn


@torch.no_grad()
def reestimate(module: nn.Module, inputs: Iterable[torch.Tensor]) -> None:
    """Replace the running statistics of BatchNorm by their plain average over batches.

    Frozen layers (`weights.train`) keep theirs. Nothing else is in training mode meanwhile, so dropout draws no random
    numbers. `torch.optim.swa_utils.update_bn` does neither.

    Args:
        module: Changed in place; left in evaluation mode.
        inputs: float32, n x 3 x size x size each, normalized.
    """
    module.train()
    layers = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    module.eval()
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain average
        layer.train()
    for batch in inputs:
        module(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    module.eval()
