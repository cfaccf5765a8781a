"""Temperature and thresholds from a tally: what `asli.detector.calibrate.fit` computes from arrays."""

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from scipy.stats import t

from asli.detector.card import CalibrationEvidence, Thresholds
from asli.errors import DataError
from asli.metrics.calibration import fit_temperature
from asli.metrics.classification import Floats, log_losses
from asli.metrics.constant import SHIFTS
from asli.metrics.delong import area_interval
from asli.metrics.intervals import CONFIDENCE, Estimate
from asli.metrics.thresholds import Band, Policy, allowed_or_refuse
from asli.tables.binning import Binning
from asli.tables.ranks import area_of
from asli.tables.tally import Collected, Counts, Sums, unbiased

_NEAREST = 2.0**-54
"""Scores nearer to 0 or 1 count as this far off: a margin of 37."""


class TableFit:
    """Temperature and thresholds of collected calibration rows.

    Args:
        collected: The rows.

    Raises:
        DataError: A label is missing.
    """

    def __init__(self, collected: Collected) -> None:
        self.collected, self.tally = collected, collected.tally
        for label, n in (("real", self.tally.real), ("fake", self.tally.fake)):
            if not n:
                raise DataError(f"the calibration rows have no {label} images; both labels are needed")
        self.labels, self.cells = np.nonzero(self.tally.counts)
        self.weights = self.tally.counts[self.labels, self.cells].astype(np.float64)
        means = self.tally.score[self.labels, self.cells] / self.weights
        margins = logit(np.clip(means, _NEAREST, 1 - _NEAREST))
        self.logits = np.stack([np.zeros(len(margins)), margins], axis=1)
        self.real, self.fake = self.tally.counts
        self.area = area_of(self.real, self.fake)
        none = np.zeros((2, self.tally.binning.number))
        self._sides = {"fake_side": none.copy(), "real_side": none}
        self._sides["fake_side"][1], self._sides["real_side"][0] = self.area.fake_side, self.area.real_side

    def fit(self, policy: Policy) -> tuple[float, Thresholds]:
        """Return temperature and thresholds.

        Raises:
            DataError: There are too few images for the promise.
        """
        temperature = fit_temperature(self.labels.astype(np.int8), self.logits, self.weights)
        evidence, sums = self._evidence(temperature)
        band = self._band(policy, sums.worst)
        below, above = (self.tally.binning.begins_at(cut) for cut in (band.low, band.high))
        low, high = (_scaled(cut, temperature) for cut in (band.low, band.high))
        return temperature, Thresholds(
            low=low,
            high=high,
            policy=policy.name,
            n=self.tally.n,
            calibration_hash=self.tally.hash,
            real=sums.units["real"],
            fake=sums.units["fake"],
            target=policy.target if policy.promises else None,
            confidence=policy.confidence if policy.promises else None,
            band=policy.band,
            errors={
                "real_called_fake": int(self.real[above:].sum()),
                "fake_called_real": int(self.fake[:below].sum()),
                "unsure": int(self.tally.counts[:, below:above].sum()),
            },
            evidence=evidence,
        )

    def _evidence(self, temperature: float) -> tuple[CalibrationEvidence, Sums]:
        """Return what `asli.metrics.constant.against_constant` does, and the sums over independent images."""
        labels, logits, weights = self.labels.astype(np.int8), self.logits / temperature, self.weights

        def shifted(by: float) -> Floats:
            return log_losses(labels, logits + np.array([0.0, by]))

        best = minimize_scalar(
            lambda by: float(np.average(shifted(by), weights=weights)), bounds=SHIFTS, method="bounded"
        )
        share = self.tally.fake / self.tally.n
        gains = -np.log(np.where(labels == 1, share, 1 - share)) - shifted(float(best.x))
        mean = float(np.average(gains, weights=weights))
        shape = self.tally.counts.shape
        gain = np.zeros(shape)
        gain[self.labels, self.cells] = gains - mean
        every = np.ones(shape, dtype=np.bool_)
        real = every.copy()
        real[1] = False
        values = {"all": every, "real": real, "fake": ~real, "gain": gain, **self._sides}
        sums = self.collected.sums(values, np.zeros(shape[1], dtype=np.int64), np.zeros(1))
        n, reals, fakes, units = self.tally.n, self.tally.real, self.tally.fake, sums.units
        rarer = max(min(units["real"], units["fake"]) - 1, 1)
        half = float(t.ppf(0.5 + CONFIDENCE / 2, rarer)) * math.sqrt(sums.squares["gain"] * unbiased(units["all"])) / n
        variance = sums.variance_of_area(reals, fakes)
        area = area_interval(self.area.value, variance, units["real"], units["fake"], n)
        return CalibrationEvidence(auroc=area, loss_gain=Estimate(mean, mean - half, mean + half, n)), sums

    def _band(self, policy: Policy, worst: Counts) -> Band:
        """Choose thresholds as `asli.metrics.thresholds.choose` does."""
        if policy.name == "argmax":
            return Band(low=0.5, high=0.5)
        every = np.flatnonzero(self.real + self.fake)
        best = self._max_f1(every)
        if policy.name == "max-f1":
            return Band(low=best, high=best)
        high = self._promised(worst[0], every, policy, "real")
        if not policy.band:
            return Band(low=high, high=high)
        low = self._promised(worst[1], every, policy, "fake")
        if low > high:
            best = min(max(best, high), low)
            return Band(low=best, high=best)
        return Band(low=low, high=high)

    def _max_f1(self, every: npt.NDArray[np.int64]) -> float:
        fake, real = self.fake[every][::-1], self.real[every][::-1]
        tp = np.cumsum(fake)
        f1 = 2 * tp / (tp + np.cumsum(real) + self.tally.fake)
        place = len(every) - 1 - int(np.flatnonzero(f1 >= f1.max() - 1e-12).max())
        return between(self.tally.binning, int(every[place - 1]) if place else None, int(every[place]))

    def _promised(self, worst: Counts, every: npt.NDArray[np.int64], policy: Policy, label: str) -> float:
        """Return a threshold as `upper_threshold` does; for fakes from the other end.

        It depends on ranks of rounded scores only, and the edge of a bin parts no rounded scores, so the bound holds.
        """
        n = int(worst.sum())
        allowed = allowed_or_refuse(n, policy, label)
        if label == "real":
            excluded = int(np.searchsorted(np.cumsum(worst), n - allowed))  # holds the highest that must stay below
            beyond = every[every > excluded]
            pair = (excluded, int(beyond[0])) if len(beyond) else None
        else:
            excluded = int(np.searchsorted(np.cumsum(worst), allowed + 1))  # holds the lowest that must not lie below
            beyond = every[every < excluded]
            pair = (int(beyond[-1]), excluded) if len(beyond) else None
        if pair is None:
            raise DataError(
                f"no threshold keeps the error rate of {label} images at {policy.target:.3g}: too many of them share"
                " the most extreme score there is, so no image could ever be called; the detector cannot promise this"
            )
        return between(self.tally.binning, *pair)


def between(binning: Binning, lower: int | None, upper: int) -> float:
    """Return a threshold that calls all scores of the upper bin and none of the lower one."""
    first = binning.first(upper)
    if lower is None:
        return first / 2
    middle = (binning.last(lower) + first) / 2
    return middle if middle > binning.last(lower) else first


def _scaled(score: float, temperature: float) -> float:
    return score if score in (0.0, 1.0) or temperature == 1 else float(expit(logit(score) / temperature))
