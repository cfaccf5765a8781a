"""An explanation as a picture: what the detector looks at, and the map over it."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from asli.explanation.view import View
from asli.metrics.classification import Floats
from asli.reports.plots import FAKE, INK, REAL, STYLE

SIDE = 2000
"""Pixels of a view's longer side that are drawn at most."""

COLOURS = LinearSegmentedColormap.from_list("asli", [REAL, "white", FAKE])


def draw(view: View, heat: Floats, title: str, caption: str) -> Figure:
    """Draw a view and its map side by side.

    Args:
        view: What the detector looks at.
        heat: height x width; positive is evidence for fake. What no window looks at (NaN) stays gray.
        title: Above both.
        caption: Below both.
    """
    step = -(-max(heat.shape) // SIDE)
    pixels = view.pixels[::step, ::step]
    gray = pixels.mean(axis=2)
    shown = heat[::step, ::step] * heat.size / view.by_cell(heat).size  # log-odds a cell
    most = float(np.nanmax(np.abs(shown))) or 1.0
    height, width = gray.shape
    with rc_context({**STYLE, "axes.grid": False, "text.parse_math": False}):  # a $ in a file's name is a $
        figure = Figure(figsize=(7.2, min(9.0, 2.9 * height / width + 1.2)), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes, name in ((left, "what the detector looks at"), (right, "what moves its score")):
            axes.set_axis_off()
            axes.set_title(name, fontsize=9)
        left.imshow(pixels)
        right.imshow(gray, cmap="gray", vmin=0, vmax=255)
        strength = np.nan_to_num(np.abs(shown) / most)
        drawn: Any = right.imshow(shown, cmap=COLOURS, vmin=-most, vmax=most, alpha=0.15 + 0.65 * strength)
        bar = figure.colorbar(drawn, ax=right, shrink=0.9)
        bar.set_label("log-odds a cell: real  ↔  fake", color=INK)
        figure.suptitle(title, fontsize=10, weight="bold")
        figure.supxlabel(caption, fontsize=8)
    return figure
