"""One detector against others on the same images; over seeds, one recipe against others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from asli.data.folder import DataFolder
from asli.detector.bundle import Detector
from asli.errors import DataError
from asli.evaluation.scoring import score_split
from asli.metrics.classification import Confusion, Floats, Labels, auroc
from asli.metrics.delong import paired_test
from asli.metrics.paired import Claim, f1_difference, holm, mcnemar, over_seeds
from asli.recipe import load_recipe

LEVEL = 0.05
FIGURES = ("f1", "accuracy", "auroc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A detector with its scores of the images all are compared on.

    Attributes:
        name: How the report calls it.
        hash: Of the detector.
        score: P(fake), float64, one an image.
        threshold: Its own saved one; fake from here on.
        family: What runs share that differ by their seed alone; None where that is not known.
        seed: Of its run.
    """

    name: str
    hash: str | None
    score: Floats
    threshold: float
    family: str | None = None
    seed: int | None = None

    @classmethod
    def of(cls, path: Path, detector: Detector, score: Floats) -> "Judged":
        """Describe a detector by its folder; its family is known where that lies in a run."""
        recipes = [folder / "recipe.toml" for folder in (path, path.resolve().parent)]
        recipe = next((load_recipe(file) for file in recipes if file.is_file()), None)
        family = None if recipe is None else f"{recipe.family()} on {detector.card.trained_on['hash']}"
        own = path.resolve()
        return cls(
            name="/".join((own.parent if own.name == "detector" else own).parts[-2:]),
            hash=detector.hash,
            score=score,
            threshold=detector.card.thresholds.high,
            family=family,
            seed=detector.card.seed if recipe is None else recipe.loop.seed,
        )


def open_others(paths: Sequence[str | Path], path: Path, first: Detector) -> list[tuple[Path, Detector]]:
    """Open the detectors to compare with one that lies at `path`; all mistakes are found before anything is scored.

    Raises:
        DetectorError: One is no detector.
        DataError: One is given twice, is the first one itself, or shares recipe and seed with another.
    """
    opened = [(Path(path), Detector.open(path)) for path in paths]
    seen = {first.hash: "the one judged"}
    for other, detector in opened:
        if detector.hash in seen:
            raise DataError(f"{other} is the same detector as {seen[detector.hash]}; give each one once")
        seen[detector.hash] = str(other)
    _families([Judged.of(*each, np.zeros(0)) for each in [(path, first), *opened]])
    return opened


def score_others(
    opened: Sequence[tuple[Path, Detector]], data: DataFolder, split: str, device: torch.device, first: Judged
) -> list[Judged]:
    """Score the same part with other detectors; for the test part each is an opening of its own in the ledger."""
    others = [Judged.of(path, detector, score_split(detector, data, split, device).score) for path, detector in opened]
    names = [first.name, *(other.name for other in others)]
    return [
        other if names.count(other.name) == 1 else replace(other, name=f"{other.name} {(other.hash or '')[:8]}")
        for other in others
    ]


def compare(
    first: Judged, others: Sequence[Judged], labels: Labels, groups: npt.NDArray[np.int64], seed: int = 0
) -> dict[str, Any]:
    """Test every difference between the first detector and the others; all claims are made together.

    Two trained models are compared with images as units: accuracy by McNemar's exact test on one of each group of
    twins, AUROC by DeLong's, F1 by the paired bootstrap, each at its own threshold. Where the first recipe and another
    have two or more seeds each, the recipes are compared with seeds as units; further seeds of the first recipe then
    serve that alone.

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


def _families(all_of_them: Sequence[Judged]) -> dict[str, list[Judged]]:
    families: dict[str, list[Judged]] = {}
    for judged in all_of_them:
        if judged.family is not None:
            runs = families.setdefault(judged.family, [])
            for run in runs:
                if run.seed == judged.seed:
                    raise DataError(
                        f"{run.name} and {judged.name} have the same recipe and seed {run.seed}; give one of them"
                    )
            runs.append(judged)
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
