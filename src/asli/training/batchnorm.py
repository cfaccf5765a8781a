"""BatchNorm's running statistics: computed anew for an evaluation, and merged from several processes.

In a short run the averages still contain statistics of early weights. After 48 updates with momentum 0.1, a deep
network's evaluation loss can rise while its training loss falls. As in Wu & Johnson (2021, arXiv 2105.07576, section
3), this module computes them exactly instead.
"""

from collections.abc import Iterable

import torch
from torch import nn

from asli.errors import RecipeError
from asli.training.processes import Processes


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


class RunningStatistics:
    """Running statistics as if one process had seen every micro-batch, in their order.

    A process only sees its own micro-batches. Before each of them the statistics are set to zero, so that they hold
    that micro-batch's contribution alone afterwards; in training mode the forward pass does not read them. After the
    update all contributions are taken in one after the other: r = (1 - momentum) r + momentum b.

    Args:
        module: The network; frozen layers keep their statistics.
        processes: Who trains it.

    Raises:
        RecipeError: A layer keeps a plain average, which has no momentum.
    """

    def __init__(self, module: nn.Module, processes: Processes) -> None:
        self._module, self._processes = module, processes
        self._layers: list[nn.modules.batchnorm._BatchNorm] = []
        self._kept: list[torch.Tensor] = []
        self._found: dict[int, torch.Tensor] = {}

    def begin(self) -> None:
        """Remember the statistics before an update; the network is in training mode."""
        norms = [m for m in self._module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
        self._layers = [layer for layer in norms if layer.track_running_stats]
        if any(layer.momentum is None for layer in self._layers):
            raise RecipeError("this network's BatchNorm has no momentum; train it in one process")
        self._kept = [statistic.clone() for statistic in self._statistics()]
        self._found = {}

    @torch.no_grad()
    def before(self) -> None:
        """Clear the statistics before a micro-batch."""
        for statistic in self._statistics():
            statistic.zero_()

    def after(self, number: int) -> None:
        """Keep what the micro-batch of that number contributed."""
        if self._layers:
            self._found[number] = torch.cat([statistic.clone() for statistic in self._statistics()])

    @torch.no_grad()
    def merge(self, count: int) -> None:
        """Take in the contributions of the update's micro-batches, `count` in all, from all processes."""
        if not self._layers:
            return
        whole = torch.cat(self._kept)
        contributions = torch.zeros(count, len(whole), dtype=whole.dtype, device=whole.device)
        for number, found in self._found.items():
            contributions[number] = found
        self._processes.sum(contributions)
        sizes = [len(statistic) for statistic in self._kept]
        kept_share = [1 - float(layer.momentum or 0) for layer in self._layers for _ in range(2)]
        shares = torch.cat([whole.new_full((size,), share) for size, share in zip(sizes, kept_share, strict=True)])
        for contribution in contributions:
            whole = whole * shares + contribution
        for statistic, merged in zip(self._statistics(), torch.split_with_sizes(whole, sizes), strict=True):
            statistic.copy_(merged)
        for layer in self._layers:
            assert layer.num_batches_tracked is not None
            layer.num_batches_tracked += count - len(self._found)

    def _statistics(self) -> list[torch.Tensor]:
        return [
            statistic
            for layer in self._layers
            for statistic in (layer.running_mean, layer.running_var)
            if statistic is not None
        ]
