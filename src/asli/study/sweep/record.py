"""What is kept of a run: enough for every table, claim and curve, and nothing that names a place on this machine."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from asli._version import __version__
from asli.files import read_json
from asli.fitting import prepare_network
from asli.metrics.classification import log_losses
from asli.models.measuring import gradients_on_sample
from asli.recipe import Recipe, present_names, recipe_from_dict
from asli.run import Run
from asli.study.sweep.cells import Cell
from asli.training import checkpoint

Result = dict[str, Any]
"""What is known of a run: `status` is done, failed, unavailable (no start weights), busy (another process has it) or
missing; `reason` says why where it is not done."""

VERSION = 2
"""2 adds the raw loss, gradients, appearance of mistakes, and process time; 1 was asli 0.1.0's."""


def record(
    cell: Cell,
    seed: int,
    run: Run,
    identity: str,
    evaluation: dict[str, Any],
    scored: dict[str, int],
    times: dict[str, float],
) -> Result:
    """Return the result of a finished and evaluated run.

    Args:
        cell: Which.
        seed: Seed of the run.
        run: Its folder, checkpoints included.
        identity: Hash of what determines the result.
        evaluation: `metrics.json` of its evaluation on the test part.
        scored: Images of each part that are scored.
        times: Wall and process seconds.
    """
    last = checkpoint.pointed(run.checkpoints, "last")
    assert last is not None, "a finished run has a last checkpoint"
    state, metrics = checkpoint.State.read(last), run.read_metrics()
    data, environment = read_json(run.path / "data.json"), read_json(run.path / "environment.json")
    card = read_json(run.detector / "detector.json")["card"]
    passes = data["training_images"] * run.recipe.loop.epochs
    settings = dataclasses.asdict(run.recipe)
    start = Path(run.recipe.weights.start)
    if start.is_file():
        settings["weights"]["start"] = start.name
    return {
        "version": VERSION,
        "asli": __version__,
        "cell": cell.name,
        "seed": seed,
        "status": "done",
        "reason": None,
        "identity": identity,
        "recipe": settings,
        "recipe_hash": run.recipe.hash(),
        "start_weights": environment.pop("start_weights").replace(str(start), start.name),
        "training_images": data["training_images"],
        "updates": state.update,
        "data": evaluation["data"],
        "scored": scored,
        "threshold": evaluation["threshold"],
        "temperature": card["temperature"],
        "raw_loss": raw_loss(run, evaluation["data"]["name"], card["temperature"]),
        "confusion": evaluation["confusion"],
        "figures": evaluation["figures"],
        "mistakes": evaluation["mistakes"]["tests"] if "mistakes" in evaluation else evaluation["gallery"]["claims"],
        "gradients": _gradients(run, last),
        "validation": [[m["update"], m["loss"], m["f1"], m["auroc"]] for m in metrics if m["kind"] == "validation"],
        "training": [[m["update"], m["loss"], m["lr"]] for m in metrics if m["kind"] == "train"],
        "seconds": {**times, "training": state.seconds, "images_per_second": passes / state.seconds},
        "machine": environment,
        "test_opened": evaluation["test_opened"],
    }


def recipe_of_result(result: Result) -> Recipe:
    """Return the recipe that a finished run was made with, by asli 0.1.0 or later."""
    tree = {
        section: {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
        for section, settings in present_names(result["recipe"]).items()
    }
    return recipe_from_dict(tree)


def without(cell: Cell, seed: int, status: str, reason: str) -> Result:
    """Return the result of a run that is not done."""
    return {"version": VERSION, "cell": cell.name, "seed": seed, "status": status, "reason": reason}


def raw_loss(run: Run, data: str, temperature: float) -> float:
    """Return the mean loss on the test part before temperature scaling, in nats: what a paper prints.

    The detector's logits are those of the network divided by the temperature.
    """
    columns = ["label", "logit_real", "logit_fake"]
    table = pq.read_table(run.evaluation(f"{data}-test") / "scores.parquet", columns=columns)
    labels = np.array([label == "fake" for label in table["label"].to_pylist()], dtype=np.int8)
    logits = np.stack([table["logit_real"].to_numpy(), table["logit_fake"].to_numpy()], axis=1)
    return float(log_losses(labels, temperature * logits).mean())


def _gradients(run: Run, last: Path) -> dict[str, dict[str, float]]:
    """Return the gradient norm of each stage on the bundled sample, before the first and after the last update."""
    network, _, _ = prepare_network(run.recipe)
    before = gradients_on_sample(network, run.recipe.data.size).norms
    network.module.load_state_dict(checkpoint.load(last, "model"))
    return {"start": before, "end": gradients_on_sample(network, run.recipe.data.size).norms}
