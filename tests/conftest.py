"""What tests share: the bundled sample as a data folder, one small finished run, and the whole of CIFAKE."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in every process a test starts
os.environ.setdefault("WANDB_SILENT", "true")
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from asli.datasets.build import open_folders
from asli.datasets.folder import DataFolder
from asli.run import Run
from asli.sample import open_sample, sample_archive
from tests.processes import Forked

torch.set_num_threads(1)

LONGEST = (
    *("study/test_run.py", "test_readme.py", "scaling/test_engines.py", "auditing/test_audit.py", "test_notebooks.py"),
    *("training/test_processes.py", "training/test_resume.py", "datasets/test_build.py", "test_head_training.py"),
    *("test_alignment.py", "serving/test_page.py", "detector/test_heads.py", "evaluation/test_robustness.py"),
)
"""Files that take longest, begun first, so that no worker ends long after the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order tests by file, the longest files first."""
    first = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path, len(first)))  # stable: the others stay in their order


@pytest.fixture(scope="session", autouse=True)
def data_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep data folders of raw images away from the user's own cache, in processes that tests start, too."""
    place = tmp_path_factory.mktemp("cache")
    os.environ["ASLI_CACHE"] = str(place)
    return place


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return open_sample(tmp_path_factory.mktemp("data") / "sample")


@pytest.fixture(scope="session")
def duplicated(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """320 images of the sample in two official splits, and 32 duplicates of them.

    Half of the duplicates have the same bytes, half only the same pixels (PNG). Of each kind and label, four test
    images are in train too, and four are twice in test.
    """
    root = tmp_path_factory.mktemp("duplicated")
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        for label in ("REAL", "FAKE"):
            names = sorted(name for name in archive.namelist() if name.startswith(f"test/{label}/") and name[-1] != "/")
            images = [archive.read(name) for name in names[:160]]
            places = [f"test/{label}/{number:03}.jpg" for number in range(100)]
            places += [f"train/{label}/{number:03}.jpg" for number in range(100, 160)]
            copies = [(number, f"train/{label}/copy-{number:03}") for number in range(8)]
            copies += [(number, f"test/{label}/copy-{number:03}") for number in range(8, 16)]
            for place in places:
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                (root / place).write_bytes(images[int(Path(place).stem)])
            for number, place in copies:
                if number % 2:
                    Image.open(io.BytesIO(images[number])).convert("RGB").save(root / f"{place}.png")
                else:
                    (root / f"{place}.jpg").write_bytes(images[number])
    return open_folders(root, tmp_path_factory.mktemp("data") / "duplicated")


@pytest.fixture(scope="session")
def finished(sample: DataFolder, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has learnt something: ResNet-20, two epochs on the sample; trained once, a copy for each worker."""
    from asli.pipeline import train

    settings = ["loop.epochs=2", "loop.evaluate_every=40", "loop.checkpoint_every=60"]
    base = tmp_path_factory.getbasetemp()
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with FileLock(common / "finished.lock"):
        if not (common / "finished/detector").exists():
            train("demo", sample, common / "finished", settings=settings)
    own = tmp_path_factory.mktemp("runs") / "finished"
    shutil.copytree(common / "finished", own, symlinks=True)
    return Run.open(own)


@pytest.fixture(scope="module")  # not longer: while it is open, no other test can run asyncio in this thread
def browser():
    """A headless Chromium; CI must have one, elsewhere tests that need it are skipped."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        assert not os.environ.get("ASLI_REQUIRE_BROWSER"), "CI installs Chromium"
        pytest.skip("needs Chromium: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


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


@pytest.fixture(scope="session", autouse=True)
def end_forked() -> Iterator[None]:
    """End the process that commands were forked from."""
    yield
    if forked.cache_info().currsize:
        forked().close()


@cache
def forked() -> Forked:
    """Return this session's process that commands are forked from; the first call starts it."""
    return Forked()


def run_asli(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own, forked where its environment allows."""
    variables = {**os.environ, **environment}
    fork = forked().suits(variables)
    command = forked().command(*arguments) if fork else [sys.executable, "-m", "asli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300, check=False)
