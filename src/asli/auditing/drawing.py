"""The drawing of an audit."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from asli.reports.colors import FAINT, FAKE, REAL
from asli.reports.hover import hover_points
from asli.reports.numbers import interval_text, value_text
from asli.reports.plots import canvas


def shortcut_areas(areas: dict[str, dict[str, Any]]) -> Figure:
    """Draw how well labels are told from each kind of feature, with 95% intervals, beside what chance gives.

    Args:
        areas: Areas by name, with `auroc` and `null` as `asli.auditing.shortcuts.cross_validated` returns them.
    """
    with canvas(7.0, 0.6 + 0.45 * len(areas)) as (figure, axes):
        places = np.arange(len(areas))[::-1]
        for place, part in zip(places, areas.values(), strict=True):
            null, area = part["null"], part["auroc"]
            low, high = null["low"], null["high"]
            axes.barh(
                place,
                high - low,
                left=low,
                height=0.5,
                color=FAINT,
                alpha=0.5,
                label="by chance" if place == 0 else None,
            )
            axes.errorbar(
                area["value"],
                place,
                xerr=[[area["value"] - area["low"]], [area["high"] - area["value"]]],
                fmt="o",
                color=FAKE if area["low"] > high else REAL,
                capsize=3,
                label="measured, 95 % interval" if place == 0 else None,
            )
        axes.axvline(0.5, color=FAINT, linewidth=0.8)
        axes.set_yticks(places, list(areas))
        least = min(min(part["auroc"]["low"], part["null"]["low"]) for part in areas.values())
        axes.set(
            xlim=(min(0.4, least - 0.02), 1.01),
            xlabel="AUROC of a classifier that sees only this (1: labels are readable)",
        )
        texts = [
            f"{name}\nAUROC {value_text(part['auroc'])} (95 % CI {interval_text(part['auroc'])})\n"
            f"by chance {part['null']['low']:.2f} to {part['null']['high']:.2f}"
            for name, part in areas.items()
        ]
        hover_points(axes, [part["auroc"]["value"] for part in areas.values()], list(places), texts)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=2, frameon=False)
    return figure
