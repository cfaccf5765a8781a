"""Leave whole generators or whole sources out of training and evaluate on them: the function behind `asli generalize`.

Each fold leaves out a group of one label and whole groups of the other label, and is evaluated on these. Neither the
generator nor the cameras of the evaluation were used in training.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.groups import group_names
from asli.errors import DataError, RecipeError
from asli.evaluation.left_out import FIGURES, Figure, GroupFigures, LeftOutGroups, OverGroups, figures_of_group
from asli.files import read_json, sha256_of_json, write_json
from asli.head_training import FrozenFeatureSet, available, extractor_of, features_of, groups_of
from asli.metrics.classification import Floats, auroc, score_of_logits
from asli.metrics.thresholds import Policy
from asli.metrics.worst_group import OTHERS, threshold_for_groups
from asli.models.device import set_threads
from asli.progress import progress
from asli.recipe import Recipe, load_recipe
from asli.records import Record

logger = logging.getLogger("asli")

LEAST = 20
FOLDS = 4
INNER = 3
CAMPS = 40
TARGET = 0.05

Rows = npt.NDArray[np.int64]
Scorer = Callable[[Rows, Rows], Floats]
"""Fits on the pictures given first and returns P(fake) of those given second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise(Record):
    """What the threshold of each fold promises.

    Attributes:
        false_alarms: Largest share of photographs called fake.
        confidence: Confidence that it holds.
    """

    false_alarms: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RealAgainstReal(Record):
    """AUROC of one left-out real source against another, by heads that separate two random sets of real sources.

    A result for a single pair is evidence about AI only above `high`.

    Attributes:
        mean: Mean over draws.
        sd: Standard deviation.
        high: 95 % quantile.
        draws: How many.
    """

    mean: float
    sd: float
    high: float
    draws: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors(Record):
    """What does not need any trace of a generator.

    Attributes:
        metadata: The same groups, by file metadata alone.
        real_against_real: One real source against another; None where there are fewer than four.
    """

    metadata: LeftOutGroups
    real_against_real: RealAgainstReal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalization(Record):
    """Result of `generalize`, content of `generalize.json` and output of `asli generalize --json`.

    Attributes:
        version: Version of this structure.
        leave_out: Kind of group that was left out.
        promised: What the thresholds promise.
        summary: Each figure over groups.
        groups: Figures of each left-out group, lowest AUROC first.
        floors: What is reached without any trace of a generator.
        recipe_hash: Hash of the recipe.
        network: The network whose features were used.
        data_hash: Hash of the data.
    """

    version: Literal[1] = 1
    leave_out: Literal["generator", "source"]
    promised: Promise
    summary: dict[Figure, OverGroups | None]
    groups: tuple[GroupFigures, ...]
    floors: Floors
    recipe_hash: str
    network: str
    data_hash: str

    def describe(self) -> str:
        """Return it as text for a person: headline, both floors, a line a group."""
        titles = ("AUROC", "TPR at 5 % FPR", "TPR at 1 % FPR", "false alarms, promised 5 %")
        lines = [f"{title:<26} {_headline(self.summary[key])}" for key, title in zip(FIGURES, titles, strict=True)]
        lines.append(f"{'floor: metadata alone':<26} {_headline(self.floors.metadata.summary['auroc'])}")
        if camps := self.floors.real_against_real:
            lines.append(
                f"{'floor: real against real':<26} AUROC {camps.mean:.3f}, sd {camps.sd:.3f}, 95 % below"
                f" {camps.high:.3f} ({camps.draws} draws): no claim below this is about AI"
            )
        lines.append(f"{self.leave_out:<26} {'n':>5} {'AUROC':>6} {'TPR5':>6} {'TPR1':>6} {'alarms':>6}")
        for row in self.groups:
            alarms = "-" if row.false_alarms is None else f"{row.false_alarms:.3f}"
            lines.append(
                f"{row.group[:26]:<26} {row.n:>5} {row.auroc:>6.3f} {row.tpr_at_5:>6.3f} {row.tpr_at_1:>6.3f}"
                f" {alarms:>6}"
            )
        return "\n".join(lines)


def generalize(
    recipe: str | Path | Recipe,
    data: str | Path | DataFolder,
    out: str | Path,
    *,
    leave_out: Literal["generator", "source"] = "generator",
    group_file: str | Path | None = None,
    least: int = LEAST,
    settings: Sequence[str] = (),
    threads: int | None = None,
) -> Generalization:
    """Leave each generator family, or each real source, out of training and evaluate on it.

    All readable images except those of the test part are used, since this may choose a recipe.
    Images of an unknown generator (without a name, or named `unknown...`) are left out altogether. An interrupted call
    resumes: features and finished folds are kept.

    Args:
        recipe: Recipe with `optim.name=logistic`: a head on a frozen trunk's features.
        data: A data folder.
        out: Folder for `generalize.json` and the folds.
        leave_out: Kind of group that a fold leaves out: a generator of the fakes or a source of the real images. A
            quarter of the groups of the other label is left out with it.
        group_file: A table of `id,group` that merges names: families of generators, sources of one origin.
        least: Groups of fewer images are left out together.
        settings: Settings of the recipe, as in `train`.
        threads: CPU threads of one operation; None leaves torch's choice.

    Raises:
        RecipeError: The recipe is of another kind.
        DataError: There are too few groups.
    """
    set_threads(threads)
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, settings)
    if recipe.optim.name != "logistic":
        raise RecipeError("generalize fits heads on frozen features; give a recipe with optim.name=logistic: photos")
    recipe, data, out = available(recipe), open_data(data), Path(out)
    rows, labels, names = _known(data, group_file)
    parts = [
        _merged(names, labels == code, least if (code == 1) == (leave_out == "generator") else 1) for code in (0, 1)
    ]
    for label, part in zip(("real", "fake"), parts, strict=True):
        if len(set(part[part != ""])) < 2:
            raise DataError(
                f"the {label} images of {data.path} are of one group; two or more are needed to leave one out"
            )
    extractor = extractor_of(recipe)
    found = features_of(extractor, data, rows, recipe)
    evened = groups_of(data, rows)

    def by_head(train: Rows, test: Rows) -> Floats:
        return score_of_logits(found.logits(found.fit(train, labels, evened, recipe), test))

    def by_metadata(train: Rows, test: Rows) -> Floats:
        return _by_metadata(values[train], labels[train], values[test])

    values = _metadata(data, rows)
    key = sha256_of_json([recipe.hash(), extractor.describe(0), data.hash, names.tolist(), leave_out, least])[:16]
    side = 1 if leave_out == "generator" else 0
    left_out = LeftOutGroups.of(_left_out_each(by_head, labels, parts, side, out / f"folds-{key}", promise=True))
    floor = LeftOutGroups.of(_left_out_each(by_metadata, labels, parts, side, out / f"floor-{key}", promise=False))
    result = Generalization(
        leave_out=leave_out,
        promised=Promise(false_alarms=TARGET, confidence=Policy().confidence),
        summary=left_out.summary,
        groups=left_out.groups,
        floors=Floors(metadata=floor, real_against_real=_camps(found, labels, parts[0], recipe)),
        recipe_hash=recipe.hash(),
        network=recipe.model.name,
        data_hash=data.hash,
    )
    write_json(out / "generalize.json", result.to_dict())
    return result


def _known(data: DataFolder, file: str | Path | None) -> tuple[Rows, npt.NDArray[np.int8], npt.NDArray[np.str_]]:
    """Return the rows that have a group, their labels, and their groups."""
    parts = [data.rows(part) for part in data.info["counts"] if part != "test"]
    rows = np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))
    table = data.table(["id", "source", "generator"], rows).to_pylist()
    names = [one["generator"] if fake else one["source"] for one, fake in zip(table, data.labels[rows], strict=True)]
    if file is not None:
        given = group_names([one["id"] for one in table], None, None, file)
        names = [new or old for new, old in zip(given, names, strict=True)]
    kept = np.array([bool(name) and not str(name).lower().startswith("unknown") for name in names])
    if not kept.all():
        logger.info("%s images without a known group are left out", f"{int((~kept).sum()):,}")
    return rows[kept], data.labels[rows[kept]], np.array([str(name) for name in names])[kept]


def _merged(names: npt.NDArray[np.str_], own: npt.NDArray[np.bool_], least: int) -> npt.NDArray[np.str_]:
    """Return the group of each image of a label, small ones together; empty for images of the other."""
    counts = Counter(names[own].tolist())
    return np.array(
        [("" if not of else name if counts[name] >= least else OTHERS) for name, of in zip(names, own, strict=True)]
    )


def dealt(groups: npt.NDArray[np.str_], count: int) -> list[set[str]]:
    """Deal groups out to folds of similar size: the largest first, each to the smallest fold."""
    folds: list[set[str]] = [set() for _ in range(count)]
    sizes = [0] * count
    for name, size in sorted(Counter(groups[groups != ""].tolist()).items(), key=lambda item: (-item[1], item[0])):
        smallest = int(np.argmin(sizes))
        folds[smallest].add(name)
        sizes[smallest] += size
    return [fold for fold in folds if fold]


def _left_out_each(
    scorer: Scorer,
    labels: npt.NDArray[np.int8],
    parts: list[npt.NDArray[np.str_]],
    side: int,
    kept: Path,
    *,
    promise: bool,
) -> list[GroupFigures]:
    own, other = parts[side], parts[1 - side]
    against = dealt(other, min(FOLDS, len(set(other[other != ""]))))
    names = sorted(set(own[own != ""]))
    found = []
    with progress("leaving out", len(names) * len(against), unit="folds") as bar:
        for name in names:
            folds: list[tuple[Floats, Floats]] = []
            limits: list[float | None] = []
            for number, fold in enumerate(against):
                file = kept / f"{sha256_of_json(name)[:12]}-{number}.json"
                left = (own == name) | np.isin(other, list(fold))
                if not file.is_file():
                    train, test = np.flatnonzero(~left), np.flatnonzero(left)
                    limit = _promised(scorer, labels, parts, train) if promise else None
                    write_json(file, {"group": name, "scores": scorer(train, test).tolist(), "threshold": limit})
                done = read_json(file)
                scores, code = np.array(done["scores"]), labels[left]
                folds.append((scores[code == 0], scores[code == 1]))
                limits.append(done["threshold"])
                bar.advance(1)
            found.append(figures_of_group(name, int((own == name).sum()), folds, limits))
    return found


def _promised(
    scorer: Scorer, labels: npt.NDArray[np.int8], parts: list[npt.NDArray[np.str_]], train: Rows
) -> float | None:
    """Return the threshold that a fold's own photographs promise, each scored by a head that saw neither its source."""
    real = train[labels[train] == 0]
    sources = parts[0]
    scores = np.full(len(labels), np.nan)
    for fold in dealt(sources[real], INNER):
        held = real[np.isin(sources[real], list(fold))]
        rest = np.setdiff1d(train, held)
        if len(np.unique(labels[rest])) == 2:
            scores[held] = scorer(rest, held)
    real = real[np.isfinite(scores[real])]
    try:
        policy = Policy(name="target-fpr", target=TARGET)
        return threshold_for_groups(
            scores[real], scores[real], np.arange(len(real)), sources[real].tolist(), policy
        ).high
    except DataError:
        return None


def _metadata(data: DataFolder, rows: Rows) -> Floats:
    """Return file metadata, n x 6: width, height, format, bytes per pixel, JPEG quality, EXIF."""
    table = data.table(["width", "height", "format", "bytes", "quality", "has_exif"], rows)
    width, height, size, quality = (
        np.array(table[name].to_pylist(), dtype=np.float64) for name in ("width", "height", "bytes", "quality")
    )
    formats = np.unique(table["format"].to_pylist(), return_inverse=True)[1].astype(np.float64)
    exif = np.array(table["has_exif"].to_pylist(), dtype=np.float64)
    return np.stack([width, height, formats, size / (width * height), quality, exif], axis=1)


def _by_metadata(train: Floats, labels: npt.NDArray[np.int8], test: Floats) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="openmp"):
        trees = HistGradientBoostingClassifier(max_iter=60, class_weight="balanced", random_state=0).fit(train, labels)
        scores: Floats = trees.predict_proba(test)[:, 1]
    return scores


def _camps(
    found: FrozenFeatureSet, labels: npt.NDArray[np.int8], sources: npt.NDArray[np.str_], recipe: Recipe
) -> RealAgainstReal | None:
    """Return how well heads that tell random camps of real sources apart order one left-out source of each."""
    real = np.flatnonzero(labels == 0)
    counts = Counter(sources[real].tolist())
    names = sorted(name for name, count in counts.items() if count >= LEAST and name != OTHERS)
    if len(names) < 4:
        return None
    random, areas = np.random.default_rng(0), []
    with progress("real against real", CAMPS, unit="draws") as bar:
        for _ in range(CAMPS):
            order = random.permutation(len(names))
            first = {names[number] for number in order[: len(names) // 2]}
            one, two = names[order[0]], names[order[-1]]
            camp = np.isin(sources, list(first)).astype(np.int8)
            train = real[np.isin(sources[real], [name for name in names if name not in (one, two)])]
            head = found.fit(train, camp, sources, recipe)
            test = real[np.isin(sources[real], [one, two])]
            areas.append(auroc(camp[test], score_of_logits(found.logits(head, test))))
            bar.advance(1)
    return RealAgainstReal(
        mean=float(np.mean(areas)), sd=float(np.std(areas)), high=float(np.quantile(areas, 0.95)), draws=CAMPS
    )


def _headline(figure: OverGroups | None) -> str:
    if figure is None:
        return "too few images for a promise"
    return (
        f"mean {figure.mean:.3f} (95 % CI {figure.low:.3f}-{figure.high:.3f}, {figure.groups} groups),"
        f" worst {figure.worst:.3f} ({figure.worst_group})"
    )
