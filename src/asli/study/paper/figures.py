"""Figures 1 to 12: which run each is drawn from, and why one is missing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from asli.recipe import load_recipe
from asli.reports import plots
from asli.run import Run
from asli.study import diagrams, pictures
from asli.study.grid import Budget, corner, schedule_base
from asli.study.results import CellResults, Results
from asli.study.runner import Result, Study

ARCHITECTURE = "resnet152"
"""Whose architecture the paper draws."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the study.

    Attributes:
        name: Of its files.
        title: Above it.
        origin: What it was drawn from, or why it is missing.
        svg: None where it is missing.
    """

    name: str
    title: str
    origin: str
    svg: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """A run to draw from: the first finished one of a cell."""

    study: Study
    item: CellResults

    @property
    def result(self) -> Result:
        """Return its result."""
        return self.item.done[0]

    @property
    def run(self) -> Run:
        """Return its folder."""
        return Run.open(self.study.run_folder(self.item.cell, self.result["seed"]))

    @property
    def says(self) -> str:
        """Return which run it is."""
        return f"{self.item.cell.name}, seed {self.result['seed']}; {self.item.condition}"


def draw_all(study: Study, results: Results, seeds: int, folder: Path) -> list[Picture]:
    """Draw every figure as SVG and PNG."""
    return [
        Picture(name, title, origin, plots.save(figure, folder, name) if figure else None)
        for name, title, origin, figure in _drawn(study, results, seeds)
    ]


def _drawn(study: Study, results: Results, seeds: int) -> Iterator[tuple[str, str, str, Figure | None]]:
    budget, data = study.budget, study.data
    base = load_recipe(budget.base)
    size = load_recipe("paper").data.size
    of_recipe, of_data = f"asli recipes {budget.base}", f"training part of {data.name}"
    yield "figure1", "Figure 1: the way of the study", of_recipe, diagrams.research_flow(base, data, seeds)
    yield "figure2", "Figure 2: samples of each category", of_data, pictures.sample_sheet(data)
    yield "figure3", "Figure 3: preprocessing", of_recipe, diagrams.preprocessing_flow(base)
    modules = f"the modules of {{}} at {size} px"
    title = "Figure 4: ResNet-152 with residual connections"
    yield "figure4", title, modules.format(ARCHITECTURE), diagrams.architecture(ARCHITECTURE, size)
    shown = _trained(budget, results)
    yield _from(study, shown, "figure5", "Figure 5: feature maps of successive layers", lambda s: _maps(s, study))
    rate = _first(results, budget, [schedule_base(budget), *_trained_names(budget)])
    title = "Figure 6: learning rate"
    yield _from(study, rate, "figure6", title, lambda s: plots.learning_rate(pictures.curves(s.result)))
    yield from _schedules(study, results)
    title = "Figure 9: confusion matrix, test part"
    yield _from(study, shown, "figure9", title, lambda s: pictures.confusion(s.result))
    title = "Figure 10: most confident mistakes"
    yield _from(study, shown, "figure10", title, lambda s: pictures.mistakes(s.run, s.result, data))
    for reading, end in (("all shortcuts removed", ""), ("one a stage removed", "_stage")):
        name = f"plain_{ARCHITECTURE}{end}"
        title = f"Figure 11: ResNet-152, {reading}"
        yield f"figure11{end}", title, modules.format(name), diagrams.architecture(name, size)
    plain = results.get(corner("plain", "scratch", budget.depths[-1]))
    title = "Figure 12: losses without residual connections"
    yield _from(study, plain, "figure12", title, lambda s: pictures.losses([s.result])[0])


def _schedules(study: Study, results: Results) -> Iterator[tuple[str, str, str, Figure | None]]:
    """Yield figures 7 and 8, those that can be drawn to one scale."""
    named = (
        ("figure7", "Figure 7: losses with warm-up and linear decay", schedule_base(study.budget)),
        ("figure8", "Figure 8: losses at a constant rate", "schedule-constant"),
        ("figure8_half", "Figure 8, at equal summed rate", "schedule-constant-half"),
    )
    items = [results.get(cell) for _, _, cell in named]
    done = [item for item in items if item and item.done]
    drawn = dict(zip([item.cell.name for item in done], pictures.losses([i.done[0] for i in done]), strict=True))
    for (name, title, cell), item in zip(named, items, strict=True):
        yield _from(study, item, name, title, lambda s: drawn[s.item.cell.name], cell)


def _from(
    study: Study,
    item: CellResults | None,
    name: str,
    title: str,
    draw: Callable[[Source], Figure],
    wanted: str = "its run",
) -> tuple[str, str, str, Figure | None]:
    if item is None or not item.done:
        return name, title, item.why if item else f"not run: {wanted} was not chosen", None
    source = Source(study, item)
    return name, title, source.says, draw(source)


def _maps(source: Source, study: Study) -> Figure:
    return pictures.feature_maps(source.run, study.data)


def _trained_names(budget: Budget) -> list[str]:
    """Return the cells of the deepest residual network, the paper's own one first."""
    return [corner("residual", start, budget.depths[-1]) for start in ("pretrained", "scratch")]


def _trained(budget: Budget, results: Results) -> CellResults | None:
    return _first(results, budget, _trained_names(budget))


def _first(results: Results, budget: Budget, names: list[str]) -> CellResults | None:
    """Return the first of these cells that was run, or the first that there is."""
    found = [item for item in map(results.get, names) if item is not None]
    return next((item for item in found if item.done), found[0] if found else None)
