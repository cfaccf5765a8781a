"""Measurements as JSON lines, without wall times: a resumed run's file equals the undisturbed run's."""

import json
import os
from pathlib import Path

from asli.files import writing


class JsonLines:
    """An append-only file that can be cut back to an earlier length."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, kind: str, update: int, metrics: dict[str, float]) -> None:
        """Write one line: `{"kind": "train", "update": 1, ...}`."""
        line = json.dumps({"kind": kind, "update": update, **metrics}, allow_nan=False)
        with writing(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def length(self) -> int:
        """Return the file's length in bytes."""
        return self._path.stat().st_size if self._path.exists() else 0

    def truncate(self, length: int) -> None:
        """Forget what was written after `length` bytes."""
        if self._path.exists():
            os.truncate(self._path, length)
