"""A check of an audit and what it finds."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from asli.auditing.evidence import Evidence
from asli.records import Record


class Severity(StrEnum):
    """How serious a finding is."""

    PASS = "pass"  # noqa: S105 - no password
    WARNING = "warning"
    FAIL = "fail"
    NOT_CHECKED = "not checked"

    @classmethod
    def worst(cls, severities: list["Severity"]) -> "Severity":
        """Return the most serious one; pass where there is none."""
        return next((level for level in (cls.FAIL, cls.WARNING, cls.NOT_CHECKED) if level in severities), cls.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Record):
    """Result of a check.

    Attributes:
        check: Name of the check.
        title: Its title.
        severity: How serious it is.
        finding: What was measured, with numbers.
        remedy: What to do; empty where there is nothing to do.
        meaning: Why it matters.
    """

    check: str
    title: str
    severity: Severity
    finding: str
    remedy: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check of an audit.

    Attributes:
        name: Short and unique, such as `exact-duplicates`.
        title: For people.
        meaning: One sentence: why it matters.
        remedy: What to do about a warning or a failure.
        examine: Returns the severity and a sentence on what was found, from the evidence.
    """

    name: str
    title: str
    meaning: str
    remedy: str
    examine: Callable[[Evidence], tuple[Severity, str]]

    def run(self, evidence: Evidence) -> Finding:
        """Return what this check finds."""
        severity, text = self.examine(evidence)
        return self.finding(Severity(severity), text)

    def finding(self, severity: Severity, text: str) -> Finding:
        """Return a finding of this check."""
        remedy = self.remedy if severity in (Severity.WARNING, Severity.FAIL) else ""
        return Finding(
            check=self.name, title=self.title, severity=severity, finding=text, remedy=remedy, meaning=self.meaning
        )
