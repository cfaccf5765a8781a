"""From recipe and data to a detector: the verb behind `asli train`."""

import copy
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asli.datasets.folder import DataFolder
from asli.datasets.splits import stratified_sample
from asli.detector.bundle import Detector, fold_temperature
from asli.detector.calibrate import domain_of, figures_of, fit, validation_of
from asli.detector.card import Card
from asli.detector.runtime import TorchRuntime, logits_of_rows
from asli.errors import DataError, RecipeError
from asli.files import keeping
from asli.metrics.classification import Floats, training_figures
from asli.metrics.figures import as_json
from asli.metrics.thresholds import Policy
from asli.models.device import fingerprint, pick_device, reuse_memory, set_threads
from asli.models.networks import Network, create_network, set_trainable
from asli.models.weights import load_start_weights, restore
from asli.progress import duration
from asli.recipe import Recipe, load_recipe
from asli.run import Run
from asli.tracking.jsonl import JsonLines
from asli.training import checkpoint
from asli.training.batches import TrainingBatches
from asli.training.callbacks import Callback, Callbacks, ProgressBar
from asli.training.loop import JUDGED, Evaluate, Training
from asli.transforms.preprocessing import Preprocessing

logger = logging.getLogger("asli")

RECOVERY_MINUTES = 10.0


def train(
    recipe: str | Path | Recipe,
    data: str | Path | DataFolder,
    out: str | Path,
    *,
    settings: Sequence[str] = (),
    resume: bool = False,
    device: str | None = None,
    threads: int | None = None,
    trackers: Sequence[str] = (),
    recovery_minutes: float = RECOVERY_MINUTES,
) -> Run:
    """Train a network and make a detector of it.

    The training part trains, validation chooses the weights, calibration fits temperature and threshold. The test part
    is not read.

    Args:
        recipe: A bundled recipe's name, the path of a TOML file, or a recipe.
        data: A data folder.
        out: The run folder; it must be new unless `resume`.
        settings: `section.key=value`, in place of those of a recipe given by name or path.
        resume: Go on with an interrupted run; with the same recipe and data the result is bit-identical to that of an
            undisturbed run. A finished run is left as it is; a missing one is begun.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.
        trackers: Any of `tensorboard`, `wandb`.
        recovery_minutes: How often the state is saved, besides the recipe's checkpoints.

    Returns:
        The run; its `detector` is the detector's folder.

    Raises:
        RecipeError, DataError, WeightsError, RunError: See their messages.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    if isinstance(recipe, Recipe) and settings:
        raise RecipeError("settings go with the name or the file of a recipe; put them into this one yourself")
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, settings)
    data = data if isinstance(data, DataFolder) else DataFolder.open(data)
    place, out = pick_device(device), Path(out)
    set_threads(threads)
    reuse_memory()
    machine = fingerprint(place)
    rows = training_rows(data, recipe)
    # All that can be wrong with the input is found before the run folder is made.
    network, preprocessing, start = prepare_network(recipe)
    batches = TrainingBatches(data, rows, recipe.augment, preprocessing, recipe.loop, place)
    for part in ("validation", "calibration"):
        _require_both(data, data.rows(part), part)
    callbacks = [_tracker(name, out, recipe) for name in trackers]
    callbacks.append(ProgressBar(recipe.loop.epochs * len(rows), recipe.loop.micro_batch * recipe.loop.accumulation))
    if resume and (out / "recipe.toml").exists():
        run = Run.open(out)
        run.require_same(recipe, data.hash)
    else:
        run = Run.create(out, recipe, _describe(data, rows), {**machine, "start_weights": start})
    with keeping(f"{out} is safe up to its last checkpoint; make room and go on with --resume"), run.locked():
        logger.info(
            "real = 0, fake = 1 (positive); %s training images; recipe %s", f"{len(rows):,}", recipe.hash()[:16]
        )
        logger.info("%s, %s parameters; start weights: %s", network.name, f"{network.parameters:,}", start)
        training = Training(
            placed(network, recipe, place),
            recipe,
            batches,
            _evaluation(data, preprocessing, place),
            folder=run.checkpoints,
            log=JsonLines(run.metrics),
            callbacks=Callbacks(callbacks),
            machine=machine,
            recovery_minutes=recovery_minutes,
        )
        if resume:
            training.resume()
        if training.update < training.total:
            training.run()
        if not (run.detector / "README.md").exists():
            _make_detector(run, network, preprocessing, data, rows, place, start)
    return run


def training_rows(data: DataFolder, recipe: Recipe) -> npt.NDArray[np.int64]:
    """Return the manifest rows a recipe trains on.

    Raises:
        DataError: None, or of one label only.
    """
    rows = data.rows("train")
    if recipe.data.drop_cross_split_duplicates:
        rows = rows[~data.cross_split_duplicate[rows]]
    if recipe.data.sample:
        known = data.table(["label", "category"], rows)
        pairs = zip(known["label"].to_pylist(), known["category"].to_pylist(), strict=True)
        rows = rows[stratified_sample([f"{label}/{category}" for label, category in pairs], recipe.data.sample)]
    _require_both(data, rows, "train")
    return rows


def prepare_network(recipe: Recipe) -> tuple[Network, Preprocessing, str]:
    """Return a recipe's network with its start weights, its preprocessing, and a line on what was loaded."""
    network = create_network(recipe.model.name, size=recipe.data.size, seed=recipe.loop.seed)
    network, loaded = load_start_weights(network, recipe.weights.start)
    set_trainable(network, recipe.weights.train)
    preprocessing = Preprocessing(
        recipe.data.size, recipe.data.interpolation, network.mean, network.std, recipe.data.crop_mode
    )
    return network, preprocessing, loaded.describe() if loaded else "scratch"


def placed(network: Network, recipe: Recipe, device: torch.device) -> nn.Module:
    """Move a network to where it trains, in the recipe's memory layout and compiled where it says so."""
    module = network.module.to(device)
    if recipe.precision.channels_last:
        module = module.to(memory_format=torch.channels_last)
    if recipe.precision.compile:
        module.compile()  # in place: the names of the parameters stay
    return module


def _evaluation(data: DataFolder, preprocessing: Preprocessing, device: torch.device) -> Evaluate:
    """Return what scores the validation part with a network in training."""
    rows = data.rows("validation")

    def evaluate(judged: nn.Module) -> dict[str, float]:
        runtime = TorchRuntime(judged, preprocessing, device)
        logits = np.concatenate(list(logits_of_rows(runtime, data.pixels, rows, preprocessing)))
        return training_figures(data.labels[rows], logits)

    return evaluate


def _tracker(name: str, out: Path, recipe: Recipe) -> Callback:
    if name == "tensorboard":
        from asli.tracking.tensorboard import TensorBoard

        return TensorBoard(out)
    if name == "wandb":
        from asli.tracking.wandb import WeightsAndBiases

        return WeightsAndBiases(out, dataclasses.asdict(recipe))
    raise DataError(f"no tracker named '{name}'; there are tensorboard and wandb")


def _require_both(data: DataFolder, rows: npt.NDArray[np.int64], part: str) -> None:
    if len(np.unique(data.labels[rows])) < 2:
        raise DataError(f"the {part} part of {data.path} lacks real or fake images; both are needed")


def _make_detector(
    run: Run,
    network: Network,
    preprocessing: Preprocessing,
    data: DataFolder,
    rows: npt.NDArray[np.int64],
    device: torch.device,
    start: str,
) -> None:
    """Calibrate the selected weights on the calibration part and write the detector."""
    recipe = run.recipe
    chosen = checkpoint.pointed(run.checkpoints, recipe.loop.select)
    assert chosen is not None, "a finished run has evaluated and saved after its last update"
    network = dataclasses.replace(network, module=copy.deepcopy(network.module).cpu())
    restore(network.module, chosen / f"{JUDGED[recipe.loop.ema > 0]}.safetensors")

    def logits_of(part: npt.NDArray[np.int64]) -> Floats:
        runtime = TorchRuntime(copy.deepcopy(network.module).to(device), preprocessing, device)
        return np.concatenate(list(logits_of_rows(runtime, data.pixels, part, preprocessing)))

    calibration = data.rows("calibration")
    temperature, thresholds = fit(logits_of(calibration), data, calibration, Policy())
    fold_temperature(network, temperature)
    figures = figures_of(logits_of(data.rows("validation")), data, "validation", thresholds)
    card = Card(
        temperature=temperature,
        thresholds=thresholds,
        domain=domain_of(data, calibration, preprocessing),
        trained_on={"name": data.name, "hash": data.hash, "images": len(rows)},
        figures={validation_of(data, chose=True): as_json(figures)},
        recipe_hash=recipe.hash(),
        seed=recipe.loop.seed,
        start_weights=start,
    )
    Detector(network, preprocessing, card, data.keys(rows)).save(run.detector)
    seconds = checkpoint.State.read(checkpoint.pointed(run.checkpoints, "last") or chosen).seconds
    logger.info("detector of %s: validation F1 %s at threshold %.4f", chosen.name, figures["f1"], thresholds.high)
    logger.info("trained in %s; the detector is %s", duration(seconds), run.detector)


def _describe(data: DataFolder, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
    return {
        "name": data.name,
        "hash": data.hash,
        "counts": data.info["counts"],
        "split_seed": data.info["split_seed"],
        "training_images": len(rows),
    }
