"""Train a linear head on a frozen trunk's features and make a detector of it: `asli train` with `optim.name=logistic`.

Fitting a head takes seconds, so thresholds always come from out-of-fold scores: each picture is scored by a head that
was fitted without it. The detector's own head is fitted to all pictures.
"""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.datasets.folds import fold_of
from asli.detector.calibrate import domain_of, fit_thresholds, out_of_fold_of
from asli.detector.card import Card, TrainingData
from asli.detector.heads import BUNDLED, origin_of, trunk_file, trunk_network, unfitted
from asli.detector.out_of_fold import figures_out_of_fold, write_out_of_fold
from asli.errors import RecipeError, WeightsError
from asli.fitting import POOL, describe, run_folder, training_rows
from asli.metrics.classification import Floats
from asli.metrics.thresholds import Policy
from asli.models.device import fingerprint, pick_device, set_threads
from asli.models.frozen import FROZEN
from asli.recipe import Recipe
from asli.run import Run
from asli.training.features import Extractor
from asli.training.logistic import LinearHead, balanced_weights, fit_head
from asli.transforms.preprocessing import Preprocessing

logger = logging.getLogger("asli")

FOLDS = 5
Rows = npt.NDArray[np.int64]


def available(recipe: Recipe) -> Recipe:
    """Return the recipe, with the network whose trunk is in the package in place of one whose trunk is not here.

    Raises:
        RecipeError: Its network has no frozen trunk, or its penalty on differences between views has no views.
    """
    name = recipe.model.name
    if recipe.augment.consistency and not recipe.augment.views:
        raise RecipeError("augment.consistency compares degraded views; set augment.views to 1 or more")
    if name not in FROZEN:
        raise RecipeError(
            f"optim.name=logistic needs a network with a frozen trunk ({', '.join(FROZEN)}), not '{name}'"
        )
    try:
        trunk_file(name)
    except WeightsError as error:
        logger.warning("%s; %s takes its place", error, BUNDLED)
        return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, name=BUNDLED))
    return recipe


@dataclass(frozen=True, slots=True)
class FrozenFeatureSet:
    """Features of pictures, ready for heads.

    Attributes:
        windows: Windows of each picture, windows x features: the picture as it is.
        views: Mean over windows of each picture, n x features: first as it is, then each degraded view.
        preprocessing: Pools the windows' logits.
    """

    windows: list[npt.NDArray[np.float32]]
    views: list[npt.NDArray[np.float32]]
    preprocessing: Preprocessing

    def fit(
        self, chosen: Rows, labels: npt.NDArray[np.integer], groups: npt.NDArray[np.generic], recipe: Recipe
    ) -> LinearHead:
        """Fit a head to some pictures, all views of them.

        Args:
            chosen: Their numbers.
            labels: Labels of all pictures.
            groups: Groups of all pictures: source and generator, which `data.balance` evens out.
            recipe: Gives penalty and balance.
        """
        weights = balanced_weights(labels[chosen], groups[chosen], recipe.data.balance)
        count = len(self.views)
        consistency = recipe.augment.consistency
        degraded = [view[chosen] - self.views[0][chosen] for view in self.views[1:]] if consistency else []
        return fit_head(
            np.concatenate([view[chosen] for view in self.views]),
            np.tile(labels[chosen], count),
            np.tile(weights, count) / count,
            recipe.optim.weight_decay,
            np.concatenate(degraded) if degraded else None,
            consistency,
        )

    def logits(self, head: LinearHead, chosen: Rows) -> Floats:
        """Return the logits of some pictures, float64, n x 2: their windows', pooled."""
        pooled = []
        for number in chosen.tolist():
            odds = head.log_odds(self.windows[number])
            pooled.append(float(odds @ self.preprocessing.weights(odds)))
        odds = np.array(pooled)
        return np.stack([-odds / 2, odds / 2], axis=1)


def extractor_of(recipe: Recipe) -> Extractor:
    """Return what computes a recipe's features; the recipe's trunk must be here.

    Raises:
        WeightsError: It is not.
    """
    half = not FROZEN[recipe.model.name].external
    network, digest = trunk_network(recipe.model.name, half=half)
    return Extractor(network, digest, half, Preprocessing.of(recipe.data, network.mean, network.std))


def features_of(extractor: Extractor, data: DataFolder, rows: Rows, recipe: Recipe) -> FrozenFeatureSet:
    """Return the features of a data folder's rows, from the cache as far as they are there."""
    count = recipe.augment.views
    views = [extractor.of_rows(data, rows, view, views=count) for view in range(count + 1)]
    means = [np.stack([one.mean(axis=0) for one in view]) for view in views]
    return FrozenFeatureSet(views[0], means, extractor.preprocessing)


def groups_of(data: DataFolder, rows: Rows) -> npt.NDArray[np.str_]:
    """Return source and generator of each row as one name."""
    table = data.table(["source", "generator"], rows).to_pylist()
    return np.array([f"{one['source']}/{one['generator']}" for one in table])


def train_head(
    recipe: Recipe,
    data: DataFolder,
    out: Path,
    *,
    folds: int = 0,
    resume: bool = False,
    device: str | None = None,
    threads: int | None = None,
) -> Run:
    """Fit a head and make a calibrated detector of it; arguments as in `asli.pipeline.train`.

    Features are kept in the cache, so an interrupted run resumes where it stood.

    Raises:
        DataError: A label is missing.
        RecipeError, WeightsError, RunError: See their messages.
    """
    recipe, folds, place = available(recipe), folds or FOLDS, pick_device(device)
    set_threads(threads)
    rows = training_rows(data, recipe, POOL)
    labels = data.labels[rows]
    fold, groups = fold_of(data, rows, folds), groups_of(data, rows)
    environment = {**fingerprint(place), "start_weights": recipe.model.name}
    run = run_folder(out, recipe, describe(data, rows, folds), environment, resume=resume)
    with run.locked():
        if (run.detector / "README.md").exists():
            return run
        extractor = extractor_of(recipe)
        found = features_of(extractor, data, rows, recipe)
        logits = np.empty((len(rows), 2))
        for number in range(folds):
            held = fold == number
            logits[held] = found.logits(found.fit(np.flatnonzero(~held), labels, groups, recipe), np.flatnonzero(held))
        policy = Policy()
        temperature, thresholds = fit_thresholds(logits, data, rows, policy, folds)
        write_out_of_fold(run.folds, data, rows, fold, logits, temperature)
        figures = figures_out_of_fold(logits / temperature, data, rows, fold, policy, thresholds.high)
        head = found.fit(np.arange(len(rows)), labels, groups, recipe)
        card = Card(
            temperature=temperature,
            thresholds=thresholds,
            domain=domain_of(data, rows, extractor.preprocessing),
            trained_on=TrainingData(name=data.name, hash=data.hash, images=len(rows)),
            figures={out_of_fold_of(data, folds): figures},
            recipe_hash=recipe.hash(),
            seed=recipe.loop.seed,
            start_weights=origin_of(recipe.model.name, extractor.trunk_sha256),
        )
        made = unfitted(
            extractor.network,
            head,
            extractor.preprocessing,
            card,
            extractor.trunk_sha256,
            data.keys(rows),
            temperature=temperature,
        )
        made.save(run.detector)
        logger.info("head on %s: %s: AUROC %s", recipe.model.name, out_of_fold_of(data, folds), figures["auroc"])
        alarms, recall = figures["false_positive_rate"], figures["recall"]
        if alarms.value is not None and recall.value is not None:
            logger.info(
                "of 100 photographs like these, about %.0f would be called fake; of 100 fakes, about %.0f."
                " For a promised rate: asli calibrate %s %s --target-fpr 5%% --out NEW",
                100 * alarms.value,
                100 * recall.value,
                run.path,
                data.path,
            )
    return run
