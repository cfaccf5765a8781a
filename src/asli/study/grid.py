"""The study as data: one list of cells for every budget. A cell is a recipe; a run is a cell with a seed.

What a budget changes is the base recipe, the networks that stand for the paper's four depths, and how much is judged.
"""

import fnmatch
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from asli.errors import RecipeError
from asli.recipe import Recipe, load_recipe
from asli.study import paper

Start = Literal["pretrained", "scratch"]
STARTS: tuple[Start, ...] = ("pretrained", "scratch")
KINDS = ("residual", "plain", "plain-stage")
"""With its shortcuts; without any; without the one that opens each stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A recipe of the study.

    Attributes:
        name: Unique in its grid, and the name of its folders.
        shows: The paper's tables and figures it appears in.
        says: What it is, for a person.
        network: As in a recipe.
        start: Where training starts.
        settings: In place of the base recipe's.
        kind: Of the network, one of `KINDS`.
        place: Which of the paper's four depths it stands for, from 0; None for other networks.
        against: The cell it differs from in one setting, where that is its purpose.
    """

    name: str
    shows: tuple[str, ...]
    says: str
    network: str
    start: Start
    settings: tuple[str, ...] = ()
    kind: str = "residual"
    place: int | None = None
    against: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A network of table 2 that is judged as a whole.

    Attributes:
        network: As in a recipe.
        starts: Where its training starts.
        settings: In place of the base recipe's.
    """

    network: str
    starts: tuple[Start, ...] = STARTS
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How much is run.

    Attributes:
        name: Of the budget and of its base recipe, `study/NAME`.
        means: For whom it is.
        depths: Networks that stand for the paper's four, from shallow to deep.
        compared: The other networks.
        versus: The two cells that answer whether ResNet-152 beats EfficientNet.
        seeds: Runs of each cell.
        setting_network: Whose single settings are varied.
        setting_start: Where these runs start.
        schedule_network: Whose schedule is varied.
        schedule_settings: Of these runs; empty as the base recipe's.
        parts: Most images of a part that are scored; parts not named are scored whole.
        timed: Forward passes of which the median latency is taken.
        bundled: Whether it runs on the bundled sample where no data is given.
    """

    name: str
    means: str
    depths: tuple[str, str, str, str]
    compared: tuple[Compared, ...]
    versus: tuple[str, str]
    seeds: int
    setting_network: str
    setting_start: Start
    schedule_network: str
    schedule_settings: tuple[str, ...] = ()
    parts: dict[str, int] = field(default_factory=dict)
    timed: int = 9
    bundled: bool = False

    @property
    def base(self) -> str:
        """Return the name of the base recipe."""
        return f"study/{self.name}"


_SCRATCH: tuple[Start, ...] = ("scratch",)
_PRETRAINED: tuple[Start, ...] = ("pretrained",)
_CIFAR = ("cifar_resnet20", "cifar_resnet32", "cifar_resnet44", "cifar_resnet56")
_OTHERS = ("vgg16", "efficientnet_b4", "efficientnet_b3", "densenet121", "googlenet")
_SHORT = ("data.sample=3000", "loop.epochs=2", "loop.evaluate_every=24")

BUDGETS = {
    budget.name: budget
    for budget in (
        Budget(
            name="full",
            means="the paper's own networks, sizes and lengths, on a GPU with weights from the hub",
            depths=("resnet18", "resnet50", "resnet101", "resnet152"),
            compared=(
                Compared(network="bird_lotfi", starts=_SCRATCH, settings=("data.size=32",)),
                *(Compared(network=name, starts=_PRETRAINED) for name in _OTHERS),
                Compared(network="inception_v3", starts=_PRETRAINED, settings=("data.size=299",)),
                Compared(network="tf_efficientnet_lite0", starts=_PRETRAINED),
            ),
            versus=("residual-pretrained-resnet152", "network-pretrained-efficientnet_b4"),
            seeds=3,
            setting_network="resnet18",
            setting_start="pretrained",
            schedule_network="resnet152",
        ),
        Budget(
            name="cpu",
            means="at most six hours on two idle cores, on CIFAKE",
            depths=_CIFAR,
            compared=(
                *(Compared(network=name, settings=_SHORT) for name in paper.DEPTHS),
                Compared(network="bird_lotfi", starts=_SCRATCH, settings=_SHORT),
                *(Compared(network=name, settings=_SHORT) for name in _OTHERS),
                Compared(network="inception_v3", settings=("data.size=75", *_SHORT)),
                Compared(network="tf_efficientnet_lite0", settings=("data.size=64", *_SHORT)),
            ),
            versus=("network-scratch-resnet152", "network-scratch-efficientnet_b4"),
            seeds=3,
            setting_network="cifar_resnet20",
            setting_start="pretrained",
            schedule_network="cifar_resnet20",
            schedule_settings=("data.sample=2000", "loop.epochs=12", "loop.evaluate_every=16"),
            parts={"validation": 1000, "calibration": 2000, "test": 5000},
        ),
        Budget(
            name="smoke",
            means="minutes, on the bundled sample: it shows that all works, and its figures mean nothing",
            depths=_CIFAR,
            compared=(
                Compared(network="resnet18", starts=_SCRATCH),
                Compared(network="bird_lotfi", starts=_SCRATCH),
                Compared(network="tf_efficientnet_lite0", starts=_PRETRAINED),
            ),
            versus=("network-scratch-resnet18", "network-pretrained-tf_efficientnet_lite0"),
            seeds=1,
            setting_network="cifar_resnet20",
            setting_start="scratch",
            schedule_network="cifar_resnet20",
            schedule_settings=("loop.evaluate_every=1",),
            parts={"validation": 60, "calibration": 80, "test": 120},
            timed=3,
            bundled=True,
        ),
    )
}


def cells(budget: Budget) -> list[Cell]:
    """Return the cells of a budget."""
    return [*_corners(budget), *_compared(budget), *_schedules(budget), *_settings(budget)]


def chosen(budget: Budget, only: Sequence[str] = ()) -> list[Cell]:
    """Return the cells that `--only` names: by name or pattern, or by what they show, as `table7` or `figure-8`.

    Raises:
        RecipeError: A name fits no cell.
    """
    known, taken = cells(budget), set()
    for wanted in only:
        plain = "".join(c for c in wanted.lower() if c.isalnum())
        found = [
            cell.name
            for cell in known
            if fnmatch.fnmatchcase(cell.name, wanted) or plain in {show.replace(" ", "") for show in cell.shows}
        ]
        if not found:
            raise RecipeError(
                f"no cell named '{wanted}' in the budget {budget.name}; give a name that --plan lists, a pattern such"
                " as 'plain-*', or a table or figure such as table7"
            )
        taken.update(found)
    return [cell for cell in known if not only or cell.name in taken]


def recipe_of(budget: Budget, cell: Cell, seed: int, start: str) -> Recipe:
    """Return the recipe of a run.

    Args:
        budget: Gives the base recipe.
        cell: What differs from it.
        seed: Of the run.
        start: `weights.start`.
    """
    settings = [f"model.name={cell.network}", f"weights.start={json.dumps(start)}", *cell.settings]
    return load_recipe(budget.base, [*settings, f"loop.seed={seed}"])


def corner(kind: str, start: str, network: str) -> str:
    """Return the name of the cell of one depth in one corner of {residual, plain} x {pretrained, scratch}."""
    return f"{kind}-{start}-{network}"


def schedule_base(budget: Budget) -> str:
    """Return the name of the cell with the paper's schedule that others are held against."""
    if budget.schedule_settings:
        return "schedule-linear"
    return corner("residual", budget.setting_start, budget.schedule_network)


def plain_name(kind: str, network: str) -> str:
    """Return a network's name in a recipe, with its shortcuts or without."""
    return {"residual": network, "plain": f"plain_{network}", "plain-stage": f"plain_{network}_stage"}[kind]


def _corners(budget: Budget) -> Iterator[Cell]:
    words = {
        "residual": "with residual connections",
        "plain": "without any",
        "plain-stage": "without the one that opens each stage",
    }
    for place, network in enumerate(budget.depths):
        for kind in KINDS:
            for start in STARTS:
                shows = ["table 7"]
                deepest = place == len(budget.depths) - 1
                if kind == "residual":
                    shows += ["table 6", "figure 6"]
                    shows += ["table 2"] if start == "pretrained" else []
                if deepest:
                    shows += {
                        ("residual", "pretrained"): ["table 3", "table 5", "figure 5", "figure 9", "figure 10"],
                        ("residual", "scratch"): ["table 5"],
                        ("plain", "pretrained"): ["table 4", "table 5"],
                        ("plain", "scratch"): ["table 5", "figure 12"],
                        ("plain-stage", "pretrained"): ["table 4"],
                    }.get((kind, start), [])
                yield Cell(
                    name=corner(kind, start, network),
                    shows=tuple(shows),
                    says=f"{network} {words[kind]}, {start}",
                    network=plain_name(kind, network),
                    start=start,
                    kind=kind,
                    place=place,
                )


def _compared(budget: Budget) -> Iterator[Cell]:
    for item in budget.compared:
        for start in item.starts:
            yield Cell(
                name=f"network-{start}-{item.network}",
                shows=("table 2",),
                says=f"{item.network}, {start}",
                network=item.network,
                start=start,
                settings=item.settings,
            )


def _schedules(budget: Budget) -> Iterator[Cell]:
    base = schedule_base(budget)
    shared = {"network": budget.schedule_network, "start": budget.setting_start}
    if budget.schedule_settings:
        yield Cell(
            name=base,
            shows=("figure 7",),
            says="warm-up and linear decay",
            settings=budget.schedule_settings,
            **shared,  # type: ignore[arg-type]
        )
    peak = load_recipe(budget.base).optim.lr
    # The rates of a linear warm-up and a linear decay to 0 sum to exactly half the peak times the updates.
    for name, rate, says in (
        ("schedule-constant", peak, "constant rate at the peak"),
        ("schedule-constant-half", peak / 2, "constant rate of equal sum: half the peak"),
    ):
        constant = ("schedule.shape=constant", "schedule.warmup=0", f"optim.lr={rate!r}")
        yield Cell(
            name=name,
            shows=("figure 8",),
            says=says,
            settings=(*budget.schedule_settings, *constant),
            against=base,
            **shared,  # type: ignore[arg-type]
        )


def _settings(budget: Budget) -> Iterator[Cell]:
    loop = load_recipe(budget.base).loop
    micro, group, every = loop.micro_batch, loop.accumulation, loop.evaluate_every
    for name, says, settings in (
        ("warmup-none", "no warm-up", ("schedule.warmup=0",)),
        (
            "accumulation-none",
            f"batches of {micro} x 1, so {group} times the updates",
            ("loop.accumulation=1", f"loop.evaluate_every={every * group}"),
        ),
        (
            "accumulation-large-batch",
            f"batches of {micro * group} x 1",
            (f"loop.micro_batch={micro * group}", "loop.accumulation=1"),
        ),
        ("crop-padded", "padded crop, no resampling", ("augment.crop=padded", "augment.padding=4")),
        ("crop-none", "no crop and no flip", ("augment.crop=none", "augment.flip=0")),
        ("train-head", "head alone trained", ("weights.train=head",)),
        ("train-upper", "head and last stage trained", ("weights.train=stages:1",)),
        ("decay-0.01", "weight decay 0.01, torch's default", ("optim.weight_decay=0.01",)),
        ("clip-none", "no gradient clipping", ("optim.clip=0",)),
    ):
        yield Cell(
            name=name,
            shows=("settings",),
            says=says,
            network=budget.setting_network,
            start=budget.setting_start,
            settings=settings,
            against=corner("residual", budget.setting_start, budget.setting_network),
        )
