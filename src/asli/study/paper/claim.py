"""What a claim of the paper is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asli.study.sweep.contrasts import RANKS, Answer, Contrast, agreed, linear
from asli.study.sweep.results import Pick


@dataclass(frozen=True, slots=True)
class PaperClaim:
    """A claim of the paper.

    Attributes:
        text: Text, as a sentence that is true or false.
        where: In the paper.
        contrasts: All must hold.
        credited: Whether it is a technique that the abstract credits and never ablates.
    """

    text: str
    where: str
    contrasts: tuple[Contrast, ...]
    credited: bool = False


def verdict(answers: Sequence[Answer]) -> str:
    """Return the verdict on a claim: that of its contrasts where they agree, else how many say what."""
    found = [item.verdict for item in answers]
    short = [text.partition(":")[0] for text in found]
    mixed = "mixed: " + ", ".join(f"{short.count(of)} {of}" for of in dict.fromkeys(short))
    return agreed(found) or mixed


def weighted(says: str, terms: Mapping[str, float]) -> Contrast:
    """Return the contrast of a weighted sum of cells, in every metric by which networks are compared."""
    return Contrast(says, {metric: linear(terms, pick) for metric, pick in RANKS.items()})


def difference(says: str, first: str, second: str, pick: Pick) -> Contrast:
    """Return the contrast of one cell minus another in a number of nats."""
    return Contrast(says, {"nats": linear({first: 1, second: -1}, pick)})
