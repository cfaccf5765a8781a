"""The paper's grid: one list of cells for every budget."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asli.recipe import load_recipe
from asli.study.paper.budgets import STARTS, Budget
from asli.study.sweep.cells import Cell

KINDS = ("residual", "plain", "plain-stage")
"""Networks with all shortcuts, without any, and without those of the first block of each stage."""

GROUP = load_recipe("paper").loop.accumulation
"""Micro-batches of an update in the paper's table 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperCell(Cell):
    """A cell of the paper's study.

    Attributes:
        kind: Kind of the network, one of `KINDS`.
        place: Which of the paper's four depths it stands for, from 0; None for other networks.
    """

    kind: str = "residual"
    place: int | None = None


def cells(budget: Budget) -> list[PaperCell]:
    """Return the cells of a budget."""
    return [
        *_schedules(budget),  # few and cheap, and each answers a claim: first
        *_steadiness(budget),
        *_corners(budget),
        *_compared(budget),
        *_settings(budget),
    ]


def corner(kind: str, start: str, network: str) -> str:
    """Return the name of the cell of one depth in one corner of {residual, plain} x {pretrained, scratch}."""
    return f"{kind}-{start}-{network}"


def corners_of(budget: Budget, kind: str, start: str) -> list[str]:
    """Return the names of a corner's cells, from shallow to deep."""
    return [corner(kind, start, network) for network in budget.depths]


def schedule_base(budget: Budget) -> str:
    """Return the name of the cell with the paper's schedule that others are held against."""
    if budget.schedule_settings:
        return "schedule-linear"
    return corner("residual", budget.setting_start, budget.schedule_network)


def steady(budget: Budget, kind: str) -> str:
    """Return the name of the deepest pretrained cell in which stability is measured, with running averages."""
    if budget.steady_settings:
        return f"running-{kind}-pretrained-{budget.depths[-1]}"
    return corner(kind, "pretrained", budget.depths[-1])


def plain_name(kind: str, network: str) -> str:
    """Return a network's name in a recipe, with its shortcuts or without."""
    return {"residual": network, "plain": f"plain_{network}", "plain-stage": f"plain_{network}_stage"}[kind]


def _corners(budget: Budget) -> Iterator[PaperCell]:
    words = {
        "residual": "with residual connections",
        "plain": "without any",
        "plain-stage": "without the one that opens each stage",
    }
    last = len(budget.depths) - 1
    for place, network in enumerate(budget.depths):
        for kind in KINDS:
            for start in STARTS:
                shows = ["table 7"]
                if kind == "residual":
                    shows += ["table 6", "figure 6"]
                    shows += ["table 2"] if start == "pretrained" else []
                if place == last:
                    shows += {
                        ("residual", "pretrained"): ["table 3", "table 5", "figure 5", "figure 9", "figure 10"],
                        ("residual", "scratch"): ["table 5"],
                        ("plain", "pretrained"): ["table 4", "table 5"],
                        ("plain", "scratch"): ["table 5"],
                        ("plain-stage", "pretrained"): ["table 4"],
                    }.get((kind, start), [])
                    if not budget.steady_settings and kind != "plain-stage" and start == "pretrained":
                        shows.append("figure 12")
                yield PaperCell(
                    name=corner(kind, start, network),
                    shows=tuple(shows),
                    says=f"{network} {words[kind]}, {start}",
                    network=plain_name(kind, network),
                    start=start,
                    kind=kind,
                    place=place,
                    after=int(kind == "plain-stage"),  # the second reading of the text: later
                )


def _steadiness(budget: Budget) -> Iterator[PaperCell]:
    """Yield the deepest networks with running BatchNorm averages, as the paper had them, and without BatchNorm."""
    deepest = budget.depths[-1]
    if not budget.steady_settings:
        return
    for kind in ("plain", "residual"):
        yield PaperCell(
            name=steady(budget, kind),
            shows=("figure 12",),
            says=f"{plain_name(kind, deepest)}, pretrained, BatchNorm's running averages as in the paper",
            network=plain_name(kind, deepest),
            start="pretrained",
            settings=budget.steady_settings,
            kind=kind,
            place=len(budget.depths) - 1,
        )
    for variant, says in (("unnormalized", "without BatchNorm"), ("tanh", "with tanh in place of ReLU")):
        yield PaperCell(
            name=f"{variant}-scratch-{deepest}",
            shows=("stability",),
            says=f"{deepest} {says}, scratch",
            network=f"{deepest}_{variant}",
            start="scratch",
            against=corner("residual", "scratch", deepest),
            after=1,
        )


def _compared(budget: Budget) -> Iterator[PaperCell]:
    for item in budget.compared:
        for start in item.starts:
            variant = f"-{item.variant}" if item.variant else ""
            yield PaperCell(
                name=f"network-{start}-{item.network}{variant}",
                shows=("table 2",),
                says=", ".join(filter(None, (item.network, start, item.says))),
                network=item.network,
                start=start,
                settings=item.settings,
                seeds=item.seeds,
                after=item.after,
            )


def _schedules(budget: Budget) -> Iterator[PaperCell]:
    base = schedule_base(budget)
    shared: dict[str, Any] = {
        "network": budget.schedule_network,
        "start": budget.setting_start,
        "shows": ("figure 7", "figure 8"),
    }
    if budget.schedule_settings:
        yield PaperCell(name=base, says="warm-up and linear decay", settings=budget.schedule_settings, **shared)
    peak = load_recipe(budget.base).optim.lr
    # The rates of a linear warm-up and a linear decay to 0 sum to exactly half the peak times the updates.
    for name, rate, says in (
        ("schedule-constant", peak, "constant rate at the peak"),
        ("schedule-constant-half", peak / 2, "constant rate of equal sum: half the peak"),
    ):
        constant = ("schedule.shape=constant", "schedule.warmup=0", f"optim.lr={rate!r}")
        yield PaperCell(name=name, says=says, settings=(*budget.schedule_settings, *constant), against=base, **shared)


def accumulated(budget: Budget) -> str:
    """Return the name of the cell with the paper's gradient accumulation."""
    if load_recipe(budget.base).loop.accumulation == GROUP:
        return corner("residual", budget.setting_start, budget.setting_network)
    return "accumulation-paper"


def _settings(budget: Budget) -> Iterator[PaperCell]:
    loop = load_recipe(budget.base).loop
    micro = loop.micro_batch

    def batches(of: int, group: int) -> tuple[str, ...]:
        """Return settings of another batch, evaluated after as many images as before."""
        every = max(loop.evaluate_every * micro * loop.accumulation // (of * group), 1)
        return f"loop.micro_batch={of}", f"loop.accumulation={group}", f"loop.evaluate_every={every}"

    accumulation = [
        ("accumulation-paper", f"batches of {micro} x {GROUP}, as in table 1", batches(micro, GROUP)),
        ("accumulation-none", f"batches of {micro} x 1", batches(micro, 1)),
        ("accumulation-large-batch", f"batches of {micro * GROUP} x 1", batches(micro * GROUP, 1)),
    ]
    for name, says, settings in (
        ("warmup-none", "no warm-up", ("schedule.warmup=0",)),
        *(line for line in accumulation if line[0] == accumulated(budget) or line[0] != "accumulation-paper"),
        ("crop-padded", "padded crop, no resampling", ("augment.crop=padded", "augment.padding=4")),
        ("crop-none", "no crop and no flip", ("augment.crop=none", "augment.flip=0")),
        ("train-head", "head alone trained", ("weights.train=head",)),
        ("train-upper", "head and last stage trained", ("weights.train=stages:1",)),
        ("decay-0.01", "weight decay 0.01, torch's default", ("optim.weight_decay=0.01",)),
        ("clip-none", "no gradient clipping", ("optim.clip=0",)),
    ):
        yield PaperCell(
            name=name,
            shows=("settings",),
            says=says,
            network=budget.setting_network,
            start=budget.setting_start,
            settings=settings,
            against=corner("residual", budget.setting_start, budget.setting_network),
            after=1,
        )
