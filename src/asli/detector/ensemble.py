"""Several detectors of the same kind of image, whose scores are combined by weights fitted on the calibration split."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from asli.datasets.images import Facts
from asli.detector.base import Detector
from asli.detector.card import Card
from asli.detector.members import Composite, load_members
from asli.detector.runtimes import Kind, Logits, Runtime
from asli.records import Json, Record
from asli.transforms.preprocessing import Preparation

if TYPE_CHECKING:
    import torch

Method = Literal["mean", "stacking", "noisy-or", "maximum"]
Floats = npt.NDArray[np.float64]

CLIP = 1e-9
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination(Record):
    """From the members' log-odds to the ensemble's.

    Each member's log-odds of fake are standardized, combined, and mapped to log-odds by `slope` and `intercept`,
    fitted by logistic regression on the calibration split (Platt 1999).

    Attributes:
        method: `mean` of the standardized log-odds; `stacking`: their sum weighted by logistic regression (Wolpert
            1992); `noisy-or`: 1 minus the product of the members' probabilities of real (Pearl 1988); `maximum`.
        center: Mean log-odds of each member over real calibration images.
        spread: Their standard deviation.
        weights: Weights of each member; all equal unless `stacking`.
        slope: Slope of the final map, positive.
        intercept: Intercept of the final map.
    """

    method: Method
    center: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    slope: float = 1.0
    intercept: float = 0.0

    def combine(self, odds: Floats) -> Floats:
        """Return the combined log-odds of fake, n, from those of the members, n x members."""
        standard = (odds - np.array(self.center)) / np.array(self.spread)
        return self.slope * COMBINERS[self.method](standard, np.array(self.weights)) + self.intercept


def _noisy_or(standard: Floats, weights: Floats) -> Floats:
    none = np.prod(1 - expit(standard), axis=1)
    combined: Floats = logit(np.clip(1 - none, CLIP, 1 - CLIP))
    return combined


COMBINERS: dict[Method, Callable[[Floats, Floats], Floats]] = {
    "mean": lambda standard, weights: standard.mean(axis=1),
    "stacking": lambda standard, weights: standard @ weights,
    "noisy-or": _noisy_or,
    "maximum": lambda standard, weights: standard.max(axis=1),
}
"""Each maps standardized log-odds, n x members, and weights to one number an image, n."""


@dataclass(frozen=True, slots=True)
class JointPreparation:
    """Prepares an image for every member."""

    members: Sequence[Preparation]

    @property
    def size(self) -> int:
        """Return the side of a square with as many pixels as all members' inputs."""
        return round(math.sqrt(sum(member.size**2 for member in self.members)))

    def to_input(self, pixels: npt.NDArray[np.uint8]) -> tuple[Any, ...]:
        """Prepare one image, uint8, height x width x 3: one item a member."""
        return tuple(member.to_input(pixels) for member in self.members)


class EnsembleRuntime:
    """Computes every member's logits and combines them.

    Args:
        members: One runtime a member.
        combination: How.
    """

    def __init__(self, members: Sequence[Runtime], combination: Combination) -> None:
        self._members, self._combination = members, combination

    def logits(self, prepared: Sequence[tuple[Any, ...]]) -> Logits:
        """Return the ensemble's logits, n x 2 (real, fake)."""
        odds = self._combination.combine(log_odds(self._members, prepared))
        return np.stack([-odds / 2, odds / 2], axis=1)


def log_odds(members: Sequence[Runtime], prepared: Sequence[tuple[Any, ...]]) -> Floats:
    """Return each member's log-odds of fake, n x members, for images that a `JointPreparation` prepared."""
    columns = []
    for runtime, parts in zip(members, zip(*prepared, strict=True), strict=True):
        logits = runtime.logits(list(parts))
        columns.append(logits[:, 1] - logits[:, 0])
    return np.stack(columns, axis=1)


class Ensemble(Composite):
    """Detectors that all see an image, and a rule that combines their log-odds."""

    kind = "ensemble"

    def __init__(self, members: Mapping[str, Detector], card: Card, combination: Combination) -> None:
        super().__init__(members, card)
        self.combination = combination

    @classmethod
    def from_folder(cls, folder: Path, info: Json) -> Self:
        """Open a saved ensemble; see `Detector.from_folder`."""
        combination = Combination.from_dict(info["combination"])
        return cls(load_members(folder, info["members"]), Card.from_dict(info["card"]), combination)

    @property
    def preparation(self) -> JointPreparation:
        """Return what prepares an image for every member."""
        return JointPreparation([member.preparation for member in self.members.values()])

    def outside(self, facts: Sequence[Facts], prepared: Sequence[Any]) -> list[str | None]:
        """Return why each prepared image lies outside the domain, or None; the first member gives the pixels."""
        return self.card.domain.why_all_outside(facts, [parts[0] for parts in prepared])

    def runtime(
        self, device: "torch.device | str | None" = None, kind: Kind | None = None, threads: int | None = None
    ) -> EnsembleRuntime:
        """Return what computes its logits; see `Detector.runtime`."""
        runtimes = [member.runtime(device, kind, threads) for member in self.members.values()]
        return EnsembleRuntime(runtimes, self.combination)

    def recalibrated(self, temperature: float, card: Card) -> "Ensemble":
        """Return a copy whose logits are divided by a temperature; see `Detector.recalibrated`."""
        scaled = replace(
            self.combination,
            slope=self.combination.slope / temperature,
            intercept=self.combination.intercept / temperature,
        )
        return Ensemble(self.members, card, scaled)

    def own_settings(self) -> Json:
        """Return what an ensemble adds to `detector.json`."""
        return {"combination": self.combination.to_dict()}


def fit_combination(method: Method, odds: Floats, labels: npt.NDArray[np.integer[Any]]) -> Combination:
    """Fit a combination on calibration images.

    Args:
        method: See `Combination`.
        odds: Log-odds of fake by the members, n x members.
        labels: 0 real, 1 fake, n; both must occur.
    """
    from sklearn.linear_model import LogisticRegression

    real = odds[labels == 0]
    center, spread = real.mean(axis=0), np.maximum(real.std(axis=0), 1e-6)
    standard = (odds - center) / spread
    count = odds.shape[1]
    weights = np.full(count, 1 / count)
    if method == "stacking":
        weights = LogisticRegression(C=1.0).fit(standard, labels).coef_[0]
    combined = COMBINERS[method](standard, weights)
    final = LogisticRegression(C=1e6).fit(combined[:, None], labels)
    return Combination(
        method=method,
        center=tuple(center.tolist()),
        spread=tuple(spread.tolist()),
        weights=tuple(weights.tolist()),
        slope=float(final.coef_[0, 0]),
        intercept=float(final.intercept_[0]),
    )
