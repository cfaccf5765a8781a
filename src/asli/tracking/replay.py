"""What trackers of other makers share: after a resume they begin with what metrics.jsonl holds."""

import json
from abc import ABC, abstractmethod
from pathlib import Path

from asli.run import METRICS
from asli.training.callbacks import Callback, Metrics


class Replaying(Callback, ABC):
    """A tracker whose record equals metrics.jsonl, line by line, however often the run was cut and resumed.

    metrics.jsonl is cut back to the checkpoint that a resume begins from, so it holds each update once. What a tracker
    kept of an interrupted run may lack its last seconds, or hold updates that are done again.

    Args:
        run: The run folder.
    """

    def __init__(self, run: Path) -> None:
        self.run_folder, self._lines = run, 0

    @abstractmethod
    def open(self) -> None:
        """Begin the record, or go on with it."""

    @abstractmethod
    def write(self, line: int, kind: str, update: int, metrics: Metrics) -> None:
        """Take in one line of metrics.jsonl; lines are counted from 0."""

    def on_start(self, *, update: int, total: int) -> None:
        """Begin the record with all that was measured before."""
        self.open()
        path = self.run_folder / METRICS
        if path.exists():
            with path.open(encoding="utf-8") as stream:
                for text in stream:
                    found = json.loads(text)
                    self._take(found.pop("kind"), found.pop("update"), found)

    def on_update(self, *, update: int, metrics: Metrics, images: int) -> None:
        """Write the update's figures."""
        self._take("train", update, metrics)

    def on_skipped(self, *, update: int, metrics: Metrics, images: int) -> None:
        """Write the scale at which the update overflowed."""
        self._take("skipped", update, metrics)

    def on_evaluation(self, *, update: int, metrics: Metrics) -> None:
        """Write the evaluation's figures."""
        self._take("validation", update, metrics)

    def _take(self, kind: str, update: int, metrics: Metrics) -> None:
        self.write(self._lines, kind, update, metrics)
        self._lines += 1
