"""The paper's printed numbers against each other: computed from the numbers, within what rounding allows."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from asli.models.profile import PRINTED, profile
from asli.study.paper import printed as paper
from asli.study.paper.printed import Printed
from asli.study.sweep.tabular import TextTable


@dataclass(frozen=True, slots=True)
class ConsistencyCheck:
    """One comparison.

    Attributes:
        where: Tables or figures of the paper.
        says: What they print.
        found: What follows from it.
        verdict: Whether the two can both be right, or what else is to be said.
    """

    where: str
    says: str
    found: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Range:
    """What a number may be."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.4f} to {self.high:.4f}"

    def meets(self, other: "Range") -> bool:
        """Return whether the two share a value."""
        return self.low <= other.high and other.low <= self.high


def rounded(value: float, digits: int) -> Range:
    """Return what a number printed with so many decimals may have been."""
    return Range(value - 0.5 * 10**-digits, value + 0.5 * 10**-digits)


def f1_of(row: Printed) -> Range:
    """Return the F1 that precision and recall, printed with four decimals, imply."""
    assert row.precision is not None
    assert row.recall is not None
    return _extremes(lambda p, r: 2 * p * r / (p + r), row.precision, row.recall)


def fake_share_of(row: Printed) -> Range:
    """Return the share of FAKE images that precision, recall and accuracy imply.

    With share q, accuracy = 1 - q (1 - recall + recall (1 - precision) / precision).
    """
    assert row.precision is not None
    assert row.recall is not None
    assert row.accuracy is not None
    return _extremes(lambda p, r, a: (1 - a) / (1 - r + r * (1 - p) / p), row.precision, row.recall, row.accuracy)


def balanced_accuracy_of(row: Printed) -> Range:
    """Return the accuracy that precision and recall imply on as many FAKE as REAL images."""
    assert row.precision is not None
    assert row.recall is not None
    return _extremes(lambda p, r: 1 - 0.5 * (1 - r + r * (1 - p) / p), row.precision, row.recall)


def remarks_possible(fake: int, real: int) -> bool:
    """Return whether counts exist with TP > TN and FN > FP, as the remarks on figure 9 say.

    TP + FN is the number of FAKE images and TN + FP that of REAL ones, so the first must be larger by 2 or more.
    """
    return fake >= real + 2


def checks() -> list[ConsistencyCheck]:
    """Return every comparison."""
    return [_same_network(), _confusion(), *_rows(), _twice(), *_repeats(), *_trends(), _always_fake(), _parameters()]


def consistency_table() -> TextTable:
    """Return the comparisons as a table."""
    rows = [(check.where, check.says, check.found, check.verdict) for check in checks()]
    notes = ("Computed by `asli.study.consistency` from the printed numbers, each taken as its rounding interval.",)
    return TextTable(
        "consistency",
        "The paper's numbers against each other",
        ("where", "printed", "what follows", "verdict"),
        rows,
        notes,
    )


def _same_network() -> ConsistencyCheck:
    first, second = paper.TABLE_3, paper.TABLE_5[1]
    assert first.f1 is not None
    assert second.f1 is not None
    return ConsistencyCheck(
        "tables 3 and 5 (2)",
        f'ResNet-152 "with residual, with pretrained": F1 {first.f1:.4f} and, by the text on table 5, {second.f1:.4f}',
        f"one network, two results, {first.f1 - second.f1:.4f} apart: the largest contradiction",
        _both(rounded(first.f1, 4).meets(rounded(second.f1, 4))),
    )


def _confusion() -> ConsistencyCheck:
    fake, real = paper.TEST_FAKE, paper.TEST_REAL
    return ConsistencyCheck(
        "figure 9",
        "TP > TN while FN > FP",
        f"needs at least 2 FAKE images more than REAL ones; the test set has {fake:,} and {real:,}",
        _both(remarks_possible(fake, real)),
    )


def _rows() -> list[ConsistencyCheck]:
    result = []
    named = (
        ("table 3", paper.TABLE_3),
        ("table 4", paper.TABLE_4),
        ("table 5 (1)", paper.TABLE_5[0]),
        ("table 5 (2)", paper.TABLE_5[1]),
    )
    share = paper.TEST_FAKE / (paper.TEST_FAKE + paper.TEST_REAL)
    for where, row in named:
        assert row.f1 is not None
        assert row.accuracy is not None
        implied, fakes, balanced = f1_of(row), fake_share_of(row), balanced_accuracy_of(row)
        said = f"precision {row.precision:.4f}, recall {row.recall:.4f}"
        result.append(
            ConsistencyCheck(
                where, f"{said}, F1 {row.f1:.4f}", f"F1 {implied}", _both(implied.meets(rounded(row.f1, 4)))
            ),
        )
        found = f"{100 * fakes.low:.2f} to {100 * fakes.high:.2f}% FAKE; at {share:.0%} accuracy is {balanced}"
        agrees = fakes.low <= share <= fakes.high
        result.append(ConsistencyCheck(where, f"{said}, accuracy {row.accuracy:.4f}", found, _both(agrees)))
    return result


def _twice() -> ConsistencyCheck:
    first, second = paper.TABLE_4.f1, paper.TABLE_7["resnet152"][1].f1
    assert first is not None
    assert second is not None
    return ConsistencyCheck(
        "tables 4 and 7",
        f"plain, pretrained ResNet-152: F1 {first:.4f} and {second:.3f}",
        f"they differ by {abs(first - second):.4f}",
        _both(rounded(first, 4).meets(rounded(second, 3))),
    )


def _repeats() -> list[ConsistencyCheck]:
    pairs = [("tables 3 and 2", "ResNet-152", paper.TABLE_3.f1, paper.TABLE_2["resnet152"].f1)]
    pairs.append(("tables 5 and 7", "scratch, plain ResNet-152", paper.TABLE_5[0].f1, paper.TABLE_7["resnet152"][0].f1))
    pairs.append(
        ("tables 5 (2), 7", "plain, pretrained ResNet-152", paper.TABLE_5[1].f1, paper.TABLE_7["resnet152"][1].f1)
    )
    pairs += [
        ("tables 2 and 7", name, printed.f1, paper.TABLE_7[name][2].f1) for name, printed in paper.TABLE_6.items()
    ]
    result = []
    for where, what, first, second in pairs:
        assert first is not None
        assert second is not None
        agrees = rounded(first, 4 if round(first, 3) != first else 3).meets(rounded(second, 3))
        result.append(
            ConsistencyCheck(
                where, f"{what}: F1 {first} and {second}", f"{abs(first - second):.4f} apart", _both(agrees)
            )
        )
    return result


def _trends() -> list[ConsistencyCheck]:
    """Return claims on trends of the text beside the rows they are about."""
    rows = [(f"{name}, scenario {n}", row) for name, of in paper.TABLE_7.items() for n, row in enumerate(of, 1)]
    rows += [(name, row) for name, row in paper.TABLE_2.items() if name not in paper.TABLE_7]
    pairs = [
        f"{first} {a.loss:g} / {a.f1:g} and {second} {b.loss:g} / {b.f1:g}"
        for (first, a), (second, b) in itertools.combinations(rows, 2)
        if None not in (a.loss, a.f1, b.loss, b.f1) and (a.loss - b.loss) * (a.f1 - b.f1) > 0  # type: ignore[operator]
    ]
    benefits = [of[2].f1 - of[1].f1 for of in paper.TABLE_7.values()]  # type: ignore[operator]
    grows = all(later > earlier for earlier, later in itertools.pairwise(benefits))
    return [
        ConsistencyCheck(
            "tables 2 and 7",
            "the loss falls as F1 rises in every experiment",
            f"{len(pairs)} pairs of rows do not, such as {pairs[-1]}" if pairs else "every pair of rows does",
            _both(not pairs),
        ),
        ConsistencyCheck(
            "table 7",
            "the benefit of residual connections grows with depth",
            "scenario 3 minus 2: " + ", ".join(f"{value:.3f}" for value in benefits),
            _both(grows),
        ),
    ]


def _always_fake() -> ConsistencyCheck:
    share = paper.TEST_FAKE / (paper.TEST_FAKE + paper.TEST_REAL)
    always = 2 * share / (1 + share)
    plain = [row.f1 for rows in paper.TABLE_7.values() for row in rows[:2] if row.f1 is not None]
    plain += [row.f1 for row in (paper.TABLE_4, *paper.TABLE_5) if row.f1 is not None]
    below = sum(f1 < always for f1 in plain)
    return ConsistencyCheck(
        "tables 4, 5, 7",
        f"F1 of networks without residual connections: {min(plain)} to {max(plain)}",
        f"answering FAKE always gives {always:.4f}; {below} of {len(plain)} printed values are below it",
        "worse than no detector" if below else "better than no detector",
    )


def _parameters() -> ConsistencyCheck:
    printed = {name: millions for name, millions in PRINTED.items() if millions is not None}
    profiles = [profile(name) for name in printed]
    wrong = [item.name for item in profiles if not item.agrees]
    heads = ", ".join(f"{item.name} {item.parameters / 1e6:.1f}" for item in profiles)
    return ConsistencyCheck(
        "table 2",
        "millions of parameters: " + ", ".join(f"{name} {millions}" for name, millions in printed.items()),
        f"{len(printed) - len(wrong)} of {len(printed)} agree with 1,000-class heads; with two classes: {heads}",
        _both(not wrong),
    )


def _both(possible: bool) -> str:
    return "agree" if possible else "CONTRADICT"


def _extremes(of: Callable[..., float], *printed: float) -> Range:
    """Return the range of a function that is monotone in each argument, over the rounding intervals."""
    ranges = [rounded(value, 4) for value in printed]
    values = [of(*corner) for corner in itertools.product(*((r.low, r.high) for r in ranges))]
    return Range(min(values), max(values))
