"""Claims as contrasts of cells, tested over seeds.

Runs of one seed share their training sample, their order and their augmentation, so they are not independent: a seed
is a block. A contrast is computed within each seed, from that seed's runs alone, and its values over seeds are tested
against 0 by Student's t. What the runs of a seed have in common cancels, whatever cells it affects.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from asli.metrics.paired import OverSeeds, holm, over_seeds
from asli.study.sweep.results import AUROC, F1, F1_ARGMAX, Pick, Results

LEVEL = 0.05

RANKS: Mapping[str, Pick] = MappingProxyType({"F1 argmax": F1_ARGMAX, "F1 fitted": F1, "AUROC": AUROC})
"""Metrics by which networks are compared: F1 at 0.5, F1 at the threshold fitted on the calibration part, and AUROC."""

YES, NO, OPEN = "yes", "no", "not settled"
LEANS_YES, LEANS_NO = "leans yes", "leans no"
"""The 95 % interval is on one side of 0, but not after Holm's correction: more seeds are needed."""


def agreed(verdicts: Sequence[str]) -> str | None:
    """Return the verdict that several share, a leaning one where some only lean, or None where they differ."""
    found = set(verdicts)
    if len(found) == 1:
        return verdicts[0]
    for sure, leaning in ((YES, LEANS_YES), (NO, LEANS_NO)):
        if found <= {sure, leaning}:
            return leaning
    return None


class MissingError(Exception):
    """A quantity cannot be computed; the message is the reason."""


Quantity = Callable[[Results], dict[int, float]]
"""Returns a number of each seed, above 0 where it speaks for the claim; raises `MissingError`."""


def linear(terms: Mapping[str, float], pick: Pick) -> Quantity:
    """Return the weighted sum of a number over cells, by seed; seeds that a cell lacks are left out.

    Args:
        terms: Weight of each cell, by name.
        pick: The number.
    """

    def quantity(results: Results) -> dict[int, float]:
        values = {}
        for name in terms:
            cell = results.get(name)
            if cell is None or not cell.done:
                raise MissingError(f"{name}: {cell.why if cell else 'no such cell in this budget'}")
            values[name] = cell.by_seed(pick)
            if not values[name]:
                raise MissingError(f"{name}: its results lack this number")
        shared = set.intersection(*(set(of) for of in values.values()))
        return {seed: sum(weight * values[name][seed] for name, weight in terms.items()) for seed in sorted(shared)}

    return quantity


@dataclass(frozen=True, slots=True)
class Contrast:
    """A quantity whose sign answers a claim, in one or several metrics.

    Attributes:
        says: What is compared with what.
        quantities: Quantities by metric.
        hindrance: Returns why these runs cannot answer it, or an empty text.
        printed: The same contrast of the F1 that the paper prints, or None.
    """

    says: str
    quantities: Mapping[str, Quantity]
    hindrance: Callable[[Results], str] = lambda _: ""
    printed: float | None = None


def compare(
    says: str,
    first: Sequence[str],
    second: Sequence[str],
    picks: Mapping[str, Pick] = RANKS,
    *,
    learned: bool = False,
    printed: float | None = None,
) -> Contrast:
    """Return the contrast of two means of cells, first minus second.

    Args:
        says: What is compared with what.
        first: Cells whose mean is taken.
        second: Cells whose mean is subtracted.
        picks: What is compared, by metric.
        learned: Whether all these cells must beat a constant answer.
        printed: See `Contrast`.
    """
    terms: dict[str, float] = dict.fromkeys(first, 1 / len(first))
    for name in second:
        terms[name] = terms.get(name, 0.0) - 1 / len(second)
    quantities = {key: linear(terms, pick) for key, pick in picks.items()}
    made = Contrast(says, quantities, printed=printed)
    return replace(made, hindrance=unlearned(tuple(terms))) if learned else made


def unlearned(names: Sequence[str]) -> Callable[[Results], str]:
    """Return what tells which of these cells did not beat a constant answer: then a comparison does not count."""

    def hindrance(results: Results) -> str:
        cells = {item.cell.network: item.unlearned for item in results.of_names(names) if item.done}
        failed = [f"{name} ({why})" for name, why in cells.items() if why]
        return f"{' and '.join(failed)} did not learn enough at this budget" if failed else ""

    return hindrance


@dataclass(frozen=True, slots=True)
class Tested:
    """One metric of a contrast.

    Attributes:
        metric: Its name.
        test: Over seeds; None where it could not be made.
        adjusted: Its p after Holm; None where there is no test.
        why: Why there is no test, or why it is not settled.
    """

    metric: str
    test: OverSeeds | None
    adjusted: float | None
    why: str

    @property
    def verdict(self) -> str:
        """Return `yes`, `no` (the opposite holds), which of them it leans to, or `not settled`."""
        if self.test is None or self.adjusted is None:
            return OPEN
        c = self.test.result
        if self.adjusted >= LEVEL:
            return LEANS_YES if c.low > 0 else LEANS_NO if c.high < 0 else OPEN
        return YES if c.difference > 0 else NO


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a contrast over its runs.

    Attributes:
        contrast: Which.
        tested: One a metric.
        hindrance: Why it is not judged, or an empty text.
    """

    contrast: Contrast
    tested: tuple[Tested, ...]
    hindrance: str

    @property
    def verdict(self) -> str:
        """Return the verdict that all metrics share, else what each metric says, or why nothing is judged.

        Metrics of which some are settled or lean to one side and the others are open lean to that side.
        """
        if self.hindrance:
            return f"not judged: {self.hindrance}"
        found = [item.verdict for item in self.tested]
        shared = agreed(found)
        if shared:
            return shared
        settled = agreed([one for one in found if one != OPEN])
        if settled:
            leaning = LEANS_YES if settled in (YES, LEANS_YES) else LEANS_NO
            return f"{leaning}: {', '.join(item.metric for item in self.tested if item.verdict == OPEN)} not settled"
        return "depends on the metric: " + ", ".join(f"{item.metric} {item.verdict}" for item in self.tested)


def answer(contrasts: Sequence[Contrast], results: Results) -> list[Answer]:
    """Answer contrasts from the runs there are.

    Holm's correction runs over all contrasts of each of `RANKS`, and over all other metrics together. `yes` in every
    metric needs no further correction: each of them must be shown (an intersection-union test).
    """
    found = [{metric: _test(of, results) for metric, of in contrast.quantities.items()} for contrast in contrasts]
    hindrances = [contrast.hindrance(results) for contrast in contrasts]
    families: dict[str, dict[tuple[int, str], float]] = {}
    for i, tests in enumerate(found):
        for metric, (test, _) in tests.items():
            if test is not None and not hindrances[i]:
                families.setdefault(metric if metric in RANKS else "other", {})[i, metric] = test.result.p
    adjusted = {key: p for of in families.values() for key, p in zip(of, holm(list(of.values())), strict=True)}
    return [
        Answer(
            contrast,
            tuple(
                Tested(metric, test, adjusted.get((i, metric)), why or _why_open(test, adjusted.get((i, metric))))
                for metric, (test, why) in found[i].items()
            ),
            hindrances[i],
        )
        for i, contrast in enumerate(contrasts)
    ]


def _test(of: Quantity, results: Results) -> tuple[OverSeeds | None, str]:
    try:
        values = of(results)
    except MissingError as reason:
        return None, str(reason)
    if len(values) < 2:
        return None, f"{len(values)} seed{'s' if len(values) != 1 else ''}: no spread, so no test"
    return over_seeds(values, dict.fromkeys(values, 0.0)), ""


def _why_open(test: OverSeeds | None, adjusted: float | None) -> str:
    if test is None or adjusted is None or adjusted < LEVEL:
        return ""
    c = test.result
    return "the interval holds 0" if c.low <= 0 <= c.high else "not after Holm's correction"
