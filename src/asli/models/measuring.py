"""Latency and memory of a network on this machine, each in a fresh process so that nothing before it counts."""

import json
import platform
import statistics
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from asli.datasets.images import decode
from asli.errors import AsliError
from asli.models.device import set_threads
from asli.models.gradients import Gradients, gradients_by_stage
from asli.models.networks import Network, create_network
from asli.records import Record
from asli.threads import environment
from asli.transforms.preprocessing import Preprocessing

WARM_UP = 2
GRADIENT_IMAGES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Record):
    """Time and memory of a network's forward pass of one image.

    Attributes:
        seconds: Median.
        fastest: Fastest pass, in seconds.
        slowest: Slowest pass, in seconds.
        runs: Timed passes.
        threads: CPU threads of one operation.
        cpu: Machine and instruction set.
        peak_memory_bytes: Peak resident memory that building the network and the passes added to the process; None
            except on Linux.
    """

    seconds: float
    fastest: float
    slowest: float
    runs: int
    threads: int
    cpu: str
    peak_memory_bytes: int | None


def measure_network(name: str, size: int, *, threads: int | None, runs: int) -> Measurement:
    """Measure a network's forward pass of one image in a process of its own.

    Args:
        name: Name, as in a recipe.
        size: Size of its input, in pixels.
        threads: CPU threads of one operation; torch's choice by default.
        runs: Timed passes, after 2 untimed ones.

    Raises:
        AsliError: The process failed.
    """
    command = [sys.executable, "-m", "asli.models.measuring", name, str(size), str(threads or 0), str(runs)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise AsliError(f"measuring {name} failed: {last}")
    return Measurement.from_dict(json.loads(done.stdout))


def sample_gradients(name: str, size: int, seed: int = 0) -> Gradients:
    """Return how much gradient each stage of a fresh network gets.

    Args:
        name: Name, as in a recipe.
        size: Size of its input, in pixels.
        seed: Seed of its fresh weights.
    """
    return gradients_on_sample(create_network(name, size=size, seed=seed), size)


def gradients_on_sample(network: Network, size: int) -> Gradients:
    """Return how much gradient each stage gets of images of the bundled sample, as many real as fake ones.

    Args:
        network: Network of two classes; left as it was.
        size: Size of its input, in pixels.
    """
    from asli.sample import sample_archive

    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        files = sorted(item for item in archive.namelist() if item.endswith(".jpg"))
        chosen = [
            [item for item in files if f"/{label}/" in item][: GRADIENT_IMAGES // 2] for label in ("REAL", "FAKE")
        ]
        pixels = [decode(archive.read(item))[0] for part in chosen for item in part]
    to_input = Preprocessing(size, "bilinear", network.mean, network.std).to_input
    labels = np.repeat([0, 1], [len(part) for part in chosen])
    return gradients_by_stage(network, np.concatenate([to_input(image) for image in pixels]), labels)


def _measure(name: str, size: int, threads: int, runs: int) -> Measurement:
    import timm  # noqa: F401  # before memory is looked at: it is no part of the network
    import torchvision  # noqa: F401

    in_force = set_threads(threads or None)
    before = _reset_peak()
    module = create_network(name, size=size).module.eval()
    image, seconds = torch.rand(1, 3, size, size), []
    with torch.inference_mode():
        for _ in range(WARM_UP + runs):
            start = time.perf_counter()
            module(image)
            seconds.append(time.perf_counter() - start)
    timed = seconds[WARM_UP:]
    return Measurement(
        seconds=statistics.median(timed),
        fastest=min(timed),
        slowest=max(timed),
        runs=runs,
        threads=in_force,
        cpu=f"{platform.machine()} ({torch.backends.cpu.get_cpu_capability()})",
        peak_memory_bytes=None if before is None else _status("VmHWM") - before,
    )


def _reset_peak() -> int | None:
    """Let Linux forget the highest resident memory so far; return the present one, in bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return None


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{key}:")).split()[1])


if __name__ == "__main__":
    _name, *_numbers = sys.argv[1:]
    print(json.dumps(_measure(_name, *map(int, _numbers)).to_dict()))
