"""Train one network in a folder, from wherever it stands: what a run and each of its folds have in common."""

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asli.datasets.folder import DataFolder
from asli.datasets.splits import stratified_sample
from asli.detector.runtimes import TorchRuntime, logits_of_rows
from asli.errors import DataError
from asli.metrics.classification import Floats, training_figures
from asli.models.arithmetic import arithmetic
from asli.models.networks import Network, create_network, draw_head, set_trainable
from asli.models.weights import load_start_weights
from asli.recipe import Recipe
from asli.run import Run
from asli.threads import usable_cpus
from asli.tracking.jsonl import JsonLines
from asli.training import checkpoint
from asli.training.batches import TrainingBatches
from asli.training.callbacks import Callback, Callbacks, ProgressBar
from asli.training.loop import EVALUATED, Training
from asli.training.prefetch import Prefetching
from asli.training.processes import ALONE, Processes
from asli.training.protocols import Batches, Evaluate
from asli.transforms.preprocessing import Preprocessing

POOL = ("train", "validation", "calibration")
"""Parts that cross-validation takes together."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """How a call works; the result does not depend on it.

    Attributes:
        recovery_minutes: How often the state is saved, besides the recipe's checkpoints.
        deadline: Monotonic time, in seconds, at which to save and stop; None for never.
        keep_last: How many resumable checkpoints to keep, besides the best one's; 0 keeps all.
        processes: Who shares the work.
        prefetch: Threads that make batches ahead; 0 makes each when it is needed, None takes what suits the device.
    """

    recovery_minutes: float = 10.0
    deadline: float | None = None
    keep_last: int = 0
    processes: Processes = ALONE
    prefetch: int | None = None

    def prefetching(self, device: torch.device) -> int:
        """Return how many threads make batches ahead: by default none on a CPU, which they would take from training."""
        if self.prefetch is not None:
            return self.prefetch
        return 0 if device.type == "cpu" else max(1, min(2, usable_cpus() // self.processes.size))


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A network before its first update, and what it is fed."""

    network: Network
    preprocessing: Preprocessing
    start: str
    batches: TrainingBatches
    images: int


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingJob:
    """Settings that all trainings of a run share."""

    data: DataFolder
    recipe: Recipe
    device: torch.device
    machine: dict[str, Any]
    session: Session

    def prepare(self, rows: npt.NDArray[np.int64]) -> Prepared:
        """Make a network and its training stream."""
        network, preprocessing, start = prepare_network(self.recipe)
        batches = TrainingBatches(
            self.data,
            rows,
            self.recipe.augment,
            preprocessing,
            self.recipe.loop,
            self.device,
            self.recipe.data.resampling,
        )
        return Prepared(network, preprocessing, start, batches, len(rows))

    def fit(
        self,
        folder: Path,
        prepared: Prepared,
        validation: npt.NDArray[np.int64] | None,
        callbacks: Sequence[Callback] = (),
        *,
        resume: bool,
    ) -> Path:
        """Train in a folder from where it stands; put the selected weights on the CPU and return their checkpoint."""
        loop, network, states = self.recipe.loop, prepared.network, folder / "checkpoints"
        session, updates = self.session, loop.epochs * prepared.batches.updates_per_epoch
        batches: Batches = prepared.batches
        if threads := session.prefetching(self.device):
            batches = Prefetching(prepared.batches, min(updates, loop.max_updates or updates), threads)
        bar = ProgressBar(loop.epochs * prepared.images, loop.micro_batch * loop.accumulation)
        training = Training(
            placed(network, self.recipe, self.device),
            self.recipe,
            batches,
            None if validation is None else self._evaluation(validation, prepared.preprocessing),
            folder=states,
            log=JsonLines(folder / "metrics.jsonl"),
            callbacks=Callbacks([*callbacks, bar]),
            machine=self.machine,
            recovery_minutes=session.recovery_minutes,
            deadline=session.deadline,
            keep_last=session.keep_last,
            processes=session.processes,
        )
        if resume:
            training.resume()
        if training.update < training.total:
            try:
                with arithmetic(self.recipe.precision, self.device):
                    training.run()
            finally:
                if isinstance(batches, Prefetching):
                    batches.close()
        chosen = checkpoint.pointed(states, loop.select)
        assert chosen is not None, "a finished run has saved its last update"
        network.module.cpu()
        network.module.load_state_dict(checkpoint.load(chosen, EVALUATED[loop.ema > 0]))
        return chosen

    def _evaluation(self, rows: npt.NDArray[np.int64], preprocessing: Preprocessing) -> Evaluate:
        """Return what scores the rows of the validation part with a network in training; each process scores some."""
        processes = self.session.processes
        own = np.arange(len(rows))[processes.rank :: processes.size]

        def evaluate(module: nn.Module) -> dict[str, float]:
            runtime = TorchRuntime(module, preprocessing, self.device)
            parts = list(logits_of_rows(runtime, self.data.pixels, rows[own], preprocessing))
            logits = np.concatenate(parts) if parts else np.empty((0, 2))
            if processes.size > 1:
                whole = torch.zeros(len(rows), 2, dtype=torch.float64)
                whole[own] = torch.from_numpy(logits)
                logits = processes.sum(whole.to(self.device)).cpu().numpy()
            return training_figures(self.data.labels[rows], logits)

        return evaluate

    def fit_and_score(self, folder: Path, rows: npt.NDArray[np.int64], held: npt.NDArray[np.int64]) -> Floats:
        """Train one fold's network in its folder, from where it stands, and return the logits of the held-out rows."""
        folder.mkdir(parents=True, exist_ok=True)
        prepared = self.prepare(rows)
        self.fit(folder, prepared, None, resume=True)
        return self.logits(prepared, held)

    def logits(self, prepared: Prepared, rows: npt.NDArray[np.int64]) -> Floats:
        """Return the logits of rows by a network that is on the CPU, computed where the run computes."""
        module = copy.deepcopy(prepared.network.module).to(self.device)
        runtime = TorchRuntime(module, prepared.preprocessing, self.device)
        return np.concatenate(list(logits_of_rows(runtime, self.data.pixels, rows, prepared.preprocessing)))


def training_rows(data: DataFolder, recipe: Recipe, parts: Sequence[str] = ("train",)) -> npt.NDArray[np.int64]:
    """Return the manifest rows a recipe trains on, in the manifest's order.

    Args:
        data: The data folder.
        recipe: Says which images are left out.
        parts: Parts of the data folder; one that it does not have is passed over, but for the first.

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
    require_both(data, rows, f"{' + '.join(there)} part")
    return rows


def prepare_network(recipe: Recipe) -> tuple[Network, Preprocessing, str]:
    """Return a recipe's network with its start weights, its preprocessing, and a line on what was loaded."""
    network = create_network(recipe.model.name, size=recipe.data.size, seed=recipe.loop.seed)
    if recipe.weights.head == "uniform":
        draw_head(network, recipe.loop.seed)
    network, loaded = load_start_weights(network, recipe.weights.start)
    set_trainable(network, recipe.weights.train)
    preprocessing = Preprocessing.of(recipe.data, network.mean, network.std)
    return network, preprocessing, loaded.describe() if loaded else "scratch"


def placed(network: Network, recipe: Recipe, device: torch.device) -> nn.Module:
    """Move a network to where it trains, in the recipe's memory layout and compiled where it says so."""
    module = network.module.to(device)
    if recipe.precision.channels_last:
        module = module.to(memory_format=torch.channels_last)
    if recipe.precision.compile:
        module.compile()  # in place: the names of the parameters stay
    return module


def require_both(data: DataFolder, rows: npt.NDArray[np.int64], part: str) -> None:
    """Refuse rows of one label only.

    Raises:
        DataError: Real or fake images are missing among them; the message names the part.
    """
    if len(np.unique(data.labels[rows])) < 2:
        raise DataError(f"the {part} of {data.path} lacks real or fake images; both are needed")


def describe(data: DataFolder, rows: npt.NDArray[np.int64], folds: int) -> dict[str, Any]:
    """Return what a run keeps of its data; `folds` is 0 for none."""
    return {
        "name": data.name,
        "hash": data.hash,
        "counts": data.info["counts"],
        "split_seed": data.info["split_seed"],
        "training_images": len(rows),
        **({"folds": folds} if folds else {}),
    }


def run_folder(
    out: Path,
    recipe: Recipe,
    described: dict[str, Any],
    environment: dict[str, Any],
    *,
    resume: bool,
    source: Path | None = None,
) -> Run:
    """Make the run folder, or open the one to resume: `out`, or another, `source`, that it is to start from.

    Raises:
        RunError: There is another run.
    """
    if source is not None and source != out:
        there = Run.open(source)
        there.require_same(recipe, described["hash"], described.get("folds", 0))
        there.copy_to(out)
        return Run.open(out)
    if resume and (out / "recipe.toml").exists():
        run = Run.open(out)
        run.require_same(recipe, described["hash"], described.get("folds", 0))
        return run
    return Run.create(out, recipe, described, environment)
