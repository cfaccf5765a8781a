"""How much of the paper is run: its own networks on a GPU, stand-ins on a CPU, or minutes to see that all works."""

from dataclasses import dataclass, field

from asli.study.paper.printed import DEPTHS
from asli.study.sweep.cells import Start

STARTS: tuple[Start, ...] = ("pretrained", "scratch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A network of table 2.

    Attributes:
        network: Network, as in a recipe.
        starts: Where its training starts.
        settings: In place of the base recipe's.
        variant: Distinguishes cells of one network; part of the cell's name.
        says: What distinguishes it, for a person.
        seeds: Runs at most; None takes the budget's number.
        after: Rounds its first run waits.
    """

    network: str
    starts: tuple[Start, ...] = STARTS
    settings: tuple[str, ...] = ()
    variant: str = ""
    says: str = ""
    seeds: int | None = None
    after: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How much is run.

    Attributes:
        name: Name of the budget and of its base recipe, `study/NAME`.
        means: For whom it is.
        depths: Networks that stand for the paper's four, from shallow to deep.
        compared: The other networks.
        champion: The cell that stands for ResNet-152 in comparisons with other networks.
        rivals: Cells it is compared with, by the name of their network.
        seeds: Runs of each cell.
        setting_network: Whose single settings are varied.
        setting_start: Where these runs start.
        schedule_network: Whose schedule is varied.
        schedule_settings: Schedule settings of these runs; empty as the base recipe's.
        steady_settings: Steady settings of the deepest networks in which stability is measured; empty takes the corners
            themselves.
        parts: Most images of a part that are scored; parts not named are scored whole.
        timed: Forward passes of which the median latency is taken.
        bundled: Whether it runs on the bundled sample where no data is given.
    """

    name: str
    means: str
    depths: tuple[str, str, str, str]
    compared: tuple[Compared, ...]
    champion: str
    rivals: dict[str, str]
    seeds: int
    setting_network: str
    setting_start: Start
    schedule_network: str
    schedule_settings: tuple[str, ...] = ()
    steady_settings: tuple[str, ...] = ()
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
_UNIFORM = ("weights.head=uniform",)
# No augmentation and few images: only so can the training loss approach 0 within minutes, as the paper's does.
_MEMORIZE = ("augment.crop=none", "augment.flip=0", "data.sample=1000", "loop.epochs=16", "loop.evaluate_every=16")
_WHOLE = ("data.sample=0", "data.size=64", "loop.epochs=1", "loop.accumulation=4", "loop.evaluate_every=176")
# As a public reimplementation trains the authors' network (github YS7538/CIFAKE_implementation, config.py): Adam at a
# constant 1e-3, batches of 64, five epochs of 90% of the training images, no augmentation.
_AUTHORS = (
    "optim.lr=1e-3",
    "data.sample=0",
    "augment.crop=none",
    "augment.flip=0",
    "schedule.shape=constant",
    "schedule.warmup=0",
    "loop.micro_batch=64",
    "loop.accumulation=1",
    "loop.epochs=5",
    "loop.evaluate_every=1407",
    "optim.clip=0",
)


def _rivals(start: str, resnets: str) -> dict[str, str]:
    """Return the cells that ResNet-152 is compared with: the paper's, then the shallower ones, then the review's."""
    return {
        "VGG-16": f"network-{start}-vgg16",
        "Bird & Lotfi's CNN": "network-scratch-bird_lotfi",
        "EfficientNet-B4": f"network-{start}-efficientnet_b4",
        "EfficientNet-B3": f"network-{start}-efficientnet_b3",
        **{f"ResNet-{depth}": f"{resnets}-{start}-resnet{depth}" for depth in (18, 50, 101)},
        **{name: f"network-{start}-{network}" for name, network in _REVIEW.items()},
    }


_REVIEW = {"DenseNet-121": "densenet121", "GoogLeNet": "googlenet", "Inception-v3": "inception_v3"}

BUDGETS = {
    budget.name: budget
    for budget in (
        Budget(
            name="full",
            means="the paper's own networks, sizes and lengths, on a GPU with weights from the hub",
            depths=DEPTHS,
            compared=(
                Compared(network="bird_lotfi", starts=_SCRATCH, settings=("data.size=32",)),
                Compared(
                    network="bird_lotfi",
                    starts=_SCRATCH,
                    settings=("data.size=32", *_AUTHORS),
                    variant="authors",
                    says="as its authors train it",
                ),
                *(Compared(network=name, starts=_PRETRAINED, settings=_UNIFORM) for name in _OTHERS),
                Compared(network="inception_v3", starts=_PRETRAINED, settings=("data.size=299", *_UNIFORM)),
                Compared(network="tf_efficientnet_lite0", starts=_PRETRAINED, settings=_UNIFORM),
            ),
            champion="residual-pretrained-resnet152",
            rivals=_rivals("pretrained", "residual"),
            seeds=5,
            setting_network="resnet18",
            setting_start="pretrained",
            schedule_network="resnet152",
        ),
        Budget(
            name="cpu",
            means="about twelve hours of one core or ten minutes of an H100, on CIFAKE",
            depths=_CIFAR,
            compared=(
                *(Compared(network=name, after=1) for name in DEPTHS),
                Compared(network="bird_lotfi", starts=_SCRATCH, after=1),
                Compared(
                    network="bird_lotfi",
                    starts=_SCRATCH,
                    settings=_AUTHORS,
                    variant="authors",
                    says="as its authors train it, all images",
                    seeds=2,
                    after=2,
                ),
                # At 32 px their last maps are one pixel, and after 188 updates they hardly beat a constant answer.
                *(
                    Compared(network=name, settings=("data.size=64",), after=1)
                    for name in ("efficientnet_b4", "efficientnet_b3")
                ),
                # At 1e-3 this network, which has no BatchNorm, does not move (AUROC 0.63 in the study of 0.1.0).
                Compared(network="vgg16", settings=("optim.lr=1e-4",), after=3),
                *(Compared(network=name, after=2) for name in ("densenet121", "googlenet")),
                Compared(network="inception_v3", settings=("data.size=75",), after=2),
                Compared(network="tf_efficientnet_lite0", settings=("data.size=64",), after=1),
                *(
                    Compared(
                        network=name,
                        starts=_SCRATCH,
                        settings=_WHOLE,
                        variant="64px",
                        says="64 px, all images",
                        seeds=1,
                        after=3,
                    )
                    for name in ("resnet18", "resnet50")
                ),
            ),
            champion="network-scratch-resnet152",
            rivals=_rivals("scratch", "network"),
            seeds=7,
            setting_network="cifar_resnet20",
            setting_start="pretrained",
            schedule_network="cifar_resnet20",
            schedule_settings=_MEMORIZE,
            steady_settings=("loop.reestimate_batchnorm=0", "loop.evaluate_every=12"),
            parts={"validation": 600, "calibration": 1000, "test": 4000},
        ),
        Budget(
            name="smoke",
            means="minutes, on the bundled sample: tests the installation; its numbers have no meaning",
            depths=_CIFAR,
            compared=(
                Compared(network="resnet18", starts=_SCRATCH),
                Compared(network="bird_lotfi", starts=_SCRATCH),
                Compared(network="tf_efficientnet_lite0", starts=_PRETRAINED),
            ),
            champion="network-scratch-resnet18",
            rivals={
                "EfficientNet-lite0": "network-pretrained-tf_efficientnet_lite0",
                "Bird & Lotfi's CNN": "network-scratch-bird_lotfi",
            },
            seeds=1,
            setting_network="cifar_resnet20",
            setting_start="scratch",
            schedule_network="cifar_resnet20",
            schedule_settings=("loop.evaluate_every=1",),
            steady_settings=("loop.reestimate_batchnorm=0",),
            parts={"validation": 60, "calibration": 80, "test": 120},
            timed=3,
            bundled=True,
        ),
    )
}
