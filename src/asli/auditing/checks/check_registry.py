"""All checks: those of asli, then those of installed packages."""

import logging
from collections.abc import Iterator

from asli.auditing.checks import (
    balance,
    color_shortcut,
    exact_duplicates,
    file_integrity,
    file_settings,
    file_size,
    near_duplicates,
    sharpness,
)
from asli.auditing.checks.check import Check, Finding, Severity
from asli.auditing.evidence import Evidence
from asli.errors import AsliError
from asli.plugins import plugins

BUILT_IN: tuple[Check, ...] = (
    file_integrity.CHECK,
    balance.CHECK,
    exact_duplicates.CHECK,
    near_duplicates.CHECK,
    file_settings.CHECK,
    file_size.CHECK,
    color_shortcut.CHECK,
    sharpness.CHECK,
)
"""In the order of text and page."""

logger = logging.getLogger("asli")


def installed_checks() -> list[Check]:
    """Return the checks of installed packages.

    Raises:
        AsliError: One cannot be imported, is no `Check`, or has the name of another.
    """
    found: list[Check] = []
    for plugin in plugins("check"):
        check: Check = plugin.load(Check)
        if check.name in {other.name for other in (*BUILT_IN, *found)}:
            raise AsliError(f"check '{check.name}' of {plugin.package} exists already; uninstall one of the two")
        found.append(check)
    return found


def run_checks(evidence: Evidence, extra: list[Check]) -> Iterator[Finding]:
    """Yield the finding of each check; one of another package that raises an exception is `not checked`.

    Args:
        evidence: What they look at.
        extra: Checks beyond `BUILT_IN`.
    """
    for check in BUILT_IN:
        yield check.run(evidence)
    for check in extra:
        try:
            yield check.run(evidence)
        except Exception as error:  # another package's fault must not cost the audit
            logger.warning("the check %s raised %s: %s", check.name, type(error).__name__, error)
            yield check.finding(Severity.NOT_CHECKED, f"the check raised {type(error).__name__}: {error}")
