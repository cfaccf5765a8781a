"""A linear head by regularized logistic regression, its images weighted so that no group dominates its label."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from asli.errors import WeightsError
from asli.files import sha256_of_json

Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]

ITERATIONS = 300


def balanced_weights(labels: npt.NDArray[np.integer], groups: npt.NDArray[np.generic], evenness: float = 0.5) -> Floats:
    """Weigh images so that both labels count the same, and within a label large groups less than their size.

    Args:
        labels: 0 real, 1 fake, n.
        groups: Source or generator of each, n.
        evenness: 0 weighs every image of a label alike, 1 every group of a label alike; 0.5 a group by the root of its
            size.

    Returns:
        Weights of mean 1, n.
    """
    weights = np.zeros(len(labels))
    present = [code for code in (0, 1) if (labels == code).any()]
    for code in present:
        own = np.flatnonzero(labels == code)
        _, member, counts = np.unique(groups[own], return_inverse=True, return_counts=True)
        part = counts[member.reshape(-1)] ** -float(evenness)
        weights[own] = part / part.sum() * len(labels) / len(present)
    return weights


@dataclass(frozen=True, slots=True)
class LinearHead:
    """What turns the features of one window into log-odds of fake: their product with `weight`, plus `bias`.

    Attributes:
        weight: float32, one a feature of the network; 0 where a feature is not used.
        bias: Bias of the log-odds.
    """

    weight: npt.NDArray[np.float32]
    bias: float

    @classmethod
    def read(cls, path: str | Path) -> "LinearHead":
        """Read a head from an .npz file with `weight` and `bias`.

        Raises:
            WeightsError: It is missing or damaged, or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                weight, bias = np.asarray(arrays["weight"], dtype=np.float32).reshape(-1), arrays["bias"]
                found = cls(weight, float(np.asarray(bias, dtype=np.float64).reshape(-1)[0]))
        except (OSError, KeyError, ValueError, IndexError, TypeError, EOFError) as error:
            raise WeightsError(
                f"{path} is no head: an .npz file with `weight` and `bias` is needed ({error})"
            ) from error
        if not (np.isfinite(found.weight).all() and np.isfinite(found.bias)):
            raise WeightsError(f"{path} holds numbers that are not finite; fit the head again")
        return found

    def write(self, path: str | Path) -> None:
        """Write it as an .npz file."""
        buffer = io.BytesIO()
        np.savez(buffer, weight=self.weight, bias=np.array(self.bias))
        Path(path).write_bytes(buffer.getvalue())

    def digest(self) -> str:
        """Return a SHA-256 of its numbers."""
        return sha256_of_json([self.weight.astype(np.float64).tolist(), self.bias])

    def log_odds(self, features: Features) -> Floats:
        """Return the log-odds of fake, n, of features, n x d."""
        odds: Floats = np.asarray(features @ self.weight.astype(np.float64), dtype=np.float64) + self.bias
        return odds


def fit_head(
    features: Features,
    labels: npt.NDArray[np.integer],
    weights: Floats,
    penalty: float,
    differences: Features | None = None,
    consistency: float = 0.0,
) -> LinearHead:
    """Fit a head: weighted logistic loss plus an L2 penalty on standardized features.

    Features are standardized by their weighted mean and standard deviation and divided by the root of their number, so
    that a penalty means the same for any number of them. A feature that does not vary counts nothing.

    Args:
        features: float32, n x d.
        labels: 0 real, 1 fake, n; both must occur.
        weights: Weights of the images, n, of mean 1.
        penalty: Half of it times the squared norm of the weights is added to the sum of the losses.
        differences: float32, m x d: between the features of two views of an image, such as degraded and plain.
        consistency: Half of it times the mean square of the head's differences is added to the mean loss.
    """
    n, d = features.shape
    share = weights / weights.sum()
    mean = share @ features
    # Without a copy of the features in double precision: they may be gigabytes.
    spread = np.sqrt(np.maximum(np.einsum("i,ij,ij->j", share, features, features) - mean**2, 0))
    scale = np.where(spread > 1e-4, 1 / (np.maximum(spread, 1e-4) * np.sqrt(d)), 0)
    standard = features - mean.astype(np.float32)
    standard *= scale.astype(np.float32)
    sign = np.where(labels == 1, 1.0, -1.0)
    paired = None if differences is None or not consistency else differences * scale.astype(np.float32)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weight, bias = parameters[:-1], parameters[-1]
        margin = sign * (standard @ weight.astype(np.float32) + bias)
        value = float(weights @ np.logaddexp(0, -margin)) + penalty / 2 * float(weight @ weight)
        slope = -weights * sign * expit(-margin)
        gradient = np.append(slope.astype(np.float32) @ standard + penalty * weight, slope.sum())
        value, gradient = value / n, gradient / n
        if paired is not None:
            moved = paired @ weight.astype(np.float32)
            value += consistency / 2 * float(np.square(moved, dtype=np.float64).mean())
            gradient[:-1] += consistency / len(moved) * (moved @ paired)
        return value, gradient

    found = minimize(
        loss, np.zeros(d + 1), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "gtol": 1e-6, "ftol": 1e-10}
    )
    folded = found.x[:-1] * scale
    return LinearHead(folded.astype(np.float32), float(found.x[-1] - folded @ mean))
