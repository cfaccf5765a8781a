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
    rise,
)

MEMORIZED = 0.05
"""Training loss, in nats, below which a network has learned its training images by heart."""


def scheduler_claims(budget: Budget) -> Iterator[PaperClaim]:
    """Yield the claims on figures 7 and 8."""
    base = schedule_base(budget)
    rates = (("schedule-constant", "constant rate"), ("schedule-constant-half", "constant rate of equal sum"))
    memorized = _not_memorized("schedule-constant")
    yield PaperClaim(
        "At a constant rate the training loss sinks towards 0, lower than with the scheduler",
        "figure 7",
        (
            Contrast(
                "final training loss, scheduler minus constant rate",
                {"nats": linear({base: 1, "schedule-constant": -1}, last_training_loss)},
                memorized,
            ),
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
    yield PaperClaim(
        "With the scheduler the evaluation loss falls to the end",
        "figure 8",
        (
            Contrast("first minus last validation loss", {"nats": linear({base: 1}, fall)}),
            Contrast(
                "first minus last, less twice the rise above the lowest",
                {"nats": linear({base: 1}, lambda result: fall(result) - 2 * rise(result))},
            ),
        ),
    )


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
                "fluctuation of the training loss, plain minus residual", plain, residual, fluctuation("training")
            ),
            difference("fluctuation of the validation loss", plain, residual, fluctuation("validation")),
            difference("final training loss", plain, residual, last_training_loss),
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
                    f"fluctuation of the training loss, {variant} minus {deepest}",
                    name,
                    normal,
                    fluctuation("training"),
                ),
                difference("final training loss", name, normal, last_training_loss),
            ),
        )
    yield PaperClaim(
        "Without residual connections gradients vanish",
        "section on ablation",
        tuple(
            Contrast(
                f"{deepest}, {start}, {words}: gradient of the first stage over that of the last, residual over plain",
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


def reach(when: str) -> Pick:
    """Return what picks log10 of the gradient norm at the first stage over that at the last stage before the head.

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
