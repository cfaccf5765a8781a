"""Images with identical pixels."""

from asli.auditing.checks.check import Check, Severity
from asli.auditing.checks.duplicate_counts import LEAK, places, test_share
from asli.auditing.evidence import Evidence
from asli.auditing.findings import DuplicateSummary


def _examine(evidence: Evidence) -> tuple[Severity, str]:
    return pairs_found(evidence.duplicates.summary)


def pairs_found(summary: DuplicateSummary) -> tuple[Severity, str]:
    """Return what a summary of exact duplicates means."""
    found, total = summary.exact.counts, summary.test_total
    if not found.pairs:
        return Severity.PASS, "no two images have identical pixels"
    fails = found.across_labels or test_share(found, total) >= LEAK
    pairs = f"{found.pairs:,} pairs of identical images ({summary.exact.identical_bytes:,} byte for byte)"
    return Severity.FAIL if fails else Severity.WARNING, f"{pairs}, {places(found, total)}"


CHECK = Check(
    name="exact-duplicates",
    title="Exact duplicates",
    meaning="A test image that was in training is remembered, not recognized: the numbers become optimistic.",
    remedy="keep duplicates in one split, or report the numbers without them",
    examine=_examine,
)
