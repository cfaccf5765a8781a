"""The drawing of an audit."""

import numpy as np
from matplotlib.figure import Figure

from asli.auditing.findings import Shortcut
from asli.reports.colors import FAINT, FAKE, REAL
from asli.reports.hover import hover_points
from asli.reports.numbers import interval_text, value_text
from asli.reports.plots import canvas


def shortcut_areas(areas: dict[str, Shortcut]) -> Figure:
    """Draw how well labels are told from each kind of feature, with 95% intervals, beside what chance gives.

    Args:
        areas: Results by name of the kind of feature.
    """
    with canvas(7.0, 0.6 + 0.45 * len(areas)) as (figure, axes):
        places = np.arange(len(areas))[::-1]
        for place, part in zip(places, areas.values(), strict=True):
            (value, least, most), low, high = _interval(part), part.null.low, part.null.high
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
                value,
                place,
                xerr=[[value - least], [most - value]],
                fmt="o",
                color=FAKE if least > high else REAL,
                capsize=3,
                label="measured, 95 % interval" if place == 0 else None,
            )
        axes.axvline(0.5, color=FAINT, linewidth=0.8)
        axes.set_yticks(places, list(areas))
        leftmost = min(min(_interval(part)[1], part.null.low) for part in areas.values())
        axes.set(
            xlim=(min(0.4, leftmost - 0.02), 1.01),
            xlabel="AUROC of a classifier that sees only this (1: labels are readable)",
        )
        texts = [
            f"{name}\nAUROC {value_text(part.auroc)} (95 % CI {interval_text(part.auroc)})\n"
            f"by chance {part.null.low:.2f} to {part.null.high:.2f}"
            for name, part in areas.items()
        ]
        hover_points(axes, [_interval(part)[0] for part in areas.values()], list(places), texts)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=2, frameon=False)
    return figure


def _interval(part: Shortcut) -> tuple[float, float, float]:
    """Return value, low and high of a kind's AUROC, which both labels make defined."""
    area = part.auroc
    return float(area.value or 0), float(area.low or 0), float(area.high or 0)
