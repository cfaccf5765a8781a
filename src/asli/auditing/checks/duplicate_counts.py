"""Counts that both checks of duplicates use."""

from asli.auditing.findings import PairCounts

LEAK = 0.01
"""Share of the test images with a duplicate in another split from which a check fails."""


def test_share(found: PairCounts, test_total: int) -> float:
    """Return the share of test images that have a duplicate in another split."""
    return float(found.test_images / max(test_total, 1))


def places(found: PairCounts, test_total: int) -> str:
    """Return in words where pairs lie."""
    return (
        f"{found.across_splits:,} across splits, {found.across_labels:,} with both labels;"
        f" {found.test_images:,} test images ({100 * test_share(found, test_total):.1f} %)"
        " have a duplicate in another split"
    )
