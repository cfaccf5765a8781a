"""Outputs of successive layers for one picture: edges, then textures, then patterns (figure 5 of the paper)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
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
    """Draw of each layer the maps that vary most over the picture, each from black, its least, to white.

    Maps of one pixel, as after global pooling, share one scale.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 0.8 * (1 + len(maps)) + 0.1), layout="constrained")
        grid = figure.subplots(1 + len(maps), CHANNELS + 1, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        _label(grid[0][0], "image", picture.shape[0], picture.shape[1])
        grid[0][1].imshow(picture)
        for line, (name, found) in zip(grid[1:], maps.items(), strict=True):
            _label(line[0], name, *found.shape[1:])
            single = found[0].size == 1
            spread = found.reshape(len(found), -1).max(axis=1) if single else found.reshape(len(found), -1).var(axis=1)
            chosen = np.argsort(-spread, kind="stable")[:CHANNELS]
            scale = {"vmin": float(found.min()), "vmax": float(found.max())} if single else {}
            for axes, channel in zip(line[1:], chosen, strict=False):
                axes.imshow(found[channel], cmap="gray", **scale)
    return figure


def _label(axes: Axes, name: str, height: int, width: int) -> None:
    axes.text(1, 0.5, f"{name}\n{height} x {width}", transform=axes.transAxes, ha="right", va="center")
