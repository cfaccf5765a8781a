"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) of the log-odds of fake, with its sign.

The paper keeps what speaks for a class and cuts off the rest. Of two classes what speaks against one speaks for the
other, so nothing is cut off here: positive is evidence for fake, negative for real. After the last convolution of a
network with average pooling and one linear layer the map is exact: it adds up to the log-odds, the bias left out.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from asli.errors import DetectorError
from asli.metrics.classification import Floats

LEAST_SIDE = 4
"""Smallest map taken where none is asked for: that of an ImageNet ResNet's last stage at 32 px is 1 x 1."""


def layers(module: nn.Module, size: int) -> dict[str, int]:
    """Return the layers that end a stage, from the input to the head, and the side of their maps.

    A stage ends with the last output of one map size. Only the network's own parts count, and the parts of those that
    are sequences: inside a block an output may be one of several ways.

    Args:
        module: A network; left in evaluation mode.
        size: Height and width of its input.
    """
    ends: dict[int, str] = {}
    handles = []
    for name, part in _in_sequence(module):

        def note(_: nn.Module, __: Any, out: Any, name: str = name) -> None:
            if isinstance(out, torch.Tensor) and out.dim() == 4 and out.shape[2] == out.shape[3] > 1:
                ends.pop(out.shape[2], None)  # so that the order stays that of the last outputs
                ends[out.shape[2]] = name

        handles.append(part.register_forward_hook(note))
    try:
        with torch.inference_mode():
            module.eval()(torch.zeros(1, 3, size, size, device=next(module.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
    return {name: side for side, name in ends.items()}


def _in_sequence(module: nn.Module, before: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, part in module.named_children():
        yield before + name, part
        if isinstance(part, nn.Sequential):
            yield from _in_sequence(part, f"{before}{name}.")


def choose(found: dict[str, int], wanted: str | None) -> str:
    """Return the layer asked for, or the last whose map has at least `LEAST_SIDE` pixels a side.

    Args:
        found: From `layers`.
        wanted: Its name, or None.

    Raises:
        DetectorError: There is no such layer, or none with maps.
    """
    if not found:
        raise DetectorError("this network has no maps to explain it by; use --method occlusion")
    if wanted is None:
        large = [name for name, side in found.items() if side >= LEAST_SIDE]
        return large[-1] if large else max(found, key=lambda name: found[name])
    if wanted not in found:
        known = ", ".join(f"{name} ({side} x {side})" for name, side in found.items())
        raise DetectorError(f"no layer '{wanted}' ends a stage of this network; there are {known}")
    return wanted


def gradcam(module: nn.Module, inputs: torch.Tensor, layer: str) -> Floats:
    """Return the map of each input.

    Args:
        module: Of two classes, in evaluation mode.
        inputs: float32, n x 3 x size x size.
        layer: Name of a module with a map as output.

    Returns:
        n x side x side, of the layer's maps: what each place adds to the log-odds of fake, in nats.
    """
    kept: list[torch.Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _, __, out: kept.append(out))
    try:
        with torch.enable_grad():
            # Inputs that ask for gradients make every output do so, however much of the network is frozen.
            logits = module(inputs.detach().requires_grad_())
            (gradient,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), kept[-1])
    finally:
        handle.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    maps: Floats = (weights * kept[-1]).sum(dim=1).detach().to("cpu", torch.float64).numpy()
    return maps


def enlarged(maps: Floats, size: int) -> Floats:
    """Enlarge maps, n x side x side, to n x size x size: bilinear, each pixel its share of the place it lies in."""
    side = maps.shape[1]
    large = F.interpolate(torch.from_numpy(maps)[:, None], size=(size, size), mode="bilinear", align_corners=False)
    result: Floats = large[:, 0].numpy() * (side / size) ** 2
    return np.ascontiguousarray(result)
