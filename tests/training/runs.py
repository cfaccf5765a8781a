"""What tests of training share: a small network, a stream of noise, a run in memory, a run's fingerprint."""

import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from asli.files import sha256_of_file
from asli.recipe import Recipe
from asli.tracking.jsonl import JsonLines
from asli.training.batches import MicroBatch
from asli.training.callbacks import Callback
from asli.training.loop import Training


class Plain(nn.Module):
    """Convolutions without BatchNorm, with dropout if asked."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.drop(F.relu(self.conv(x)).mean(dim=(2, 3))))


class Noise:
    """A stream of fixed images cut into portions."""

    updates_per_epoch = 3

    def __init__(self, micro_batch, accumulation, count=290):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(count, 3, 9, 9, generator=generator)
        self.labels = torch.randint(0, 2, (count,), generator=generator)
        self.micro_batch, self.whole = micro_batch, micro_batch * accumulation

    def group(self, update):
        place = update % self.updates_per_epoch
        rows = np.arange(len(self.images))[place * self.whole : (place + 1) * self.whole]
        return [rows[i : i + self.micro_batch] for i in range(0, len(rows), self.micro_batch)]

    def micro_batches(self, update, first=0, step=1):
        for rows in self.group(update)[first::step]:
            yield MicroBatch(self.images[rows], self.labels[rows])


def training(tmp_path, batches, recipe=None, module=None, evaluate=None, callbacks=None):
    torch.manual_seed(1)
    tmp_path.mkdir(parents=True, exist_ok=True)
    return Training(
        module or Plain(),
        recipe or Recipe(),
        batches,
        evaluate or (lambda module: {"f1": 0.5, "loss": 0.5}),
        folder=tmp_path / "checkpoints",
        log=JsonLines(tmp_path / "metrics.jsonl"),
        callbacks=callbacks or Callback(),
        machine={},
        recovery_minutes=10,
    )


FULL = [
    *("loop.epochs=1", "loop.max_updates=14", "loop.micro_batch=16", "loop.accumulation=3", "loop.ema=0.9"),
    *("loop.evaluate_every=5", "loop.checkpoint_every=4", "data.sample=0", "augment.crop=random-resized"),
]


def fingerprint(run: Path) -> dict[str, str]:
    """What must not depend on interruptions: weights, optimizer, averages, detector, measurements."""
    files = [*run.glob("checkpoints/step-*/*.safetensors"), run / "detector/model.safetensors", run / "metrics.jsonl"]
    return {str(file.relative_to(run)): sha256_of_file(file) for file in files}


def wait_for_update(out: Path, update: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (out / "metrics.jsonl").exists() and f'"update": {update},' in (out / "metrics.jsonl").read_text():
            return
        time.sleep(0.02)
    assert process.poll() is not None, "no update in two minutes"
