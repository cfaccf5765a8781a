"""The loop: updates, evaluations, checkpoints. It knows no data folder, and of the metrics only which way is better."""

import logging
import math
import shutil
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from asli.errors import AsliError, Interrupted, RunError, TimeUp
from asli.recipe import Recipe
from asli.signals import stop_on_signal
from asli.training import checkpoint
from asli.training.batches import MicroBatch
from asli.training.batchnorm import RunningStatistics, reestimate
from asli.training.callbacks import Callback
from asli.training.checkpoint import State, step_name
from asli.training.ema import EMA
from asli.training.optimizer import make_optimizer, optimizer_tensors, restore_optimizer
from asli.training.processes import ALONE, Processes
from asli.training.protocols import Batches, Evaluate, Log
from asli.training.scaling import LossScaler
from asli.training.schedule import Schedule
from asli.transforms.randomness import derived_seed

logger = logging.getLogger("asli")

EVALUATED = {False: "model", True: "ema"}
"""Which of a checkpoint's files holds the evaluated weights, by whether the recipe averages."""

LOW = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Type of autocast by the recipe's name."""


class Training:
    """A run in memory.

    Args:
        module: The network, on its device.
        recipe: What determines the run.
        batches: Its training stream.
        evaluate: Scores the validation part; None where there is none, and nothing to select.
        folder: Folder of the checkpoints.
        log: Log of the measurements.
        callbacks: Watches.
        machine: What the last bits depend on; kept in each checkpoint and compared on resume.
        recovery_minutes: How often the state is saved for a resume, besides the recipe's checkpoints.
        deadline: Monotonic time, in seconds, after which the state is saved and training stops; None for never.
        keep_last: How many resumable checkpoints are kept, besides the best one's; 0 keeps all.
        processes: Who shares the micro-batches. The first alone writes and calls callbacks.
    """

    def __init__(
        self,
        module: nn.Module,
        recipe: Recipe,
        batches: Batches,
        evaluate: Evaluate | None,
        *,
        folder: Path,
        log: Log,
        callbacks: Callback,
        machine: dict[str, Any],
        recovery_minutes: float,
        deadline: float | None = None,
        keep_last: int = 0,
        processes: Processes = ALONE,
    ) -> None:
        self.module, self.recipe, self.batches, self.evaluate = module, recipe, batches, evaluate
        self.folder, self.log, self.callbacks = folder, log, callbacks
        self._machine, self._recovery_seconds = machine, 60 * recovery_minutes
        self._deadline, self._keep_last, self._processes = deadline, keep_last, processes
        self._scaler = LossScaler() if recipe.precision.dtype == "float16" else None
        self._statistics = RunningStatistics(module, processes)
        self.optimizer = make_optimizer(module, recipe.optim)
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.ema = EMA(module, recipe.loop.ema) if recipe.loop.ema else None
        self.planned = recipe.loop.epochs * batches.updates_per_epoch
        self.total = min(self.planned, recipe.loop.max_updates or self.planned)
        self.schedule = Schedule(recipe.schedule, recipe.optim.lr, self.planned)
        self.update = 0
        self.best: float | None = None
        self.best_update: int | None = None
        self._seconds = 0.0
        self._device = self.parameters[0].device

    @property
    def evaluated(self) -> nn.Module:
        """Return the network that is evaluated and becomes the detector: the averaged one where there is one."""
        return self.ema.module if self.ema else self.module

    def run(self) -> None:
        """Train to the end from wherever the state stands.

        Raises:
            Interrupted: A signal asked to stop; the state is saved.
            TimeUp: The deadline has passed; the state is saved.
            RunError: The loss is no longer finite, or another process was lost.
        """
        self._clock = time.monotonic() - self._seconds
        self._recovered = time.monotonic()
        self._processes.same_start(self.module)
        if self._processes.first:
            self.callbacks.on_start(update=self.update, total=self.total)
        stopped: AsliError | None = None
        try:
            with stop_on_signal() as stop:
                while self.update < self.total and stopped is None:
                    self.one_update()
                    if self.evaluate and self._due(self.recipe.loop.evaluate_every):
                        self._evaluate(self.evaluate)
                    stopped = self._keep(stop.requested)
        finally:
            if self._processes.first:
                self.callbacks.on_end()
        if stopped is None:
            if self._scaler and self._scaler.skipped:
                logger.warning("float16: %s of %s updates were skipped", f"{self._scaler.skipped:,}", f"{self.total:,}")
            if self._processes.first:
                shutil.rmtree(self.folder / "recovery", ignore_errors=True)
        self._processes.wait()  # torchrun ends the first one, trackers included, as soon as another has failed
        if stopped is not None:
            raise stopped

    def _keep(self, requested: bool) -> AsliError | None:
        """Save what is due after an update; return why training stops before its end, or None."""
        now, first = time.monotonic(), self._processes.first
        requested, over, recovery = self._processes.agree(
            requested,
            first and self._deadline is not None and now > self._deadline,
            first and now - self._recovered > self._recovery_seconds,
        )
        if self._due(self.recipe.loop.checkpoint_every):
            self._save(self.folder / step_name(self.update))
            if first:
                checkpoint.point(self.folder, "last", step_name(self.update))
                checkpoint.keep_newest(self.folder, self._keep_last)
            self._recovered = time.monotonic()
        elif requested or over or recovery:
            self._save_recovery()
            self._recovered = time.monotonic()
        if self.update == self.total or not (requested or over):
            return None
        where = f"after update {self.update:,} of {self.total:,}; go on with --resume"
        return Interrupted(f"stopped {where}") if requested else TimeUp(f"time is up: stopped {where}")

    def resume(self) -> None:
        """Take up the newest checkpoint, or start from the beginning where there is none."""
        folder = checkpoint.newest(self.folder)
        if folder is None:
            if self._processes.first:
                self.log.truncate(0)
            return
        state = State.read(folder)
        before = {"processes": 1, **state.machine}
        differing = [key for key, value in self._machine.items() if before.get(key) != value]
        if differing:
            changes = ", ".join(f"{key} {before.get(key)} -> {self._machine[key]}" for key in differing)
            logger.warning("resuming on another set-up (%s): the last bits of the result may differ", changes)
        self.module.load_state_dict(checkpoint.load(folder, "model"))
        restore_optimizer(self.module, self.optimizer, checkpoint.load(folder, "optimizer"))
        if self.ema:
            self.ema.module.load_state_dict(checkpoint.load(folder, "ema"))
        if self._scaler and state.loss_scaler:
            self._scaler.restore(state.loss_scaler)
        if self._processes.first:
            self.log.truncate(state.metrics_bytes)
        self.update, self.best, self.best_update = state.update, state.best, state.best_update
        self._seconds = state.seconds
        logger.info("resuming after update %s of %s", f"{self.update:,}", f"{self.total:,}")

    def one_update(self) -> None:
        """Make one optimizer step, or skip it where float16 overflows, and log it.

        Raises:
            RunError: The loss is no longer finite.
        """
        self.module.train()
        rate = self.schedule(self.update)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images = sum(len(rows) for rows in self.batches.group(self.update))
        before = [buffer.clone() for buffer in self.module.buffers()] if self._scaler else []
        total = self._gradients(images)
        scale = {} if self._scaler is None else {"loss_scale": self._scaler.scale}
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.optim.clip or math.inf)
        metrics = {"loss": float(total), "lr": rate, "grad_norm": float(norm), **scale}
        finite = math.isfinite(metrics["loss"] + metrics["grad_norm"])
        if finite:
            self.optimizer.step()
            if self.ema:
                self.ema.update(self.module, self.update)
        else:
            for buffer, value in zip(self.module.buffers(), before, strict=bool(before)):
                buffer.copy_(value)  # statistics of an overflow would stay for good
        self.optimizer.zero_grad(set_to_none=True)
        self.update += 1
        if not finite and self._scaler is None:
            raise RunError(f"loss not finite at update {self.update}; try a lower optim.lr, or set optim.clip")
        if self._scaler:
            self._scaler.adjust(finite=finite)
        if not self._processes.first:
            return
        if finite:
            self.log.append("train", self.update, metrics)
            self.callbacks.on_update(update=self.update, metrics=metrics, images=images)
        else:
            self.log.append("skipped", self.update, scale)
            self.callbacks.on_skipped(update=self.update, metrics=scale, images=images)

    def _gradients(self, images: int) -> torch.Tensor:
        """Leave the gradients of an update in the parameters; return its loss, the mean over its images.

        A micro-batch of any update is the same, and has the same dropout, whatever process computes it.
        """
        seed, count = self.recipe.loop.seed, len(self.batches.group(self.update))
        processes, shared = self._processes, self._processes.size > 1
        losses = torch.zeros(count, dtype=self.parameters[0].dtype, device=self._device)
        if shared:
            self._statistics.begin()
        own = range(count)[slice(processes.rank, None, processes.size)]
        for number, batch in zip(own, self.batches.micro_batches(self.update, *processes.share), strict=True):
            torch.manual_seed(derived_seed(seed, self.update, number, 0))  # dropout; the last part is always 0
            if shared:
                self._statistics.before()
            loss = loss_sum(self.module, batch, self.recipe) / images
            (loss * self._scaler.scale if self._scaler else loss).backward()  # type: ignore[no-untyped-call]
            losses[number] = loss.detach()
            if shared:
                self._statistics.after(number)
        if shared:
            processes.sum_gradients(self.parameters)
            processes.sum(losses)
            self._statistics.merge(count)
        if self._scaler:
            self._scaler.unscale([p.grad for p in self.parameters if p.grad is not None])
        total = torch.zeros((), dtype=losses.dtype, device=self._device)
        for loss in losses:
            total += loss
        return total

    def _evaluate(self, evaluate: Evaluate) -> None:
        self._reestimate()
        self.evaluated.eval()
        metrics = evaluate(self.evaluated)
        if self._processes.first:
            self.log.append("validation", self.update, metrics)
            self.callbacks.on_evaluation(update=self.update, metrics=metrics)
        by = self.recipe.loop.select_by
        better = improves(by, metrics[by], self.best)
        best = " (best so far)" if better else ""
        figures = f"F1 {metrics['f1']:.4f}, loss {metrics['loss']:.4f}"
        logger.info("update %s: validation %s%s", f"{self.update:,}", figures, best)
        if better:
            self._keep_best(metrics[by])

    def _reestimate(self) -> None:
        """Compute BatchNorm's statistics anew, where the recipe asks for it."""
        count = self.recipe.loop.reestimate_batchnorm
        if count:
            reestimate(self.evaluated, self._latest_inputs(count))

    def _latest_inputs(self, count: int) -> Iterator[torch.Tensor]:
        """Make again the inputs of the newest micro-batches, as many as asked for or as there were."""
        first = max(self.update - -(-count // self.recipe.loop.accumulation), 0)
        latest = (batch for update in range(first, self.update) for batch in self.batches.micro_batches(update))
        return (batch.inputs for batch in islice(latest, count))

    def _keep_best(self, value: float) -> None:
        self.best, self.best_update = value, self.update
        if not self._processes.first:
            return
        previous = checkpoint.pointed(self.folder, "best")
        folder = self.folder / step_name(self.update)
        checkpoint.save(folder, self._state(), **{EVALUATED[self.ema is not None]: self.evaluated.state_dict()})
        checkpoint.point(self.folder, "best", folder.name)
        if previous and previous != folder and not checkpoint.tensor_file(previous, "optimizer").exists():
            shutil.rmtree(previous)

    def _save(self, folder: Path) -> None:
        if not self._processes.first:
            return
        tensors = {
            "model": self.module.state_dict(),
            "optimizer": optimizer_tensors(self.module, self.optimizer),
        }
        if self.ema:
            tensors["ema"] = self.ema.module.state_dict()
        checkpoint.save(folder, self._state(), **tensors)

    def _save_recovery(self) -> None:
        if not self._processes.first:
            return
        folder = self.folder / "recovery"
        older = list(folder.glob("step-*"))
        self._save(folder / step_name(self.update))
        for old in older:
            if old.name != step_name(self.update):
                shutil.rmtree(old)

    def _state(self) -> State:
        return State(
            update=self.update,
            best=self.best,
            best_update=self.best_update,
            metrics_bytes=self.log.length(),
            seconds=time.monotonic() - self._clock,
            machine=self._machine,
            loss_scaler=self._scaler.state() if self._scaler else None,
        )

    def _due(self, every: int) -> bool:
        """Return whether something done every so many updates is due; after the last update it always is."""
        return self.update == self.total or (every > 0 and self.update % every == 0)


def loss_sum(module: nn.Module, batch: MicroBatch, recipe: Recipe) -> torch.Tensor:
    """Return the loss of a micro-batch, summed over its images, in the recipe's arithmetic."""
    precision, inputs = recipe.precision, batch.inputs
    if precision.channels_last:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    low = LOW[precision.dtype]
    with torch.autocast(inputs.device.type, dtype=low or torch.bfloat16, enabled=low is not None):
        logits = module(inputs)
    if low is not None:
        logits = logits.float()
    smoothing = recipe.optim.label_smoothing
    return F.cross_entropy(logits, batch.targets, reduction="sum", label_smoothing=smoothing)


def improves(by: str, value: float, best: float | None) -> bool:
    """Return whether a validation figure is better than the best so far: lower for the loss, higher for others."""
    return best is None or (value < best if by == "loss" else value > best)
