"""Figures 2 and 5 to 10 and 12, from the data and the runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from asli.detector.base import Detector
from asli.detector.classifier import as_classifier
from asli.explanation.feature_maps import draw_feature_maps
from asli.explanation.feature_maps import feature_maps as maps_of
from asli.metrics.classification import Confusion, Floats
from asli.reports import plots
from asli.reports.plots import FAKE, REAL, STYLE
from asli.run import Run
from asli.study.sweep.record import Result
from asli.study.sweep.results import CellResults
from asli.study.sweep.sampled import SampledFolder

SHEET = 5
"""Images of each label in a row of the sample sheet."""

MISTAKES = 12
"""Images a panel."""


def sample_sheet(data: SampledFolder) -> Figure:
    """Draw the first images of each category, real ones left and fake ones right (figure 2)."""
    rows = data.rows("train")
    known = data.table(["label", "category"], rows).to_pydict()
    kinds = sorted({str(kind) for kind in known["category"] if kind is not None}) or [""]
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 0.62 * len(kinds) + 0.5), layout="constrained")
        grid = figure.subplots(len(kinds), 2 * SHEET, squeeze=False)
        for line, kind in zip(grid, kinds, strict=True):
            for axes in line:
                axes.set_axis_off()
            for start, label in ((0, "real"), (SHEET, "fake")):
                of = [
                    row
                    for row, is_label, is_kind in zip(rows, known["label"], known["category"], strict=True)
                    if is_label == label and str(is_kind or "") == kind
                ]
                for axes, row in zip(line[start : start + SHEET], of[:SHEET], strict=False):
                    axes.imshow(data.pixels.image(int(row)))
            line[0].text(-0.15, 0.5, kind, transform=line[0].transAxes, ha="right", va="center", fontsize=9)
        grid[0][SHEET // 2].set_title("real", color=REAL, weight="bold")
        grid[0][SHEET + SHEET // 2].set_title("fake", color=FAKE, weight="bold")
    return figure


def feature_maps(run: Run, data: SampledFolder) -> Figure:
    """Draw the maps of successive layers for one test image, poolings included (figure 5)."""
    detector = as_classifier(Detector.load(run.path), "feature maps")
    picture = data.pixels.image(int(data.rows("test")[0]))
    module = detector.network.module
    shown = [name for name, _ in module.named_children() if name == "conv1" or name.startswith("layer")]
    names = [name for name, _ in module.named_children() if name in shown or name == "maxpool"]
    inputs = detector.preprocessing.batch(detector.preprocessing.to_input(picture)[:1], torch.device("cpu"))
    maps = maps_of(module, names, inputs)
    last = maps[names[-1]]
    maps["average pooling"] = last.mean(axis=(1, 2), keepdims=True)
    return draw_feature_maps(picture, maps)


def curves(result: Result) -> list[dict[str, Any]]:
    """Return a run's losses and rates in the form that plots take."""
    training = [{"kind": "train", "update": u, "loss": loss, "lr": lr} for u, loss, lr in result["training"]]
    return training + [{"kind": "validation", "update": line[0], "loss": line[1]} for line in result["validation"]]


COLORS = (REAL, FAKE, "#009E73")
"""Colors of up to three conditions; from the palette of Okabe & Ito (2008)."""

SPAN = 11
"""Updates over which a training loss is smoothed in a figure of several runs."""


def overlaid(named: Sequence[tuple[str, CellResults]], kind: str) -> Figure:
    """Draw the training or validation loss of several conditions in one picture, every seed thin, the median thick.

    Args:
        named: What each condition is called, and its runs.
        kind: `training` or `validation`.
    """
    with plots.canvas(5.4, 3.4) as (figure, axes):
        for color, (name, item) in zip(COLORS, named, strict=False):
            _condition(axes, item, kind, color, f"{name} ({len(item.done)} seeds)")
        axes.set(xlabel="update", ylabel=f"{kind} loss (nats{', smoothed' if kind == 'training' else ''})")
        if kind == "training":
            _log_scale(axes)  # the claim is about its end, near 0
        else:
            axes.set_ylim(0, None)
        axes.legend(frameon=False)
    return figure


def unsteady(named: Sequence[tuple[str, CellResults]]) -> Figure:
    """Draw training and validation loss of all seeds, each network in one panel, to one scale (figure 12)."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, 3.4), layout="constrained")
        grid = figure.subplots(1, len(named), sharey=True, squeeze=False)[0]
        for axes, (name, item) in zip(grid, named, strict=True):
            for kind, color in (("training", REAL), ("validation", FAKE)):
                _condition(axes, item, kind, color, kind)
            axes.set(title=f"{name} ({len(item.done)} seeds)", xlabel="update")
            _log_scale(axes)
            axes.legend(frameon=False)
        grid[0].set_ylabel("loss (nats)")
    return figure


def _condition(axes: Axes, item: CellResults, kind: str, color: str, label: str) -> None:
    """Plot a loss of each seed thin and light, and the median over seeds thick."""
    series = [np.array([line[:2] for line in result.get(kind, ())], dtype=np.float64) for result in item.done]
    series = [values for values in series if len(values)]
    if not series:
        return
    smooth = [_smoothed(values) if kind == "training" else values for values in series]
    for values in smooth:
        axes.plot(*values.T, color=color, alpha=0.35, linewidth=0.8)
    if len({len(values) for values in smooth}) == 1:
        middle = np.median(smooth, axis=0)
        marker = "o" if len(middle) < 30 else ""
        axes.plot(*middle.T, color=color, linewidth=1.8, marker=marker, markersize=3, label=label)


def _log_scale(axes: Axes) -> None:
    """Give the y axis a logarithmic scale with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 4.0, 6.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _smoothed(values: Floats) -> Floats:
    span = min(SPAN, len(values))
    kernel = np.ones(span) / span
    smooth: Floats = np.column_stack([np.convolve(values[:, i], kernel, "valid") for i in (0, 1)])
    return smooth


def confusion(result: Result) -> Figure:
    """Draw the confusion matrix of a run at its fitted threshold (figure 9)."""
    return plots.confusion_matrix(Confusion(**result["confusion"]), result["threshold"])


def mistakes(run: Run, result: Result, data: SampledFolder) -> Figure:
    """Draw the most confident mistakes: real called fake, fake called real (figure 10)."""
    table = pq.read_table(run.evaluation(f"{data.name}-test") / "scores.parquet", columns=["id", "label", "score"])
    scored, threshold = table.to_pydict(), result["threshold"]
    rows = dict(zip(data.table(["id"])["id"].to_pylist(), range(len(data)), strict=True))
    lines = list(zip(scored["id"], scored["label"], scored["score"], strict=True))
    false_alarms = sorted((-s, rows[i]) for i, label, s in lines if label == "real" and s >= threshold)
    missed = sorted((s, rows[i]) for i, label, s in lines if label == "fake" and s < threshold)
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 2.9), layout="constrained")
        halves: Any = figure.subfigures(1, 2, wspace=0.06)
        left, right = halves
        for part, title, color, found in (
            (left, "real, called fake", REAL, [(-s, row) for s, row in false_alarms]),
            (right, "fake, called real", FAKE, missed),
        ):
            part.suptitle(f"{title}: {len(found):,}", color=color, weight="bold")
            for axes, item in zip(
                part.subplots(3, MISTAKES // 3).flat, [*found[:MISTAKES], *[None] * MISTAKES], strict=False
            ):
                _mistake(axes, item, data)
    return figure


def _mistake(axes: Axes, item: tuple[float, int] | None, data: SampledFolder) -> None:
    axes.set_axis_off()
    if item is not None:
        axes.imshow(data.pixels.image(item[1]))
        axes.set_title(f"P(fake) {item[0]:.2f}", fontsize=7, pad=2)
