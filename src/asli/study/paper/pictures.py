"""Figures 2 and 5 to 10 and 12, from the data and the runs."""

from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asli.detector.bundle import Detector
from asli.explanation.feature_maps import draw_feature_maps
from asli.explanation.feature_maps import feature_maps as maps_of
from asli.metrics.classification import Confusion
from asli.reports import plots
from asli.reports.plots import FAKE, REAL, STYLE
from asli.run import Run
from asli.study.runner import Result
from asli.study.sampled import SampledFolder

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
    """Draw the maps of successive layers for one test image (figure 5)."""
    detector = Detector.open(run.path)
    picture = data.pixels.image(int(data.rows("test")[0]))
    module = detector.network.module
    names = [name for name, _ in module.named_children() if name == "conv1" or name.startswith("layer")]
    inputs = detector.preprocessing.batch(detector.preprocessing.fit(picture)[:1], torch.device("cpu"))
    return draw_feature_maps(picture, maps_of(module, names, inputs))


def curves(result: Result) -> list[dict[str, Any]]:
    """Return a run's losses and rates in the form that plots take."""
    training = [{"kind": "train", "update": u, "loss": loss, "lr": lr} for u, loss, lr in result["training"]]
    return training + [{"kind": "validation", "update": u, "loss": loss} for u, loss, _ in result["validation"]]


def losses(results: Sequence[Result]) -> list[Figure]:
    """Draw training and validation loss of several runs to one scale (figures 7, 8 and 12)."""
    figures = [plots.losses(curves(result)) for result in results]
    top = max(figure.axes[0].get_ylim()[1] for figure in figures)
    for figure in figures:
        figure.axes[0].set_ylim(0, top)
    return figures


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
