"""Audit a data set: the function behind `asli audit`."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from asli._version import __version__
from asli.auditing import facts
from asli.auditing.checks.check import Finding, Severity
from asli.auditing.checks.check_registry import installed_checks, run_checks
from asli.auditing.duplicates import find_duplicates
from asli.auditing.evidence import Evidence
from asli.auditing.findings import AuditedData, Counts, DuplicateSummary, Oddity, Shortcuts
from asli.auditing.read_pixels import PixelReader
from asli.auditing.shortcuts import measure
from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.layouts import LABELS
from asli.errors import AsliError, DataError
from asli.notebook import html_table
from asli.records import Record
from asli.reports.pages import require_page


class AuditFailedError(AsliError):
    """A check failed and `--strict` was given."""

    exit_status = 3


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuditResult(Record):
    """Result of an audit, and output of `asli audit --json`; see docs/audit.md.

    Attributes:
        version: Version of this structure.
        asli: Version that made it.
        date: ISO 8601, UTC.
        data: The audited data.
        findings: One per check.
        not_images: Number of other files of the source, by ending.
        counts: Readable images per label, by split, generator and category.
        oddities: Damaged or unusual files by kind.
        facts: File facts of each label and generator, in words.
        duplicates: Exact and near-duplicates: counts and pairs.
        shortcuts: How well labels can be predicted from properties that should not matter.
    """

    version: Literal[2] = 2
    asli: str
    date: str
    data: AuditedData
    findings: tuple[Finding, ...]
    not_images: dict[str, int]
    counts: Counts
    oddities: tuple[Oddity, ...]
    facts: dict[str, dict[str, str]]
    duplicates: DuplicateSummary
    shortcuts: Shortcuts

    def of(self, severity: Severity) -> list[Finding]:
        """Return the findings of a severity."""
        return [finding for finding in self.findings if finding.severity is severity]

    def __repr__(self) -> str:
        lines = []
        for finding in self.findings:
            lines.append(f"{finding.severity:<12} {finding.title}: {finding.finding}")
            if finding.remedy:
                lines.append(f"{'':<13}To do: {finding.remedy}")
        counts = {severity: len(self.of(severity)) for severity in Severity}
        lines.append(
            f"{len(self.findings)} checks: {', '.join(f'{n} {severity}' for severity, n in counts.items() if n)}"
        )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [[str(f.severity), f.title, f.finding, f.remedy] for f in self.findings]
        return html_table(["severity", "check", "finding", "to do"], rows)

    def require_pass(self) -> None:
        """Raise an error if a check failed.

        Raises:
            AuditFailedError: One or more did.
        """
        failed = self.of(Severity.FAIL)
        if failed:
            names = ", ".join(finding.check for finding in failed)
            raise AuditFailedError(f"{len(failed)} of {len(self.findings)} checks failed: {names}")


def audit(data: str | Path | DataFolder, *, seed: int = 0, html: str | Path | None = None) -> AuditResult:
    """Find properties that let a classifier guess labels.

    Args:
        data: A data folder, into which nothing is written, or images as `asli data open` takes them.
        seed: Seed of folds and permutations.
        html: Also write a page here.

    Raises:
        DataError: All images have one label.
        AsliError: A check of an installed package cannot be used, or `html` exists and is not a page of asli.
    """
    if html is not None:
        require_page(Path(html))
    data = open_data(data)
    _require_both(data)
    extra = installed_checks()
    table, pixels = facts.read(data), PixelReader(data)
    duplicates = find_duplicates(data, pixels)
    evidence = Evidence(
        data=data,
        table=table,
        pixels=pixels,
        duplicates=duplicates,
        counts=facts.counts(table),
        oddities=facts.oddities(table),
        shortcuts=measure(data, pixels, duplicates.groups, seed=seed),
        seed=seed,
    )
    result = AuditResult(
        asli=__version__,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        data=AuditedData(name=data.name, hash=data.hash, images=len(data), readable=int(data.readable.sum())),
        findings=tuple(run_checks(evidence, extra)),
        not_images=data.info["problems"],
        counts=evidence.counts,
        oddities=evidence.oddities,
        facts=facts.side_by_side(table),
        duplicates=duplicates.summary,
        shortcuts=evidence.shortcuts,
    )
    if html is not None:
        from asli.auditing.audit_page import write_page

        write_page(Path(html), result, evidence)
    return result


def _require_both(data: DataFolder) -> None:
    present = np.unique(data.labels[data.readable])
    if len(present) < 2:
        held = f"only {LABELS[int(present[0])]} images" if len(present) else "no readable image"
        raise DataError(f"{data.path} has {held}; an audit compares real with fake ones, so it needs both")
