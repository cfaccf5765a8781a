"""How thresholds are chosen from flags, and how a calibrated detector is printed."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from asli.errors import AsliError

if TYPE_CHECKING:
    from asli.detector.base import Detector
    from asli.metrics.thresholds import Policy


def policy_of(
    name: Literal["max-f1", "argmax", "target-fpr"] | None = None,
    *,
    target_fpr: float | None = None,
    confidence: float = 0.95,
    band: bool = False,
) -> "Policy":
    """Return the policy that flags ask for.

    Args:
        name: `--policy`; None takes target-fpr where `--target-fpr` or `--band` is given, else max-f1.
        target_fpr: `--target-fpr`; None takes 1 %.
        confidence: `--confidence`.
        band: `--band`.

    Raises:
        AsliError: A false positive rate is promised with another policy.
    """
    from asli.metrics.thresholds import Policy

    chosen = name or ("target-fpr" if target_fpr is not None or band else "max-f1")
    if target_fpr is not None and chosen != "target-fpr":
        raise AsliError(f"--target-fpr goes with --policy target-fpr, not with {chosen}")
    return Policy(name=chosen, target=0.01 if target_fpr is None else target_fpr, confidence=confidence, band=band)


def print_calibrated(made: "Detector", out: Path) -> None:
    """Print a calibrated detector's thresholds, what they promise, and its folder."""
    thresholds = made.card.thresholds
    print(f"real below {thresholds.low:.4f}, fake from {thresholds.high:.4f} ({thresholds.policy}, {thresholds.basis})")
    if thresholds.promise:
        print(f"promised: {thresholds.promise}")
    if thresholds.groups is not None:
        for name, count in thresholds.groups.images.items():
            print(f"  {name}: {thresholds.groups.errors[name]:,} of {count:,} calibration photographs called fake")
    print(f"detector: {out}")
