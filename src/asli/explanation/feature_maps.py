"""What successive layers make of one picture: edges, then textures, then patterns (figure 5 of the paper)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import nn

from asli.explanation.gradcam import as_maps, spatial
from asli.reports.plots import STYLE

Maps = dict[str, npt.NDArray[np.float32]]

CHANNELS = 8
"""Maps shown a layer."""


def feature_maps(module: nn.Module, names: Sequence[str], image: torch.Tensor) -> Maps:
    """Return the output of layers for one input, float32, 1 x 3 x size x size: channels x height x width each."""
    found: Maps = {}
    handles = []
    for name in names:

        def keep(_: nn.Module, __: Any, out: Any, name: str = name) -> None:
            if (places := spatial(out)) is not None:
                found[name] = as_maps(places)[0].cpu().numpy().copy()

        handles.append(module.get_submodule(name).register_forward_hook(keep))
    try:
        with torch.inference_mode():
            module.eval()(image)
    finally:
        for handle in handles:
            handle.remove()
    return found


def draw_feature_maps(picture: npt.NDArray[np.uint8], maps: Maps) -> Figure:
    """Draw of each layer the maps that vary most over the picture, each from black, its least, to white."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 0.8 * len(maps) + 0.3), layout="constrained")
        grid = figure.subplots(len(maps), CHANNELS + 1, squeeze=False)
        for line, (name, found) in zip(grid, maps.items(), strict=True):
            for axes in line:
                axes.set_axis_off()
            chosen = np.argsort(-found.reshape(len(found), -1).var(axis=1), kind="stable")[:CHANNELS]
            for axes, channel in zip(line[1:], chosen, strict=False):
                axes.imshow(found[channel], cmap="gray")
            side = found.shape[1]
            line[0].text(1, 0.5, f"{name}\n{side} x {side}", transform=line[0].transAxes, ha="right", va="center")
        first = next(iter(maps))
        grid[0][0].clear()
        grid[0][0].set_axis_off()
        grid[0][0].imshow(picture)
        grid[0][0].set_title("image", fontsize=8)
        grid[0][1].set_title(f"{first}, {maps[first].shape[1]} px", fontsize=8, loc="left")
    return figure
