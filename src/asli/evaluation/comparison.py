"""One detector against others on the same images; over seeds, one recipe against others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.detector.bundle import Detector
from asli.detector.scoring import Scores, count_seen, record_table, score_split
from asli.errors import DataError
from asli.evaluation import external
from asli.files import read_json, sha256_of_file
from asli.metrics.classification import Confusion, Floats, Labels, auroc
from asli.metrics.delong import paired_test
from asli.metrics.paired import Claim, f1_difference, holm, mcnemar, over_seeds
from asli.run import Run

if TYPE_CHECKING:
    import torch

LEVEL = 0.05
FIGURES = ("f1", "accuracy", "auroc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A detector, or a table of scores, with its scores.

    Attributes:
        name: How the report calls it.
        hash: Of the detector or the table.
        rows: Of the manifest, ascending, int64, n.
        score: P(fake), float64, n.
        threshold: Its own saved one; fake from here on.
        family: What runs share that differ by their seed alone; None where that is not known.
        seed: Of its run.
    """

    name: str
    hash: str | None
    rows: npt.NDArray[np.int64]
    score: Floats
    threshold: float
    family: str | None = None
    seed: int | None = None

    @classmethod
    def of(cls, path: Path, detector: Detector | None, threshold: float, scores: Scores) -> "Judged":
        """Describe what lies at a path; None for the detector says that it is a table of scores."""
        own = path.resolve()
        name = "/".join((own.parent if own.name == "detector" else own).parts[-2:])
        family, seed = (None, None) if detector is None else _family(detector)
        return cls(
            name=name,
            hash=sha256_of_file(path) if detector is None else detector.hash,
            rows=scores.rows,
            score=scores.score,
            threshold=threshold,
            family=family,
            seed=seed,
        )


@dataclass(frozen=True, slots=True)
class Rival:
    """What to compare with: a detector, or the joined scores of a table and where fake begins in it."""

    path: Path
    detector: Detector | None = None
    scores: Scores | None = None
    threshold: float = 0.5


def open_others(
    paths: Sequence[str | Path], path: Path, first: Detector | None, data: DataFolder, split: str
) -> list[Rival]:
    """Open what one detector, or table of scores, at `path` is compared with, before anything is scored.

    Raises:
        DetectorError: One is no detector.
        DataError: A table does not fit the data; one is given twice, is the first one itself, or shares recipe and seed
            with another.
    """
    rivals = [_opened(other, data, split) for other in paths]
    seen: dict[str | None, str] = {sha256_of_file(path) if first is None else first.hash: "the one judged"}
    for rival in rivals:
        digest = sha256_of_file(rival.path) if rival.detector is None else rival.detector.hash
        if digest in seen:
            raise DataError(f"{rival.path} is the same as {seen[digest]}; give each one once")
        seen[digest] = str(rival.path)
    runs = [(path, first), *((rival.path, rival.detector) for rival in rivals)]
    _refuse_same_seed([(str(at), *_family(detector)) for at, detector in runs if detector is not None])
    return rivals


def compare_with(
    first: Judged, rivals: Sequence[Rival], data: DataFolder, split: str, device: "torch.device"
) -> dict[str, Any]:
    """Score the same part with others, and compare on the images that all have scores of.

    For the test part each is an opening of its own in the ledger.

    Raises:
        DataError: These images lack a label.
    """
    others = []
    for rival in rivals:
        if rival.detector is not None:
            threshold, scores = rival.detector.card.thresholds.high, score_split(rival.detector, data, split, device)
        else:
            assert rival.scores is not None
            threshold, scores = rival.threshold, rival.scores
            record_table(data, split, sha256_of_file(rival.path), len(scores.rows))
        others.append(Judged.of(rival.path, rival.detector, threshold, scores))
    names = [first.name, *(other.name for other in others)]
    common = reduce(np.intersect1d, [judged.rows for judged in (first, *others)])
    if len(np.unique(data.labels[common])) < 2:
        raise DataError("the images that all of them have scored lack real or fake ones; both are needed to compare")
    aligned = [
        replace(
            judged,
            rows=common,
            score=judged.score[np.searchsorted(judged.rows, common)],
            name=judged.name if names.count(judged.name) == 1 else f"{judged.name} {(judged.hash or '')[:8]}",
        )
        for judged in (first, *others)
    ]
    part = compare(aligned[0], aligned[1:], data.labels[common], data.groups(common))
    return {**part, "left_out": len(first.rows) - len(common)}


def compare(
    first: Judged, others: Sequence[Judged], labels: Labels, groups: npt.NDArray[np.int64], seed: int = 0
) -> dict[str, Any]:
    """Test every difference between the first detector and the others; all claims are made together.

    Two trained models are compared with images as units: accuracy by McNemar's exact test on one of each group of
    duplicates, AUROC by DeLong's (few images: by exchanges), F1 by exchanges, each at its own threshold. Where the
    first recipe and another have two or more seeds each, the recipes are compared with seeds as units; further seeds of
    the first recipe then serve that alone.

    Args:
        first: The one judged.
        others: What it is held against.
        labels: Of the images, 0 real, 1 fake.
        groups: Of identical images.
        seed: Of the bootstrap.

    Returns:
        What `metrics.json` holds under `comparison`.

    Raises:
        DataError: Two runs share recipe and seed.
    """
    families = _families([first, *others])
    strangers = [other for other in others if other.family is None or other.family != first.family]
    pairs = [_pair(first, other, labels, groups, seed) for other in strangers or others]
    recipes = []
    for family, runs in families.items():
        own = families.get(first.family or "", [])
        if family != first.family and len(runs) > 1 and len(own) > 1:
            recipes.append(_recipes(own, runs, labels))
    claims: list[dict[str, Any]] = [claim for block in (*pairs, *recipes) for claim in block["claims"].values()]
    for claim, adjusted in zip(claims, holm([claim["p"] for claim in claims]), strict=True):
        claim["p_holm"] = adjusted
        claim["shown"] = adjusted < LEVEL
    return {
        "level": LEVEL,
        "claims": len(claims),
        "images": len(labels),
        "independent": len(np.unique(groups)),
        "detectors": [
            {
                "name": judged.name,
                "hash": judged.hash,
                "family": judged.family,
                "seed": judged.seed,
                "threshold": judged.threshold,
                "figures": _figures(judged, labels),
            }
            for judged in (first, *others)
        ],
        "pairs": pairs,
        "recipes": recipes,
    }


def _opened(name: str | Path, data: DataFolder, split: str) -> Rival:
    path = Path(name)
    if not external.is_score_file(path):
        opened = Detector.open(name)
        count_seen(opened, data, split)
        return Rival(path, opened)
    joined = external.join(external.read_scores(path), data, split, str(path))
    beside = path.parent / "metrics.json"  # asli's own scores.parquet: its detector's threshold stands beside it
    own = path.name == "scores.parquet" and beside.is_file()
    return Rival(path, scores=joined.scores, threshold=float(read_json(beside).get("threshold", 0.5)) if own else 0.5)


def _family(detector: Detector) -> tuple[str | None, int | None]:
    """Return what a detector shares with runs that differ by their seed alone, where it lies in a run, and its seed."""
    if detector.run_folder is None:
        return None, detector.card.seed
    recipe = Run.open(detector.run_folder).recipe
    return f"{recipe.family()} on {detector.card.trained_on['hash']}", recipe.loop.seed


def _refuse_same_seed(runs: Sequence[tuple[str, str | None, int | None]]) -> None:
    seen: dict[tuple[str, int | None], str] = {}
    for name, family, seed in runs:
        if family is not None and seen.setdefault((family, seed), name) != name:
            raise DataError(f"{seen[family, seed]} and {name} have the same recipe and seed {seed}; give one of them")


def _families(all_of_them: Sequence[Judged]) -> dict[str, list[Judged]]:
    _refuse_same_seed([(judged.name, judged.family, judged.seed) for judged in all_of_them])
    families: dict[str, list[Judged]] = {}
    for judged in all_of_them:
        if judged.family is not None:
            families.setdefault(judged.family, []).append(judged)
    return families


def _pair(first: Judged, other: Judged, labels: Labels, groups: npt.NDArray[np.int64], seed: int) -> dict[str, Any]:
    a, b = first.score >= first.threshold, other.score >= other.threshold
    _, single = np.unique(groups, return_index=True)
    fake = labels == 1
    accuracy = mcnemar((a == fake)[single], (b == fake)[single])
    area = paired_test(labels, first.score, other.score, groups)
    return {
        "other": other.name,
        "same_recipe": first.family is not None and first.family == other.family,
        "first_only": accuracy.first_only,
        "other_only": accuracy.second_only,
        "claims": {
            "f1": asdict(f1_difference(labels, a, b, groups, seed)),
            "accuracy": asdict(accuracy.accuracy),
            "auroc": asdict(Claim(area.difference, area.low, area.high, area.p)),
        },
    }


def _recipes(first: Sequence[Judged], other: Sequence[Judged], labels: Labels) -> dict[str, Any]:
    figures = [{run.seed: _figures(run, labels) for run in runs} for runs in (first, other)]
    claims: dict[str, Any] = {}
    for name in FIGURES:
        a, b = ({int(seed or 0): values[name] for seed, values in of.items()} for of in figures)
        result = over_seeds(a, b)
        claims[name] = {
            **asdict(result.claim),
            "method": result.method,
            "means": [float(np.mean(list(a.values()))), float(np.mean(list(b.values())))],
            "spreads": list(result.spread),
            "seeds_needed": result.needed,
        }
    return {
        "first": [run.name for run in first],
        "other": [run.name for run in other],
        "seeds": [[run.seed for run in first], [run.seed for run in other]],
        "claims": claims,
    }


def _figures(judged: Judged, labels: Labels) -> dict[str, float]:
    counts = Confusion.at(labels, judged.score, judged.threshold)
    return {"f1": counts.f1, "accuracy": counts.accuracy, "auroc": auroc(labels, judged.score)}
