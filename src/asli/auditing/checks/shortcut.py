"""Common code of the checks of shortcuts: a classifier that sees only properties that should not matter."""

from collections.abc import Callable

from asli.auditing.checks.check import Severity
from asli.auditing.evidence import Evidence
from asli.auditing.findings import Shortcuts

FILE_LIMITS = (0.55, 0.60)
"""AUROC from which file facts are a warning and a failure."""

PIXELS = (0.60, 0.90)
"""AUROC from which features of the picture are a warning and a failure: they also hold what pictures show."""


def examine_shortcut(
    kind: str, seen: str, bounds: tuple[float, float] = PIXELS, lead: str = ""
) -> Callable[[Evidence], tuple[Severity, str]]:
    """Return a check's `examine` for one kind of feature.

    Args:
        kind: Kind of `Evidence.shortcuts`.
        seen: What the classifier sees, as the end of a sentence.
        bounds: AUROC from which it is a warning, and from which it is a failure.
        lead: Begins the finding where it is a failure.
    """

    def examine(evidence: Evidence) -> tuple[Severity, str]:
        return shortcut_found(evidence.shortcuts, kind, seen, bounds, lead)

    return examine


def shortcut_found(
    shortcuts: Shortcuts, kind: str, seen: str, bounds: tuple[float, float] = PIXELS, lead: str = ""
) -> tuple[Severity, str]:
    """Return what a measured shortcut means; see `examine_shortcut`."""
    warning, failure = bounds
    if kind not in shortcuts.kinds:
        return Severity.NOT_CHECKED, shortcuts.why or "not measured"
    found = shortcuts.kinds[kind]
    area, null = found.auroc, found.null
    assert area.value is not None, "both labels are there"
    assert area.low is not None, "both labels are there"
    by_chance = area.low <= 0.5 or null.auroc_there <= null.high
    text = f"AUROC {area.value:.3f} (95 % CI {area.low:.3f} to {area.high:.3f}) from {seen} alone"
    if by_chance or area.value < warning:
        return Severity.PASS, f"{text}; chance gives {null.low:.2f} to {null.high:.2f}"
    names = ", ".join(f"{line.feature} ({line.auroc:.2f})" for line in found.telling[:3])
    severity = Severity.FAIL if area.value >= failure else Severity.WARNING
    return severity, f"{lead if severity is Severity.FAIL else ''}{text}; strongest: {names}"
