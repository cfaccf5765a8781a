"""How many CPU threads a process uses, and how they wait for each other: quick alone, no collapse beside other work.

OpenMP threads spin while they wait for each other, with libgomp for milliseconds. Beside another busy process the
awaited thread may not be running, and those that spin use up the CPU it needs: boosted trees become 40 times slower.
A short spin avoids that. If it is too short, threads sleep in every operation, and to wake them costs up to half of
the speed on idle CPUs (docs/speed.md).

Commands call `configure_process`. Importing asli changes nothing in its host process: set `SETTINGS` in the
environment of your own program before it imports torch or scikit-learn.
"""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

SETTINGS = {
    "GOMP_SPINCOUNT": "10000",  # tens of microseconds; libgomp's own is 300,000
    "OPENBLAS_NUM_THREADS": "1",  # NumPy's and SciPy's own pools, which no part of asli gains from
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime would report its use to Microsoft and store an identifier
}
"""Environment variables; the libraries read them when they are loaded, each its own copy."""

SHORTEST = 0.2
"""Seconds of observation below which the load of other processes is not estimated."""

logger = logging.getLogger("asli")


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU seconds used so far on the CPUs this process may use.

    Attributes:
        at: Monotonic time, in seconds.
        everyone: By all processes, and by other virtual machines on these CPUs.
        own: By this process and its finished children.
    """

    at: float
    everyone: float
    own: float


class _Process:
    """What `configure_process` measured; a library call in someone else's process leaves it empty."""

    start: CpuTimes | None = None
    free: float | None = None


def environment() -> dict[str, str]:
    """Return this process's environment with `SETTINGS`, for a process to start; the user's own settings win."""
    waiting = {"GOMP_SPINCOUNT"} if "OMP_WAIT_POLICY" in os.environ else set()
    return {**{name: value for name, value in SETTINGS.items() if name not in waiting}, **os.environ}


def configure_process() -> None:
    """Prepare a process of asli's own, before it imports NumPy, torch or scikit-learn."""
    os.environ.update(environment())
    _Process.start, _Process.free = cpu_times(), None


def affinity() -> set[int]:
    """Return the numbers of the CPUs this process may run on; of all where the system does not tell (Linux does)."""
    known = getattr(os, "sched_getaffinity", None)
    return set(known(0)) if known else set(range(os.cpu_count() or 1))


def usable_cpus() -> int:
    """Return how many CPUs this process may use, by its affinity and its control group's quota."""
    count = len(affinity())
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return count if quota == "max" else max(1, min(count, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # another system, or an older kernel
        return count


def choose_threads(most: int) -> int:
    """Return how many threads to use: `most`, or fewer where other processes keep CPUs busy.

    Only a command chooses, once, from the CPU use of others since it began; a library call or a user who set
    `OMP_NUM_THREADS` gets `most`. At least half of the CPUs are used, so a busy moment does not slow a long run much.
    """
    if _Process.start is None or "OMP_NUM_THREADS" in os.environ:
        return most
    most = min(most, usable_cpus())
    if most == 1:
        return 1
    if _Process.free is None:
        now = cpu_times()
        _Process.free = free_cpus(_Process.start, now) if now is not None else float(most)
        if _threads(_Process.free, most) < most:
            logger.info(
                "other processes keep CPUs busy: using %d of %d threads; choose with --threads",
                _threads(_Process.free, most),
                most,
            )
    return _threads(_Process.free, most)


def _threads(free: float, most: int) -> int:
    return max(1, min(most, int(max(free, usable_cpus() / 2) + 0.5)))


def free_cpus(start: CpuTimes, now: CpuTimes) -> float:
    """Return how many CPUs other processes left free between two moments, or all where these are too near."""
    count = float(len(affinity()))
    elapsed = now.at - start.at
    if elapsed < SHORTEST:
        return count
    others = (now.everyone - start.everyone) - (now.own - start.own)
    return count - max(0.0, others / elapsed)


def cpu_times() -> CpuTimes | None:
    """Return the CPU seconds used so far, or None where the system does not state them (it is Linux that does)."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    tick, mine = os.sysconf("SC_CLK_TCK"), {f"cpu{number}" for number in affinity()}
    busy = 0
    for line in lines:
        name, *fields = line.split()
        if name in mine:  # user nice system idle iowait irq softirq steal
            user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
            busy += user + nice + system + irq + softirq + steal
    own = os.times()
    spent = own.user + own.system + own.children_user + own.children_system
    return CpuTimes(time.monotonic(), busy / tick, spent)
