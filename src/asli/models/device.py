"""Where networks run, and what of the machine can change the last bits of a result."""

import ctypes
import platform
from importlib.metadata import version
from typing import Any

import torch

from asli._version import __version__
from asli.errors import AsliError
from asli.threads import choose_threads

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""As in glibc's malloc.h."""


def pick_device(name: str | None = None) -> torch.device:
    """Return the named device, or the best there is: cuda, then mps, then cpu.

    Raises:
        AsliError: The named one is not there.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is None:
        return torch.device(next(kind for kind, there in available.items() if there))
    if not available.get(name.partition(":")[0], False):
        there = ", ".join(kind for kind, there in available.items() if there)
        raise AsliError(f"device '{name}' is not available here; available: {there}")
    return torch.device(name)


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
