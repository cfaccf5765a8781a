"""From recipe and data to a detector: the verb behind `asli train`."""

import copy
import dataclasses
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asli.cross_validation import out_of_fold
from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.folds import fold_of
from asli.datasets.splits import stratified_sample
from asli.detector.building import fold_temperature
from asli.detector.calibrate import domain_of, figures_of, fit, out_of_fold_of, validation_of
from asli.detector.card import Card
from asli.detector.classifier import Classifier
from asli.detector.out_of_fold import figures_out_of_fold, write_out_of_fold
from asli.detector.runtimes import TorchRuntime, logits_of_rows
from asli.errors import DataError, RecipeError
from asli.files import keeping
from asli.head_training import train_head
from asli.metrics.classification import Floats, Labels, training_figures
from asli.metrics.thresholds import Policy
from asli.models.device import fingerprint, pick_device, reuse_memory, set_threads
from asli.models.networks import Network, create_network, draw_head, set_trainable
from asli.models.weights import load_start_weights, restore
from asli.progress import duration
from asli.recipe import Recipe, load_recipe
from asli.records import plain
from asli.run import Run
from asli.tracking.jsonl import JsonLines
from asli.training import checkpoint
from asli.training.batches import TrainingBatches
from asli.training.callbacks import Callback, Callbacks, ProgressBar
from asli.training.loop import JUDGED, Evaluate, Training
from asli.transforms.preprocessing import Preprocessing

logger = logging.getLogger("asli")

RECOVERY_MINUTES = 10.0

FEWEST_UPDATES = 100
"""Below, a network has hardly begun to learn, and a warning says so."""

UNEVEN = 1.5
"""Images of one label to those of the other from which a warning says so."""


def train(
    recipe: str | Path | Recipe,
    data: str | Path | DataFolder,
    out: str | Path,
    *,
    settings: Sequence[str] = (),
    folds: int = 0,
    resume: bool = False,
    device: str | None = None,
    threads: int | None = None,
    trackers: Sequence[str] = (),
    recovery_minutes: float = RECOVERY_MINUTES,
) -> Run:
    """Train a network and make a detector of it.

    The training part trains, validation chooses the weights, calibration fits temperature and threshold. The test part
    is not read.

    With `folds` the three parts are one pool, dealt out to folds (see `asli.datasets.folds`). For each fold a network
    is trained on the others and scores it; these out-of-fold scores give temperature, thresholds and figures. Then the
    detector's network is trained on the whole pool. Nothing is left to choose weights on, so the last ones are taken.

    Args:
        recipe: A bundled recipe's name, the path of a TOML file, or a recipe.
        data: A data folder.
        out: The run folder; it must be new unless `resume`.
        settings: `section.key=value`, in place of those of a recipe given by name or path.
        folds: 0 for none, else 2 or more: costs as many trainings more.
        resume: Go on with an interrupted run; with the same recipe and data the result is bit-identical to that of an
            undisturbed run. A finished run is left as it is; a missing one is begun.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None takes those of the run that goes on, for the same bits, else torch's
            choice.
        trackers: Any of `tensorboard`, `wandb`; with folds they see the detector's network.
        recovery_minutes: How often the state is saved, besides the recipe's checkpoints.

    Returns:
        The run; its `detector` is the detector's folder.

    Raises:
        RecipeError, DataError, WeightsError, RunError: See their messages.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    if isinstance(recipe, Recipe) and settings:
        raise RecipeError("settings go with the name or the file of a recipe; put them into this one yourself")
    if folds < 0 or folds == 1:
        raise DataError(f"--folds {folds} makes no sense; give 2 or more, or leave it out")
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, settings)
    if folds:
        recipe = dataclasses.replace(recipe, loop=dataclasses.replace(recipe.loop, select="last"))
    data = open_data(data)
    if recipe.optim.name == "logistic":
        return train_head(recipe, data, Path(out), folds=folds, resume=resume, device=device, threads=threads)
    place, out = pick_device(device), Path(out)
    set_threads(_threads_of(out) if resume and threads is None else threads)
    reuse_memory()
    rows = training_rows(data, recipe, POOL if folds else ("train",))
    # All that can be wrong with the input is found before the run folder is made.
    job = _Job(data, recipe, place, fingerprint(place), recovery_minutes)
    prepared = job.prepare(rows)
    for part in () if folds else ("validation", "calibration"):
        _require_both(data, data.rows(part), f"{part} part")
    fold = fold_of(data, rows, folds) if folds else None
    callbacks = [_tracker(name, out, recipe) for name in trackers]
    if resume and (out / "recipe.toml").exists():
        run = Run.open(out)
        run.require_same(recipe, data.hash, folds)
    else:
        described = _describe(data, rows) | ({"folds": folds} if folds else {})
        run = Run.create(out, recipe, described, {**job.machine, "start_weights": prepared.start})
    with keeping(f"{out} is safe up to its last checkpoint; make room and go on with --resume"), run.locked():
        logger.info(
            "real = 0, fake = 1 (positive); %s training images; recipe %s", f"{len(rows):,}", recipe.hash()[:16]
        )
        network = prepared.network
        logger.info("%s, %s parameters; start weights: %s", network.name, f"{network.parameters:,}", prepared.start)
        _warn(data.labels[rows], recipe, prepared.batches.updates_per_epoch)
        logits = None if fold is None else out_of_fold(run.folds, data, rows, fold, job.fit_and_score)
        if fold is not None and logits is not None:
            logger.info("the detector's own network: all %s images train", f"{len(rows):,}")
        state = job.fit(run.path, prepared, None if folds else data.rows("validation"), callbacks, resume=resume)
        if not (run.detector / "README.md").exists():
            _make_detector(run, job, prepared, state, rows, fold, logits)
    return run


POOL = ("train", "validation", "calibration")
"""Parts that cross-validation takes together."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Prepared:
    """A network before its first update, and what it is fed."""

    network: Network
    preprocessing: Preprocessing
    start: str
    batches: TrainingBatches
    images: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Job:
    """What all trainings of a run share."""

    data: DataFolder
    recipe: Recipe
    device: torch.device
    machine: dict[str, Any]
    recovery_minutes: float

    def prepare(self, rows: npt.NDArray[np.int64]) -> _Prepared:
        """Make a network and its training stream."""
        network, preprocessing, start = prepare_network(self.recipe)
        batches = TrainingBatches(self.data, rows, self.recipe.augment, preprocessing, self.recipe.loop, self.device)
        return _Prepared(network, preprocessing, start, batches, len(rows))

    def fit(
        self,
        folder: Path,
        prepared: _Prepared,
        validation: npt.NDArray[np.int64] | None,
        callbacks: Sequence[Callback] = (),
        *,
        resume: bool,
    ) -> Path:
        """Train in a folder from where it stands; put the selected weights on the CPU and return their checkpoint."""
        loop, network, states = self.recipe.loop, prepared.network, folder / "checkpoints"
        bar = ProgressBar(loop.epochs * prepared.images, loop.micro_batch * loop.accumulation)
        training = Training(
            placed(network, self.recipe, self.device),
            self.recipe,
            prepared.batches,
            None if validation is None else _evaluation(self.data, validation, prepared.preprocessing, self.device),
            folder=states,
            log=JsonLines(folder / "metrics.jsonl"),
            callbacks=Callbacks([*callbacks, bar]),
            machine=self.machine,
            recovery_minutes=self.recovery_minutes,
        )
        if resume:
            training.resume()
        if training.update < training.total:
            training.run()
        chosen = checkpoint.pointed(states, loop.select)
        assert chosen is not None, "a finished run has saved its last update"
        network.module.cpu()
        restore(network.module, chosen / f"{JUDGED[loop.ema > 0]}.safetensors")
        return chosen

    def fit_and_score(self, folder: Path, rows: npt.NDArray[np.int64], held: npt.NDArray[np.int64]) -> Floats:
        """Train one fold's network in its folder, from where it stands, and return the logits of the held-out rows."""
        folder.mkdir(parents=True, exist_ok=True)
        prepared = self.prepare(rows)
        self.fit(folder, prepared, None, resume=True)
        return self.logits(prepared, held)

    def logits(self, prepared: _Prepared, rows: npt.NDArray[np.int64]) -> Floats:
        """Return the logits of rows by a network that is on the CPU, computed where the run computes."""
        module = copy.deepcopy(prepared.network.module).to(self.device)
        runtime = TorchRuntime(module, prepared.preprocessing, self.device)
        return np.concatenate(list(logits_of_rows(runtime, self.data.pixels, rows, prepared.preprocessing)))


def _threads_of(run: Path) -> int | None:
    """Return how many threads an interrupted run last used; None where torch may not use as many here."""
    folder = checkpoint.newest(run / "checkpoints")
    before = None if folder is None else checkpoint.State.read(folder).machine.get("threads")
    return before if before is not None and before <= torch.get_num_threads() else None


def training_rows(data: DataFolder, recipe: Recipe, parts: Sequence[str] = ("train",)) -> npt.NDArray[np.int64]:
    """Return the manifest rows a recipe trains on, in the manifest's order.

    Args:
        data: The data folder.
        recipe: Says which images are left out.
        parts: Of the data folder; one that it does not have is passed over, but for the first.

    Raises:
        DataError: None, or of one label only.
    """
    there = [parts[0], *(part for part in parts[1:] if part in data.info["counts"])]
    rows = np.sort(np.concatenate([data.rows(part) for part in there]))
    if recipe.data.drop_cross_split_duplicates:
        rows = rows[~data.cross_split_duplicate[rows]]
    if recipe.data.sample:
        known = data.table(["label", "category"], rows)
        pairs = zip(known["label"].to_pylist(), known["category"].to_pylist(), strict=True)
        strata = [f"{label}/{category}" for label, category in pairs]
        rows = rows[stratified_sample(strata, recipe.data.sample, recipe.data.sample_seed)]
    _require_both(data, rows, f"{' + '.join(there)} part")
    return rows


def prepare_network(recipe: Recipe) -> tuple[Network, Preprocessing, str]:
    """Return a recipe's network with its start weights, its preprocessing, and a line on what was loaded."""
    network = create_network(recipe.model.name, size=recipe.data.size, seed=recipe.loop.seed)
    if recipe.weights.head == "uniform":
        draw_head(network, recipe.loop.seed)
    network, loaded = load_start_weights(network, recipe.weights.start)
    set_trainable(network, recipe.weights.train)
    preprocessing = preprocessing_of(recipe, network)
    return network, preprocessing, loaded.describe() if loaded else "scratch"


def preprocessing_of(recipe: Recipe, network: Network) -> Preprocessing:
    """Return what a recipe's network sees at evaluation."""
    data = recipe.data
    return Preprocessing(
        data.size,
        data.interpolation,
        network.mean,
        network.std,
        data.crop_mode,
        crops=data.crops,
        pooling=data.pooling,
        short_side=data.short_side,
    )


def placed(network: Network, recipe: Recipe, device: torch.device) -> nn.Module:
    """Move a network to where it trains, in the recipe's memory layout and compiled where it says so."""
    module = network.module.to(device)
    if recipe.precision.channels_last:
        module = module.to(memory_format=torch.channels_last)
    if recipe.precision.compile:
        module.compile()  # in place: the names of the parameters stay
    return module


def _evaluation(
    data: DataFolder, rows: npt.NDArray[np.int64], preprocessing: Preprocessing, device: torch.device
) -> Evaluate:
    """Return what scores the rows of the validation part with a network in training."""

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
        raise DataError(f"the {part} of {data.path} lacks real or fake images; both are needed")


def _warn(labels: Labels, recipe: Recipe, updates_per_epoch: int) -> None:
    """Warn of labels that are uneven and of a training that is too short to learn anything."""
    real, fake = (int((labels == code).sum()) for code in (0, 1))
    if max(real, fake) > UNEVEN * min(real, fake):
        logger.warning(
            "training images are uneven: %s real, %s fake; scores lean to the commoner label: give as many of each, and"
            " read AUROC and the error rate of each label, not accuracy",
            f"{real:,}",
            f"{fake:,}",
        )
    planned = recipe.loop.epochs * updates_per_epoch
    updates = min(planned, recipe.loop.max_updates or planned)
    if updates < FEWEST_UPDATES:
        logger.warning(
            "only %d update%s: a network hardly learns in fewer than %d; raise the epochs: --set loop.epochs=%d",
            updates,
            "" if updates == 1 else "s",
            FEWEST_UPDATES,
            math.ceil(FEWEST_UPDATES / updates_per_epoch),
        )


def _make_detector(
    run: Run,
    job: _Job,
    prepared: _Prepared,
    chosen: Path,
    rows: npt.NDArray[np.int64],
    fold: npt.NDArray[np.int64] | None,
    logits: Floats | None,
) -> None:
    """Calibrate the selected weights, on the calibration part or on out-of-fold logits, and write the detector."""
    data, recipe, network, policy = job.data, job.recipe, prepared.network, Policy()
    if fold is not None and logits is not None:
        calibration, folds = rows, int(fold.max()) + 1
        temperature, thresholds = fit(logits, data, rows, policy, folds)
        write_out_of_fold(run.folds, data, rows, fold, logits, temperature)
        figures = figures_out_of_fold(logits / temperature, data, rows, fold, policy, thresholds.high)
        judged = out_of_fold_of(data, folds)
        left = fold_temperature(network, temperature)
        logger.info("temperature and thresholds come from %s", thresholds.origin)
    else:
        calibration = data.rows("calibration")
        temperature, thresholds = fit(job.logits(prepared, calibration), data, calibration, policy)
        left = fold_temperature(network, temperature)
        figures = figures_of(job.logits(prepared, data.rows("validation")), data, "validation", thresholds)
        judged = validation_of(data, chose=True)
    card = Card(
        temperature=temperature,
        thresholds=thresholds,
        domain=domain_of(data, calibration, prepared.preprocessing),
        trained_on={"name": data.name, "hash": data.hash, "images": len(rows)},
        figures={judged: plain(figures)},
        recipe_hash=recipe.hash(),
        seed=recipe.loop.seed,
        start_weights=prepared.start,
    )
    Classifier(network, prepared.preprocessing, card, data.keys(rows), temperature=left).save(run.detector)
    seconds = checkpoint.State.read(checkpoint.pointed(run.checkpoints, "last") or chosen).seconds
    logger.info("detector of %s: %s: F1 %s, AUROC %s", chosen.name, judged, figures["f1"], figures["auroc"])
    logger.info("trained in %s; the detector is %s", duration(seconds), run.detector)


def _describe(data: DataFolder, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
    return {
        "name": data.name,
        "hash": data.hash,
        "counts": data.info["counts"],
        "split_seed": data.info["split_seed"],
        "training_images": len(rows),
    }
