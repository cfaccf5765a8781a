"""The figures of a report, each a matplotlib figure; vector and PNG, in colors that color-blind readers can tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from asli.files import replacing, write_text
from asli.metrics.classification import Confusion, Floats
from asli.reports.colors import FAINT, FAKE, GRID, INK, REAL
from asli.reports.hover import HoverFigure, hover_area, hover_points, to_svg
from asli.reports.numbers import percent_text

__all__ = ["FAKE", "INK", "REAL", "STYLE", "canvas", "save"]

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "asli",  # the same figure gives the same file
}


@contextmanager
def canvas(width: float = 4.2, height: float = 3.2) -> Iterator[tuple[HoverFigure, Axes]]:
    """Yield an empty figure in the project's style; sizes in inches."""
    with mpl.rc_context(STYLE):
        figure = HoverFigure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def confusion_matrix(counts: Confusion, threshold: float, *, band: bool = False) -> Figure:
    """Draw counts, and shares of each true label, at a threshold (figure 9 of the paper).

    Args:
        counts: Counts of both labels.
        threshold: Fake from here on.
        band: What lies below is not all called real, some is called unsure.
    """
    table = np.array([[counts.tn, counts.fp], [counts.fn, counts.tp]])
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    labels, calls = ["real", "fake"], ["real or unsure" if band else "real", "fake"]
    with canvas(3.6, 3.2) as (figure, axes):
        axes.grid(visible=False)
        for (i, j), count in np.ndenumerate(table):
            # Translucent, so that the text over it can be read on a light and on a dark ground.
            axes.add_patch(
                Rectangle(
                    (j - 0.49, i - 0.49),
                    0.98,
                    0.98,
                    color=REAL if i == j else FAKE,
                    alpha=0.08 + 0.5 * shares[i, j],
                    lw=0,
                )
            )
            axes.text(j, i, f"{count:,}\n{100 * shares[i, j]:.1f} %", ha="center", va="center", fontsize=11)
            text = (
                f"{count:,} of {table[i].sum():,} {labels[i]} images are called {calls[j]} ({100 * shares[i, j]:.2f} %)"
            )
            hover_area(axes, j - 0.49, i - 0.49, 0.98, 0.98, text)
        axes.set_xticks([0, 1], calls)
        axes.set_yticks([0, 1], labels)
        axes.set(xlabel=f"called (fake from {threshold:.4f} on)", ylabel="is", xlim=(-0.5, 1.5), ylim=(1.5, -0.5))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return figure


def score_histograms(histogram: dict[str, list[float]], low: float, high: float) -> Figure:
    """Draw how scores spread for each label, on a logarithmic count, with the thresholds.

    Args:
        histogram: `edges`, and counts of `real` and `fake` images between them.
        low: Real below.
        high: Fake from here on.
    """
    with canvas() as (figure, axes):
        edges = np.array(histogram["edges"])
        for label, color, line in (("real", REAL, "-"), ("fake", FAKE, "--")):
            counts = np.array(histogram[label])
            axes.stairs(counts, edges, color=color, alpha=0.25, fill=True)
            axes.stairs(counts, edges, label=label, color=color, linewidth=1.5, linestyle=line)
        most = max(max(histogram["real"]), max(histogram["fake"]))
        if low < high:
            axes.axvspan(low, high, color=INK, alpha=0.12, label="unsure", linewidth=0)
        else:
            axes.axvline(high, color=INK, linestyle=":", linewidth=1.4, label=f"threshold {high:.4f}")
        axes.set_yscale("log")
        axes.set(xlabel="score, P(fake)", ylabel="images", xlim=(0, 1), ylim=(0.7, most * 1.8))
        _legend_above(axes)
        pairs = zip(histogram["real"], histogram["fake"], strict=True)
        for left, right, (real, fake) in zip(edges, edges[1:], pairs, strict=False):
            text = f"score {left:.3g} to {right:.3g}\nreal: {real:,.0f}\nfake: {fake:,.0f}"
            hover_area(axes, left, 0.7, right - left, most * 1.8, text)
    return figure


def roc(curve: dict[str, list[float]], point: tuple[float, float], reals: int) -> Figure:
    """Draw the ROC curve on a logarithmic false positive rate, with the operating point of the saved threshold.

    Args:
        curve: `fpr` and `tpr`.
        point: False and true positive rate at the saved threshold.
        reals: Number of real images; to the left of one in as many the curve means nothing.
    """
    floor = 1 / reals
    with canvas() as (figure, axes):
        false, true = np.array(curve["fpr"]), np.array(curve["tpr"])
        axes.plot(np.maximum(false, floor), true, color=REAL, linewidth=1.8, drawstyle="steps-post")
        axes.plot([floor, *np.geomspace(floor, 1, 60)], [floor, *np.geomspace(floor, 1, 60)], color=FAINT, lw=1, ls=":")
        axes.text(0.62, 0.3, "chance", color=INK, fontsize=8, rotation=62, ha="center")
        axes.plot(max(point[0], floor), point[1], "o", color=FAKE, markersize=6, label="saved threshold")
        axes.set_xscale("log")
        axes.set(xlabel="false positive rate (photographs called fake)", ylabel="true positive rate")
        axes.set(xlim=(floor, 1), ylim=(0, 1.02))
        _legend_above(axes)
        kept = _spread(np.log(np.maximum(false, floor)), true)
        texts = [
            f"{100 * a:.2f} % of photographs called fake\n{100 * b:.2f} % of fakes found"
            for a, b in zip(false[kept], true[kept], strict=True)
        ]
        hover_points(axes, np.maximum(false[kept], floor), true[kept], texts)
    return figure


def precision_recall(curve: dict[str, list[float]], point: tuple[float, float] | None, share: float) -> Figure:
    """Draw precision over recall, with the saved threshold.

    Args:
        curve: `recall` and `precision`.
        point: Recall and precision at the saved threshold, or None where nothing is called fake.
        share: Share of fakes, which is the precision of guessing.
    """
    with canvas() as (figure, axes):
        axes.plot(curve["recall"], curve["precision"], color=REAL, linewidth=1.8)
        axes.axhline(share, color=FAINT, linewidth=1, linestyle=":", label="guessing")
        if point is not None:
            axes.plot(*point, "o", color=FAKE, markersize=6, label="saved threshold")
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(min(0.45, share), 1.02))
        _legend_above(axes)
        recall, precision = np.array(curve["recall"]), np.array(curve["precision"])
        kept = _spread(recall, precision)
        pairs = zip(recall[kept], precision[kept], strict=True)
        texts = [f"recall {100 * a:.2f} %\nprecision {100 * b:.2f} %" for a, b in pairs]
        hover_points(axes, recall[kept], precision[kept], texts)
    return figure


def reliability(bins: list[dict[str, Any]]) -> Figure:
    """Draw the share of fakes over the mean score of bins of equally many images, with 95% intervals."""
    shown = [b for b in bins if b["fake"]["value"] is not None]
    scores = np.array([b["score"] for b in shown])
    shares, low, high = (np.array([b["fake"][key] for b in shown]) for key in ("value", "low", "high"))
    with canvas() as (figure, axes):
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="calibrated")
        axes.errorbar(
            scores, shares, [shares - low, high - shares], fmt="o-", color=REAL, markersize=4, linewidth=1.4,
            elinewidth=1, capsize=2, label="share of fakes",
        )  # fmt: skip
        axes.set(xlabel="score, P(fake)", ylabel="share that is fake", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.legend(frameon=False, loc="upper left")
        texts = [f"mean score {b['score']:.3f}\nfake: {percent_text(b['fake'])}" for b in shown]
        hover_points(axes, scores, shares, texts)
    return figure


def group_rates(lines: list[dict[str, Any]]) -> Figure:
    """Draw both error rates of each group with 95% intervals, groups from top to bottom as they are given."""
    points: list[tuple[float, float, str]] = []
    with canvas(4.2, 1.1 + 0.3 * len(lines)) as (figure, axes):
        for rate, label, color, marker, shift in (
            ("false_positive_rate", "photographs called fake", REAL, "o", -0.14),
            ("false_negative_rate", "fakes not called fake", FAKE, "D", 0.14),
        ):
            rates = [(y, line["figures"][rate]) for y, line in enumerate(lines)]
            shown = [(y, figure) for y, figure in rates if figure["value"] is not None]
            if shown:
                y = np.array([position for position, _ in shown]) + shift
                value, low, high = (np.array([f[key] for _, f in shown]) for key in ("value", "low", "high"))
                axes.errorbar(
                    value, y, xerr=[value - low, high - value], fmt=marker, color=color, markersize=4, elinewidth=1,
                    capsize=2, label=label,
                )  # fmt: skip
                points += [
                    (at, f["value"], f"{lines[k]['name']}\n{label}: {percent_text(f)}")
                    for at, (k, f) in zip(y, shown, strict=True)
                ]
        axes.set_yticks(range(len(lines)), [line["name"] for line in lines])
        axes.set(xlabel="error rate at the saved threshold", xlim=(0, None), ylim=(len(lines) - 0.5, -0.5))
        for at, rate_here, text in points:
            hover_points(axes, [rate_here], [at], [text])
        axes.grid(visible=False, axis="y")
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
    return figure


def losses(metrics: list[dict[str, Any]]) -> Figure:
    """Draw training and validation loss over updates (figures 7, 8 and 12 of the paper)."""
    training = [(m["update"], m["loss"]) for m in metrics if m["kind"] == "train"]
    validation = [(m["update"], m["loss"]) for m in metrics if m["kind"] == "validation"]
    with canvas() as (figure, axes):
        updates, values = np.array(training).T
        axes.plot(updates, values, color=REAL, alpha=0.25, linewidth=0.8)
        axes.plot(updates, _smooth(values), color=REAL, linewidth=1.6, label="training (smoothed)")
        if validation:  # a network of all images, trained after cross-validation, has none
            axes.plot(*np.array(validation).T, "o-", color=FAKE, markersize=3.5, linewidth=1.4, label="validation")
        top = max([np.quantile(values, 0.98), *(loss for _, loss in validation)])  # single training spikes may leave
        axes.set(ylabel="loss (nats)", ylim=(0, top * 1.08))
        _over_updates(axes)
        _legend_above(axes)
        texts = [f"update {update:,}\nvalidation loss {loss:.4f}" for update, loss in validation]
        hover_points(axes, [u for u, _ in validation], [loss for _, loss in validation], texts)
    return figure


def learning_rate(metrics: list[dict[str, Any]]) -> Figure:
    """Draw the learning rate over updates (figure 6 of the paper)."""
    points = np.array([(m["update"], m["lr"]) for m in metrics if m["kind"] == "train"])
    with canvas() as (figure, axes):
        axes.plot(*points.T, color=REAL, linewidth=1.8)
        axes.set(ylabel="learning rate", ylim=(0, None))
        _over_updates(axes)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        kept = points[_spread(points[:, 0], points[:, 1])]
        texts = [f"update {update:,.0f}\nlearning rate {rate:.3g}" for update, rate in kept]
        hover_points(axes, kept[:, 0], kept[:, 1], texts)
    return figure


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write a figure as SVG and PNG; return the SVG for a page."""
    with mpl.rc_context(STYLE):
        with replacing(folder / f"{name}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=200)
        text = to_svg(figure).decode()
    write_text(folder / f"{name}.svg", text)
    return text[text.index("<svg") :]


def _spread(x: Floats, y: Floats, count: int = 60) -> npt.NDArray[np.int64]:
    """Return some points of a curve, about evenly spaced along it, to rest the pointer on."""
    steps = np.hypot(np.diff(x) / (np.ptp(x) or 1.0), np.diff(y) / (np.ptp(y) or 1.0))
    way = np.concatenate([[0.0], np.cumsum(steps)])
    return np.unique(np.searchsorted(way, np.linspace(0, way[-1], count)).clip(max=len(x) - 1))


def _over_updates(axes: Axes) -> None:
    axes.set_xlabel("update")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _legend_above(axes: Axes) -> None:
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2, columnspacing=1.2)


def _smooth(values: Floats, span: int = 25) -> Floats:
    span = min(span, len(values))
    kernel = np.ones(span)
    # Divided by how many values the window holds, so that the ends do not sink.
    smooth: Floats = np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")
    return smooth
