"""From recipe and data to a detector: the function behind `asli train`."""

import dataclasses
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from asli.cross_validation import out_of_fold
from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.folds import fold_of
from asli.detector.building import fold_temperature
from asli.detector.calibrate import domain_of, figures_of, fit_thresholds, out_of_fold_of, validation_of
from asli.detector.card import Card, TrainingData
from asli.detector.classifier import Classifier
from asli.detector.out_of_fold import figures_out_of_fold, write_out_of_fold
from asli.errors import DataError, RecipeError, RunError
from asli.files import keeping
from asli.fitting import POOL, Prepared, Session, TrainingJob, describe, require_both, run_folder, training_rows
from asli.head_training import train_head
from asli.metrics.classification import Floats, Labels
from asli.metrics.thresholds import Policy
from asli.models.arithmetic import fix_workspace, require_precision
from asli.models.device import describe_device, fingerprint, reuse_memory, set_threads, training_device
from asli.progress import duration
from asli.recipe import Recipe, load_recipe
from asli.run import Run
from asli.training import checkpoint
from asli.training.callbacks import Callback
from asli.training.processes import join, left_together, started

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
    stop_after: float | None = None,
    keep_last: int = 0,
    resume_from: str | Path | None = None,
    prefetch: int | None = None,
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
        threads: CPU threads of one operation; None takes those of a resumed run, for the same bits, else torch's
            choice.
        trackers: Any of `tensorboard`, `wandb`; with folds they see the detector's network.
        recovery_minutes: How often the state is saved, besides the recipe's checkpoints.
        stop_after: Seconds after which the state is saved and `TimeUp` raised, for sessions of a limited length.
        keep_last: How many resumable checkpoints to keep, besides the best one's; 0 keeps all.
        resume_from: An interrupted run of another session, which is only read. `out` continues it. If `out` is a run
            already, it resumes from itself.
        prefetch: Threads that make batches ahead; 0 for none. By default up to 2 beside a GPU, none on a CPU.

    If started by torchrun, the processes share the micro-batches of each update. Only the first process writes. It
    makes the detector after the others have ended.

    Returns:
        The run; its `detector` is the detector's folder.

    Raises:
        RecipeError, DataError, WeightsError, RunError: See their messages.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        TimeUp: `stop_after` has passed; the state is saved.
    """
    deadline = None if stop_after is None else time.monotonic() + stop_after
    out = source = Path(out)
    if isinstance(recipe, Recipe) and settings:
        raise RecipeError("settings go with the name or the file of a recipe; put them into this one yourself")
    if folds < 0 or folds == 1:
        raise DataError(f"--folds {folds} makes no sense; give 2 or more, or leave it out")
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, settings)
    if folds:
        recipe = dataclasses.replace(recipe, loop=dataclasses.replace(recipe.loop, select="last"))
    if recipe.optim.name == "logistic":
        if started()[1] > 1:
            raise DataError("a linear head trains in one process; start it without torchrun")
        given = {"--track": trackers, "--stop-after": stop_after is not None, "--resume-from": resume_from is not None}
        if unused := [flag for flag, there in given.items() if there]:
            raise DataError(f"a linear head makes no updates, so it has no use for {', '.join(unused)}; leave that out")
        return train_head(recipe, open_data(data), out, folds=folds, resume=resume, device=device, threads=threads)
    if resume_from is not None and not (out / "recipe.toml").is_file():
        source = Path(resume_from)
        if not (source / "recipe.toml").is_file():
            raise RunError(f"{source} is no run folder: it has no recipe.toml; give --resume-from an interrupted run")
    fix_workspace(recipe.precision)  # choosing the device starts CUDA
    place = training_device(device)
    require_precision(recipe.precision, place)
    if folds and started()[1] > 1:
        raise DataError("--folds trains in one process; start it without torchrun")
    processes, place = join(place)
    processes.require_share(recipe.loop.accumulation)
    data = open_data(data)
    resume = resume or resume_from is not None
    set_threads(_threads_of(source) if resume and threads is None else threads)
    reuse_memory()
    rows = training_rows(data, recipe, POOL if folds else ("train",))
    # All that can be wrong with the input is found before the run folder is made.
    session = Session(
        recovery_minutes=recovery_minutes,
        deadline=deadline,
        keep_last=keep_last,
        processes=processes,
        prefetch=prefetch,
    )
    job = TrainingJob(data, recipe, place, fingerprint(place) | {"processes": processes.size}, session)
    prepared = job.prepare(rows)
    for part in () if folds else ("validation", "calibration"):
        require_both(data, data.rows(part), f"{part} part")
    fold = fold_of(data, rows, folds) if folds else None
    callbacks = [_tracker(name, out, recipe) for name in trackers] if processes.first else []
    if processes.first:
        described = describe(data, rows, folds)
        environment = {**job.machine, "start_weights": prepared.start}
        run = run_folder(out, recipe, described, environment, resume=resume, source=source)
    processes.wait()
    if not processes.first:
        with processes.naming_itself(), left_together(processes):
            job.fit(out, prepared, data.rows("validation"), resume=resume)
        return Run.open(out)
    with keeping(f"{out} is safe up to its last checkpoint; make room and go on with --resume"), run.locked():
        logger.info(
            "real = 0, fake = 1 (positive); %s training images; recipe %s", f"{len(rows):,}", recipe.hash()[:16]
        )
        network = prepared.network
        shared = f", {processes.size} processes" if processes.size > 1 else ""
        logger.info("device: %s%s", describe_device(place), shared)
        logger.info("%s, %s parameters; start weights: %s", network.name, f"{network.parameters:,}", prepared.start)
        _warn(data.labels[rows], recipe, prepared.batches.updates_per_epoch)
        logits = None if fold is None else out_of_fold(run.folds, data, rows, fold, job.fit_and_score)
        if fold is not None and logits is not None:
            logger.info("the detector's own network: all %s images train", f"{len(rows):,}")
        with left_together(processes):
            state = job.fit(run.path, prepared, None if folds else data.rows("validation"), callbacks, resume=resume)
        if not (run.detector / "README.md").exists():
            _make_detector(run, job, prepared, state, rows, fold, logits)
    return run


def _threads_of(run: Path) -> int | None:
    """Return how many threads an interrupted run last used; None where torch may not use as many here."""
    folder = checkpoint.newest(run / "checkpoints")
    before = None if folder is None else checkpoint.State.read(folder).machine.get("threads")
    return before if before is not None and before <= torch.get_num_threads() else None


def _tracker(name: str, out: Path, recipe: Recipe) -> Callback:
    if name == "tensorboard":
        from asli.tracking.tensorboard import TensorBoard

        return TensorBoard(out)
    if name == "wandb":
        from asli.tracking.wandb import WeightsAndBiases

        return WeightsAndBiases(out, dataclasses.asdict(recipe))
    raise DataError(f"no tracker named '{name}'; there are tensorboard and wandb")


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
    job: TrainingJob,
    prepared: Prepared,
    chosen: Path,
    rows: npt.NDArray[np.int64],
    fold: npt.NDArray[np.int64] | None,
    logits: Floats | None,
) -> None:
    """Calibrate the selected weights, on the calibration part or on out-of-fold logits, and write the detector."""
    data, recipe, network, policy = job.data, job.recipe, prepared.network, Policy()
    if fold is not None and logits is not None:
        calibration, folds = rows, int(fold.max()) + 1
        temperature, thresholds = fit_thresholds(logits, data, rows, policy, folds)
        write_out_of_fold(run.folds, data, rows, fold, logits, temperature)
        figures = figures_out_of_fold(logits / temperature, data, rows, fold, policy, thresholds.high)
        origin = out_of_fold_of(data, folds)
        left = fold_temperature(network, temperature)
        logger.info("temperature and thresholds come from %s", thresholds.origin)
    else:
        calibration = data.rows("calibration")
        temperature, thresholds = fit_thresholds(job.logits(prepared, calibration), data, calibration, policy)
        left = fold_temperature(network, temperature)
        figures = figures_of(job.logits(prepared, data.rows("validation")), data, "validation", thresholds)
        origin = validation_of(data, chose=True)
    card = Card(
        temperature=temperature,
        thresholds=thresholds,
        domain=domain_of(data, calibration, prepared.preprocessing),
        trained_on=TrainingData(name=data.name, hash=data.hash, images=len(rows)),
        figures={origin: figures},
        recipe_hash=recipe.hash(),
        seed=recipe.loop.seed,
        start_weights=prepared.start,
    )
    Classifier(network, prepared.preprocessing, card, data.keys(rows), temperature=left).save(run.detector)
    seconds = checkpoint.State.read(checkpoint.pointed(run.checkpoints, "last") or chosen).seconds
    logger.info("detector of %s: %s: F1 %s, AUROC %s", chosen.name, origin, figures["f1"], figures["auroc"])
    logger.info("trained in %s; the detector is %s", duration(seconds), run.detector)
