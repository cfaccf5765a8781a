"""Where networks run, and what of the machine can change the last bits of a result."""

import ctypes
import logging
import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from asli._version import __version__
from asli.errors import AsliError
from asli.threads import choose_threads

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Constant of glibc's malloc.h."""

CUDA_126 = "pip install 'torch<2.15' torchvision --index-url https://download.pytorch.org/whl/cu126"
"""The last wheels with kernels for Maxwell, Pascal and Volta (compute capability 5.0 to 7.0)."""

logger = logging.getLogger("asli")


def pick_device(name: str | None = None) -> torch.device:
    """Return the named device, or the best there is: cuda, then mps, then cpu.

    A GPU that this torch has no kernels for is passed over with a warning, unless it is named.

    Raises:
        AsliError: The named one is not there, or this torch has no kernels for it.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is not None and not available.get(name.partition(":")[0], False):
        there = ", ".join(kind for kind, there in available.items() if there)
        why = "" if (reason := no_gpu()) is None or not name.startswith("cuda") else f" ({reason})"
        raise AsliError(f"device '{name}' is not available here{why}; available: {there}")
    device = torch.device(name or next(kind for kind, there in available.items() if there))
    problem = kernel_problem(device)
    if problem is None:
        return device
    if name is not None:
        raise AsliError(problem)
    logger.warning("computing on the CPU: %s", problem)
    return torch.device("cpu")


def training_device(name: str | None = None) -> torch.device:
    """Return where to train, and warn where that is the CPU beside a GPU that cannot be used.

    Hours of training are not moved to the CPU unasked: a GPU without kernels is an error here.

    Raises:
        AsliError: The device is not there, or this torch has no kernels for it.
    """
    if name is None and torch.cuda.is_available():
        problem = kernel_problem(torch.device("cuda"))
        if problem is not None:
            raise AsliError(f"{problem}; or train on the CPU with --device cpu")
    device = pick_device(name)
    if name is None and device.type == "cpu" and (reason := no_gpu()) is not None:
        logger.warning("TRAINING ON THE CPU, which is many times slower: %s", reason)
    return device


def no_gpu() -> str | None:
    """Return why a GPU that seems to be there, or could be had, cannot be used; None where nothing hints at one."""
    if torch.cuda.is_available():
        return None
    if any(Path(place).exists() for place in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")):
        if torch.version.cuda is None:
            return f"torch {torch.__version__} is built without CUDA; install it as https://pytorch.org says"
        return (
            f"torch {torch.__version__} (CUDA {torch.version.cuda}) cannot start the NVIDIA GPU;"
            " the driver may be too old for it, see nvidia-smi"
        )
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "this Kaggle notebook has no accelerator; choose GPU T4 x2 under Settings, Accelerator"
    if "COLAB_RELEASE_TAG" in os.environ:
        return "this Colab notebook has no accelerator; choose a GPU under Runtime, Change runtime type"
    return None


def kernel_problem(device: torch.device) -> str | None:
    """Return why this torch cannot compute on a device and what to do, or None where it can."""
    if device.type != "cuda":
        return None
    capability, built = torch.cuda.get_device_capability(device), torch.cuda.get_arch_list()
    if not built or has_kernels(capability, built):  # builds for other vendors' GPUs list none
        return None
    major, minor = capability
    older = major < 7 or capability == (7, 0)
    remedy = CUDA_126 if older else "install a newer torch as https://pytorch.org says"
    if older and "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        remedy = f"choose GPU T4 x2 under Settings, Accelerator, or {remedy}"
    return (
        f"torch {torch.__version__} has no kernels for {torch.cuda.get_device_name(device)}"
        f" (compute capability {major}.{minor}; built for {' '.join(built)}): {remedy}"
    )


def has_kernels(capability: tuple[int, int], built: Sequence[str]) -> bool:
    """Return whether code built for some architectures runs on a GPU of a compute capability.

    Machine code (`sm_86`) runs on its own major version from its minor one on, `sm_90a` on 9.0 alone; intermediate code
    (`compute_80`) on every later capability. See NVIDIA's CUDA programming guide, section on compute capability.

    Args:
        capability: Major and minor version.
        built: Architectures, as `torch.cuda.get_arch_list()` returns them.
    """
    for name in built:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name)
        if found is None:
            continue
        kind, major, minor, only = found[1], int(found[2]), int(found[3]), found[4]
        if only == "a":
            fits = capability == (major, minor)
        elif kind == "compute":
            fits = capability >= (major, minor)
        else:
            fits = capability[0] == major and capability[1] >= minor
        if fits:
            return True
    return False


def emulates_bfloat16(device: torch.device) -> bool:
    """Return whether a GPU computes bfloat16 by emulation, which is slower than float32 (before Ampere)."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):  # torch asks the current one
        return not torch.cuda.is_bf16_supported(including_emulation=False)


def describe_device(device: torch.device) -> str:
    """Return what a device is, in a line: its name, memory and compute capability, or the CPU's threads."""
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        return (
            f"{found.name} ({device}), {found.total_memory / 2**30:.1f} GiB,"
            f" compute capability {found.major}.{found.minor}, torch {torch.__version__}"
        )
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return (
            f"CPU, {threads} thread{'' if threads == 1 else 's'},"
            f" {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
        )
    return f"{device}, torch {torch.__version__}"


def set_threads(threads: int | None) -> int:
    """Set how many CPU threads one operation may use; return the number in force.

    Args:
        threads: None leaves torch's own choice; a command then takes fewer where other processes keep CPUs busy.
    """
    before = torch.get_num_threads()
    wanted = choose_threads(before) if threads is None else threads
    if wanted != before:
        torch.set_num_threads(wanted)
    return torch.get_num_threads()


def reuse_memory() -> None:
    """Let glibc keep freed memory for the next update; with other C libraries, do nothing.

    By default it gives large blocks back to the kernel and gets them again page by page, zeroed: about a sixth of
    an update on a CPU (`benchmarks/memory_reuse.py`). Results do not change.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_MMAP_MAX, 0)


def fingerprint(device: torch.device) -> dict[str, Any]:
    """Return what bit-exact repetition depends on besides recipe and data."""
    return {
        "asli": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "torchvision", "timm", "numpy")},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
