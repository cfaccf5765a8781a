"""The pictures of a report, each a matplotlib figure; vector and PNG, in colours that colour-blind readers can tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from asli.metrics.classification import Confusion, Floats, Labels

REAL, FAKE, INK = "#0072B2", "#D55E00", "#333333"
"""From the palette of Okabe & Ito (2008)."""

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
    "grid.color": "#E5E5E5",
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "asli",  # the same figure gives the same file
}


@contextmanager
def canvas(width: float = 4.2, height: float = 3.2) -> Iterator[tuple[Figure, Axes]]:
    """Yield an empty figure in the project's style; sizes in inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def confusion_matrix(counts: Confusion, threshold: float) -> Figure:
    """Draw counts, and shares of each true label, at a threshold (figure 9 of the paper)."""
    table = np.array([[counts.tn, counts.fp], [counts.fn, counts.tp]])
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    with canvas(3.6, 3.2) as (figure, axes):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        for (i, j), count in np.ndenumerate(table):
            ink = "white" if shares[i, j] > 0.5 else INK
            axes.text(j, i, f"{count:,}\n{shares[i, j]:.2%}", ha="center", va="center", color=ink, fontsize=11)
        axes.set_xticks([0, 1], ["real", "fake"])
        axes.set_yticks([0, 1], ["real", "fake"])
        axes.set(xlabel=f"called (fake from {threshold:.4f})", ylabel="is")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return figure


def score_histograms(labels: Labels, scores: Floats, threshold: float) -> Figure:
    """Draw how scores spread for each label, on a logarithmic count, with the threshold."""
    with canvas() as (figure, axes):
        bins = [edge / 40 for edge in range(41)]
        for code, name, colour, hatch in ((0, "real", REAL, None), (1, "fake", FAKE, "///")):
            axes.hist(
                scores[labels == code], bins, label=name, color=colour, alpha=0.55, hatch=hatch, edgecolor="white"
            )
        axes.axvline(threshold, color=INK, linestyle="--", linewidth=1.2, label=f"threshold {threshold:.4f}")
        axes.set_yscale("log")
        axes.set(xlabel="score, P(fake)", ylabel="images", xlim=(0, 1))
        _legend_above(axes)
    return figure


def roc(labels: Labels, scores: Floats, counts: Confusion) -> Figure:
    """Draw the ROC curve with the operating point of the saved threshold."""
    false, true, _ = roc_curve(labels, scores)
    with canvas() as (figure, axes):
        axes.plot(np.maximum(false, 1e-4), true, color=REAL, linewidth=1.8)
        if counts.recall is not None and counts.false_positive_rate is not None:
            point = (max(counts.false_positive_rate, 1e-4), counts.recall)
            axes.plot(*point, "o", color=FAKE, label="saved threshold")
        axes.set_xscale("log")
        axes.set(xlabel="false positive rate (photographs called fake)", ylabel="true positive rate", ylim=(0, 1.02))
        axes.legend(frameon=False, loc="lower right")
    return figure


def losses(metrics: list[dict[str, Any]]) -> Figure:
    """Draw training and validation loss over updates (figures 7, 8 and 12 of the paper)."""
    training = [(m["update"], m["loss"]) for m in metrics if m["kind"] == "train"]
    validation = [(m["update"], m["loss"]) for m in metrics if m["kind"] == "validation"]
    with canvas() as (figure, axes):
        updates, values = np.array(training).T
        axes.plot(updates, values, color=REAL, alpha=0.25, linewidth=0.8)
        axes.plot(updates, _smooth(values), color=REAL, linewidth=1.6, label="training (smoothed)")
        axes.plot(*np.array(validation).T, "o-", color=FAKE, markersize=3.5, linewidth=1.4, label="validation")
        top = max(np.quantile(values, 0.98), *(loss for _, loss in validation))  # single training spikes may leave
        axes.set(xlabel="update", ylabel="loss (nats)", ylim=(0, top * 1.08))
        _legend_above(axes)
    return figure


def learning_rate(metrics: list[dict[str, Any]]) -> Figure:
    """Draw the learning rate over updates (figure 6 of the paper)."""
    points = np.array([(m["update"], m["lr"]) for m in metrics if m["kind"] == "train"])
    with canvas() as (figure, axes):
        axes.plot(*points.T, color=REAL, linewidth=1.8)
        axes.set(xlabel="update", ylabel="learning rate", ylim=(0, None))
        axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    return figure


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write a figure as SVG and PNG; return the SVG for a page."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure.savefig(folder / f"{name}.png", dpi=200)
        buffer = BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    (folder / f"{name}.svg").write_bytes(buffer.getvalue())
    text = buffer.getvalue().decode()
    return text[text.index("<svg") :]


def _legend_above(axes: Axes) -> None:
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2, columnspacing=1.2)


def _smooth(values: Floats, span: int = 25) -> Floats:
    span = min(span, len(values))
    kernel = np.ones(span)
    # Divided by how many values the window holds, so that the ends do not sink.
    smooth: Floats = np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")
    return smooth
