"""The paper's claims, each answered yes, no, or not settled at this budget.

A claim is one or more contrasts of cells. Runs are the units, a cell's seeds its replicates: a contrast of the cells'
means is tested by Welch's t, with the spread over seeds within each cell as its error. Holm's correction covers all
contrasts of the report together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asli.metrics.paired import OverSeeds, holm, over_cells
from asli.study.grid import STARTS, Budget, corner, schedule_base
from asli.study.results import F1, Pick, Results, rise
from asli.study.tabular import Table

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference whose sign answers a claim.

    Attributes:
        claim: As the paper has it.
        says: What is subtracted from what.
        first: Cells whose mean is taken.
        second: Likewise; this mean is subtracted.
        pick: The figure.
        figure: Its name.
        credited: Whether it is a claim of the paper's tables, or a technique its abstract credits and never ablates.
    """

    claim: str
    says: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    pick: Pick = F1
    figure: str = "F1"
    credited: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the runs say of a contrast.

    Attributes:
        contrast: Which.
        test: Over seeds; None where it could not be made.
        adjusted: Its p after Holm; None likewise.
        why: Why it is not settled, where it is not.
    """

    contrast: Contrast
    test: OverSeeds | None
    adjusted: float | None
    why: str

    @property
    def verdict(self) -> str:
        """Return `yes`, `no` (the opposite holds) or `not settled`."""
        if self.test is None or self.adjusted is None or self.adjusted >= LEVEL:
            return "not settled"
        return "yes" if self.test.claim.difference > 0 else "no"


def contrasts(budget: Budget) -> list[Contrast]:
    """Return the contrasts of a budget."""
    shallow, deep = budget.depths[0], budget.depths[-1]
    result = [
        Contrast(
            "deeper is better",
            f"{deep} minus {shallow}, residual, {start}",
            (corner("residual", start, deep),),
            (corner("residual", start, shallow),),
        )
        for start in STARTS
    ]
    for kind, words in (("plain", "without any"), ("plain-stage", "without one per stage")):
        result += [
            Contrast(
                "residual connections help",
                f"with minus {words}, {start}, mean of the four depths",
                tuple(corner("residual", start, name) for name in budget.depths),
                tuple(corner(kind, start, name) for name in budget.depths),
            )
            for start in STARTS
        ]
    result += [
        Contrast(
            "pretraining helps",
            f"pretrained minus scratch, {kind}, mean of the four depths",
            tuple(corner(kind, "pretrained", name) for name in budget.depths),
            tuple(corner(kind, "scratch", name) for name in budget.depths),
        )
        for kind in ("residual", "plain")
    ]
    base = schedule_base(budget)
    result += [
        Contrast(
            "the scheduler prevents overfitting",
            f"{words} minus warm-up and linear decay: rise of the validation loss above its lowest",
            (name,),
            (base,),
            rise,
            "nats",
        )
        for name, words in (
            ("schedule-constant", "constant rate"),
            ("schedule-constant-half", "constant rate of equal sum"),
        )
    ]
    first, second = budget.versus
    names = [name.split("-")[2] for name in budget.versus]
    starts = [name.split("-")[1] for name in budget.versus]
    result.append(
        Contrast(
            "ResNet-152 beats EfficientNet",
            f"{names[0]} ({starts[0]}) minus {names[1]} ({starts[1]})",
            (first,),
            (second,),
        )
    )
    setting = corner("residual", budget.setting_start, budget.setting_network)
    result += [
        Contrast(f"{what} helps", f"{budget.setting_network} with it minus {words}", (setting,), (name,), credited=True)
        for what, words, name in (
            ("warm-up", "without", "warmup-none"),
            ("gradient accumulation", "without", "accumulation-none"),
            ("gradient accumulation", "one large batch", "accumulation-large-batch"),
            ("RandomResizedCrop", "padded crop", "crop-padded"),
            ("RandomResizedCrop", "no crop or flip", "crop-none"),
        )
    ]
    return result


def answer(made: Sequence[Contrast], results: Results) -> list[Answer]:
    """Answer contrasts from the runs there are."""
    tests = [_test(contrast, results) for contrast in made]
    possible = [test for test, _ in tests if test is not None]
    adjusted = iter(holm([test.claim.p for test in possible]))
    answers = []
    for contrast, (test, why) in zip(made, tests, strict=True):
        p = next(adjusted) if test is not None else None
        answers.append(Answer(contrast, test, p, why or _why_open(test, p)))
    return answers


def verdicts(answers: Sequence[Answer]) -> dict[str, str]:
    """Return one line for each claim: its verdict where all its contrasts agree, else that they do not.

    The verdict is `yes` or `no` where every contrast says so, `mixed` where some do and others say the opposite or
    settle nothing, and `not settled` where none is settled.
    """
    result: dict[str, str] = {}
    for claim in dict.fromkeys(item.contrast.claim for item in answers):
        of = [item.verdict for item in answers if item.contrast.claim == claim]
        result[claim] = of[0] if len(set(of)) == 1 else "mixed: " + ", ".join(of)
    return result


def claims_table(answers: Sequence[Answer]) -> Table:
    """Return the answers as a table."""
    rows = []
    for item in answers:
        test = item.test
        cells = ("-", "-", "-", "-")
        if test is not None:
            c = test.claim
            needed = str(test.needed) if test.needed else "-"
            cells = (f"{c.difference:+.4f}", f"{c.low:+.4f} to {c.high:+.4f}", f"{item.adjusted:.3g}", needed)
        rows.append(
            (item.contrast.claim, item.contrast.says, item.contrast.figure, *cells, item.verdict, item.why or "")
        )
    return Table(
        "claims",
        "Claims",
        ("claim", "contrast", "of", "difference", "95%", "p (Holm)", "seeds needed", "verdict", "why open"),
        rows,
        (
            "A difference above 0 speaks for the claim. Runs are the units: Welch's t with the spread over seeds within"
            " each cell and Satterthwaite's degrees of freedom;"
            f" p after Holm over all {sum(item.test is not None for item in answers)} tests made here; intervals are"
            " not adjusted. *Seeds needed*: to find a difference of this size and spread at 5% with 80% power.",
        ),
    )


def _test(contrast: Contrast, results: Results) -> tuple[OverSeeds | None, str]:
    sides = []
    for names in (contrast.first, contrast.second):
        side = []
        for name in names:
            cell = results.get(name)
            if cell is None or not cell.done:
                return None, f"{name}: {cell.why if cell else 'not chosen'}"
            side.append(np.array(list(cell.by_seed(contrast.pick).values())))
        sides.append(side)
    least = min(len(values) for side in sides for values in side)
    if least < 2:
        return None, f"{least} seed{'s' if least != 1 else ''}: no spread to judge by"
    return over_cells(*sides), ""


def _why_open(test: OverSeeds | None, adjusted: float | None) -> str:
    if test is None or adjusted is None or adjusted < LEVEL:
        return ""
    c = test.claim
    return "the interval holds 0" if c.low <= 0 <= c.high else "not after Holm's correction"
