"""Progress of long work: a live bar on a terminal, a plain line now and then elsewhere."""

import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

LINE_SECONDS = 15.0
"""How often a plain line is written when standard error is not a terminal."""

logger = logging.getLogger("asli")


class Progress(Protocol):
    """State of a loop."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Count `amount` more units as done; `note` is shown behind the figures."""


class _Lines:
    def __init__(self, what: str, total: int, done: int, unit: str) -> None:
        self._what, self._total, self._done, self._unit = what, total, done, unit
        self._first, self._start = done, time.monotonic()
        self._next = self._start + LINE_SECONDS

    def advance(self, amount: int = 1, note: str = "") -> None:
        self._done += amount
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LINE_SECONDS
        rate = (self._done - self._first) / (now - self._start)
        left = (self._total - self._done) / rate if rate else float("inf")
        share = 100 * self._done / max(self._total, 1)
        text = f"{self._what}: {self._done:,}/{self._total:,} {self._unit} ({share:.0f}%), {rate:,.1f} {self._unit}/s"
        logger.info("%s, %s left%s", text, duration(left), f", {note}" if note else "")


@contextmanager
def progress(what: str, total: int, *, unit: str, done: int = 0) -> Iterator[Progress]:
    """Show how far a piece of work is, how fast it goes and how long it will take, unless notes are turned off.

    Args:
        what: A word or two for the work.
        total: How many units there are in all.
        unit: What is counted, in the plural.
        done: How many were done before (by an earlier, interrupted call).
    """
    if not (sys.stderr.isatty() and logger.isEnabledFor(logging.INFO)):
        yield _Lines(what, total, done, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, completed=done, rate="", note="")

        class Live:
            def advance(self, amount: int = 1, note: str = "") -> None:
                speed = bar.tasks[0].speed
                bar.update(task, advance=amount, note=note, rate=f"{speed:,.1f} {unit}/s" if speed else "")

        yield Live()


def duration(seconds: float) -> str:
    """Return a length of time as a person would say it: `8 s`, `4 min 10 s`, `2 h 05 min`."""
    if seconds == float("inf"):
        return "unknown time"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def seconds_of(text: str) -> float:
    """Return a length of time in seconds, from words such as `11h`, `11h30m`, `45m` or `90s`.

    Raises:
        ValueError: It is none.
    """
    number = r"(\d+(?:\.\d+)?)"
    found = re.fullmatch(f"(?:{number}h)?(?:{number}m)?(?:{number}s)?", text.replace(" ", ""))
    if found is None or not any(found.groups()):
        raise ValueError(f"'{text}' is no length of time; write it like 11h, 11h30m, 45m or 90s")
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds
