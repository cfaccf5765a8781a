"""A training in float64, started alone or by torchrun: python -m tests.training.in_float64 DATA OUT."""

import sys
from pathlib import Path

import torch

from asli.datasets.folder import DataFolder
from asli.fitting import prepare_network, training_rows
from asli.recipe import load_recipe
from asli.tracking.jsonl import JsonLines
from asli.training.batches import MicroBatch, TrainingBatches
from asli.training.callbacks import Callback
from asli.training.loop import Training
from asli.training.processes import join, leave

SETTINGS = [
    *("data.sample=102", "loop.epochs=2", "loop.max_updates=0", "loop.micro_batch=8", "loop.accumulation=4"),
    *("loop.ema=0.9", "augment.crop=random-resized", "optim.name=sgd", "optim.lr=0.05", "optim.clip=1.0"),
]
"""An epoch is 3 updates of 32 images and one of 6: a single micro-batch, so the second of two processes has none."""


class Double(TrainingBatches):
    """The training stream in float64."""

    def finish(self, draft):
        made = super().finish(draft)
        return MicroBatch(made.inputs.double(), made.targets)


def train_in_float64(place: Path, out: Path) -> None:
    processes, device = join(torch.device("cpu"))
    recipe, data = load_recipe("smoke", SETTINGS), DataFolder.open(place)
    network, preprocessing, _ = prepare_network(recipe)
    batches = Double(data, training_rows(data, recipe), recipe.augment, preprocessing, recipe.loop, device)
    out.mkdir(parents=True, exist_ok=True)
    Training(
        network.module.double(),
        recipe,
        batches,
        None,
        folder=out / "checkpoints",
        log=JsonLines(out / "metrics.jsonl"),
        callbacks=Callback(),
        machine={},
        recovery_minutes=600,
        processes=processes,
    ).run()
    leave(processes)
    if processes.size > 1:
        left = [name for name in map(Path.read_text, Path("/proc/self/task").glob("*/comm")) if "gloo" in name]
        assert not left, left  # threads that hold tensors while Python ends abort the process, now and then


if __name__ == "__main__":
    train_in_float64(*map(Path, sys.argv[1:]))
