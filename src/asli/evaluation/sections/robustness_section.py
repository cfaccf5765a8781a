"""Robustness as sections of the report: small multiples, the worst in words, every number in a table."""

from collections.abc import Iterable, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from asli.evaluation.further import CorruptionLevel, LevelMetrics, Robustness
from asli.evaluation.robustness import level_text
from asli.evaluation.sections.overview import share
from asli.messages import Message, Number, catalog, message
from asli.metrics.estimate import Estimate
from asli.reports.colors import FAKE, INK, REAL
from asli.reports.hover import HoverFigure, hover_points
from asli.reports.kit import ReportFigure, ReportTable, Section, TableCell, stacked, stacked_rate
from asli.reports.numbers import ends, interval_text, of_hundred, percent, percent_text, value_text
from asli.reports.plots import STYLE

ERRORS = (
    ("false_positive_rate", "photographs called fake", REAL, "o", "-"),
    ("false_negative_rate", "fakes not called fake", FAKE, "s", "--"),
)
"""Key, name, color, marker and line: told apart without color, too."""

_ACROSS = 4

SHARED = {"smaller input": "shrinking", "crop": "cropping", "screenshot": "screenshot", "JPEG": "jpeg"}
"""Corruptions that happen when a picture is shared, and their names in `finding.unmeasured_...`."""


_WORST = {
    "false_positive_rate": "most photographs called fake",
    "false_negative_rate": "most fakes not called fake",
    "auroc": "lowest AUROC",
}


def robustness_sections(part: Robustness) -> list[Section]:
    """Return the sections of robustness: curves, then every figure."""
    levels, worst, clean = part.levels, part.worst, part.clean
    shares = {key: name for key, name, *_ in ERRORS}
    if part.low < part.threshold:
        shares["unsure"] = "unsure, of all"
    rows: list[list[str | TableCell]] = [
        ["none", "", *_cells(clean, shares)],
        *([_title(line), level_text(line.level), *_cells(line, shares)] for line in levels),
    ]
    columns = ["corruption", "level", *(f"{name}, 95 % CI" for name in shares.values()), "AUROC, 95 % CI"]
    codecs = ", ".join(f"{name} {version}" for name, version in part.codecs.items())
    curves = Section(
        id="robustness",
        title=message("section.robustness"),
        headline=headline(part),
        figures=[
            ReportFigure(
                name="robustness",
                title=f"Both kinds of error at the unchanged threshold {part.threshold:.4f}",
                drawing=draw(part),
                note="Bars: 95 % intervals. Thin lines: unchanged images. Steps between levels are not to scale.",
            )
        ],
        notes=[
            f"{part.images:,} of {part.of:,} images ({part.real:,} real, {part.fake:,} fake), drawn evenly"
            " by label, one of each group of identical images. The worst of many (marked in the table) is chosen on"
            " these images, so it is a little worse here than elsewhere. “Clearly more errors” means that the whole"
            " interval of one kind of error lies above that of unchanged images. The domain rule is not applied:"
            " asli predict answers unsure to many of these images.",
            "Images are corrupted as they are stored, then preprocessed as ever; blur, noise and sharpening count the"
            " stored image's pixels and levels. Smaller input and shrinking leave an image smaller, and preprocessing"
            " fits it again. Screenshot: drawn at this zoom (bilinear), sharpened by 0.3, JPEG 85. Crop: a window at a"
            " random place.",
            "F1 of corrupted images: the mean over kinds of corruption, each the mean over its levels. Intervals:"
            " Wilson's for shares, DeLong's for AUROC, bootstrap over images for the means of F1. Seed"
            f" {part.seed}, ladder {part.ladder}; codecs: {codecs}.",
        ],
    )
    marked: dict[int, str] = {}
    for key, number in worst.items():
        if key == "auroc" or ends(levels[number].metric(key))[0] != 0:  # an error that never occurs has no worst level
            before = marked.get(1 + number)
            marked[1 + number] = f"{before}; {_WORST[key]}" if before else f"worst of all levels: {_WORST[key]}"
    every = ReportTable(columns=columns, rows=rows, marked=marked)
    return [curves, Section(id="robustness-levels", title=message("section.robustness_levels"), tables=[every])]


def headline(part: Robustness) -> list[Message]:
    """Return sentences on F1, on shared pictures, on where it fails, on the worst levels and on what is unmeasured."""
    levels, worst, clean = part.levels, part.worst, part.clean
    errors = [_worst(key, levels[worst[key]], clean.metric(key), len(levels)) for key, *_ in ERRORS]
    lowest, f1 = levels[worst["auroc"]], part.f1
    areas = {"area": Number(value_text(lowest.auroc)), "clean": Number(value_text(clean.auroc))}
    means = {name: Number(value_text(f1[name])) for name in ("clean", "corrupted", "mean")}
    low, high = map(Number, (interval_text(f1["mean"]) or "- to -").split(" to "))
    return [
        message("finding.f1", images=part.images, **means, low=low, high=high),
        *_shared(part),
        _failing(part),
        *errors,
        message("finding.worst_auroc", of=len(levels), corruption=_text(lowest), **areas),
        _unmeasured(part),
    ]


def _shared(part: Robustness) -> list[Message]:
    """Return a sentence on the mildest level of each change that sharing makes, and on where it begins to fail."""
    lines = [message("finding.shared_clean", **_errors(part.clean))]
    for name in SHARED:
        levels = [line for line in part.levels if line.corruption == name]
        if not levels:
            continue
        failing = [line for line in levels if _fails(line, part.clean)]
        if not failing:
            rise = message("finding.shared_stays")
        elif failing[0] is levels[0]:
            rise = message("finding.shared_here")
        else:
            rise = message("finding.shared_from", corruption=_text(failing[0]))
        lines.append(message("finding.shared", corruption=_text(levels[0]), rise=rise, **_errors(levels[0])))
    return lines if len(lines) > 1 else []


def _errors(line: LevelMetrics) -> dict[str, Message]:
    """Return both kinds of error with their counts."""
    names = dict(zip(("alarms", "missed"), ERRORS, strict=True))
    return {name: message("report.share_plain", **_counts(line.metric(key))) for name, (key, *_) in names.items()}


def _failing(part: Robustness) -> Message:
    """Return a sentence on the corruptions with clearly more errors, each kind by its first such level."""
    failing = [line for line in part.levels if _fails(line, part.clean)]
    if not failing:
        return message("finding.fails_never", of=len(part.levels))
    first: dict[str, CorruptionLevel] = {}
    for line in failing:
        first.setdefault(line.corruption, line)
    texts = [_text(line) for line in first.values()]
    return message("finding.fails", part=len(failing), of=len(part.levels), corruptions=texts)


def _fails(line: LevelMetrics, clean: LevelMetrics) -> bool:
    """Return whether the interval of a kind of error lies above that of unchanged images."""
    pairs = [(ends(line.metric(key))[1], ends(clean.metric(key))[2]) for key, *_ in ERRORS]
    return any(low is not None and high is not None and low > high for low, high in pairs)


def _unmeasured(part: Robustness) -> Message:
    measured = {line.corruption for line in part.levels}
    missing = [message(f"finding.unmeasured_{word}") for name, word in SHARED.items() if name not in measured]
    return message("finding.unmeasured", what=[*missing, message("finding.unmeasured_always")])


def _worst(key: str, level: CorruptionLevel, clean: Estimate, of: int) -> Message:
    """Return a sentence on the highest rate of an error; where it is 0 no level is the worst."""
    figure = level.metric(key)
    value, _, high, n = ends(figure)
    if value == 0 and high is not None:
        return message(f"finding.never_{key}", of=of, whole=n, high=Number(of_hundred(figure)[2]))
    return message(
        f"finding.worst_{key}",
        figure=share(figure),
        corruption=_text(level),
        clean=message("report.share_plain", **_counts(clean)),
    )


def _counts(figure: Estimate) -> dict[str, Number | int]:
    value, _, _, n = ends(figure)
    return {"percent": Number(percent(figure)), "part": round((value or 0) * n), "whole": n}


def corruption_text(corruption: str, level: float | str) -> Message | str:
    """Return a level of a corruption in words; one that the catalog lacks by its name."""
    key = f"corruption.{corruption.replace(' ', '_').replace('.', '')}".lower()
    return message(key, level=Number(level_text(level))) if key in catalog("en") else _name(corruption, level)


def draw(part: Robustness) -> HoverFigure:
    """Draw both kinds of error over the levels of each corruption, one panel a corruption."""
    names = list(dict.fromkeys(line.corruption for line in part.levels))
    down = -(-len(names) // _ACROSS)
    with mpl.rc_context({**STYLE, "font.size": 8}):
        figure = HoverFigure(figsize=(9.6, 2.15 * down + 0.4), layout="constrained")
        panels = figure.subplots(down, _ACROSS, sharey=True, squeeze=False).reshape(-1)
        for axes, name in zip(panels, names, strict=False):
            _panel(axes, [line for line in part.levels if line.corruption == name], part.clean)
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        handles, titles = panels[0].get_legend_handles_labels()
        figure.legend(handles, titles, loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    return figure


def _panel(axes: Axes, levels: Sequence[CorruptionLevel], clean: LevelMetrics) -> None:
    ordered = not isinstance(levels[0].level, str)
    for shift, (key, title, color, marker, line) in zip((-0.07, 0.07), ERRORS, strict=True):
        place = np.arange(len(levels)) + shift
        value, low, high = np.array([ends(level.metric(key))[:3] for level in levels], dtype=np.float64).T
        axes.errorbar(
            place,
            value,
            (np.maximum(value - low, 0), np.maximum(high - value, 0)),
            color=color,
            marker=marker,
            linestyle=line if ordered else "none",
            markersize=4,
            linewidth=1.3,
            elinewidth=1,
            label=title,
        )
        axes.axhline(ends(clean.metric(key))[0] or 0, color=color, linestyle=line, linewidth=0.6, alpha=0.7)
    axes.set_xticks(range(len(levels)), [level_text(level.level) for level in levels])
    if not ordered:
        axes.tick_params(axis="x", labelsize=6.5)
    axes.set_xlim(-0.4, len(levels) - 0.6)
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(visible=False, axis="x")
    axes.set_title(_title(levels[0]), fontsize=9, fontweight="bold", color=INK, loc="left")
    axes.set_xlabel(levels[0].axis)
    for shift, (key, title, *_) in zip((-0.07, 0.07), ERRORS, strict=True):
        texts = [
            f"{_name(level.corruption, level.level)}\n{title}: {percent_text(level.metric(key))}" for level in levels
        ]
        hover_points(axes, np.arange(len(levels)) + shift, [ends(level.metric(key))[0] or 0 for level in levels], texts)


def _cells(line: LevelMetrics, shares: Iterable[str]) -> list[str | TableCell]:
    return [*(stacked_rate(line.metric(key)) for key in shares), stacked(line.auroc)]


def _title(line: CorruptionLevel) -> str:
    name = line.corruption
    return name[0].upper() + name[1:]


def _text(line: CorruptionLevel) -> Message | str:
    return corruption_text(line.corruption, line.level)


def _name(corruption: str, level: float | str) -> str:
    return f"{corruption} ({level})" if isinstance(level, str) else f"{corruption} {level_text(level)}"
