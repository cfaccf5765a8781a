"""Several processes that train one network, one on each GPU: started by torchrun, agreed by collectives.

Each process makes some of the micro-batches of every update, and gradients are summed before the optimizer's step, so
weights stay the same everywhere. Not torch's DistributedDataParallel: an epoch's last update may have fewer
micro-batches than there are processes, and BatchNorm's statistics are merged in the order of the micro-batches.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

import torch
from torch import distributed, nn

from asli.errors import AsliError, Interrupted, RecipeError, RunError, TimeUp

WAIT = timedelta(minutes=30)
"""How long a process waits for the others in a collective; a process that ends is noticed at once by torchrun."""

BUCKET = 2**24
"""Gradient values that are summed at once, to bound the memory of the copy."""

logger = logging.getLogger("asli")


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a training.

    Attributes:
        rank: This one's number.
        size: How many there are.
        device: Device of the tensors they exchange.
    """

    rank: int = 0
    size: int = 1
    device: torch.device | None = None

    @property
    def first(self) -> bool:
        """Whether this process writes, logs and tracks."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, ...]:
        """Return the first of this process's micro-batches and the step to the next; empty where it makes all."""
        return (self.rank, self.size) if self.size > 1 else ()

    def require_share(self, accumulation: int) -> None:
        """Refuse a number of processes that cannot share an update evenly.

        Raises:
            RecipeError: It does not divide the accumulation.
        """
        if accumulation % self.size:
            fits = [str(count) for count in range(1, accumulation + 1) if accumulation % count == 0]
            raise RecipeError(
                f"{self.size} processes cannot share loop.accumulation={accumulation} evenly;"
                f" start {' or '.join(fits)}, or set loop.accumulation to a multiple of {self.size}"
            )

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Add up a tensor over all processes, in place; return it."""
        if self.size > 1:
            _together(distributed.all_reduce, tensor)
        return tensor

    def sum_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Add up gradients over all processes; a parameter that nobody has a gradient for keeps none."""
        if self.size == 1:
            return
        there = self.sum(torch.tensor([float(p.grad is not None) for p in parameters], device=self.device))
        wanted = [p for p, count in zip(parameters, there.tolist(), strict=True) if count]
        for bucket in _buckets(wanted):
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
            flat = self.sum(torch.cat([gradient.reshape(-1) for gradient in gradients]))
            for parameter, gradient, part in zip(
                bucket, gradients, torch.split_with_sizes(flat, [g.numel() for g in gradients]), strict=True
            ):
                gradient.copy_(part.view_as(gradient))
                parameter.grad = gradient

    def agree(self, *wishes: bool) -> tuple[bool, ...]:
        """Return for each wish whether any process has it."""
        if self.size == 1:
            return wishes
        counts = self.sum(torch.tensor([float(wish) for wish in wishes], device=self.device))
        return tuple(count > 0 for count in counts.tolist())

    def same_start(self, module: nn.Module) -> None:
        """Give every process the first one's parameters and buffers."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                _together(distributed.broadcast, tensor, 0)

    @contextmanager
    def naming_itself(self) -> Iterator[None]:
        """Log an error that only this process meets, with its number; the first one prints those that all meet."""
        try:
            yield
        except (RunError, Interrupted, TimeUp):  # the loss, a signal, the time, a lost process: all of them end so
            raise
        except AsliError as error:
            logger.error("process %d: %s", self.rank, error)
            raise

    def wait(self) -> None:
        """Wait until every process is here."""
        self.agree(True)


ALONE = Processes()
"""One process."""


def started() -> tuple[int, int]:
    """Return this process's rank and how many processes torchrun started; 0 and 1 without torchrun."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def join(device: torch.device) -> tuple[Processes, torch.device]:
    """Join the processes that torchrun started, each on a GPU of its own.

    Args:
        device: Where to train.

    Returns:
        The processes, and this one's device.

    Raises:
        AsliError: There are fewer GPUs than processes, or they cannot reach each other.
    """
    rank, size = started()
    if size == 1:
        return ALONE, device
    if device.type == "cuda":
        here, count = int(os.environ.get("LOCAL_WORLD_SIZE", size)), torch.cuda.device_count()
        if here > count:  # asked in every process, so that the first one prints it
            raise AsliError(f"{here} processes here, but {count} GPUs; use --nproc-per-node={count}")
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", rank)))
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise AsliError(f"several processes cannot share {device}; train in one process")
    if not distributed.is_initialized():
        # Its functions take the group of this moment as a default: imported later, they would keep that group, and its
        # threads, beyond `leave`. An optimizer's first step imports it.
        import_module("torch.distributed.nn.functional")
        try:
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=WAIT)
        except (RuntimeError, ValueError) as error:
            raise AsliError(f"the {size} processes cannot reach each other: {str(error).splitlines()[0]}") from error
    if rank:
        logger.setLevel(logging.ERROR)  # the first one logs for all
    return Processes(rank, size, device), device


@contextmanager
def left_together(processes: Processes) -> Iterator[None]:
    """End the exchange where all processes end the work inside: at its end, or where they agreed to stop.

    Not after another error: NCCL would wait for the processes that do not meet it.
    """
    try:
        yield
    except (Interrupted, TimeUp):
        leave(processes)
        raise
    leave(processes)


def leave(processes: Processes) -> None:
    """End the exchange with the other processes, and its threads: they may abort a Python that ends before them."""
    if processes.size > 1 and distributed.is_initialized():
        distributed.destroy_process_group()


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterable[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    values = 0
    for parameter in parameters:
        if bucket and (values + parameter.numel() > BUCKET or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket, values = [], 0
        bucket.append(parameter)
        values += parameter.numel()
    if bucket:
        yield bucket


def _together(collective: Callable[..., Any], *arguments: Any) -> None:
    """Take part in a collective.

    Raises:
        RunError: Another process is gone.
    """
    try:
        collective(*arguments)
    except RuntimeError as error:
        why = str(error).splitlines()[0][:200]
        raise RunError(f"another process of this training was lost ({why}); go on with --resume") from error
