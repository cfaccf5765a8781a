"""One detector against others on the same images; over seeds, one recipe against others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.detector.card import Thresholds
from asli.detector.scoring import Scores, count_seen, seen_in_training
from asli.errors import DataError
from asli.evaluation.further import (
    ComparedDetector,
    Comparison,
    DetectorPair,
    PairedDifference,
    RecipePair,
    SeedDifference,
)
from asli.evaluation.side_by_side import Scored, seconds_per_image, side_by_side, thumbnails
from asli.evaluation.subject import Given, Subject, threshold_of
from asli.metrics.classification import Confusion, Floats, Labels, auroc
from asli.metrics.delong import paired_test
from asli.metrics.differences import Difference
from asli.metrics.paired import OverSeeds, f1_difference, holm, mcnemar, over_seeds

if TYPE_CHECKING:
    import torch

LEVEL = 0.05
METRICS = ("f1", "accuracy", "auroc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A detector, or a table of scores, with its scores.

    Attributes:
        name: In the report.
        hash: Hash of the detector or the table.
        rows: Rows of the manifest, ascending, int64, n.
        score: P(fake), float64, n.
        threshold: Its own saved one; fake from here on.
        family: What runs share that differ by their seed alone; None where that is not known.
        seed: Seed of its run.
        thresholds: All of its thresholds; None where only the one is known.
        license: License of its weights; None for a table of scores.
        seconds: Median time of an image; None where it was not measured.
        seen: n, whether its training had each image; None where that is not known.
    """

    name: str
    hash: str | None
    rows: npt.NDArray[np.int64]
    score: Floats
    threshold: float
    family: str | None = None
    seed: int | None = None
    thresholds: Thresholds | None = None
    license: str | None = None
    seconds: float | None = None
    seen: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, subject: Subject, scores: Scores, data: DataFolder, seconds: float | None = None) -> "Contender":
        """Return what was opened with the scores it gave and the time it took."""
        return cls(
            name=subject.name,
            hash=subject.hash,
            rows=scores.rows,
            score=scores.score,
            threshold=subject.thresholds.high,
            family=subject.family,
            seed=subject.seed,
            thresholds=subject.thresholds,
            license=None if subject.detector is None else subject.detector.card.license,
            seconds=seconds,
            seen=None if subject.detector is None else seen_in_training(subject.detector, data, scores.rows),
        )


def open_others(
    against: Sequence[Given], first: Subject, data: DataFolder, split: str, threshold: float | None = None
) -> list[Subject]:
    """Open what the first detector, or table of scores, is compared with, before anything is scored.

    Raises:
        DetectorError: One is no detector.
        DataError: A table does not fit the data; one is given twice, is the first one itself, or shares recipe and seed
            with another.
    """
    others = [Subject.open(given, data, split, threshold_of(given, threshold)) for given in against]
    seen = {first.hash: "the one evaluated"}
    for other in others:
        if other.detector is not None:
            count_seen(other.detector, data, split)
        if other.hash in seen:
            raise DataError(f"{other.where} is the same as {seen[other.hash]}; give each one once")
        seen[other.hash] = other.where
    _refuse_same_seed([(subject.where, subject.family, subject.seed) for subject in (first, *others)])
    return others


def compare_with(
    first: Contender,
    others: Sequence[Subject],
    data: DataFolder,
    split: str,
    device: "torch.device",
    *,
    timed: bool = False,
    batch_size: int | None = None,
) -> tuple[Comparison, npt.NDArray[np.int64]]:
    """Score the same part with others, and compare on the images that all have scores of.

    For the test part each is an opening of its own in the ledger.

    Args:
        first: The evaluated one.
        others: What it is compared with.
        data: The data folder.
        split: Part of it.
        device: Where to compute.
        timed: Also measure the time an image takes the others.
        batch_size: Images computed at a time; None chooses by input size.

    Returns:
        The comparison, and the rows of its images.

    Raises:
        DataError: These images lack a label.
    """
    contenders = [first]
    for other in others:
        scores = other.score(data, split, device, batch_size)
        measured = timed and other.detector is not None
        seconds = seconds_per_image(other.detector, data, split, device) if measured and other.detector else None
        contenders.append(Contender.of(other, scores, data, seconds))
    names = [contender.name for contender in contenders]
    common = reduce(np.intersect1d, [contender.rows for contender in contenders])
    if len(np.unique(data.labels[common])) < 2:
        raise DataError("the images that all of them have scored lack real or fake ones; both are needed to compare")
    aligned = [
        replace(
            contender,
            rows=common,
            score=contender.score[np.searchsorted(contender.rows, common)],
            seen=None if contender.seen is None else contender.seen[np.searchsorted(contender.rows, common)],
            name=contender.name
            if names.count(contender.name) == 1
            else f"{contender.name} {(contender.hash or '')[:8]}",
        )
        for contender in contenders
    ]
    comparison = compare(aligned[0], aligned[1:], data.labels[common], data.groups(common))
    beside = side_by_side(
        [
            Scored(
                name=one.name,
                score=one.score,
                thresholds=one.thresholds,
                license=one.license,
                seconds=one.seconds,
                seen=one.seen is not None and bool(one.seen.any()),
            )
            for one in aligned
            if one.thresholds is not None
        ],
        data,
        common,
    )
    return replace(comparison, left_out=len(first.rows) - len(common), side_by_side=beside), common


def compare(
    first: Contender, others: Sequence[Contender], labels: Labels, groups: npt.NDArray[np.int64], seed: int = 0
) -> Comparison:
    """Test every difference between the first detector and the others, with one correction for all tests.

    Two trained models are compared with images as units, each at its own threshold. Accuracy is tested by McNemar's
    exact test on one of each group of duplicates. AUROC is tested by DeLong's test (few images: by permutations), F1 by
    permutations. If the first recipe and another have two or more seeds each, the recipes are compared with seeds as
    units. Further seeds of the first recipe are used for that alone.

    Args:
        first: The evaluated one.
        others: What it is compared with.
        labels: Labels of the images, 0 real, 1 fake.
        groups: Groups of identical images.
        seed: Seed of the bootstrap.

    Raises:
        DataError: Two runs share recipe and seed.
    """
    families = _families([first, *others])
    strangers = [other for other in others if other.family is None or other.family != first.family]
    pairs = [_ImageTests.of(first, other, labels, groups, seed) for other in strangers or others]
    recipes = []
    for family, runs in families.items():
        own = families.get(first.family or "", [])
        if family != first.family and len(runs) > 1 and len(own) > 1:
            recipes.append(_SeedTests.of(own, runs, labels))
    differences = [test for pair in pairs for test in pair.tests.values()]
    differences += [test.result for recipe in recipes for test in recipe.tests.values()]
    adjusted = iter(holm([test.p for test in differences]))
    return Comparison(
        level=LEVEL,
        tests=len(differences),
        images=len(labels),
        independent=len(np.unique(groups)),
        detectors=tuple(
            ComparedDetector(
                name=contender.name,
                hash=contender.hash,
                family=contender.family,
                seed=contender.seed,
                threshold=contender.threshold,
                figures=_metrics(contender, labels),
                seen_in_training=None if contender.seen is None else int(contender.seen.sum()),
            )
            for contender in (first, *others)
        ),
        pairs=tuple(
            DetectorPair(
                other=pair.other.name,
                same_recipe=first.family is not None and first.family == pair.other.family,
                first_only=pair.first_only,
                other_only=pair.other_only,
                tests={
                    name: PairedDifference(**asdict(test), **_corrected(next(adjusted)))
                    for name, test in pair.tests.items()
                },
            )
            for pair in pairs
        ),
        recipes=tuple(
            RecipePair(
                first=tuple(run.name for run in recipe.first),
                other=tuple(run.name for run in recipe.other),
                seeds=(tuple(run.seed for run in recipe.first), tuple(run.seed for run in recipe.other)),
                tests={
                    name: SeedDifference(
                        **asdict(test.result),
                        **_corrected(next(adjusted)),
                        method=test.method,
                        means=recipe.means[name],
                        spreads=test.spread,
                        seeds_needed=test.needed,
                    )
                    for name, test in recipe.tests.items()
                },
            )
            for recipe in recipes
        ),
    )


def disagreements_of(data: DataFolder, comparison: Comparison | None) -> dict[int, bytes]:
    """Return the pictures that detectors disagree on most, by row of the manifest, as PNG files."""
    beside = None if comparison is None else comparison.side_by_side
    return {} if beside is None else thumbnails(data, beside.disagreements)


@dataclass(frozen=True, slots=True)
class _ImageTests:
    """Two detectors compared with images as units, before correction for several tests."""

    other: Contender
    first_only: int
    other_only: int
    tests: dict[str, Difference]

    @classmethod
    def of(
        cls, first: Contender, other: Contender, labels: Labels, groups: npt.NDArray[np.int64], seed: int
    ) -> "_ImageTests":
        a, b = first.score >= first.threshold, other.score >= other.threshold
        _, single = np.unique(groups, return_index=True)
        fake = labels == 1
        accuracy = mcnemar((a == fake)[single], (b == fake)[single])
        tests = {
            "f1": f1_difference(labels, a, b, groups, seed),
            "accuracy": accuracy.accuracy,
            "auroc": paired_test(labels, first.score, other.score, groups),
        }
        return cls(other, accuracy.first_only, accuracy.second_only, tests)


@dataclass(frozen=True, slots=True)
class _SeedTests:
    """Two recipes compared with seeds as units, before correction for several tests."""

    first: Sequence[Contender]
    other: Sequence[Contender]
    tests: dict[str, OverSeeds]
    means: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, first: Sequence[Contender], other: Sequence[Contender], labels: Labels) -> "_SeedTests":
        figures = [{int(run.seed or 0): _metrics(run, labels) for run in runs} for runs in (first, other)]
        tests, means = {}, {}
        for name in METRICS:
            a, b = ({seed: values[name] for seed, values in of.items()} for of in figures)
            tests[name] = over_seeds(a, b)
            means[name] = (float(np.mean(list(a.values()))), float(np.mean(list(b.values()))))
        return cls(first, other, tests, means)


def _corrected(p_holm: float) -> dict[str, Any]:
    return {"p_holm": p_holm, "shown": p_holm < LEVEL}


def _refuse_same_seed(runs: Sequence[tuple[str, str | None, int | None]]) -> None:
    seen: dict[tuple[str, int | None], str] = {}
    for name, family, seed in runs:
        if family is not None and seen.setdefault((family, seed), name) != name:
            raise DataError(f"{seen[family, seed]} and {name} have the same recipe and seed {seed}; give one of them")


def _families(contenders: Sequence[Contender]) -> dict[str, list[Contender]]:
    _refuse_same_seed([(contender.name, contender.family, contender.seed) for contender in contenders])
    families: dict[str, list[Contender]] = {}
    for contender in contenders:
        if contender.family is not None:
            families.setdefault(contender.family, []).append(contender)
    return families


def _metrics(contender: Contender, labels: Labels) -> dict[str, float]:
    counts = Confusion.at(labels, contender.score, contender.threshold)
    return {"f1": counts.f1, "accuracy": counts.accuracy, "auroc": auroc(labels, contender.score)}
