"""Run the cells: what is done is skipped, what was cut goes on, what fails is reported and the rest goes on.

runs/CELL-seed1/     the run folder, its checkpoints removed once it is judged
results/CELL-seed1.json   what the tables are made of
"""

import dataclasses
import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from asli._version import __version__
from asli.errors import Interrupted, RunError, WeightsError
from asli.evaluation.evaluate import evaluate
from asli.files import read_json, sha256_of_file, sha256_of_json, write_json
from asli.pipeline import train
from asli.progress import duration
from asli.recipe import Recipe
from asli.run import Run
from asli.study.grid import Budget, Cell, recipe_of
from asli.study.sampled import SampledFolder
from asli.study.starts import start_of
from asli.training import checkpoint

logger = logging.getLogger("asli")

Result = dict[str, Any]
"""What is known of a run: `status` is done, failed, unavailable (no start weights), busy (another process has it) or
missing; `reason` says why where it is not done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """Where and on what a study runs.

    Attributes:
        budget: How much.
        data: All cells train and are judged on it.
        out: The study's folder.
        weights: Folder of start weights.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.
    """

    budget: Budget
    data: SampledFolder
    out: Path
    weights: Path | None = None
    device: str | None = None
    threads: int | None = None

    def run_folder(self, cell: Cell, seed: int) -> Path:
        """Return the folder of a run."""
        return self.out / "runs" / f"{cell.name}-seed{seed}"

    def result_file(self, cell: Cell, seed: int) -> Path:
        """Return the file of a run's result."""
        return self.out / "results" / f"{cell.name}-seed{seed}.json"


def run_cells(study: Study, cells: Sequence[Cell], seeds: Sequence[int]) -> list[Result]:
    """Run cells, seed after seed, so that an early end leaves every cell with as many seeds as time allowed.

    A second process on the same folder takes the runs the first has not begun.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the run at hand is saved and goes on with the next call.
    """
    todo = [(cell, seed) for seed in seeds for cell in cells]
    results = []
    for number, (cell, seed) in enumerate(todo, 1):
        result = _guarded(study, cell, seed, f"{number} of {len(todo)}")
        results.append(result)
        if result["status"] != "done":
            level = logging.WARNING if result["status"] == "failed" else logging.INFO
            logger.log(level, "%s, seed %s: %s: %s", cell.name, seed, result["status"], result["reason"])
    return results


def read_results(study: Study, cells: Iterable[Cell], seeds: Sequence[int]) -> Iterator[Result]:
    """Yield what is known of every run, whichever process made it."""
    for cell in cells:
        for seed in seeds:
            path = study.result_file(cell, seed)
            yield read_json(path) if path.exists() else _without(cell, seed, "missing", "not run yet")


def scores(result: Result) -> Result:
    """Return the part of a result that a repetition must reproduce to the bit."""
    return {key: result[key] for key in ("figures", "confusion", "threshold", "temperature", "training", "validation")}


def _guarded(study: Study, cell: Cell, seed: int, turn: str) -> Result:
    path = study.result_file(cell, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(study.out / "locks" / f"{path.stem}.lock", timeout=0):
            try:
                result = _once(study, cell, seed, path, turn)
            except Interrupted:
                raise
            except WeightsError as error:
                result = _without(cell, seed, "unavailable", f"weights unavailable: {error}")
            except Exception as error:
                result = _without(cell, seed, "failed", f"{type(error).__name__}: {error}")
                logger.debug("failed", exc_info=True)
            if result["status"] != "done":
                write_json(path, result)
            return result
    except Timeout:
        return _without(cell, seed, "busy", "another process is at it")


def _once(study: Study, cell: Cell, seed: int, path: Path, turn: str) -> Result:
    recipe = recipe_of(study.budget, cell, seed, start_of(cell, study.budget, study.weights))
    identity = _identity(recipe, study)
    if path.exists():
        before = read_json(path)
        if before["status"] == "done":
            if before["identity"] == identity:
                logger.info("%s, seed %s: done already", cell.name, seed)
                return before  # type: ignore[no-any-return]
            raise RunError(f"{path} was made with another recipe or other data; remove it, or give another --out")
    folder = study.run_folder(cell, seed)
    if (folder / "detector").exists() and not (folder / "checkpoints").exists():
        shutil.rmtree(folder)  # its result was deleted: it is to be made again
    logger.info("%s (%s), seed %s, run %s", cell.name, cell.says, seed, turn)
    run = train(recipe, study.data, folder, resume=True, device=study.device, threads=study.threads)
    start, judged = time.monotonic(), run.evaluation(f"{study.data.name}-test") / "metrics.json"
    if not judged.exists():  # the test part is opened once a run
        evaluate(run.path, study.data, out=judged.parent, device=study.device, threads=study.threads)
    result = _result(cell, seed, recipe, run, read_json(judged), identity, time.monotonic() - start)
    write_json(path, result)
    shutil.rmtree(run.checkpoints)
    return result


def _identity(recipe: Recipe, study: Study) -> str:
    """Hash what determines a result, start weights by their content and not by where they lie."""
    tree, start = recipe.settings(), Path(recipe.weights.start)
    if start.is_file():
        tree["weights"]["start"] = f"{start.name} {sha256_of_file(start)}"
    return sha256_of_json([tree, study.data.hash])


def _result(
    cell: Cell, seed: int, recipe: Recipe, run: Run, judged: dict[str, Any], identity: str, seconds: float
) -> Result:
    last = checkpoint.pointed(run.checkpoints, "last")
    assert last is not None, "a finished run has a last checkpoint"
    state, metrics = checkpoint.State.read(last), run.read_metrics()
    data, environment = read_json(run.path / "data.json"), read_json(run.path / "environment.json")
    card = read_json(run.detector / "detector.json")["card"]
    passes = data["training_images"] * recipe.loop.epochs
    settings = dataclasses.asdict(recipe)
    start = Path(recipe.weights.start)
    if start.is_file():
        settings["weights"]["start"] = start.name
    return {
        "version": 1,
        "asli": __version__,
        "cell": cell.name,
        "seed": seed,
        "status": "done",
        "reason": None,
        "identity": identity,
        "recipe": settings,
        "recipe_hash": recipe.hash(),
        "start_weights": environment.pop("start_weights").replace(str(start), start.name),
        "training_images": data["training_images"],
        "updates": state.update,
        "data": judged["data"],
        "threshold": judged["threshold"],
        "temperature": card["temperature"],
        "confusion": judged["confusion"],
        "figures": judged["figures"],
        "validation": [[m["update"], m["loss"], m["f1"]] for m in metrics if m["kind"] == "validation"],
        "training": [[m["update"], m["loss"], m["lr"]] for m in metrics if m["kind"] == "train"],
        "seconds": {"training": state.seconds, "judging": seconds, "images_per_second": passes / state.seconds},
        "machine": environment,
        "test_opened": judged["test_opened"],
    }


def _without(cell: Cell, seed: int, status: str, reason: str) -> Result:
    return {"version": 1, "cell": cell.name, "seed": seed, "status": status, "reason": reason}


def summary(results: Sequence[Result]) -> str:
    """Return how many runs ended how, for a person."""
    counts: dict[str, int] = {}
    for result in results:
        counts[result["status"]] = counts.get(result["status"], 0) + 1
    seconds = sum(sum(r["seconds"][k] for k in ("training", "judging")) for r in results if r["status"] == "done")
    text = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{text}; {duration(seconds)} of training and judging"
