"""Check this machine before a run: versions, extras, device, access, threads and disk."""

import os
import platform
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from asli._version import __version__
from asli.datasets.cache import cache_folder
from asli.records import Record
from asli.threads import usable_cpus

if TYPE_CHECKING:
    import torch

Status = Literal["ok", "note", "problem"]

CORE = ("torch", "torchvision", "timm", "numpy", "pyarrow", "safetensors", "pillow")
EXTRAS = {
    "hub": "kagglehub",
    "onnx": "onnxruntime",
    "serve": "fastapi",
    "provenance": "c2pa-python",
    "heif": "pillow-heif",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
}
"""A package that each extra installs, by the extra's name."""

ANSWER_SECONDS = 5.0
"""How long a site is waited for."""

LITTLE_DISK = 5 * 2**30
"""Bytes of free disk below which a note is made: ResNet-152 writes 0.7 GB a checkpoint."""


@dataclass(frozen=True, slots=True)
class MachineFact(Record):
    """One line of the examination.

    Attributes:
        topic: What was looked at.
        found: What it is, with its remedy where it is a problem.
        status: `problem` where asli cannot work as this machine is; `note` where something may be missed.
    """

    topic: str
    found: str
    status: Status = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReport(Record, Sequence[MachineFact]):
    """Result of `doctor`, and output of `asli doctor --json`: a sequence of its findings.

    Attributes:
        version: Version of this structure.
        problems: Findings that keep asli from working.
        findings: All of them.
    """

    version: Literal[1] = 1
    problems: int
    findings: tuple[MachineFact, ...]

    def __len__(self) -> int:
        return len(self.findings)

    @overload
    def __getitem__(self, index: int) -> MachineFact: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[MachineFact, ...]: ...
    def __getitem__(self, index: int | slice) -> MachineFact | tuple[MachineFact, ...]:
        return self.findings[index]


def doctor(*, offline: bool = False) -> MachineReport:
    """Return what this machine offers asli.

    Args:
        offline: Ask no site.
    """
    findings = (*_versions(), *_devices(), *_processors(), *_access(offline), *_disks())
    return MachineReport(problems=sum(one.status == "problem" for one in findings), findings=findings)


def _versions() -> Iterator[MachineFact]:
    yield MachineFact("asli", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield MachineFact("libraries", ", ".join(f"{name} {_version(name)}" for name in CORE))
    there = [f"{extra} ({package} {found})" for extra, package in EXTRAS.items() if (found := _version(package))]
    absent = [extra for extra, package in EXTRAS.items() if _version(package) is None]
    yield MachineFact("extras", ", ".join(there) or "none")
    if absent:
        yield MachineFact(
            "extras not installed", f"{', '.join(absent)}; install one with: pip install 'asli[{absent[0]}]'"
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices() -> Iterator[MachineFact]:
    import torch

    from asli.models.device import describe_device, emulates_bfloat16, no_gpu

    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        device = torch.device("cuda", number)
        yield MachineFact(f"GPU {number}", describe_device(device))
        problem = _computing_problem(device)
        if problem is not None:
            yield MachineFact(f"GPU {number} kernels", problem, "problem")
            continue
        slow = emulates_bfloat16(device)
        low = "float16 (bfloat16 is emulated here and refused)" if slow else "bfloat16 or float16"
        yield MachineFact(f"GPU {number} kernels", f"there; for speed set precision.dtype to {low}")
    if not torch.cuda.is_available():
        reason = no_gpu()
        if reason is not None:
            yield MachineFact("GPU", reason, "problem")
        else:
            kind = "mps" if torch.backends.mps.is_available() else "none: asli computes on the CPU"
            yield MachineFact("GPU", kind)
    built = " ".join(torch.cuda.get_arch_list()) if torch.cuda.is_available() else ""
    cuda = torch.version.cuda or "none"
    yield MachineFact("torch build", f"CUDA {cuda}" + (f", kernels for {built}" if built else ""))
    yield MachineFact("CPU", describe_device(torch.device("cpu")))


def _computing_problem(device: "torch.device") -> str | None:
    """Return why a GPU does not compute, or None; a small product is computed, since a list of kernels may err."""
    import torch

    from asli.models.device import kernel_problem

    problem = kernel_problem(device)
    if problem is not None:
        return problem
    try:
        ones = torch.ones(8, 8, device=device)
        return None if (ones @ ones).sum().item() == 512 else "computes a wrong product of two matrices"
    except RuntimeError as error:
        return f"does not compute: {str(error).splitlines()[0]}"


def _processors() -> Iterator[MachineFact]:
    wanted = os.environ.get("OMP_NUM_THREADS")
    given = f", OMP_NUM_THREADS={wanted}" if wanted else ""
    yield MachineFact("CPUs", f"{usable_cpus()} usable of {os.cpu_count()}{given}")


def _access(offline: bool) -> Iterator[MachineFact]:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        yield MachineFact("hub", "not asked: HF_HUB_OFFLINE is set", "note")
    else:
        yield _site("hub", constants.ENDPOINT, offline, "start weights must be local or cached")
    token = "HF_TOKEN is set" if os.environ.get("HF_TOKEN") else "HF_TOKEN is not set (public models need none)"
    yield MachineFact("hub token", token)
    yield _site("Kaggle", "https://www.kaggle.com", offline, "give CIFAKE with --from PATH")
    mounted = Path("/kaggle/input")
    if mounted.is_dir():
        names = sorted(item.name for item in mounted.iterdir())
        yield MachineFact(
            "Kaggle data sets", ", ".join(names) or "none mounted; add one under Input", "ok" if names else "note"
        )
    if _version("wandb"):
        yield MachineFact("W&B", "not asked: --offline") if offline else _wandb()


def _wandb() -> MachineFact:
    from asli.tracking.wandb import key_problem

    problem = key_problem()
    return MachineFact("W&B", "ready" if problem is None else problem, "ok" if problem is None else "note")


def _site(topic: str, address: str, offline: bool, without: str) -> MachineFact:
    if offline:
        return MachineFact(topic, "not asked: --offline")
    start = time.monotonic()
    try:
        request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": f"asli/{__version__}"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310 - the address is ours
            pass
    except urllib.error.HTTPError:  # it answered, if not to this question
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return MachineFact(topic, f"{address} cannot be reached ({reason}); {without}", "note")
    return MachineFact(topic, f"{address} answers in {time.monotonic() - start:.1f} s")


def _disks() -> Iterator[MachineFact]:
    from huggingface_hub import constants

    for topic, place in (
        ("disk here", Path.cwd()),
        ("disk of asli's cache", cache_folder()),
        ("disk of the hub's cache", Path(constants.HF_HUB_CACHE)),
    ):
        there = next(folder for folder in (place, *place.parents) if folder.exists())
        free = shutil.disk_usage(there).free
        writable = os.access(there, os.W_OK)
        status: Status = "ok" if writable and free > LITTLE_DISK else "note" if writable else "problem"
        yield MachineFact(
            topic, f"{place}: {free / 2**30:.1f} GiB free" + ("" if writable else ", not writable"), status
        )
