"""Results gathered by cell: means and spreads over seeds, as numbers and as text."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from asli.evaluation.result import present_figures
from asli.metrics.paired import over_seeds
from asli.study.grid import Cell
from asli.study.runner import Result

NONE = "-"
"""What stands where there is no number."""

Pick = Callable[[Result], float | None]
"""Takes a number out of the result of one run."""


def figure(kind: str, name: str) -> Pick:
    """Return what picks a figure: `kind` is threshold, argmax or threshold_free."""
    return lambda result: present_figures(result["figures"])[kind][name]["value"]


F1, F1_ARGMAX = figure("threshold", "f1"), figure("argmax", "f1")
AUROC, LOSS = figure("threshold_free", "auroc"), figure("threshold_free", "loss")


def rise(result: Result) -> float:
    """Return by how much the validation loss ends above its lowest: overfitting, in nats."""
    losses = [loss for _, loss, _ in result["validation"]]
    return float(losses[-1] - min(losses))


def last_training_loss(result: Result) -> float:
    """Return the mean training loss of the last tenth of the updates, in nats."""
    losses: list[float] = [loss for _, loss, _ in result["training"]]
    return mean(losses[-max(len(losses) // 10, 1) :])


@dataclass(frozen=True, slots=True)
class CellResults:
    """A cell with the results of its runs, whatever became of them."""

    cell: Cell
    results: tuple[Result, ...]

    @property
    def done(self) -> list[Result]:
        """Return the results of runs that ended well."""
        return [result for result in self.results if result["status"] == "done"]

    @property
    def why(self) -> str:
        """Return why there is no figure, or an empty text where there is one."""
        if self.done:
            return ""
        reasons = dict.fromkeys(
            result["reason"] if result["status"] != "failed" else f"failed: {result['reason']}"
            for result in self.results
        )
        return "not run: " + "; ".join(reasons) if reasons else "not run"

    def by_seed(self, pick: Pick) -> dict[int, float]:
        """Return a number of every run that has it, by seed."""
        values = {result["seed"]: pick(result) for result in self.done}
        return {seed: value for seed, value in values.items() if value is not None}

    def mean(self, pick: Pick) -> float | None:
        """Return the mean over seeds."""
        values = self.by_seed(pick)
        return mean(values.values()) if values else None

    def text(self, pick: Pick, digits: int = 4) -> str:
        """Return mean and standard deviation over seeds."""
        values = self.by_seed(pick)
        if not values:
            return NONE
        if len(values) == 1:
            return f"{mean(values.values()):.{digits}f}"
        spread = over_seeds(values, dict.fromkeys(values, 0.0)).spread[0]
        return f"{mean(values.values()):.{digits}f} ± {spread:.{digits}f}"

    def interval(self, kind: str, name: str) -> str:
        """Return the 95% interval of a figure: of its mean over seeds (Student's t), or over images for one seed."""
        values = self.by_seed(figure(kind, name))
        if not values:
            return NONE
        if len(values) == 1:
            found = present_figures(self.done[0]["figures"])[kind][name]
            return f"{found['low']:.3f} to {found['high']:.3f} (images)"
        claim = over_seeds(values, dict.fromkeys(values, 0.0)).result  # against 0, seed by seed: the mean itself
        return f"{max(claim.low, 0):.3f} to {claim.high if name == 'loss' else min(claim.high, 1):.3f}"

    def setting(self, section: str, key: str) -> Any:
        """Return a setting of the recipe, or None where nothing was run."""
        return self.done[0]["recipe"][section][key] if self.done else None

    @property
    def condition(self) -> str:
        """Return size, training images and epochs, or why there is none."""
        if not self.done:
            return self.why
        images = self.done[0]["training_images"]
        return f"{self.setting('data', 'size')} px, {images:,} x {self.setting('loop', 'epochs')}"

    @property
    def seeds(self) -> str:
        """Return how many runs the figures rest on."""
        return str(len(self.done)) if self.done else NONE


@dataclass(frozen=True, slots=True)
class Results:
    """All cells of a study."""

    cells: tuple[CellResults, ...]

    @classmethod
    def of(cls, cells: Iterable[Cell], results: Iterable[Result]) -> "Results":
        """Gather results by cell."""
        found = list(results)
        return cls(tuple(CellResults(c, tuple(r for r in found if r["cell"] == c.name)) for c in cells))

    def __getitem__(self, name: str) -> CellResults:
        return next(item for item in self.cells if item.cell.name == name)

    def get(self, name: str) -> CellResults | None:
        """Return a cell's results, or None where the study has no such cell."""
        return next((item for item in self.cells if item.cell.name == name), None)

    def showing(self, what: str) -> list[CellResults]:
        """Return the cells that appear in a table or figure of the paper."""
        return [item for item in self.cells if what in item.cell.shows]

    @property
    def done(self) -> list[Result]:
        """Return every result of a run that ended well."""
        return [result for item in self.cells for result in item.done]
