"""Results gathered by cell: means and spreads over seeds, as numbers and as text."""

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from asli.evaluation.result import present_figures
from asli.metrics.paired import over_seeds
from asli.study.sweep.cells import Cell
from asli.study.sweep.record import Result

NONE = "-"
"""Text in place of a missing number."""

HOTTEST = 19.9
"""Temperature from which the fit ended at its upper bound, 20."""

LEARNED_AUROC, CONSTANT_LOSS = 0.6, math.log(2)
"""Limits for "has learned": the AUROC interval of each run is above the first, and the mean loss is below the second.

The second is the loss of a constant answer on a balanced set, in nats.
"""

Pick = Callable[[Result], float | None]
"""Takes a number out of the result of one run."""


def figure(kind: str, name: str) -> Pick:
    """Return what picks a metric: `kind` is threshold, argmax or threshold_free."""
    return lambda result: present_figures(result["figures"])[kind][name]["value"]


F1, F1_ARGMAX = figure("threshold", "f1"), figure("argmax", "f1")
AUROC, CALIBRATED_LOSS = figure("threshold_free", "auroc"), figure("threshold_free", "loss")


def temperature(result: Result) -> float:
    """Return the fitted temperature."""
    return float(result["temperature"])


def raw_loss(result: Result) -> float:
    """Return the loss before temperature scaling on the test part, in nats.

    Runs of asli 0.1.0 did not keep it: there it is that of the validation images, for the weights that were chosen.
    """
    if "raw_loss" in result:
        return float(result["raw_loss"])
    best = max(result["validation"], key=lambda line: line[2])
    return float(best[1])


def losses(result: Result, kind: str) -> list[float]:
    """Return the losses of a run in their order: `training` of every update, or `validation` of every evaluation."""
    return [line[1] for line in result.get(kind, ())]


def rise(result: Result) -> float:
    """Return by how much the validation loss ends above its lowest: overfitting, in nats."""
    values = losses(result, "validation")
    return float(values[-1] - min(values))


def last_validation_loss(result: Result) -> float:
    """Return the validation loss after the last update, in nats."""
    return losses(result, "validation")[-1]


def last_training_loss(result: Result) -> float | None:
    """Return the mean training loss of the last tenth of the updates, in nats; None where it was not kept."""
    values = losses(result, "training")
    return mean(values[-max(len(values) // 10, 1) :]) if values else None


def fluctuation(kind: str) -> Pick:
    """Return what picks the mean absolute change of a loss from one value to the next, in nats."""

    def pick(result: Result) -> float | None:
        values = losses(result, kind)
        return mean(abs(b - a) for a, b in itertools.pairwise(values)) if len(values) > 1 else None

    return pick


def fall(result: Result) -> float:
    """Return by how much the validation loss ends below its first value, in nats."""
    values = losses(result, "validation")
    return float(values[0] - values[-1])


def later_fall(kind: str) -> Pick:
    """Return what picks the fall of a loss over the second half of a run, in nats; both ends are means of a tenth."""

    def pick(result: Result) -> float | None:
        values = losses(result, kind)
        if len(values) < 4:
            return None
        tenth = max(len(values) // 10, 1)
        middle = len(values) // 2
        return mean(values[middle - tenth : middle]) - mean(values[-tenth:])

    return pick


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

    def bounds(self, kind: str, name: str) -> tuple[float, float] | None:
        """Return the 95% interval of a metric: of its mean over seeds (Student's t), or over images for one seed."""
        values = self.by_seed(figure(kind, name))
        if not values:
            return None
        if len(values) == 1:
            found = present_figures(self.done[0]["figures"])[kind][name]
            return found["low"], found["high"]
        claim = over_seeds(values, dict.fromkeys(values, 0.0)).result  # against 0, seed by seed: the mean itself
        return max(claim.low, 0.0), min(claim.high, 1.0)

    def interval(self, kind: str, name: str) -> str:
        """Return the 95% interval of a metric in [0, 1] as text."""
        found = self.bounds(kind, name)
        if found is None:
            return NONE
        over = " (images)" if len(self.done) == 1 else ""
        return f"{found[0]:.3f} to {found[1]:.3f}{over}"

    @property
    def temperature(self) -> str:
        """Return the temperatures' mean and spread, and how many ended at the fit's bound."""
        hot = sum(value >= HOTTEST for value in self.by_seed(temperature).values())
        return self.text(temperature, 2) + (f" ({hot} at the bound)" if hot else "")

    @property
    def unlearned(self) -> str:
        """Return why the network is not better than a constant answer, or an empty text where it is."""
        loss = self.mean(raw_loss)
        if loss is None:
            return self.why
        low = [present_figures(result["figures"])["threshold_free"]["auroc"]["low"] for result in self.done]
        failed = sum(value <= LEARNED_AUROC for value in low)
        if failed:
            runs = f"{failed} of {len(low)} runs" if len(low) > 1 else "its run"
            return f"AUROC {self.mean(AUROC):.2f}, in {runs} not surely above {LEARNED_AUROC:g}"
        return f"loss {loss:.2f}, a constant answer has {CONSTANT_LOSS:.2f}" if loss >= CONSTANT_LOSS else ""

    def setting(self, section: str, key: str) -> Any:
        """Return a setting of the recipe, or None where nothing was run."""
        return self.done[0]["recipe"][section].get(key) if self.done else None

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
    """All cells of a sweep."""

    cells: tuple[CellResults, ...]

    @classmethod
    def of(cls, cells: Iterable[Cell], results: Iterable[Result]) -> "Results":
        """Gather results by cell."""
        found = list(results)
        return cls(tuple(CellResults(c, tuple(r for r in found if r["cell"] == c.name)) for c in cells))

    def __getitem__(self, name: str) -> CellResults:
        return next(item for item in self.cells if item.cell.name == name)

    def get(self, name: str) -> CellResults | None:
        """Return a cell's results, or None where the sweep has no such cell."""
        return next((item for item in self.cells if item.cell.name == name), None)

    def of_names(self, names: Iterable[str]) -> list[CellResults]:
        """Return the cells of these names that the sweep has."""
        return [item for item in map(self.get, names) if item is not None]

    def showing(self, what: str) -> list[CellResults]:
        """Return the cells that appear in a table or figure."""
        return [item for item in self.cells if what in item.cell.shows]

    @property
    def done(self) -> list[Result]:
        """Return every result of a run that ended well."""
        return [result for item in self.cells for result in item.done]
