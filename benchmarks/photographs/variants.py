"""Evaluate variants of a head by the protocol: aligned fakes, consistency of views, balance of the sources.

Reads features of several views that `features.py` wrote. Prints, for each variant, mean and worst AUROC of the left-out
families, true positive rate at 5 %, and what thresholds by `build.py` would do to the left-out pictures.

| variant | training |
|---|---|
| `label` | the head of `heads.py`, on the views A and B as far as they are there |
| `plain` | the same on view A alone |
| `even` | the same, where each source and each family has the same weight |
| `scatter:X` | penalty X on the variance between the mean log-odds of the training sources |
| `consistent:X` | penalty X on the squared difference between the log-odds of the views B and A |
| `added:X` | aligned fakes (view R) join the AI pictures, with a share X of their weight |
| `specialist` | photographs against their aligned fakes: no AI pictures |
| `mean`, `maximum`, `third` | of the standardized log-odds of `label` and `specialist` (`third`: by 0.3) |

    python benchmarks/photographs/variants.py dev/clip --views A R --blocks 2 --try label added:0.1 specialist mean

The components are the 300 largest of the plain and degraded views. With view R, 200 components of the differences
between R and A are added, since the traces of an autoencoder may lie outside the first ones.
"""

import argparse
from pathlib import Path

import numpy as np
from build import threshold
from heads import HERE, Array, Mask, Table, balance, newton
from sklearn.utils.extmath import randomized_svd

COMPONENTS, TRACES = 300, 200
CALLED_REAL = 0.15


class Views(Table):
    """Rows of several views, aligned fakes among them, and their points in the space of the components."""

    def __init__(self, table: Path, folder: Path, views: list[str], first_block: int) -> None:
        super().__init__(table, folder, views, first_block)
        self.sources = np.where(self.labels == 0, self.groups, "")
        self.fakes = self.views == "R"
        self.labels[self.fakes] = 1
        self.groups = np.where(self.fakes, "aligned", self.groups)
        judged = self.features[~self.fakes]
        spread = judged.std(axis=0)
        scale = (spread + 1e-3 * np.median(spread) + 1e-6) * np.sqrt(judged.shape[1])
        scaled = (self.features - judged.mean(axis=0)) / scale
        axes = randomized_svd(scaled[~self.fakes], COMPONENTS, n_iter=2, random_state=0)[2]
        if self.fakes.any():
            later, first = self.pairs("R").T
            traces = scaled[later] - scaled[first]
            traces -= (traces @ axes.T) @ axes
            axes = np.r_[axes, randomized_svd(traces, TRACES, n_iter=2, random_state=0)[2]]
        self.points = np.c_[scaled @ axes.T, np.ones(len(scaled))].astype(np.float32)

    def left_out(self, model: "Variant | Both") -> Array:  # type: ignore[override]
        """Return log-odds of each row by a head without its source or family; an aligned fake has its source."""
        odds = np.full(len(self.rows), np.nan, np.float32)
        for source in set(self.sources) - {""}:
            own = self.sources == source
            odds[own] = model.scores(~own)[own]
        for _, test, train in self.family_parts():
            odds[test] = model.scores(train)[test]
        return odds


class Variant:
    """A head trained in one of the ways of the table above.

    Args:
        table: The pictures.
        name: Name of the variant.
        value: The number after its colon.
        strength: Strength of the penalty.
    """

    def __init__(self, table: Views, name: str, value: float, strength: float) -> None:
        self.table, self.name, self.value, self.strength = table, name, value, strength
        self.used = ~table.fakes
        if name == "added":
            self.used = np.ones(len(table.rows), dtype=bool)
        elif name == "specialist":
            paired = np.zeros(len(table.rows), dtype=bool)
            paired[table.pairs("R").reshape(-1)] = True
            self.used = paired
        elif name == "plain":
            self.used = table.views == "A"
        self.groups = np.char.add(np.char.add(table.groups, "/"), table.views)

    def scores(self, train: Mask) -> Array:
        """Return log-odds of all rows by a fit to some of them."""
        table, train = self.table, train & self.used
        labels = table.labels[train]
        weights = balance(labels, self.groups[train])
        if self.name == "even":
            groups, sizes = np.unique(self.groups[train], return_counts=True)
            weights = 1 / sizes[np.searchsorted(groups, self.groups[train])]
            for label in (0, 1):
                weights[labels == label] *= len(labels) / 2 / weights[labels == label].sum()
        if self.name == "added":
            fakes, others = table.fakes[train], (labels == 1) & ~table.fakes[train]
            total = weights[labels == 1].sum()
            weights[fakes] *= total * self.value / weights[fakes].sum()
            weights[others] *= total * (1 - self.value) / weights[others].sum()
        directions = self.directions(train)
        weights = weights.astype(np.float32)
        return table.points @ newton(table.points[train], labels, weights, self.strength, None, directions)

    def directions(self, train: Mask) -> Array | None:
        """Return the vectors whose squared products with the coefficients are penalized."""
        table = self.table
        if self.name == "consistent":
            pairs = table.pairs("B")
            pairs = pairs[train[pairs].all(axis=1)]
            found = table.points[pairs[:, 0]] - table.points[pairs[:, 1]]
            return (np.sqrt(self.value * train.sum() / len(pairs)) * found).astype(np.float32)
        if self.name != "scatter":
            return None
        means = []
        for source in sorted(set(table.sources[train & ~table.fakes]) - {""}):
            own = train & (table.sources == source) & ~table.fakes
            means.append(table.points[own].mean(axis=0) * np.sqrt(min(own.sum(), 50)))
        return (np.sqrt(self.value) * (np.array(means) - np.mean(means, axis=0))).astype(np.float32)


class Both:
    """The label head and the specialist, each standardized by the photographs it was trained on."""

    def __init__(self, table: Views, how: str, strength: float) -> None:
        self.table, self.how = table, how
        self.heads = [Variant(table, name, 0, strength) for name in ("label", "specialist")]

    def scores(self, train: Mask) -> Array:
        """Return the combined scores of all rows."""
        real = train & (self.table.labels == 0)
        found = [head.scores(train) for head in self.heads]
        label, traces = ((odds - odds[real].mean()) / odds[real].std() for odds in found)
        if self.how == "maximum":
            return np.maximum(label, traces)
        return label + traces * (0.3 if self.how == "third" else 1)


def outcome(table: Views, odds: Array) -> str:
    """Return what thresholds on left-out scores of view A do to the pictures of view A."""
    shown = table.views == "A"
    odds, labels = odds[shown], table.labels[shown]
    sources, real = table.sources[shown][labels == 0], odds[labels == 0]
    fake = odds[labels == 1]
    high, alarms = threshold(real, sources)
    low = np.quantile(fake, CALLED_REAL)
    hardest = max(alarms, key=lambda name: alarms[name][0] / alarms[name][1])
    without, _ = threshold(real[sources != hardest], sources[sources != hardest])
    missed = (real[sources == hardest] >= without).mean()
    unsure = [((odds >= low) & (odds < high)).mean() for odds in (fake, real)]
    return (
        f"AI called fake {(fake >= high).mean():.1%}; unsure: AI {unsure[0]:.1%}, photographs {unsure[1]:.1%}."
        f" Threshold without {hardest}: AI called fake {(fake >= without).mean():.1%}, its false alarms {missed:.1%}"
    )


def main() -> None:
    """Evaluate the variants asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path, help="folder that features.py wrote")
    parser.add_argument("--table", type=Path, default=HERE / "development.csv")
    parser.add_argument("--views", nargs="+", default=["A"], help="of A, B and R")
    parser.add_argument("--blocks", type=int, default=0, help="of CLIP: use the blocks from this one on")
    parser.add_argument("--strength", type=float, default=0.1, help="of the penalty")
    parser.add_argument("--try", dest="variants", nargs="+", default=["label"])
    given = parser.parse_args()
    table = Views(given.table, given.features, given.views, given.blocks)
    print(", ".join(f"{int((table.views == view).sum())} rows of view {view}" for view in given.views))
    for asked in given.variants:
        name, _, value = asked.partition(":")
        model: Variant | Both
        if name in ("mean", "maximum", "third"):
            model = Both(table, name, given.strength)
        else:
            model = Variant(table, name, float(value or 0), given.strength)
        for view in [view for view in given.views if view != "R"]:
            judged = table.judge(model, view)  # type: ignore[arg-type]
            if judged:
                values = np.array(list(judged.values()))
                worst = min(judged, key=lambda family: judged[family][0])
                print(
                    f"{asked:<16} view {view}: AUROC mean {values[:, 0].mean():.3f}, worst {values[:, 0].min():.3f}"
                    f" {worst}; TPR at 5 % {values[:, 1].mean():.3f}"
                )
        print(f"{asked:<16} {outcome(table, table.left_out(model))}", flush=True)


if __name__ == "__main__":
    main()
