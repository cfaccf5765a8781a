"""The command that makes a report again, with the real paths."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from asli.evaluation.measure import PREVALENCES
from asli.files import printable


def evaluate_command(
    detector: str | Path,
    data: Path,
    *,
    split: str,
    out: str | Path | None,
    robustness: int,
    against: Sequence[str | Path],
    threshold: float | None,
    prevalences: Sequence[float],
) -> str:
    """Return the command of an evaluation as typed into a shell.

    Args:
        detector: Detector, as given to `evaluate`, as are all others.
        data: The data folder.
        split: Which part.
        out: Folder of the report.
        robustness: Images that are corrupted, at most.
        against: What it is compared with.
        threshold: Threshold of a table of scores.
        prevalences: Shares of fakes.
    """
    words: list[str | Path] = ["asli", "evaluate", detector, data, "--split", split]
    if out is not None:
        words += ["--out", out]
    if robustness:
        words += ["--robustness", str(robustness)]
    if against:
        words += ["--against", *against]
    if threshold is not None:
        words += ["--threshold", str(threshold)]
    if tuple(prevalences) != PREVALENCES:
        words += ["--prevalence", *map(str, prevalences)]
    return " ".join(shlex.quote(printable(word)) for word in words)
