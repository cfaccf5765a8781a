"""The subject of an evaluation or comparison: a detector, or a table of anyone's scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asli.datasets.folder import DataFolder
from asli.detector.base import Detector
from asli.detector.card import Thresholds
from asli.detector.locate import short_name
from asli.detector.scoring import Scores, record_table, score_split
from asli.errors import DataError
from asli.evaluation import external
from asli.evaluation.arrays import given_thresholds
from asli.evaluation.described import DetectorSummary
from asli.files import read_json, sha256_of_file, sha256_of_json
from asli.run import Run

if TYPE_CHECKING:
    import torch

Given = str | Path | Detector | Mapping[str, float]
"""A detector, its folder, run or name; or a table of scores as a file or as a mapping from names to P(fake)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A detector, or a table of scores joined with a part of a data folder.

    Attributes:
        name: In comparisons.
        where: In messages: its path.
        hash: Hash of the detector, or of the table.
        thresholds: Where its scores become verdicts.
        detector: None for a table.
        joined: The table's scores; None for a detector.
    """

    name: str
    where: str
    hash: str
    thresholds: Thresholds
    detector: Detector | None = None
    joined: external.Joined | None = None

    @classmethod
    def open(cls, given: Given, data: DataFolder, split: str, threshold: float | None = None) -> "Subject":
        """Open it; nothing is scored.

        Args:
            given: The detector or table.
            data: The data folder.
            split: Part of it that a table must have scores of.
            threshold: Fake from here on for a table; None takes 0.5.

        Raises:
            DetectorError: The detector cannot be used.
            DataError: The table cannot be read or does not fit the data, or a detector was given a threshold.
        """
        if isinstance(given, Detector):
            path = given.folder or Path("detector")
            return cls._of_detector(given.answering_for(data, split), path, threshold, given.called)
        if not isinstance(given, Mapping) and not external.is_score_file(Path(given)):
            detector = Detector.load(given)
            return cls._of_detector(detector.answering_for(data, split), Path(given), threshold, detector.called)
        fake = 0.5 if threshold is None else threshold
        thresholds = given_thresholds(fake, fake)
        if isinstance(given, Mapping):
            name, where, digest, scores = "scores", "the mapping", sha256_of_json(dict(given)), given
        else:
            name, where, digest = short_name(given), str(given), sha256_of_file(Path(given))
            scores = external.read_scores(Path(given))
        joined = external.join(scores, data, split, where)
        return cls(name=name, where=where, hash=digest, thresholds=thresholds, joined=joined)

    @classmethod
    def _of_detector(cls, detector: Detector, path: Path, threshold: float | None, name: str) -> "Subject":
        if threshold is not None:
            raise DataError(f"{path} brings its own thresholds; --threshold is for tables of scores")
        return cls(
            name=name,
            where=str(path),
            hash=detector.hash or "unsaved",
            thresholds=detector.card.thresholds,
            detector=detector,
        )

    @property
    def run(self) -> Run | None:
        """Return the run that a detector lies in, or None."""
        folder = None if self.detector is None else self.detector.run_folder
        return None if folder is None else Run.open(folder)

    @property
    def family(self) -> str | None:
        """Return what runs share that differ by their seed alone; None where that is not known."""
        run = self.run
        return None if run is None or self.detector is None else _family(run, self.detector)

    @property
    def seed(self) -> int | None:
        """Return the seed of a detector's run, or None."""
        run = self.run
        if run is not None:
            return run.recipe.loop.seed
        return None if self.detector is None else self.detector.card.seed

    def score(self, data: DataFolder, split: str, device: "torch.device", batch_size: int | None = None) -> Scores:
        """Return the scores of a part; of the test part, the data folder's ledger records it, a table's too."""
        if self.detector is not None:
            return score_split(self.detector, data, split, device, batch_size)
        assert self.joined is not None
        record_table(data, split, self.hash, len(self.joined.scores.rows))
        return self.joined.scores

    def describe(self) -> DetectorSummary:
        """Return what goes beside its metrics."""
        if self.detector is None:
            return DetectorSummary.of_scores(Path(self.name).name, self.hash, self.thresholds)
        return DetectorSummary.of(self.detector, self.name)


def _family(run: Run, detector: Detector) -> str:
    return f"{run.recipe.family()} on {detector.card.trained_on.hash}"


def threshold_of(given: Given, threshold: float | None) -> float | None:
    """Return the threshold that a table of scores is opened with: its saved one, else the given one.

    A detector brings its own, so None is returned for it.
    """
    saved = saved_threshold(given)
    table = isinstance(given, Mapping) or (isinstance(given, (str, Path)) and external.is_score_file(Path(given)))
    return threshold if saved is None and table else saved


def saved_threshold(given: Given) -> float | None:
    """Return the threshold that asli saved beside its own `scores.parquet`; None for anything else."""
    if isinstance(given, (Detector, Mapping)) or Path(given).name != "scores.parquet":
        return None
    metrics = Path(given).parent / "metrics.json"
    return float(read_json(metrics)["threshold"]) if metrics.is_file() else None
