"""Optimizers, and their state as named tensors."""

import torch
from torch import nn

from asli.recipe import OptimSettings

Named = dict[str, torch.Tensor]


def make_optimizer(module: nn.Module, settings: OptimSettings) -> torch.optim.Optimizer:
    """Build the optimizer of a network's trainable parameters.

    Decay spares vectors and scalars: biases and the scale and shift of normalization layers.
    """
    trainable = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, settings.lr, momentum=settings.betas[0], nesterov=settings.betas[0] > 0)
    fused = trainable[0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, settings.lr, betas=settings.betas, eps=settings.eps, fused=fused)


def optimizer_tensors(module: nn.Module, optimizer: torch.optim.Optimizer) -> Named:
    """Return the optimizer's state under `KIND/PARAMETER`, for example `exp_avg/conv1.weight`."""
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    return {
        f"{kind}/{names[parameter]}": value
        for parameter, state in optimizer.state.items()
        for kind, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(module: nn.Module, optimizer: torch.optim.Optimizer, tensors: Named) -> None:
    """Put back what `optimizer_tensors` returned."""
    parameters = dict(module.named_parameters())
    state: dict[torch.Tensor, Named] = {}
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        state.setdefault(parameters[name], {})[kind] = value
    # state_dict numbers the parameters through all groups.
    ordered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbered = {number: state[parameter] for number, parameter in enumerate(ordered) if parameter in state}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": numbered})
