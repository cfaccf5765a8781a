"""Balance of the labels in each split and category, and of the generators."""

from asli.auditing.checks.check import Check, Severity
from asli.auditing.evidence import Evidence

RATIO = 1.5
GENERATOR_RATIO = 10
"""Most images of one generator to those of the rarest; figures by generator are weak for the rare one."""


def _examine(evidence: Evidence) -> tuple[Severity, str]:
    return imbalances(evidence.counts)


def imbalances(counts: dict[str, dict[str, dict[str, int]]]) -> tuple[Severity, str]:
    """Return what is uneven, from readable images per label by split, generator and category."""
    troubles: list[tuple[Severity, str]] = []
    for split, by_label in counts["split"].items():
        real, fake = by_label["real"], by_label["fake"]
        if min(real, fake) == 0:
            troubles.append((Severity.FAIL, f"{split} has only {'fake' if fake else 'real'} images"))
        elif max(real, fake) > RATIO * min(real, fake):
            troubles.append((Severity.WARNING, f"{split} has {real:,} real and {fake:,} fake"))
    categories = counts["category"]
    alone = [name for name, n in categories.items() if min(n.values()) == 0]
    uneven = [name for name, n in categories.items() if max(n.values()) > RATIO * min(n.values()) > 0]
    for names, what in ((alone, "have one label only"), (uneven, "are uneven between real and fake")):
        if names:
            troubles.append((Severity.WARNING, f"{len(names)} categories {what}: {', '.join(names[:5])}"))
    generators = {name: n["fake"] for name, n in counts["generator"].items() if n["fake"]}
    if generators and max(generators.values()) > GENERATOR_RATIO * min(generators.values()):
        least, most = min(generators, key=generators.__getitem__), max(generators, key=generators.__getitem__)
        text = f"generators are uneven: {generators[most]:,} of {most}, {generators[least]:,} of {least}"
        troubles.append((Severity.WARNING, text))
    if not troubles:
        return Severity.PASS, "real and fake are balanced in every split"
    return Severity.worst([severity for severity, _ in troubles]), "; ".join(text for _, text in troubles)


CHECK = Check(
    name="balance",
    title="Balance",
    meaning="Where subjects or splits differ by label, a detector learns the subject instead of the trace.",
    remedy="draw as many images of each label, of the same subjects",
    examine=_examine,
)
