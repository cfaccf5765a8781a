"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) of the log-odds of fake, with its sign.

The paper keeps what speaks for a class and cuts off the rest. Of two classes what speaks against one speaks for the
other, so nothing is cut off here: positive is evidence for fake, negative for real. After the last convolution of a
network with average pooling and one linear layer the map is exact: it adds up to the log-odds, the bias left out.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from asli.errors import DetectorError
from asli.metrics.classification import Floats

LEAST_SIDE = 4
"""Smallest map taken where none is asked for: that of an ImageNet ResNet's last stage at 32 px is 1 x 1."""

SAME = 0.99
"""Correlation of a layer's maps of two noise pictures from which on they show places, not pictures."""

MOST_PREFIX = 8
"""Tokens before those of places: of the class, of distillation, registers."""


def layers(module: nn.Module, size: int) -> dict[str, int]:
    """Return the layers that end a stage, from the input to the head, and the side of their maps.

    A stage ends with the last output of one map size. Two conditions must hold. Places of the map reach the head, which
    excludes outputs after the last block of a network that reads its class token alone. The pattern over the places
    depends on the input, which excludes position codes. Only direct children of the network are candidates, and the
    children of sequences: inside a block, an output may be one of several parallel paths.

    Args:
        module: A network; left in evaluation mode.
        size: Height and width of its input.
    """
    outputs: list[tuple[str, torch.Tensor | None]] = []
    features: list[torch.Tensor] = []
    handles = [
        part.register_forward_hook(lambda _, __, out, name=name: outputs.append((name, spatial(out))))
        for name, part in _in_sequence(module)
    ]
    # A head fresh from initialization may be all zeros: what counts is what reaches it.
    heads = [part for part in module.modules() if isinstance(part, nn.Linear)]
    handles += [part.register_forward_pre_hook(lambda _, given: features.append(given[0])) for part in heads]
    device = next(module.parameters()).device
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    try:
        with torch.enable_grad():
            logits = module.eval()(noise.requires_grad_())
            end = features[-1] if features else logits
            found = [(name, out) for name, out in outputs if out is not None and out.requires_grad and len(out) == 2]
            weights = torch.randn(end.shape, generator=torch.Generator().manual_seed(1)).to(device)
            ways = (
                torch.autograd.grad((end * weights).sum(), [out for _, out in found], allow_unused=True)
                if found
                else ()
            )
    finally:
        for handle in handles:
            handle.remove()
    ends: dict[int, tuple[str, torch.Tensor]] = {}
    for (name, out), way in zip(found, ways, strict=True):
        if way is None or not as_maps(way).any():
            continue
        maps = as_maps(out)
        ends.pop(maps.shape[2], None)  # so that the order stays that of the last outputs
        ends[maps.shape[2]] = name, maps.detach()
    return {name: side for side, (name, maps) in ends.items() if _likeness(maps) < SAME}


def _likeness(maps: torch.Tensor) -> float:
    """Return the correlation over places of the maps of two inputs, channel by channel taken together."""
    one, two = (maps - maps.mean(dim=(2, 3), keepdim=True)).flatten(1)
    return float(F.cosine_similarity(one, two, dim=0))


def spatial(out: Any) -> torch.Tensor | None:
    """Return an output of a layer, or of several the first, that holds values by place; None where none does."""
    parts = out if isinstance(out, (tuple, list)) else [out]
    return next((part for part in parts if isinstance(part, torch.Tensor) and _form(part) is not None), None)


def as_maps(out: torch.Tensor) -> torch.Tensor:
    """Return values by place as maps, n x channels x side x side.

    Args:
        out: Maps, with the channels second or last, or tokens (n x tokens x channels). Tokens must form a square, in
            its order, after up to `MOST_PREFIX` others such as the class token.
    """
    form = _form(out)
    if form == "channels last":
        return out.permute(0, 3, 1, 2)
    if form == "tokens":
        side = math.isqrt(out.shape[1])
        return out[:, out.shape[1] - side**2 :].transpose(1, 2).reshape(len(out), -1, side, side)
    return out


def _form(out: torch.Tensor) -> Literal["channels second", "channels last", "tokens"] | None:
    shape = out.shape
    if out.dim() == 4 and shape[2] == shape[3] > 1:
        return "channels second"
    if out.dim() == 4 and shape[1] == shape[2] > 1:
        return "channels last"
    if out.dim() == 3 and shape[1] >= LEAST_SIDE and shape[1] - math.isqrt(shape[1]) ** 2 <= MOST_PREFIX:
        return "tokens"
    return None


def _in_sequence(module: nn.Module, before: str = "") -> Iterator[tuple[str, nn.Module]]:
    if hasattr(module, "reroll"):  # Hiera keeps its tokens in an order of its own
        return
    for name, part in module.named_children():
        yield before + name, part
        if isinstance(part, (nn.Sequential, nn.ModuleList)) or getattr(part, "holds_sequence", False):
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
        module: Module of two classes, in evaluation mode.
        inputs: float32, n x 3 x size x size.
        layer: Name of a module whose output has values by place (see `layers`).

    Returns:
        n x side x side, of the layer's maps: what each place adds to the log-odds of fake, in nats.
    """
    return gradcam_and_log_odds(module, inputs, layer)[0]


def gradcam_and_log_odds(module: nn.Module, inputs: torch.Tensor, layer: str) -> tuple[Floats, Floats]:
    """Return `gradcam` and the log-odds of fake of each input, n, from one forward pass."""
    kept: list[torch.Tensor] = []

    def keep(_: nn.Module, __: Any, out: Any) -> None:
        kept.extend(part for part in [spatial(out)] if part is not None)

    handle = module.get_submodule(layer).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            # Inputs that ask for gradients make every output do so, however much of the network is frozen.
            logits = module(inputs.detach().requires_grad_())
            odds = logits[:, 1] - logits[:, 0]
            (gradient,) = torch.autograd.grad(odds.sum(), kept[-1])
    finally:
        handle.remove()
    weights = as_maps(gradient).mean(dim=(2, 3), keepdim=True)
    maps: Floats = (weights * as_maps(kept[-1])).sum(dim=1).detach().to("cpu", torch.float64).numpy()
    return maps, odds.detach().to("cpu", torch.float64).numpy()


def enlarged(maps: Floats, size: int) -> Floats:
    """Enlarge maps, n x side x side, to n x size x size: bilinear, each pixel its share of the place it lies in."""
    side = maps.shape[1]
    large = F.interpolate(torch.from_numpy(maps)[:, None], size=(size, size), mode="bilinear", align_corners=False)
    result: Floats = large[:, 0].numpy() * (side / size) ** 2
    return np.ascontiguousarray(result)
