"""Where the sections find each part of an evaluation's result: the one place that knows its form."""

from typing import Any

from asli.metrics.classification import Confusion

Result = dict[str, Any]
"""Content of `metrics.json`."""

Measured = Any
"""A figure with `value`, `low`, `high` and `n`; `asli.reports.numbers` reads it."""


def at_threshold(result: Result) -> dict[str, Measured]:
    """Return the figures at the saved threshold by name."""
    found: dict[str, Measured] = result["figures"]["threshold"]
    return found


def at_argmax(result: Result) -> dict[str, Measured]:
    """Return the figures at 0.5 by name."""
    found: dict[str, Measured] = result["figures"]["argmax"]
    return found


def threshold_free(result: Result) -> dict[str, Measured]:
    """Return the figures that no threshold bears on by name."""
    found: dict[str, Measured] = result["figures"]["threshold_free"]
    return found


def verdict_rates(result: Result) -> dict[str, dict[str, Measured]]:
    """Return the share of each verdict by label."""
    found: dict[str, dict[str, Measured]] = result["verdicts"]
    return found


def confusion(result: Result, *, argmax: bool = False) -> Confusion:
    """Return the counts at the saved threshold, or at 0.5."""
    return Confusion(**result["confusion_argmax" if argmax else "confusion"])


def counts_of(name: str, counts: Confusion) -> tuple[int, int] | None:
    """Return part and whole of a figure that is a share of images; None for others."""
    parts = {
        "precision": (counts.tp, counts.tp + counts.fp),
        "recall": (counts.tp, counts.tp + counts.fn),
        "false_negative_rate": (counts.fn, counts.tp + counts.fn),
        "accuracy": (counts.tp + counts.tn, counts.tp + counts.fp + counts.tn + counts.fn),
        "false_positive_rate": (counts.fp, counts.fp + counts.tn),
    }
    return parts.get(name)


def called(result: Result) -> str:
    """Return what the user called the detector; in results of before its network."""
    detector = result["detector"]
    return str(detector.get("name") or detector["network"])


def is_score_table(result: Result) -> bool:
    """Return whether a table of scores was evaluated, not a detector."""
    return bool(result["detector"]["scores"])
