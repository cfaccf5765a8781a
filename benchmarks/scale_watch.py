"""CPU seconds and memory of everything that a benchmark starts, sampled from outside."""

import threading
import time

import psutil

SECONDS = 2.0
"""Between two samples; of a process, at most so much of its end is not counted."""


class Watch:
    """Samples all descendants of this process while it is entered.

    Attributes:
        figures: Seconds, CPU seconds of all processes, the largest resident memory of one process, and the largest sum
            of proportional memory (memory shared by n processes counts n times 1/n).
    """

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self._cpu: dict[tuple[int, float], float] = {}
        self._largest = self._sum = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._begun = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self._begun
        self._stop.set()
        self._thread.join()
        self.figures = {
            "wall_seconds": round(seconds, 1),
            "cpu_seconds": round(sum(self._cpu.values()), 1),
            "largest_process_mb": round(self._largest / 1e6),
            "all_processes_mb": round(self._sum / 1e6),
        }

    def _run(self) -> None:
        while not self._stop.wait(SECONDS):
            together = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    times, memory = process.cpu_times(), process.memory_full_info()
                    self._cpu[process.pid, process.create_time()] = times.user + times.system
                except psutil.Error:
                    continue
                self._largest = max(self._largest, memory.rss)
                together += memory.pss
            self._sum = max(self._sum, together)
