"""What tests share: the bundled sample as a data folder, one small finished run, and the whole of CIFAKE."""

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in every process a test starts
os.environ.setdefault("WANDB_SILENT", "true")
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest
import torch

from asli.datasets.folder import DataFolder
from asli.run import Run
from asli.sample import open_sample

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return open_sample(tmp_path_factory.mktemp("data") / "sample")


@pytest.fixture(scope="session")
def finished(sample: DataFolder, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has learnt something: ResNet-20, two epochs on the sample."""
    from asli.pipeline import train

    settings = ["loop.epochs=2", "loop.evaluate_every=40", "loop.checkpoint_every=60"]
    return train("demo", sample, tmp_path_factory.mktemp("runs") / "finished", settings=settings)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the whole of CIFAKE and genuine weights, which only the project's own machines have."""
    place = os.environ.get("ASLI_SHARED")
    path = Path(place) if place else Path(__file__).parents[2] / "shared"
    if not (path / "data" / "cifake").is_dir():
        if os.environ.get("ASLI_REQUIRE_SHARED"):
            pytest.fail(f"{path} was there when CI began and is not now")
        pytest.skip("needs the whole of CIFAKE: set ASLI_SHARED to a folder with data/cifake and weights")
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def run_asli(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "asli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
