"""What an evaluation measures besides its figures: comparison, robustness, mistakes; each its part and sections."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from asli.datasets.folder import DataFolder
from asli.detector.base import Detector
from asli.detector.card import Thresholds
from asli.detector.scoring import Scores
from asli.evaluation.comparison import Judged, Rival, compare_with
from asli.evaluation.mistakes import gallery, pictures_of
from asli.evaluation.robustness import sweep
from asli.evaluation.sections import comparison, mistakes, robustness
from asli.reports.kit import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to measure besides.

    Attributes:
        rivals: What to compare with.
        robustness: How many images at most to corrupt; 0 for none.
    """

    rivals: Sequence[Rival] = ()
    robustness: int = 0


def measure_further(
    result: dict[str, Any],
    asked: Asked,
    *,
    path: Path,
    detector: Detector | None,
    thresholds: Thresholds,
    data: DataFolder,
    scores: Scores,
    folder: Path,
    device: torch.device,
) -> list[Section]:
    """Compare, corrupt, and look at the mistakes; each part goes into `result`.

    Args:
        result: What `metrics.json` will hold.
        asked: What to measure.
        path: Of the detector or table of scores judged.
        detector: That, or None for a table.
        thresholds: Where scores become verdicts.
        data: The data folder.
        scores: Of one of its parts.
        folder: Of the evaluation.
        device: Where to compute.

    Returns:
        Sections of the report.
    """
    sections: list[Section] = []
    if asked.rivals:
        first = Judged.of(path, detector, thresholds.high, scores)
        result["comparison"] = compare_with(first, asked.rivals, data, result["data"]["split"], device)
        sections.append(comparison.comparison_section(result["comparison"]))
    if asked.robustness and detector is not None:
        kept = folder / "robustness"
        result["robustness"] = sweep(detector, data, scores, kept, device, images=asked.robustness)
        sections += robustness.robustness_sections(result["robustness"])
    result["gallery"] = gallery(data, scores.rows, scores.score, thresholds)
    sections += mistakes.gallery_sections(result["gallery"], pictures_of(data, result["gallery"]))
    return sections


def headlines(result: dict[str, Any]) -> list[str]:
    """Return what a reader must know of these parts who reads nothing else."""
    kinds = (
        ("comparison", comparison.headline),
        ("robustness", robustness.headline),
        ("gallery", mistakes.headline),
    )
    return [line for key, says in kinds if key in result for line in says(result[key])]
