"""Tables on training: the scheduler, single settings, stability, gradients, and every claim."""

from collections.abc import Sequence
from statistics import mean

from asli.study.paper.budgets import STARTS, Budget
from asli.study.paper.claim import PaperClaim
from asli.study.paper.grid import corner, schedule_base, steady
from asli.study.paper.paper_tables import LOSSES, SCORES, losses_of
from asli.study.sweep.contrasts import Answer
from asli.study.sweep.results import (
    F1_ARGMAX,
    NONE,
    CellResults,
    Results,
    fall,
    fluctuation,
    last_training_loss,
    last_validation_loss,
    rise,
)
from asli.study.sweep.tabular import TextTable

COURSE = {
    "final training loss": last_training_loss,
    "final validation loss": last_validation_loss,
    "rise above its lowest": rise,
}


def training_tables(budget: Budget, results: Results) -> list[TextTable]:
    """Return the tables on training."""
    return [
        schedule_table(budget, results),
        stability_table(budget, results),
        settings_table(budget, results),
        gradients_table(budget, results),
    ]


def schedule_table(budget: Budget, results: Results) -> TextTable:
    """Return the runs with and without the scheduler."""
    names = (schedule_base(budget), "schedule-constant", "schedule-constant-half")
    rows = [
        (
            "warm-up and linear decay" if item.cell.name == names[0] else item.cell.says,
            item.cell.network,
            item.condition,
            item.seeds,
            *(item.text(pick) for pick in COURSE.values()),
            *(item.text(pick) for pick in SCORES.values()),
        )
        for item in results.of_names(names)
    ]
    return TextTable(
        "schedule",
        "Figures 7 and 8 in numbers: the scheduler",
        ("rate", "network", "condition", "seeds", *COURSE, *SCORES),
        rows,
        (
            "Losses in nats. Training loss: mean of the last tenth of the updates. F1 and AUROC: of the weights that"
            " are best on validation. The paper evaluated its two runs at different intervals; these are evaluated at"
            " the same updates.",
        ),
    )


def stability_table(budget: Budget, results: Results) -> TextTable:
    """Return how steadily the deepest network trains with and without shortcuts, BatchNorm and ReLU."""
    deepest = budget.depths[-1]
    names = [steady(budget, "residual"), steady(budget, "plain"), corner("residual", "scratch", deepest)]
    names += [f"{variant}-scratch-{deepest}" for variant in ("unnormalized", "tanh") if budget.steady_settings]
    rows = [
        (
            item.cell.says,
            item.condition,
            item.seeds,
            item.text(fluctuation("training")),
            item.text(fluctuation("validation")),
            item.text(last_training_loss),
            item.text(fall),
            _curve(item),
        )
        for item in results.of_names(dict.fromkeys(names))
    ]
    return TextTable(
        "stability",
        "Figure 12 in numbers: how steadily networks train",
        (
            "network",
            "condition",
            "seeds",
            "fluctuation, training",
            "fluctuation, validation",
            "final training loss",
            "fall of the validation loss",
            "validation losses, seed by seed",
        ),
        rows,
        (
            "Fluctuation: mean absolute change of the loss from one value to the next, over updates in training and"
            " over evaluations on the validation part. Fall: first minus last validation loss. All in nats.",
        ),
    )


def _curve(item: CellResults) -> str:
    """Return the validation losses of every seed, evaluation by evaluation."""
    curves = (", ".join(f"{line[1]:.2f}" for line in result["validation"]) for result in item.done)
    return "; ".join(curves) or item.why


def settings_table(budget: Budget, results: Results) -> TextTable:
    """Return what the abstract credits and never ablates, and what the paper leaves open."""
    items = results.showing("settings")
    names = dict.fromkeys(item.cell.against for item in items if item.cell.against)
    rows = []
    for item in [*results.of_names(names), *items]:
        base = results.get(item.cell.against) if item.cell.against else None
        here, before = item.mean(F1_ARGMAX), base.mean(F1_ARGMAX) if base else None
        difference = f"{here - before:+.4f}" if here is not None and before is not None else NONE
        says = item.cell.says if item.cell.against else "as the base recipe"
        scores = (item.text(pick) for pick in SCORES.values())
        rows.append((says, item.condition, item.seeds, *losses_of(item), *scores, difference))
    return TextTable(
        "settings",
        f"Never ablated in the paper: one setting changed, {budget.setting_network}, {budget.setting_start}",
        ("setting", "condition", "seeds", *LOSSES, *SCORES, "F1 argmax against the base"),
        rows,
        (f"Base: asli recipes study/{budget.name}. The paper prints nothing to compare with.",),
    )


def gradients_table(budget: Budget, results: Results) -> TextTable:
    """Return the gradient norms by stage before and after training, of the shallowest and deepest networks."""
    rows = []
    for kind in ("residual", "plain", "plain-stage"):
        for network in (budget.depths[0], budget.depths[-1]):
            for start in STARTS:
                item = results.get(corner(kind, start, network))
                for when, words in (("start", "before"), ("end", "after")):
                    rows.append((network, kind, start, words, *_norms(item, when)))
    return TextTable(
        "gradients",
        "Vanishing gradients? Gradient norms by stage, before and after training",
        ("network", "shortcuts", "start", "training", "seeds", "norms from first stage to head", "first / last stage"),
        rows,
        (
            "Mean over seeds of the norm of each stage's gradient, one backward pass of 16 images of the bundled"
            " sample in training mode. Gradients that vanish are far smaller at the first stage than at the last, the"
            " more so the deeper the network; a ratio far above 1 means that they explode.",
        ),
    )


def _norms(item: CellResults | None, when: str) -> tuple[str, str, str]:
    found = [r["gradients"][when] for r in item.done if when in r.get("gradients", {})] if item else []
    if not found:
        return NONE, item.why or "not kept" if item else NONE, NONE
    means = [mean(norms[stage] for norms in found) for stage in found[0]]
    ratio = means[0] / means[-2] if means[-2] else float("nan")
    return str(len(found)), ", ".join(f"{value:.2g}" for value in means), f"{ratio:.2g}"


def claims_table(answered: Sequence[tuple[PaperClaim, Sequence[Answer]]]) -> TextTable:
    """Return every contrast of every claim in every metric as a table."""
    rows = []
    for claim, answers in answered:
        for item in answers:
            for tested in item.tested:
                cells = (NONE, NONE, NONE, NONE)
                if tested.test is not None:
                    c = tested.test.result
                    p = NONE if tested.adjusted is None else f"{tested.adjusted:.3g}"
                    needed = str(tested.test.needed) if tested.test.needed else NONE
                    cells = (f"{c.difference:+.4f}", f"{c.low:+.4f} to {c.high:+.4f}", p, needed)
                verdict = "not judged" if item.hindrance else tested.verdict
                rows.append(
                    (
                        claim.text,
                        claim.where,
                        item.contrast.says,
                        tested.metric,
                        *cells,
                        verdict,
                        item.hindrance or tested.why,
                    )
                )
    tests = sum(row[6] != NONE for row in rows)
    return TextTable(
        "claims",
        "Claims",
        (
            "claim",
            "where",
            "contrast",
            "metric",
            "difference",
            "95%",
            "p (Holm)",
            "seeds needed",
            "verdict",
            "why open",
        ),
        rows,
        (
            "A difference above 0 supports the claim. Seeds are blocks: runs of one seed share sample, order and"
            " augmentation, so each contrast is computed within each seed, and its values over seeds are tested"
            " against 0 by Student's t. p after Holm: over all contrasts of a metric (F1 argmax, F1 fitted, AUROC), and"
            f" over all in other units together; {tests} tests in all. Intervals are not adjusted. *Seeds needed*: to"
            " find a difference of this size and spread at 5% with 80% power.",
        ),
    )
