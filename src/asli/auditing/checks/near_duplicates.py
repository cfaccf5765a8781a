"""Images that are perceptually the same."""

from asli.auditing.checks.check import Check, Severity
from asli.auditing.checks.duplicate_counts import LEAK, places, test_share
from asli.auditing.evidence import Evidence


def _examine(evidence: Evidence) -> tuple[Severity, str]:
    near, total = evidence.duplicates.summary.near, evidence.duplicates.summary.test_total
    assert near is not None, "an audit of images searches them"
    found, missed = near.counts, near.not_searched + near.candidates_not_looked_at
    if not found.pairs and not missed:
        return Severity.PASS, "no two images are nearly the same"
    text = f"{found.pairs:,} pairs differ by at most {near.rms_limit:.0f} of 255 gray levels at 32 px"
    text += f", {places(found, total)}"
    if missed:
        text += f"; not searched: {near.not_searched:,} flat images and"
        text += f" {near.candidates_not_looked_at:,} candidate pairs"
    return Severity.FAIL if test_share(found, total) >= LEAK else Severity.WARNING, text


CHECK = Check(
    name="near-duplicates",
    title="Near-duplicates",
    meaning="Copies saved again or resized leak between splits as exact ones do.",
    remedy="look at the pairs that --json lists; keep them in one split",
    examine=_examine,
)
