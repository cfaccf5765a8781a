"""Run the cells: skip finished ones, resume interrupted ones, report failed ones and continue.

runs/CELL-seed1/          the run folder, its checkpoints removed once it is evaluated
results/CELL-seed1.json   what tables are made of
times/CELL-seed1.json     wall and process seconds of every call that worked on it
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from asli.errors import Interrupted, RunError, WeightsError
from asli.evaluation.evaluate import evaluate
from asli.files import read_json, sha256_of_file, sha256_of_json, write_json
from asli.pipeline import train
from asli.progress import duration
from asli.recipe import Recipe
from asli.study.sweep.cells import Cell, recipe_of, runs_of, seeds_of
from asli.study.sweep.record import Result, record, without
from asli.study.sweep.sampled import SampledFolder

logger = logging.getLogger("asli")

Times = dict[str, float]
"""`wall` and `process` seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """Where and on what cells run.

    Attributes:
        base: Name of the recipe that cells differ from.
        data: All cells train and are evaluated on it.
        out: The sweep's folder.
        start_of: Returns `weights.start` of a cell, or raises WeightsError with the reason why it cannot be had.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.
        trackers: Any of `tensorboard`, `wandb`; each run is tracked.
    """

    base: str
    data: SampledFolder
    out: Path
    start_of: Callable[[Cell], str]
    device: str | None = None
    threads: int | None = None
    trackers: tuple[str, ...] = ()

    def run_folder(self, cell: Cell, seed: int) -> Path:
        """Return the folder of a run."""
        return self.out / "runs" / f"{cell.name}-seed{seed}"

    def result_file(self, cell: Cell, seed: int) -> Path:
        """Return the file of a run's result."""
        return self.out / "results" / f"{cell.name}-seed{seed}.json"

    def recipe(self, cell: Cell, seed: int) -> Recipe:
        """Return the recipe of a run.

        Raises:
            WeightsError: Its start weights cannot be had.
        """
        return recipe_of(self.base, cell, seed, self.start_of(cell))


def run_cells(sweep: Sweep, cells: Sequence[Cell], seeds: int) -> list[Result]:
    """Run cells, seed after seed, so that an early end leaves every cell with as many seeds as time allowed.

    A second process on the same folder takes the runs the first has not begun.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the run at hand is saved and resumed by the next call.
    """
    todo = runs_of(cells, seeds)
    results = []
    for number, (cell, seed) in enumerate(todo, 1):
        result = _guarded(sweep, cell, seed, f"{number} of {len(todo)}")
        results.append(result)
        if result["status"] != "done":
            level = logging.WARNING if result["status"] == "failed" else logging.INFO
            logger.log(level, "%s, seed %s: %s: %s", cell.name, seed, result["status"], result["reason"])
    return results


def read_results(sweep: Sweep, cells: Iterable[Cell], seeds: int) -> Iterator[Result]:
    """Yield what is known of every run, whichever process made it."""
    for cell in cells:
        planned = seeds_of(cell, seeds)
        for seed in range(1, seeds + 1):
            path = sweep.result_file(cell, seed)
            if path.exists():  # also runs beyond the cell's own number, which an earlier call made
                yield read_json(path)
            elif seed in planned:
                yield without(cell, seed, "missing", "not run yet")


def scores(result: Result) -> Result:
    """Return the part of a result that a repetition must reproduce to the bit."""
    return {key: result[key] for key in ("figures", "confusion", "threshold", "temperature", "training", "validation")}


def _guarded(sweep: Sweep, cell: Cell, seed: int, turn: str) -> Result:
    path = sweep.result_file(cell, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(sweep.out / "locks" / f"{path.stem}.lock", timeout=0):
            try:
                result = _once(sweep, cell, seed, path, turn)
            except Interrupted:
                raise
            except WeightsError as error:
                result = without(cell, seed, "unavailable", f"weights unavailable: {error}")
            except Exception as error:
                result = without(cell, seed, "failed", f"{type(error).__name__}: {error}")
                logger.debug("failed", exc_info=True)
            if result["status"] != "done":
                write_json(path, result)
            return result
    except Timeout:
        return without(cell, seed, "busy", "another process is working on it")


def _once(sweep: Sweep, cell: Cell, seed: int, path: Path, turn: str) -> Result:
    recipe = sweep.recipe(cell, seed)
    identity = identity_of(recipe, sweep)
    if path.exists():
        before = read_json(path)
        if before["status"] == "done":
            if before["identity"] == identity:
                logger.info("%s, seed %s: done already", cell.name, seed)
                return before  # type: ignore[no-any-return]
            raise RunError(f"{path} was made with another recipe or other data; remove it, or give another --out")
    folder, times = sweep.run_folder(cell, seed), sweep.out / "times" / path.name
    if (folder / "detector").exists() and not (folder / "checkpoints").exists():
        shutil.rmtree(folder)  # its result was deleted: it is to be made again
        times.unlink(missing_ok=True)
    logger.info("%s (%s), seed %s, run %s", cell.name, cell.says, seed, turn)
    with _timed(times):
        run = train(
            recipe,
            sweep.data,
            folder,
            resume=True,
            device=sweep.device,
            threads=sweep.threads,
            trackers=sweep.trackers,
        )
        measured = run.evaluation(f"{sweep.data.name}-test") / "metrics.json"
        if not measured.exists():  # the test part is opened once a run
            from asli.evaluation.report import write_numbers  # brings matplotlib

            found = evaluate(run.path, sweep.data, device=sweep.device, threads=sweep.threads)
            write_numbers(found.to_dict(), found.attachments, measured.parent)  # a page for each run takes too long
    scored = {part: len(sweep.data.rows(part)) for part in ("validation", "calibration", "test")}
    result = record(cell, seed, run, identity, read_json(measured), scored, read_json(times))
    write_json(path, result)
    shutil.rmtree(run.checkpoints)
    return result


def identity_of(recipe: Recipe, sweep: Sweep) -> str:
    """Hash what determines a result, start weights by their content and not by where they lie."""
    tree, start = recipe.settings(), Path(recipe.weights.start)
    if start.is_file():
        tree["weights"]["start"] = f"{start.name} {sha256_of_file(start)}"
    return sha256_of_json([tree, sweep.data.hash])


@contextmanager
def _timed(path: Path) -> Iterator[None]:
    """Add the wall and process seconds of what is done inside to a file, interrupted or not."""
    before: Times = read_json(path) if path.exists() else {"wall": 0.0, "process": 0.0}
    wall, process = time.monotonic(), time.process_time()
    try:
        yield
    finally:
        spent = {"wall": time.monotonic() - wall, "process": time.process_time() - process}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {key: before[key] + spent[key] for key in spent})


def summary(results: Sequence[Result]) -> str:
    """Return how many runs ended how, for a person."""
    counts: dict[str, int] = {}
    for result in results:
        counts[result["status"]] = counts.get(result["status"], 0) + 1
    seconds = sum(result["seconds"]["wall"] for result in results if result["status"] == "done")
    text = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{text}; {duration(seconds)} of training and evaluation"
