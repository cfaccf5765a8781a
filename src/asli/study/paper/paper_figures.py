"""Figures 1 to 12: which run each is drawn from, and why one is missing."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from asli.errors import AsliError
from asli.models.networks import create_network
from asli.recipe import load_recipe
from asli.reports import plots
from asli.run import Run
from asli.study.paper import diagrams, study_pictures
from asli.study.paper.budgets import Budget
from asli.study.paper.grid import corner, schedule_base, steady
from asli.study.sweep.record import Result, recipe_of_result
from asli.study.sweep.results import CellResults, Results
from asli.study.sweep.runner import Sweep
from asli.training.schedule import Schedule

logger = logging.getLogger("asli")

ARCHITECTURE = "resnet152"
"""Whose architecture the paper draws."""

Draw = Callable[[], Figure]


@dataclass(frozen=True, slots=True)
class StudyFigure:
    """A figure of the study.

    Attributes:
        name: Name of its files.
        title: Above it.
        origin: What it was drawn from, or why it is missing.
        svg: None where it is missing.
    """

    name: str
    title: str
    origin: str
    svg: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A figure to draw.

    Attributes:
        name: Name of its files.
        title: Above it.
        origin: What it is drawn from, or why it cannot be drawn.
        draw: Draws it; None where it cannot be drawn.
    """

    name: str
    title: str
    origin: str
    draw: Draw | None


@dataclass(frozen=True, slots=True)
class CurveSource:
    """A run to draw from: the first finished one of a cell."""

    sweep: Sweep
    item: CellResults

    @property
    def result(self) -> Result:
        """Return its result."""
        return self.item.done[0]

    @property
    def run(self) -> Run:
        """Return its folder."""
        return Run.open(self.sweep.run_folder(self.item.cell, self.result["seed"]))

    @property
    def says(self) -> str:
        """Return which run it is."""
        return f"{self.item.cell.name}, seed {self.result['seed']}; {self.item.condition}"


def draw_all(budget: Budget, sweep: Sweep, results: Results, seeds: int, folder: Path) -> list[StudyFigure]:
    """Draw every figure as SVG and PNG; one that cannot be drawn states the reason in its place."""
    return [_drawn(wanted, folder) for wanted in _wanted(budget, sweep, results, seeds)]


def _drawn(wanted: Wanted, folder: Path) -> StudyFigure:
    if wanted.draw is None:
        return StudyFigure(wanted.name, wanted.title, wanted.origin, None)
    try:
        svg = plots.save(wanted.draw(), folder, wanted.name)
    except (AsliError, OSError, KeyError):  # its run's folder is gone or incomplete, say
        logger.debug("%s", wanted.name, exc_info=True)
        before = folder / f"{wanted.name}.svg"
        if before.exists():  # drawn when the run's folder was there
            text = before.read_text(encoding="utf-8")
            origin = f"{wanted.origin}; drawn by an earlier call, the run's folder no longer exists"
            return StudyFigure(wanted.name, wanted.title, origin, text[text.index("<svg") :])
        return StudyFigure(wanted.name, wanted.title, f"{wanted.origin}: the run's folder is incomplete or gone", None)
    return StudyFigure(wanted.name, wanted.title, wanted.origin, svg)


def _wanted(budget: Budget, sweep: Sweep, results: Results, seeds: int) -> Iterator[Wanted]:
    data, size = sweep.data, load_recipe("paper").data.size
    made = next((result for item in results.showing("table 7") for result in item.done), None)
    base = recipe_of_result(made) if made else load_recipe(budget.base)
    of_recipe = f"the recipe of {made['cell']}, seed {made['seed']}" if made else f"asli recipes {budget.base}"
    of_data = f"training part of {data.name}"
    images: int = made["training_images"] if made else base.data.sample or len(data.rows("train"))
    title = "Figure 1: the steps of the study"
    yield Wanted("figure1", title, of_recipe, lambda: diagrams.research_flow(base, images, _scored(made), seeds))
    yield Wanted("figure2", "Figure 2: samples of each category", of_data, lambda: study_pictures.sample_sheet(data))
    network = create_network(base.model.name, size=base.data.size)
    yield Wanted(
        "figure3",
        "Figure 3: preprocessing",
        of_recipe,
        lambda: diagrams.preprocessing_flow(base, network.mean, network.std),
    )
    modules = f"the modules of {{}} at {size} px"
    yield Wanted(
        "figure4",
        "Figure 4: ResNet-152 with residual connections",
        modules.format(ARCHITECTURE),
        lambda: diagrams.architecture(ARCHITECTURE, size),
    )
    trained = [corner("residual", start, budget.depths[-1]) for start in ("pretrained", "scratch")]
    shown = _first(results, trained)
    title = "Figure 5: feature maps of successive layers"
    yield _from(sweep, shown, "figure5", title, lambda s: study_pictures.feature_maps(s.run, data))
    title = "Figure 6: learning rate"
    group = base.loop.micro_batch * base.loop.accumulation
    updates: int = made["updates"] if made else base.loop.epochs * math.ceil(images / group)
    rates = Schedule(base.schedule, base.optim.lr, updates)
    points = [{"kind": "train", "update": u + 1, "lr": rates(u)} for u in range(updates)]
    yield Wanted("figure6", title, of_recipe, lambda: plots.learning_rate(points))
    yield from _schedules(budget, results)
    title = "Figure 9: confusion matrix, test part"
    yield _from(sweep, shown, "figure9", title, lambda s: study_pictures.confusion(s.result))
    title = "Figure 10: most confident mistakes"
    yield _from(sweep, shown, "figure10", title, lambda s: study_pictures.mistakes(s.run, s.result, data))
    for reading, end in (("all shortcuts removed", ""), ("without the first shortcut of each stage", "_stage")):
        yield _architecture(f"figure11{end}", f"Figure 11: ResNet-152, {reading}", f"plain_{ARCHITECTURE}{end}", size)
    yield _overlay(
        "figure12",
        "Figure 12: losses without and with residual connections, pretrained",
        results,
        [
            ("without residual connections", steady(budget, "plain")),
            ("with residual connections", steady(budget, "residual")),
        ],
        "validation",
        study_pictures.unsteady,
    )


def _scored(made: Result | None) -> dict[str, int]:
    """Return how many images of each part runs were scored on, as far as it was kept."""
    return {"test": made["data"]["images"], **made.get("scored", {})} if made else {}


def _architecture(name: str, title: str, network: str, size: int) -> Wanted:
    origin = f"the modules of {network} at {size} px"
    return Wanted(name, title, origin, lambda: diagrams.architecture(network, size))


def _schedules(budget: Budget, results: Results) -> Iterator[Wanted]:
    """Yield figures 7 and 8: training and validation loss with and without the scheduler, each in one picture."""
    cells = [
        ("with the scheduler", schedule_base(budget)),
        ("constant rate", "schedule-constant"),
        ("constant rate at half the peak", "schedule-constant-half"),
    ]
    for name, number, kind in (("figure7", 7, "training"), ("figure8", 8, "validation")):
        title = f"Figure {number}: {kind} loss with and without the scheduler"
        yield _overlay(name, title, results, cells, kind, partial(study_pictures.overlaid, kind=kind))


def _overlay(
    name: str,
    title: str,
    results: Results,
    cells: Sequence[tuple[str, str]],
    kind: str,
    draw: Callable[[Sequence[tuple[str, CellResults]]], Figure],
) -> Wanted:
    """Return a figure of several cells; those that lack runs or this loss are named in its origin."""
    named = [(words, results.get(cell)) for words, cell in cells]
    there = [(words, item) for words, item in named if item and any(kind in result for result in item.done)]
    absent = [cell for (_, cell), (_, item) in zip(cells, named, strict=True) if item not in [i for _, i in there]]
    reasons = "; ".join(f"{cell}: {_reason(results.get(cell), kind)}" for cell in absent)
    if not there:
        return Wanted(name, title, reasons, None)
    origin = ", ".join(item.cell.name for _, item in there) + f"; {there[0][1].condition}"
    return Wanted(name, title, f"{origin}; without {reasons}" if reasons else origin, lambda: draw(there))


def _reason(item: CellResults | None, kind: str) -> str:
    if item is None:
        return "no such cell in this budget"
    return item.why or f"its results lack the {kind} loss"


def _from(
    sweep: Sweep, item: CellResults | None, name: str, title: str, draw: Callable[[CurveSource], Figure]
) -> Wanted:
    if item is None or not item.done:
        return Wanted(name, title, item.why if item else "no such cell in this budget", None)
    source = CurveSource(sweep, item)
    return Wanted(name, title, source.says, lambda: draw(source))


def _first(results: Results, names: list[str]) -> CellResults | None:
    """Return the first of these cells that was run, or the first that there is."""
    found = results.of_names(names)
    return next((item for item in found if item.done), found[0] if found else None)
