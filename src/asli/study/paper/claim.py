"""What a claim of the paper is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asli.study.sweep.contrasts import LEANS_NO, NO, RANKS, Answer, Contrast, agreed, linear
from asli.study.sweep.results import Pick


@dataclass(frozen=True, slots=True)
class PaperClaim:
    """A claim of the paper.

    Attributes:
        text: Text, as a sentence that is true or false.
        where: In the paper.
        contrasts: All must hold.
        credited: Whether it is a technique that the abstract credits and never ablates.
        universal: Whether it says "every": one contrast against it refutes it.
    """

    text: str
    where: str
    contrasts: tuple[Contrast, ...]
    credited: bool = False
    universal: bool = False


def verdict(claim: PaperClaim, answers: Sequence[Answer]) -> str:
    """Return the verdict on a claim: that of its contrasts where they agree, else how many say what."""
    short = [item.verdict.partition(":")[0] for item in answers]
    if len(answers) == 1:
        return answers[0].verdict
    counts = ", ".join(f"{short.count(of)} {of}" for of in dict.fromkeys(short))
    against = next((word for word in (NO, LEANS_NO) if claim.universal and word in short), None)
    return agreed(short) or (f"{against}: {counts}" if against else f"mixed: {counts}")


def weighted(says: str, terms: Mapping[str, float], printed: float | None = None) -> Contrast:
    """Return the contrast of a weighted sum of cells, in every metric by which networks are compared."""
    return Contrast(says, {metric: linear(terms, pick) for metric, pick in RANKS.items()}, printed=printed)


def difference(says: str, first: str, second: str, pick: Pick, unit: str = "nats") -> Contrast:
    """Return the contrast of one cell minus another in a number of a unit."""
    return Contrast(says, {unit: linear({first: 1, second: -1}, pick)})
