"""Every metric of an evaluation from a tally: what `asli.evaluation.measure` computes from arrays."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from asli.detector.card import Thresholds
from asli.evaluation.breakdown import with_worst
from asli.evaluation.measure import HISTOGRAM_BINS, IntervalMethods, Measured, thinned
from asli.evaluation.parts import (
    AlwaysFake,
    Curves,
    Group,
    Groups,
    Histogram,
    Metrics,
    PrecisionRecallCurve,
    RocCurve,
)
from asli.metrics import registry
from asli.metrics.built_in import BUILT_IN
from asli.metrics.calibration import (
    DRAWS,
    Calibration,
    ChanceError,
    ReliabilityBin,
    debiased,
)
from asli.metrics.classification import Confusion, Floats
from asli.metrics.delong import area_interval
from asli.metrics.intervals import (
    CONFIDENCE,
    Estimate,
    log_interval,
    mean_of,
    proportion,
    spread_interval,
)
from asli.metrics.rates import RATES, RateAtRate, predictive_values
from asli.tables.binning import COARSE_BINS, Binning
from asli.tables.coarse import CoarseBins
from asli.tables.ranks import Area, Sizes, area_of, average_precision, curve_points, variance_of
from asli.tables.tally import Collected, Sums, unbiased

AVERAGE_PRECISION = "normal on the logit scale, infinitesimal jackknife (Efron 1982) by groups of duplicates"


class TableMeasure:
    """Metrics of collected rows.

    Args:
        collected: The rows.
        names: Names of the groups of each property, by number.
        thresholds: Fake from `high` on; verdicts follow from `decided`.
    """

    def __init__(self, collected: Collected, names: Mapping[str, Sequence[str]], thresholds: Thresholds) -> None:
        self.tally, self.names = collected.tally, names
        self.threshold = thresholds.high
        self.low, self.high = thresholds.decided
        self.real, self.fake = self.tally.counts
        self.both = bool(self.tally.real and self.tally.fake)
        self.area = area_of(self.real, self.fake) if self.both else None
        self.precision = average_precision(self.real, self.fake) if self.both else None
        self.coarse = CoarseBins.of_tally(self.tally)
        self.sums: Sums = collected.sums(self._values(), self.coarse.of, self.coarse.distances)

    def measured(self, prevalences: Sequence[float]) -> Measured:
        """Return all of it."""
        tally = self.tally
        shares = {label: self._verdicts(code) for code, label in enumerate(("real", "fake"))}
        share = tally.fake / tally.n
        definitions = {
            metric.name: replace(metric, interval=AVERAGE_PRECISION) if metric.name == "average_precision" else metric
            for metric in BUILT_IN
        }
        return Measured(
            intervals=IntervalMethods(resamples=0, others=AVERAGE_PRECISION),
            definitions=definitions,
            threshold=self.threshold,
            confusion=self._confusion(self.threshold),
            confusion_argmax=self._confusion(0.5),
            verdicts=shares,
            figures=Metrics(
                threshold=self._at(self.threshold, "called"),
                argmax=self._at(0.5, "argmax"),
                threshold_free=self._threshold_free(),
            ),
            calibration=self._calibration(),
            tpr_at_fpr=self._tpr_at_fpr(),
            prevalences=predictive_values(shares, prevalences),
            by_group=self._groups(),
            without_cross_split_duplicates=None,
            always_fake=AlwaysFake(f1=2 * share / (1 + share), accuracy=share),
            curves=self._curves(),
        )

    def _mask(self, cut: float) -> npt.NDArray[np.bool_]:
        return np.arange(self.tally.binning.number) >= self.tally.binning.begins(cut)

    def _values(self) -> dict[str, npt.NDArray[np.float64] | npt.NDArray[np.bool_]]:
        """Return tables of what is summed over units: masks, and the influence of a row on each metric."""
        tally, none = self.tally, np.zeros(self.tally.binning.number, dtype=np.bool_)
        values: dict[str, npt.NDArray[np.float64] | npt.NDArray[np.bool_]] = {
            "all": np.stack([~none, ~none]),
            "real": np.stack([~none, none]),
            "fake": np.stack([none, ~none]),
        }
        for name, cut in (("called", self.threshold), ("argmax", 0.5)):
            values[name] = np.stack([self._mask(cut)] * 2)
            values[f"{name} or fake"] = np.stack([self._mask(cut), ~none])
        counts = np.maximum(tally.counts, 1)
        brier = tally.square / counts  # of real images s^2, of fakes (1 - s)^2
        brier[1] = 1 - (2 * tally.score[1] - tally.square[1]) / counts[1]
        values["brier"] = np.where(tally.counts > 0, brier - self.brier, 0.0)
        if math.isfinite(self.loss):
            values["loss"] = np.where(tally.counts > 0, tally.loss / counts - self.loss, 0.0)
        if self.area is not None and self.precision is not None:
            values["fake_side"] = np.stack([none.astype(np.float64), self.area.fake_side])
            values["real_side"] = np.stack([self.area.real_side, none.astype(np.float64)])
            values["average_precision"] = np.stack(self.precision[1:])
        return values

    @property
    def brier(self) -> float:
        """Return the Brier score."""
        tally = self.tally
        total = tally.square.sum() + tally.fake - 2 * tally.score[1].sum()
        return float(max(total, 0.0) / tally.n)

    @property
    def loss(self) -> float:
        """Return the mean loss."""
        return float(self.tally.loss.sum() / self.tally.n)

    @property
    def rarer(self) -> int:
        """Return the independent images of the rarer label that occurs."""
        return min(found for found in (self.sums.units["real"], self.sums.units["fake"]) if found)

    def auroc(self) -> Estimate:
        """Return the AUROC."""
        if self.area is None:
            return Estimate.undefined(self.tally.n)
        variance = self.sums.variance_of_area(self.tally.real, self.tally.fake)
        units = self.sums.units
        return area_interval(self.area.value, variance, units["real"], units["fake"], self.tally.n)

    def _effective(self, n: int, squares: float) -> float:
        return n**2 / squares if squares else 0.0

    def _share(self, hits: int, n: int, squares: float) -> Estimate:
        return proportion(hits, n, self._effective(n, squares)) if n else Estimate.undefined(0)

    def _confusion(self, cut: float) -> Confusion:
        called = self._mask(cut)
        fp, tp = int(self.real[called].sum()), int(self.fake[called].sum())
        return Confusion(tp=tp, fp=fp, tn=self.tally.real - fp, fn=self.tally.fake - tp)

    def _at(self, cut: float, name: str) -> dict[str, Estimate]:
        c, squares, n = self._confusion(cut), self.sums.squares, self.tally.n
        involved = self._share(c.tp, c.tp + c.fp + c.fn, squares[f"{name} or fake"])
        value, low, high = (
            None if end is None else 2 * end / (1 + end) for end in (involved.value, involved.low, involved.high)
        )
        recall = self._share(c.tp, self.tally.fake, squares["fake"])
        specificity = self._share(c.tn, self.tally.real, squares["real"])
        return {
            "f1": Estimate(value, low, high, n) if self.both else Estimate.undefined(n),
            "precision": self._share(c.tp, c.tp + c.fp, squares[name])
            if self.both
            else Estimate.undefined(c.tp + c.fp),
            "recall": recall,
            "accuracy": self._share(c.tp + c.tn, n, squares["all"]),
            "balanced_accuracy": mean_of(recall, specificity),
            "false_positive_rate": self._share(c.fp, self.tally.real, squares["real"]),
            "false_negative_rate": self._share(c.fn, self.tally.fake, squares["fake"]),
        }

    def _threshold_free(self) -> dict[str, Estimate]:
        n, sums, undefined = self.tally.n, self.sums, Estimate.undefined(self.tally.n)

        def mean(value: float, name: str) -> Estimate:
            return log_interval(value, math.sqrt(sums.squares[name] * unbiased(sums.units["all"])) / n, self.rarer, n)

        found = {"auroc": self.auroc(), "average_precision": undefined, "loss": undefined}
        if self.precision is not None:
            spread = math.sqrt(sums.squares["average_precision"])
            found["average_precision"] = spread_interval(self.precision[0], spread, self.rarer, n)
        if math.isfinite(self.loss):
            found["loss"] = mean(self.loss, "loss")
        return {**found, "brier": mean(self.brier, "brier")}

    def _verdicts(self, code: int) -> dict[str, Estimate]:
        counts, label = self.tally.counts[code], ("real", "fake")[code]
        below, above = self.tally.binning.begins(self.low), self.tally.binning.begins(self.high)
        parts = {"real": counts[:below], "unsure": counts[below:above], "fake": counts[above:]}
        n, squares = int(counts.sum()), self.sums.squares[label]
        return {name: self._share(int(part.sum()), n, squares) for name, part in parts.items()}

    def _calibration(self) -> Calibration:
        bins, sums, n = self.coarse, self.sums, self.tally.n
        ece = float(np.abs(bins.distances) @ bins.counts / n)
        # The number of fakes of a bin is a sum of many draws, so it is normal; duplicates are drawn together.
        spread = np.sqrt(bins.spread * sums.bin_sizes / bins.counts)
        drawn = np.abs(np.random.default_rng(0).standard_normal((DRAWS, len(spread))) * spread).sum(axis=1) / n
        error = Estimate.undefined(n)
        if (sums.bin_units > 1).all():
            squares = sums.bin_residuals / bins.counts**2 * sums.bin_units / (sums.bin_units - 1)
            error = debiased(bins.distances, squares, bins.counts)
        return Calibration(
            ece=ece,
            ece_if_calibrated=ChanceError(mean=float(drawn.mean()), p95=float(np.quantile(drawn, 0.95))),
            rms_error=error,
            bins=tuple(
                ReliabilityBin(score=float(score), fake=self._share(int(fakes), int(count), float(size)))
                for score, fakes, count, size in zip(bins.scores, bins.fakes, bins.counts, sums.bin_sizes, strict=True)
            ),
        )

    def _tpr_at_fpr(self) -> tuple[RateAtRate, ...]:
        if not self.both:
            return ()
        tally, number = self.tally, self._effective(self.tally.real, self.sums.squares["real"])
        from_top = np.cumsum(self.real[::-1])  # real images in the highest bins
        fakes_above = tally.fake - np.cumsum(self.fake)  # above each bin

        def place(rank: int) -> int:
            return len(from_top) - 1 - int(np.searchsorted(from_top, rank, side="right"))

        found = []
        for rate in RATES:
            allowed = int(rate * tally.real + 1e-9)
            at = place(allowed)
            share = self._share(int(fakes_above[at]), tally.fake, self.sums.squares["fake"])
            assert share.value is not None
            assert share.low is not None
            assert share.high is not None
            tails = [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2]
            fewest, most = binom.ppf(tails, round(number), rate) * tally.real / number
            above, below = int(fewest + 1e-9), int(np.ceil(most - 1e-9))
            least = min(fakes_above[place(above - 1)] / tally.fake, share.value) if above else 0.0
            greatest = max(fakes_above[place(below)] / tally.fake, share.value) if below < tally.real else 1.0
            low = share.value - np.hypot(share.value - least, share.value - share.low)
            high = share.value + np.hypot(greatest - share.value, share.high - share.value)
            tpr = Estimate(share.value, max(float(low), 0.0), min(float(high), 1.0), tally.n)
            found.append(RateAtRate(fpr=rate, tpr=tpr, above=tally.binning.last(at), allowed=allowed))
        return tuple(found)

    def _groups(self) -> Groups:
        found = {}
        every_real = np.bincount(self.tally.binning.coarse(), self.real, COARSE_BINS).astype(np.float64)
        for property_, table in self.tally.groups.items():
            names = self.names[property_]
            groups = [
                self._group(property_, number, name, table[number], every_real) for number, name in enumerate(names)
            ]
            found[property_] = tuple(
                sorted(
                    (g for g in groups if g.real + g.fake), key=lambda group: (-(group.real + group.fake), group.name)
                )
            )
        return with_worst(found)

    def _group(
        self, property_: str, number: int, name: str, counts: npt.NDArray[np.uint32], every_real: Floats
    ) -> Group:
        reals, fakes = counts.sum(axis=1, dtype=np.int64).tolist()
        fp, tp = self.tally.called[property_][number].tolist()
        squares = self.sums.groups[property_][number].tolist()
        right = reals - fp + tp
        against, against_squares = counts[0], squares[0]
        if property_ == "generator":  # it makes fakes only
            against, against_squares = every_real, self.sums.squares["real"]
        return Group(
            name=name,
            real=reals,
            fake=fakes,
            figures={
                "false_positive_rate": self._share(fp, reals, squares[0]),
                "false_negative_rate": self._share(fakes - tp, fakes, squares[1]),
                "accuracy": self._share(right, reals + fakes, squares[2]),
                "auroc": self._group_auroc(against, counts[1], against_squares, squares[1]),
            },
        )

    def _group_auroc(self, real: Sizes, fake: Sizes, of_real: float, of_fake: float) -> Estimate:
        """Return the AUROC of some images; its variance counts duplicates by their effective number."""
        reals, fakes = int(real.sum()), int(fake.sum())
        if not reals or not fakes:
            return Estimate.undefined(reals + fakes)
        area: Area = area_of(real, fake)
        fake_part, real_part = variance_of(area, real, fake)
        variance = fake_part * of_fake / fakes + real_part * of_real / reals
        independent = round(reals**2 / of_real), round(fakes**2 / of_fake)
        return area_interval(area.value, variance, *independent, reals + fakes)

    def _curves(self) -> Curves:
        edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
        starts = [self.tally.binning.begins(float(edge)) for edge in edges[:-1]]
        real, fake = (tuple(np.add.reduceat(counts, starts).tolist()) for counts in (self.real, self.fake))
        histogram = Histogram(edges=tuple(edges.tolist()), real=real, fake=fake)
        if not self.both:
            return Curves(histogram=histogram, roc=None, precision_recall=None)
        false, true, precision = curve_points(self.real, self.fake)
        kept = thinned(false, true)
        roc = RocCurve(fpr=tuple(false[kept].tolist()), tpr=tuple(true[kept].tolist()))
        kept = thinned(true)
        curve = PrecisionRecallCurve(recall=tuple(true[kept].tolist()), precision=tuple(precision[kept].tolist()))
        return Curves(histogram=histogram, roc=roc, precision_recall=curve)


def cuts_of(*thresholds: float) -> list[float]:
    """Return the cuts that an evaluation at these thresholds needs; infinite ones need none."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)[1:-1].tolist()
    return [*edges, 0.5, *(cut for cut in thresholds if math.isfinite(cut))]


def binning_of(*thresholds: float) -> Binning:
    """Return the bins for an evaluation at these thresholds."""
    return Binning(cuts_of(*thresholds))


def further_metrics() -> list[str]:
    """Return the metrics of installed packages, which need arrays."""
    return [name for name in registry.registered() if name not in {metric.name for metric in BUILT_IN}]
