"""Claims on how training goes: the scheduler, stability, gradients."""

import math
from collections.abc import Callable, Iterator

from asli.study.paper.budgets import STARTS, Budget
from asli.study.paper.claim import PaperClaim, difference
from asli.study.paper.grid import corner, schedule_base, steady
from asli.study.sweep.contrasts import Contrast, linear
from asli.study.sweep.record import Result
from asli.study.sweep.results import (
    Pick,
    Results,
    fall,
    fluctuation,
    last_training_loss,
    last_validation_loss,
    later_fall,
    rise,
)

MEMORIZED = 0.05
"""Training loss, in nats, below which a network has learned its training images by heart."""


def scheduler_claims(budget: Budget) -> Iterator[PaperClaim]:
    """Yield the claims on figures 7 and 8."""
    base = schedule_base(budget)
    rates = (("schedule-constant", "constant rate"), ("schedule-constant-half", "constant rate at half the peak"))
    memorized = _not_memorized("schedule-constant")
    yield PaperClaim(
        f"At a constant rate the training loss sinks towards 0 (below {MEMORIZED:g} nats)",
        "figure 7",
        (
            Contrast(
                f"{MEMORIZED:g} minus the final training loss at a constant rate",
                {"nats": linear({"schedule-constant": 1}, _below(last_training_loss, MEMORIZED))},
            ),
        ),
    )
    yield PaperClaim(
        "At a constant rate the evaluation loss rises",
        "figure 8",
        (
            Contrast(
                "validation loss at the end minus at half time, constant rate",
                {"nats": linear({"schedule-constant": -1}, later_fall("validation"))},
                memorized,
            ),
        ),
    )
    yield PaperClaim(
        "With the scheduler training and evaluation loss fall to the end",
        "figures 7 and 8",
        tuple(
            Contrast(f"{kind} loss at half time minus at the end", {"nats": linear({base: 1}, later_fall(kind))})
            for kind in ("training", "validation")
        ),
    )
    yield PaperClaim(
        "The scheduler prevents overfitting",
        "figures 7 and 8",
        tuple(
            Contrast(f"{what}, {words} minus scheduler", {"nats": linear({name: 1, base: -1}, pick)}, memorized)
            for name, words in rates
            for what, pick in (
                ("rise of the validation loss above its lowest", rise),
                ("final validation loss", last_validation_loss),
            )
        ),
    )


def _below(pick: Pick, bound: float) -> Pick:
    """Return what picks how far a number lies below a bound."""

    def picked(result: Result) -> float | None:
        value = pick(result)
        return None if value is None else bound - value

    return picked


def _not_memorized(name: str) -> Callable[[Results], str]:
    def hindrance(results: Results) -> str:
        item = results.get(name)
        loss = item.mean(last_training_loss) if item else None
        if loss is None or loss < MEMORIZED:
            return ""
        return f"at a constant rate the training loss ended at {loss:.2f}, not near 0: this budget cannot answer"

    return hindrance


def stability_claims(budget: Budget) -> Iterator[PaperClaim]:
    """Yield the claims on shortcuts, BatchNorm and ReLU in training, figure 12 among them."""
    plain, residual, deepest = steady(budget, "plain"), steady(budget, "residual"), budget.depths[-1]
    yield PaperClaim(
        "Without residual connections training is unstable and does not converge",
        "figure 12: fluctuating training loss, evaluation loss without a falling trend",
        (
            difference(
                "fluctuation of the training loss, plain over residual", plain, residual, change("training"), "log10"
            ),
            difference(
                "fluctuation of the validation loss, plain over residual",
                plain,
                residual,
                change("validation"),
                "log10",
            ),
            difference("final training loss, plain minus residual", plain, residual, last_training_loss),
            difference("fall of the validation loss, residual minus plain", residual, plain, fall),
        ),
    )
    normal = corner("residual", "scratch", deepest)
    for variant, text in (("unnormalized", "BatchNorm stabilizes training"), ("tanh", "ReLU stabilizes training")):
        name = f"{variant}-scratch-{deepest}"
        yield PaperClaim(
            text,
            "section on the architecture",
            (
                difference(
                    f"fluctuation of the training loss, {variant} over {deepest}",
                    name,
                    normal,
                    change("training"),
                    "log10",
                ),
                difference(
                    f"fluctuation of the validation loss, {variant} over {deepest}",
                    name,
                    normal,
                    change("validation"),
                    "log10",
                ),
                difference(f"final training loss, {variant} minus {deepest}", name, normal, last_training_loss),
            ),
        )
    yield PaperClaim(
        "Without residual connections gradients vanish",
        "section on ablation",
        tuple(
            Contrast(
                f"{deepest}, {start}, {words}: stem's gradient over the last stage's, residual over plain"
                " (below 0, plain gradients explode)",
                {
                    "log10": linear(
                        {corner("residual", start, deepest): 1, corner("plain", start, deepest): -1}, reach(when)
                    )
                },
            )
            for start in STARTS
            for when, words in (("start", "before training"), ("end", "after training"))
        ),
    )


def change(kind: str) -> Pick:
    """Return what picks log10 of the fluctuation of a loss: a single spike does not decide its mean over seeds."""
    pick = fluctuation(kind)

    def picked(result: Result) -> float | None:
        value = pick(result)
        return math.log10(value) if value else None

    return picked


def reach(when: str) -> Pick:
    """Return what picks log10 of the gradient norm at the stem over that at the last stage before the head.

    Args:
        when: `start` or `end` of training.
    """

    def pick(result: Result) -> float | None:
        norms = list(result.get("gradients", {}).get(when, {}).values())
        if not norms:
            return None
        first, last = norms[0], norms[-2]
        return math.log10(first / last) if first > 0 and last > 0 else None

    return pick
