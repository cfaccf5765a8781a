"""Images of concurrent requests are scored together: what waits at a moment shares one forward pass."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from asli.detector.base import Detector
from asli.detector.examining import examine_all
from asli.detector.prediction import Prediction

MOST_IMAGES = 32
"""Images of a batch: more gain nothing in speed on a CPU and take memory."""

MOST_BYTES = 8_000_000
"""Files of a batch together; one alone may be larger. Large pictures so get their answers one after another."""


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """An image that waits for its score.

    Attributes:
        name: Name of the file.
        read: Returns its bytes.
        size: Size of the file, in bytes.
        stability: See `Detector.predict`.
        force_domain: See `Detector.predict`.
        done: Gets the prediction.
    """

    name: str
    read: Callable[[], bytes]
    size: int
    stability: bool
    force_domain: bool
    done: "asyncio.Future[Prediction]"


class RequestBatches:
    """Scores the images of all requests by one detector.

    Args:
        detector: Scores them.
        threads: Batches that are read and decoded at a time; one of them at a time goes through the network, which
            uses all of its own threads.
        count: Is told each batch's predictions and how many seconds it took.
    """

    def __init__(
        self, detector: Detector, threads: int, count: Callable[[Sequence[Prediction], float], None] | None = None
    ) -> None:
        self._detector, self._threads, self._count = detector, threads, count
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
        self._network = threading.Lock()
        self._waiting: deque[ScoringJob] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    async def score(
        self, name: str, read: Callable[[], bytes], size: int, *, stability: bool, force_domain: bool
    ) -> Prediction:
        """Score one image, together with others that wait."""
        done: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        self._waiting.append(ScoringJob(name, read, size, stability, force_domain, done))
        if len(self._workers) < self._threads:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return await done

    async def _work(self) -> None:
        while self._waiting:
            await self._answer(self._take())

    async def _answer(self, jobs: Sequence[ScoringJob]) -> None:
        """Score jobs together; where that fails, each by itself, since they are of different requests."""
        try:
            predictions = await asyncio.get_running_loop().run_in_executor(self._pool, self._predict, jobs)
        except Exception as error:  # a fault of the detector must not leave requests waiting for ever
            if len(jobs) > 1:
                for job in jobs:
                    await self._answer([job])
            elif not jobs[0].done.done():
                jobs[0].done.set_exception(error)
            return
        for job, prediction in zip(jobs, predictions, strict=True):
            if not job.done.done():
                job.done.set_result(prediction)

    def _take(self) -> list[ScoringJob]:
        """Take the first job and those behind it that can share its forward pass; half of them is left to others."""
        jobs = [self._waiting.popleft()]
        first, weight = jobs[0], jobs[0].size
        # Each picture's stability is a batch of its own, and keeps its pixels in memory.
        most = min(MOST_IMAGES, self._detector.batch_size)
        limit = 1 if first.stability else min(most, 1 + len(self._waiting) // self._threads)
        while self._waiting and len(jobs) < limit:
            job = self._waiting[0]
            weight += job.size
            if job.stability or job.force_domain != first.force_domain or weight > MOST_BYTES:
                break
            jobs.append(self._waiting.popleft())
        return jobs

    def _predict(self, jobs: Sequence[ScoringJob]) -> list[Prediction]:
        start, first = time.perf_counter(), jobs[0]
        examined = examine_all([job.read for job in jobs], self._detector, keep_pixels=first.stability)
        named = list(zip([job.name for job in jobs], examined, strict=True))
        with self._network:
            found = self._detector.predictions(named, force_domain=first.force_domain, stability=first.stability)
        if self._count is not None:
            self._count(found, time.perf_counter() - start)
        return found
