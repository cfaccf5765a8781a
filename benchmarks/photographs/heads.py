"""Fit a linear head to features, and judge it on AI families and sources of photographs that it has not seen.

Regularized logistic regression in the largest principal components. Each group (family or source) weighs by the root
of its pictures, both labels alike. Reads what `features.py` wrote; features of several windows are averaged.

Prints, for each left-out AI family, AUROC and true positive rate at 5 % against photographs of left-out sources (mean
over four folds of sources). A fold also leaves out the AI pictures that share prompts with its test pictures.

    python benchmarks/photographs/heads.py early --views A B --blocks 3 --strength 0.1 --out photo
    python benchmarks/photographs/heads.py clip --views A --blocks 2 --strength 0.1 --out clip

writes `photo.npz` (the head, for `asli head` and `build.py`) and `photo.csv` (left-out scores of every picture: of
photographs by heads without their source, of AI pictures by heads without their family). `--into left_out.csv` puts
these scores into the table that `build.py` reads, one of each picture: of its degraded view, B, where that exists and
the last digit pair of its SHA-256 is even, else of view A.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from sklearn.metrics import roc_auc_score
from sklearn.utils.extmath import randomized_svd

from asli.training.logistic import balanced_weights

HERE = Path(__file__).parent
CLIP_WIDTH = 768

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def balance(labels: Array, groups: npt.NDArray[np.str_]) -> Array:
    """Return weights of pictures: the root of its size for each group, the same sum for both labels."""
    return balanced_weights(labels.astype(np.int64), groups, evenness=0.5).astype(np.float32)


def newton(
    points: Array,
    labels: Array,
    weights: Array,
    strength: float,
    start: Array | None = None,
    directions: Array | None = None,
) -> Array:
    """Return coefficients of weighted logistic regression; those of the last column (ones) are not penalized.

    Args:
        points: One row a picture; the last column is ones.
        labels: 0 photograph, 1 AI picture.
        weights: Weights of the pictures.
        strength: Strength of the penalty.
        start: Coefficients to start from.
        directions: Rows whose squared products with the coefficients are penalized, too.
    """
    signs = (2 * labels - 1).astype(np.float32)
    penalty = np.full(points.shape[1], strength, np.float32)
    penalty[-1] = 1e-4
    matrix = np.diag(penalty) if directions is None else np.diag(penalty) + directions.T @ directions

    def loss(found: Array, odds: Array) -> float:
        fit = float((weights * np.logaddexp(0, -signs * odds)).sum(dtype=np.float64))
        return fit + 0.5 * float(found @ (matrix @ found))

    found = np.zeros(points.shape[1], np.float32) if start is None else start
    odds = points @ found
    best = loss(found, odds)
    for _ in range(12):
        share = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        curvature = np.maximum(weights * share * (1 - share), 1e-4).astype(np.float32)
        hessian = (points * curvature[:, None]).T @ points + matrix
        gradient = points.T @ (weights * (labels - share)).astype(np.float32) - matrix @ found
        step = cho_solve(cho_factor(hessian), gradient).astype(np.float32)
        moved, size = points @ step, 1.0
        while size > 1e-3 and loss(found + size * step, odds + size * moved) > best:
            size /= 2
        if size <= 1e-3:
            break
        found, odds = found + size * step, odds + size * moved
        gain, best = best - loss(found, odds), loss(found, odds)
        if gain < 1e-4 * max(best, 1e-3):
            break
    return found


class Model:
    """Logistic regression whose standardization and components come from all development pictures, without labels.

    Args:
        features: One row a picture and view.
        labels: 0 photograph, 1 AI picture.
        groups: Groups of the balance: a source or family, and the view.
        strength: Strength of the penalty.
        components: Principal components kept.
        pairs: Rows of two views of a picture, n x 2.
        consistency: Penalty on the mean squared difference of log-odds of such pairs.
    """

    def __init__(
        self,
        features: Array,
        labels: Array,
        groups: npt.NDArray[np.str_],
        strength: float,
        components: int,
        pairs: npt.NDArray[np.int_] | None = None,
        consistency: float = 0,
    ) -> None:
        self.mean, spread = features.mean(axis=0), features.std(axis=0)
        self.scale = (spread + 1e-3 * np.median(spread) + 1e-6) * np.sqrt(features.shape[1])
        scaled = (features - self.mean) / self.scale
        _, _, self.axes = randomized_svd(scaled, min(components, *scaled.shape), n_iter=2, random_state=0)
        self.points = np.c_[scaled @ self.axes.T, np.ones(len(scaled))].astype(np.float32)
        self.labels, self.groups, self.strength = labels, groups, strength
        self.pairs, self.consistency = pairs, consistency
        every = np.ones(len(labels), dtype=bool)
        self.full = newton(self.points, labels, balance(labels, groups), strength, None, self.directions(every))

    def directions(self, train: Mask) -> Array | None:
        """Return what keeps the log-odds of two views of a picture together: their differences, scaled."""
        if not self.consistency or self.pairs is None:
            return None
        pairs = self.pairs[train[self.pairs].all(axis=1)]
        factor = np.sqrt(self.consistency * train.sum() / len(pairs))
        return (factor * (self.points[pairs[:, 0]] - self.points[pairs[:, 1]])).astype(np.float32)

    def scores(self, train: Mask) -> Array:
        """Return log-odds of all rows by a fit to some of them."""
        weights, directions = balance(self.labels[train], self.groups[train]), self.directions(train)
        found = newton(self.points[train], self.labels[train], weights, self.strength, self.full, directions)
        return self.points @ found

    def head(self) -> tuple[Array, float]:
        """Return weight and bias on the features as they are, of the fit to all rows."""
        weight = (self.axes.T @ self.full[:-1]) / self.scale
        return weight.astype(np.float32), float(self.full[-1] - self.mean @ weight)


class Table:
    """Rows of `development.csv` that have features in a view, repeated for each view."""

    def __init__(self, table: Path, folder: Path, views: list[str], first_block: int) -> None:
        with table.open() as stream:
            rows = list(csv.DictReader(stream))
        self.rows: list[dict[str, str]] = []
        views_of, features = [], []
        for view in views:
            for row in rows:
                file = folder / view / f"{row['sha256'][:20]}.npy"
                if file.exists():
                    self.rows.append(row)
                    views_of.append(view)
                    features.append(np.load(file).astype(np.float32).mean(axis=0))
        self.features = np.array(features)
        self.width, self.used = self.features.shape[1], np.ones(self.features.shape[1], dtype=bool)
        if first_block:
            blocks, rest = divmod(self.width, 2 * CLIP_WIDTH)
            if rest:
                raise SystemExit("--blocks is for features of clip-b16-blocks and clip-b16-early")
            self.used = np.tile(np.repeat(np.arange(blocks) >= first_block, CLIP_WIDTH), 2)
            self.features = self.features[:, self.used]
        self.views = np.array(views_of)
        self.labels = np.array([row["label"] == "fake" for row in self.rows]).astype(np.float32)
        self.groups, self.families, self.prompts, self.folds = (
            np.array([row[key] for row in self.rows]) for key in ("group", "family", "prompts", "fold")
        )

    def pairs(self, view: str) -> npt.NDArray[np.int_]:
        """Return the row in a view and the row in view A of each picture that has both, n x 2."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for number, (row, name) in enumerate(zip(self.rows, self.views, strict=True)):
            found[row["sha256"]][str(name)] = number
        return np.array([(one[view], one["A"]) for one in found.values() if view in one and "A" in one])

    def family_parts(self) -> Iterator[tuple[str, Mask, Mask]]:
        """Yield each AI family in parts of common prompts: its name, the pictures, and those a fit may use."""
        for family in sorted(set(self.families) - {""}):
            own = self.families == family
            for half in ("0", "1"):
                test = own & ((self.prompts == half) | ((self.prompts == "") & (half == "0")))
                if test.any():
                    yield family, test, ~own & ~((self.prompts == half) & (self.labels == 1))

    def left_out(self, model: Model) -> Array:
        """Return log-odds of each row by a head without its source or family."""
        odds = np.full(len(self.rows), np.nan, np.float32)
        for source in set(self.groups[self.labels == 0]):
            own = (self.groups == source) & (self.labels == 0)
            odds[own] = model.scores(~own)[own]
        for _, test, train in self.family_parts():
            odds[test] = model.scores(train)[test]
        return odds

    def judge(self, model: Model, view: str) -> dict[str, tuple[float, float]]:
        """Return AUROC and true positive rate at 5 % of each family in a view, families and sources left out."""
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for family, test, train in self.family_parts():
            for fold in sorted(set(self.folds) - {""}):
                real = self.folds == fold
                shown = (test | real) & (self.views == view)
                labels = self.labels[shown]
                if labels.sum() < 2 or (labels == 0).sum() < 5 or len(set(self.labels[train & ~real])) < 2:
                    continue
                odds = model.scores(train & ~real)[shown]
                rate = float((odds[labels == 1] > np.quantile(odds[labels == 0], 0.95)).mean())
                found[family].append((float(roc_auc_score(labels, odds)), rate))
        return {name: tuple(np.mean(values, axis=0)) for name, values in found.items()}


def put_into(path: Path, column: str, scores: dict[tuple[str, str], str]) -> None:
    """Put one score of each picture into a column of a table, and its view into the column `view`.

    Args:
        path: The table; rewritten.
        column: Its column.
        scores: Scores by SHA-256 and view.
    """
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        sha256 = row["sha256"]
        degraded = (sha256, "B") in scores and int(sha256[-2:], 16) % 2 == 0
        row["view"] = "degraded" if degraded else "plain"
        row[column] = scores.get((sha256, "B" if degraded else "A"), "")
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Fit, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path, help="folder that features.py wrote")
    parser.add_argument("--table", type=Path, default=HERE / "development.csv")
    parser.add_argument("--views", nargs="+", default=["A"], help="views to train on; the first is tested")
    parser.add_argument("--blocks", type=int, default=0, help="of CLIP: use the blocks from this one on")
    parser.add_argument("--strength", type=float, default=0.2, help="of the penalty")
    parser.add_argument("--components", type=int, default=300)
    parser.add_argument("--consistency", type=float, default=0, help="penalty on differences between views B and A")
    parser.add_argument("--out", type=Path, required=True, help="name without suffix")
    parser.add_argument("--into", type=Path, help="left_out.csv, whose column of the head's name gets the scores")
    given = parser.parse_args()
    table = Table(given.table, given.features, given.views, given.blocks)
    groups = np.char.add(np.char.add(table.groups, "/"), table.views)
    if given.consistency and not {"A", "B"} <= set(given.views):
        parser.error("--consistency needs the views A and B")
    pairs = table.pairs("B") if given.consistency else None
    model = Model(table.features, table.labels, groups, given.strength, given.components, pairs, given.consistency)
    weight = np.zeros(table.width, np.float32)
    weight[table.used], bias = model.head()
    np.savez(given.out.with_suffix(".npz"), weight=weight, bias=np.float64(bias))
    odds = table.left_out(model)
    with given.out.with_suffix(".csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["sha256", "label", "group", "view", "log_odds"])
        for row, view, value in zip(table.rows, table.views, odds, strict=True):
            writer.writerow([row["sha256"], row["label"], row["group"], view, f"{value:.5f}"])
    if given.into is not None:
        keys = [(row["sha256"], str(view)) for row, view in zip(table.rows, table.views, strict=True)]
        scores = dict(zip(keys, (f"{value:.5f}" for value in odds), strict=True))
        put_into(given.into, given.out.name, scores)
    judged = table.judge(model, given.views[0])
    for name, (auroc, rate) in judged.items():
        print(f"{name:<16} AUROC {auroc:.3f}  TPR at 5 % {rate:.2f}")
    if judged:
        values = np.array(list(judged.values()))
        print(f"{len(table.rows)} rows; AUROC mean {values[:, 0].mean():.3f}, worst {values[:, 0].min():.3f}")
        print(f"TPR at 5 %: {values[:, 1].mean():.3f}")


if __name__ == "__main__":
    main()
