"""How long a sweep takes, from the speed of its networks measured here."""

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from asli.errors import AsliError, WeightsError
from asli.files import read_json, write_json
from asli.fitting import placed, prepare_network, training_rows
from asli.models.device import fingerprint, pick_device, reuse_memory, set_threads
from asli.progress import duration, progress
from asli.recipe import Recipe
from asli.study.sweep.cells import Cell, seeds_of
from asli.study.sweep.runner import Sweep
from asli.training.batches import MicroBatch
from asli.training.loop import loss_sum
from asli.training.optimizer import make_optimizer

SECONDS = 1.0
"""How long training and scoring of a network are timed, each."""

FIXED = 8.0
"""Seconds a run takes besides: building, bootstrap, figures, files."""

logger = logging.getLogger("asli")


@dataclass(frozen=True, slots=True)
class Planned:
    """One cell of the plan.

    Attributes:
        cell: Which.
        runs: Still to do.
        seconds: Seconds of all these; None where the cell is not run.
        says: Size, images, epochs and speed, or why it is not run.
    """

    cell: Cell
    runs: int
    seconds: float | None
    says: str


def plan(sweep: Sweep, cells: Sequence[Cell], seeds: int) -> list[Planned]:
    """Plan the runs that are not done yet; speeds are kept in `speeds.json` of the sweep's folder."""
    set_threads(sweep.threads)
    reuse_memory()
    speeds = Speeds(sweep)
    scored = {part: len(sweep.data.rows(part)) for part in ("validation", "calibration", "test")}
    result = []
    with progress("measuring speed", len(cells), unit="cells") as bar:
        for cell in cells:
            result.append(_planned(sweep, cell, seeds, speeds, scored))
            bar.advance(note=cell.name)
    return result


def _planned(sweep: Sweep, cell: Cell, seeds: int, speeds: "Speeds", scored: dict[str, int]) -> Planned:
    left = [seed for seed in seeds_of(cell, seeds) if not _done(sweep.result_file(cell, seed))]
    try:
        recipe = sweep.recipe(cell, 1)
        trains, scores = speeds.of(recipe)
    except WeightsError as error:
        return Planned(cell, 0, None, f"not run: weights unavailable: {error}")
    except AsliError as error:
        return Planned(cell, 0, None, f"cannot run: {error}")
    images, loop = len(training_rows(sweep.data, recipe)), recipe.loop
    updates = loop.epochs * -(-images // (loop.micro_batch * loop.accumulation))
    looks = updates // loop.evaluate_every + 1 if loop.evaluate_every else 1
    # Calibration is scored before and after the temperature, validation once more by the finished detector.
    scored_images = (looks + 1) * scored["validation"] + 2 * scored["calibration"] + scored["test"]
    scored_images += looks * loop.reestimate_batchnorm * loop.micro_batch
    seconds = images * loop.epochs / trains + scored_images / scores + FIXED
    says = f"{recipe.data.size} px, {images:,} images x {loop.epochs}, {trains:,.0f} images/s"
    return Planned(cell, len(left), seconds * len(left), says)


def _done(path: Path) -> bool:
    return path.exists() and read_json(path)["status"] == "done"


class Speeds:
    """Images a second of networks in training and in scoring, measured once for each machine.

    Args:
        sweep: Where they are kept, and where they run.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._path, self._device = sweep.out / "speeds.json", pick_device(sweep.device)
        self._machine = fingerprint(self._device)
        known: dict[str, Any] = read_json(self._path) if self._path.exists() else {}
        self._known = known.get("speeds", {}) if known.get("machine") == self._machine else {}

    def of(self, recipe: Recipe) -> tuple[float, float]:
        """Return images a second in training and in scoring."""
        parts = (recipe.model.name, recipe.data.size, recipe.loop.micro_batch, recipe.weights.train)
        key = " ".join(map(str, (*parts, *dataclasses.astuple(recipe.precision))))
        if key not in self._known:
            self._known[key] = self._measure(recipe)
            write_json(self._path, {"machine": self._machine, "speeds": self._known})
        trains, scores = self._known[key]
        return trains, scores

    def _measure(self, recipe: Recipe) -> list[float]:
        recipe = dataclasses.replace(recipe, weights=dataclasses.replace(recipe.weights, start="scratch"))
        network, preprocessing, _ = prepare_network(recipe)
        module = placed(network, recipe, self._device).train()
        optimizer = make_optimizer(module, recipe.optim)
        count, size = recipe.loop.micro_batch, preprocessing.size
        images = torch.randn(count, 3, size, size, device=self._device)
        batch = MicroBatch(images, torch.arange(count, device=self._device) % 2)

        def accumulate() -> None:
            loss_sum(module, batch, recipe).backward()  # type: ignore[no-untyped-call]

        def update() -> None:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        accumulate()
        update()  # the first one makes the optimizer's state
        forward_backward, step = self._time(accumulate), self._time(update, once=True)
        module.eval()
        with torch.inference_mode():
            forward = self._time(lambda: module(images))
        return [count / (forward_backward + step / recipe.loop.accumulation), count / forward]

    def _time(self, work: Callable[[], Any], *, once: bool = False) -> float:
        """Return the seconds one call takes."""
        self._wait()
        start, calls = time.monotonic(), 0
        while not calls or (not once and time.monotonic() - start < SECONDS):
            work()
            calls += 1
            self._wait()
        return (time.monotonic() - start) / calls

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def describe(planned: Sequence[Planned], sweep: Sweep) -> str:
    """Return the plan for a person."""
    width = max(len(item.cell.name) for item in planned)
    lines = []
    for item in planned:
        times = f"{item.runs:>2} x" if item.seconds is not None else "   -"
        took = duration(item.seconds) if item.seconds is not None else ""
        lines.append(f"{item.cell.name:<{width}}  {times}  {took:>11}  {item.says}")
    runs = sum(item.runs for item in planned)
    total = sum(item.seconds or 0 for item in planned)
    without = sum(item.seconds is None for item in planned)
    lines.append(
        f"{sweep.base}: {len(planned)} cells, {runs} runs to do, about {duration(total)} in one process;"
        f" {without} cells cannot be run. Tables and figures take some minutes more."
    )
    if torch.device(pick_device(sweep.device)).type == "cpu":
        lines.append("A second process with the same --out and one thread each takes the runs the first has not begun.")
    return "\n".join(lines)
