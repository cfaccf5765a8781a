"""Files that cannot be read or are of an unusual kind."""

from collections.abc import Sequence

from asli.auditing.checks.check import Check, Severity
from asli.auditing.evidence import Evidence
from asli.auditing.findings import Oddity

DAMAGED = 0.01
"""Share of unused files from which the check fails."""


def _examine(evidence: Evidence) -> tuple[Severity, str]:
    return damage(evidence.oddities, len(evidence.data))


def damage(odd: Sequence[Oddity], images: int) -> tuple[Severity, str]:
    """Return how many of the images are damaged or unusual; `odd` as in `Evidence.oddities`."""
    if not odd:
        return Severity.PASS, f"all {images:,} files decode and none is unusual"
    unused = sum(kind.count for kind in odd if kind.treatment == "not used")
    text = ", ".join(f"{kind.count:,} {kind.kind} ({kind.treatment})" for kind in odd)
    return Severity.FAIL if unused > DAMAGED * images else Severity.WARNING, text


CHECK = Check(
    name="files",
    title="Damaged and unusual files",
    meaning="Files that are skipped or converted shrink one label or give it away.",
    remedy="replace damaged files; make sure that unusual kinds are not those of one label",
    examine=_examine,
)
