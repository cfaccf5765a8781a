"""Processes that score side by side, for files so small that Python's own work on each takes longest.

Threads would wait for each other: one at a time may run Python. Each process has its own Python and a network of its
own. They are started as programs, not by `multiprocessing`, so a script that calls `scan` needs no main guard.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from asli.detector.base import Detector
from asli.detector.runtimes import Kind, onnx_installed
from asli.errors import AsliError, DetectorError, RunError
from asli.scanning.inputs import Item, Place, Places
from asli.scanning.reading import read_images
from asli.scanning.score_table import score_batch
from asli.threads import environment

PATIENCE = 10.0
"""Seconds a process has to end once nothing is left to do."""

_START = "import sys; sys.path.insert(0, sys.argv[1]); from asli.scanning.workers import serve; serve()"

Scoring = Callable[[Sequence[Item]], pa.Table]


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """What each process of a scan needs, as plain values.

    Attributes:
        places: Where the images are.
        detector: Its folder.
        hash: Its hash; another one in that folder is refused.
        device: Where to compute; None leaves it to the runtime.
        runtime: What computes; None as in `Detector.load`.
        threads: CPU threads of the network in each process.
        force_domain: Give a verdict on images outside the domain, too.
    """

    places: tuple[Place, ...]
    detector: str
    hash: str
    device: str | None
    runtime: Kind | None
    threads: int
    force_domain: bool

    @classmethod
    def of(cls, detector: Detector, places: Sequence[Place], *, threads: int, force_domain: bool) -> Self:
        """Describe a scan with a detector.

        Raises:
            DetectorError: It was not saved.
        """
        if detector.folder is None or detector.hash is None:
            raise DetectorError("this detector was not saved; save it, or scan with workers=1")
        device, runtime, _ = detector.asked
        folder = str(detector.folder.resolve())
        return cls(tuple(places), folder, detector.hash, device, runtime, threads, force_domain)

    def open(self) -> Scoring:
        """Open the detector and return a function that reads and scores images.

        Raises:
            DetectorError: It cannot be used, or is another one by now.
        """
        detector = Detector.load(self.detector, device=self.device, runtime=self.runtime, threads=self.threads)
        if detector.hash != self.hash:
            raise DetectorError(f"{self.detector} was changed while it was in use; begin again with -o another file")
        places = Places(self.places)

        def score(items: Sequence[Item]) -> pa.Table:
            return score_batch(read_images(items, places, detector), places, detector, force_domain=self.force_domain)

        return score


class Worker:
    """Another process that scores; `score` waits for its answer. It is not ready at once, but takes work at once.

    Args:
        job: Sent to it first.
    """

    def __init__(self, job: WorkerJob) -> None:
        home = str(Path(__file__).parents[2])
        # -P: files in the current folder are pictures of others, not modules.
        self._process = subprocess.Popen(  # noqa: S603 - Python itself, with our own words
            [sys.executable, "-P", "-c", _START, home],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment() | {"OMP_NUM_THREADS": str(job.threads)},
        )
        self._send(job)

    def score(self, items: Sequence[Item]) -> pa.Table:
        """Read and score images.

        Raises:
            DetectorError: The process could not open the detector.
            RunError: It is gone.
        """
        self._send(items)
        assert self._process.stdout is not None
        try:
            answer = pickle.load(self._process.stdout)  # noqa: S301 - from a process of our own
        except (EOFError, pickle.UnpicklingError) as error:
            raise self._gone() from error
        if isinstance(answer, str):
            raise DetectorError(answer)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(OSError):  # it ended before it had read everything
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _send(self, what: Any) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(what, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # the pipe is broken, or was closed for an earlier one
            raise self._gone() from error

    def _gone(self) -> RunError:
        self.close()
        return RunError(
            f"a process of this scan ended with status {self._process.returncode} (for lack of memory?);"
            " the same command goes on, with --workers 1 in one process"
        )


def suits(detector: Detector) -> bool:
    """Return whether processes of their own cost little for a detector: it is saved, and computes by ONNX on the CPU.

    torch takes seconds to start, and a GPU keeps memory for each process.
    """
    device, runtime, _ = detector.asked
    on_cpu = device in (None, "cpu") and runtime in (None, "onnx")
    startable = bool(sys.executable) and not hasattr(sys, "frozen")  # within another program, Python may be no program
    return detector.folder is not None and detector.has_onnx and on_cpu and onnx_installed() and startable


@contextmanager
def side_by_side(job: WorkerJob, count: int) -> Iterator[Scoring]:
    """Give a function that scores in one of several processes; call it from as many threads.

    Args:
        job: What all of them do.
        count: Processes. This one is the last of them: it scores while the others start.
    """
    free: queue.SimpleQueue[Scoring] = queue.SimpleQueue()
    with ExitStack() as stack:
        for _ in range(count - 1):
            worker = Worker(job)
            stack.callback(worker.close)
            free.put(worker.score)
        free.put(job.open())

        def score(items: Sequence[Item]) -> pa.Table:
            mine = free.get()
            try:
                return mine(items)
            finally:
                free.put(mine)

        yield score


def serve() -> None:
    """Answer the process that started this one, until it closes the pipe or ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the other process gets them, too, and decides
        signal.signal(number, signal.SIG_IGN)
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    score: Scoring | None = None
    while True:
        try:
            what = pickle.load(asked)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        if isinstance(what, WorkerJob):
            try:
                score = what.open()
            except AsliError as error:
                answer: pa.Table | str = str(error)
            else:
                continue
        else:
            assert score is not None
            answer = score(what)
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
        if isinstance(answer, str):
            return
