"""How well labels can be told from what should not matter: cross-validated AUROC, and what chance would give."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from asli.auditing.findings import ByChance, Shortcut, Shortcuts, Telling
from asli.auditing.read_pixels import PixelReader
from asli.auditing.shortcut_features import (
    NUMBERS,
    SETTINGS,
    Features,
    crop_side,
    file_settings,
    file_weight,
    from_pixels,
)
from asli.datasets.folder import DataFolder
from asli.datasets.splits import stratified_sample
from asli.metrics.classification import Floats, Labels, auroc
from asli.metrics.delong import auroc_interval
from asli.progress import progress

IMAGES = 20_000
"""Images the classifiers are trained and evaluated on, drawn in proportion to label, generator and category."""

NULL_IMAGES = 1000
"""Images of the permutation test, one of each group of duplicates."""

PERMUTATIONS = 40
TREES: dict[str, Any] = {"max_iter": 60, "max_leaf_nodes": 15, "learning_rate": 0.15, "early_stopping": False}
NULL_TREES = {**TREES, "max_iter": 30, "max_bins": 63}
"""The permutation test fits 200 times, so it takes a quicker classifier, for true and for permuted labels alike."""

FOLDS = 5
LEAST = 20
"""Groups of duplicates a label must have; below that nothing is claimed."""


def measure(
    data: DataFolder, pixels: PixelReader, groups: npt.NDArray[np.int64], *, images: int = IMAGES, seed: int = 0
) -> Shortcuts:
    """Train classifiers on file facts, colors and spectra only.

    Args:
        data: The data folder.
        pixels: Where its images are decoded.
        groups: One a row of the manifest: duplicates that must not be parted by a fold.
        images: At most this many are used.
        seed: Seed of folds and permutations.

    Returns:
        Results by kind of feature: none where a label is too rare.
    """
    readable = np.flatnonzero(data.readable)
    table = data.table(["label", "generator", "category"], readable)
    strata = ["/".join(str(part) for part in line.values()) for line in table.to_pylist()]
    rows = readable[stratified_sample(strata, images)]
    labels, members = data.labels[rows], groups[rows]
    result = Shortcuts(images=len(rows), of=len(readable), folds=FOLDS, permutations=PERMUTATIONS)
    if why := too_few(labels, members):
        return replace(result, why=why)
    facts = data.table(
        [*SETTINGS, *NUMBERS, "bytes"],
        rows,
    )
    side = crop_side(facts)
    colors, spectra = from_pixels(pixels, rows, side)
    kinds = {"files": file_settings(facts), "weight": file_weight(facts), "colors": colors, "spectrum": spectra}
    return replace(
        result,
        crop=side,
        smaller_than_crop=int(np.isnan(spectra.values[:, 0]).sum()),
        kinds=each_kind(kinds, labels, members, seed),
    )


def too_few(labels: Labels, groups: npt.NDArray[np.int64]) -> str | None:
    """Return why nothing is claimed where a label has fewer than `LEAST` groups of duplicates, else None."""
    rarer = min(len(np.unique(groups[labels == code])) for code in (0, 1))
    return f"a label has only {rarer} different images; {LEAST} are needed" if rarer < LEAST else None


def each_kind(
    kinds: Mapping[str, Features], labels: Labels, groups: npt.NDArray[np.int64], seed: int
) -> dict[str, Shortcut]:
    """Return `cross_validated` of each kind of features, with progress."""
    # Trees this small gain nothing from a second thread.
    with (
        threadpool_limits(1, user_api="openmp"),
        progress("fitting shortcut classifiers", len(kinds) * (2 + PERMUTATIONS), unit="fits") as bar,
    ):
        return {name: cross_validated(seen, labels, groups, seed, bar.advance) for name, seen in kinds.items()}


def cross_validated(
    features: Features,
    labels: Labels,
    groups: npt.NDArray[np.int64],
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Shortcut:
    """Return the cross-validated AUROC, what chance gives, and the features that tell most.

    Args:
        features: What the classifier sees.
        labels: 0 real, 1 fake.
        groups: Groups of duplicates, which no fold parts.
        seed: Seed of folds and permutations.
        advance: Called after each cross-validation, of which there are 2 + `PERMUTATIONS`.
    """
    scores = out_of_fold(features.values, labels, groups, seed)
    advance()
    figure = auroc_interval(labels, scores, groups)
    random = np.random.default_rng(seed)
    _, heads = np.unique(groups, return_index=True)
    heads = np.sort(heads)
    strata = [str(label) for label in labels[heads]]
    heads = heads[stratified_sample(strata, NULL_IMAGES)]
    alone = np.arange(len(heads))
    values = features.values[heads]
    at_this_n = auroc(labels[heads], out_of_fold(values, labels[heads], alone, seed, NULL_TREES))
    advance()
    chance = []  # not by `permutation_test_score`: with groups it permutes within them, and duplicates share a label
    for turn in range(PERMUTATIONS):
        shuffled = labels[heads][random.permutation(len(heads))]
        chance.append(auroc(shuffled, out_of_fold(values, shuffled, alone, seed + turn, NULL_TREES)))
        advance()
    low, high = np.quantile(chance, [0.025, 0.975])
    p = (1 + sum(value >= at_this_n for value in chance)) / (1 + PERMUTATIONS)
    return Shortcut(
        auroc=figure,
        null=ByChance(low=float(low), high=float(high), images=len(heads), auroc_there=at_this_n, p=float(p)),
        telling=_telling(features, labels, groups, seed),
    )


def out_of_fold(
    values: Floats, labels: Labels, groups: npt.NDArray[np.int64], seed: int, trees: dict[str, Any] = TREES
) -> Floats:
    """Return each image's log-odds of fake by gradient-boosted trees that have not seen its group.

    Not `cross_val_predict`: the columns that have values differ from fold to fold.
    """
    folds = group_folds(labels, groups, seed)
    scores = np.zeros(len(labels))
    for fold in range(FOLDS):
        held = folds == fold
        # The trees refuse a column without a value, and learn nothing from one value.
        known = np.array([len(np.unique(column)) > 1 for column in values[~held].T])
        if not held.any() or not known.any():
            continue
        model = HistGradientBoostingClassifier(**trees, random_state=seed)
        model.fit(values[~held][:, known], labels[~held])
        scores[held] = model.decision_function(values[held][:, known])
    return scores


def group_folds(labels: Labels, groups: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """Deal groups out to folds, those of each label in turn: nearly equal shares of labels, no group parted.

    scikit-learn's `StratifiedGroupKFold` loops over groups in Python, of which there may be 100,000.
    """
    _, first, members = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(labels[first][order], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % FOLDS
    return fold[members]


def _telling(features: Features, labels: Labels, groups: npt.NDArray[np.int64], seed: int) -> tuple[Telling, ...]:
    varying = [k for k in range(len(features.names)) if len(np.unique(features.values[:, k])) > 1]
    alone: list[tuple[float, str]] = []
    for k in varying:
        column = features.values[:, k : k + 1]
        if len(varying) <= 20:  # few facts, perhaps in no order: what trees make of each
            area = auroc(labels, out_of_fold(column, labels, groups, seed))
        else:
            area = auroc(labels, np.nan_to_num(column[:, 0], nan=-1e9))
            area = max(area, 1 - area)
        alone.append((area, features.names[k]))
    return tuple(Telling(feature=name, auroc=area) for area, name in sorted(alone, reverse=True)[:5])
