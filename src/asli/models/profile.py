"""What networks cost: parameters counted both ways, arithmetic, latency and memory, beside what the paper prints."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from asli.models.gradients import Gradients
from asli.models.measuring import GRADIENT_IMAGES, Measurement, measure_network, sample_gradients
from asli.models.networks import OWN, Network, create_network, skeleton
from asli.progress import progress
from asli.records import FLAT, Json, Record

PRINTED: dict[str, float | None] = {
    "resnet18": 11.7,
    "resnet34": None,
    "resnet50": 25.6,
    "resnet101": 44.5,
    "resnet152": 60.2,
    "vgg16": 138.4,
    "efficientnet_b3": 12.2,
    "efficientnet_b4": 19.3,
    "googlenet": None,
    "inception_v3": None,
    "densenet121": None,
}
"""The paper's networks from elsewhere, with the millions of parameters its table 2 prints, where it prints any."""

IMAGENET_CLASSES, LABELS = 1000, 2
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Profile:
    """Costs of a network.

    Attributes:
        name: Name of the network.
        size: Height and width of its input here, in pixels.
        printed: Millions of parameters in the paper's table 2.
        parameters_1000: Parameters with 1,000 classes, as the paper counts.
        parameters: Parameters with our two classes.
        flops: FLOPs of one image's forward pass: 2 a multiply-add, in convolutions and matrix products; the rest is
            small.
        measured: Latency and memory, where asked for.
        gradients: Gradients by stage, with fresh weights, where asked for.
    """

    name: str
    size: int
    printed: float | None
    parameters_1000: int
    parameters: int
    flops: int
    measured: Measurement | None = None
    gradients: Gradients | None = None

    @property
    def agrees(self) -> bool | None:
        """Return whether the count, rounded as the paper rounds, is the printed one; None where none is printed."""
        return None if self.printed is None else round(self.parameters_1000 / 1e6, 1) == self.printed


def list_models() -> list[Profile]:
    """Return the networks of the paper and asli's own, with their parameters and operations; nothing is measured."""
    return profile_networks([])


def known_networks() -> list[str]:
    """Return the paper's networks and asli's own."""
    return list(dict.fromkeys([*PRINTED, *OWN]))


def usual_size(name: str) -> int:
    """Return the input at which a network is profiled unless another is asked for, in pixels."""
    if name == "bird_lotfi" or "cifar" in name or name.startswith("compact_"):
        return 32
    return 299 if name == "inception_v3" else 224


def profile(name: str, size: int | None = None) -> Profile:
    """Count a network's parameters and arithmetic, without computing anything.

    Args:
        name: Name, as in a recipe.
        size: Size of its input, in pixels; `usual_size` by default.

    Raises:
        RecipeError: No such network, or it does not take that size.
    """
    size = size or usual_size(name)
    network = _meta(name, size)
    module, head = network.module.eval(), network.module.get_submodule(network.head)
    per_class = sum(p.numel() for p in head.parameters()) // LABELS
    counter = FlopCounterMode(display=False)
    with counter:
        module(torch.empty(1, 3, size, size, device="meta"))
    return Profile(
        name=name,
        size=size,
        printed=PRINTED.get(name),
        parameters_1000=network.parameters + (IMAGENET_CLASSES - LABELS) * per_class,  # every head is one linear layer
        parameters=network.parameters,
        flops=counter.get_total_flops(),
    )


def profile_networks(
    names: Sequence[str] = (),
    *,
    size: int | None = None,
    measure: bool = False,
    threads: int | None = None,
    runs: int = 9,
) -> list[Profile]:
    """Profile networks.

    Args:
        names: Which; all that `known_networks` lists by default.
        size: Size of the input, in pixels; each one's usual size by default.
        measure: Whether to measure latency and memory, and the gradient each stage gets of real images.
        threads: CPU threads of one operation in the measurement; torch's choice by default.
        runs: Timed forward passes, of which the median is taken.

    Raises:
        RecipeError: No such network, or it does not take that size.
    """
    profiles = [profile(name, size) for name in names or known_networks()]
    if not measure:
        return profiles
    result = []
    with progress("measuring", len(profiles), unit="networks") as bar:
        for item in profiles:
            measured = measure_network(item.name, item.size, threads=threads, runs=runs)
            result.append(replace(item, measured=measured, gradients=sample_gradients(item.name, item.size)))
            bar.advance(note=item.name)
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow(Record):
    """One network of `asli models --json`.

    Attributes:
        profile: Costs of the network.
        agrees: Whether the count, rounded as the paper rounds, is the printed one; None where none is printed.
    """

    profile: Profile = field(metadata=FLAT)
    agrees: bool | None


def as_json(profiles: Sequence[Profile]) -> list[Json]:
    """Return profiles for programs."""
    return [ProfileRow(profile=item, agrees=item.agrees).to_dict() for item in profiles]


def print_table(profiles: Sequence[Profile]) -> None:
    """Print profiles for a person: a table, and below it what its columns mean."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 160, highlight=False)
    measured = any(item.measured for item in profiles)
    table = Table(box=box.SIMPLE if terminal else None, pad_edge=False)
    table.add_column("network", no_wrap=True)
    for title in ("size", "printed M", "1000 classes M", "2 classes M", "GFLOPs", *(_MEASURED if measured else ())):
        table.add_column(title, justify="right")
    for item in profiles:
        table.add_row(*_cells(item))
    console.print(table)
    for item in profiles:
        if item.gradients:
            norms = ", ".join(f"{stage} {norm:.3g}" for stage, norm in item.gradients.norms.items())
            print(f"gradient norms of {item.name}, fresh weights, {GRADIENT_IMAGES} images of the sample: {norms}")
            print(f"  parameters without gradient: {_short(item.gradients.without)}")
    print(_notes(profiles))


_MEASURED = ("ms an image", "peak MB")


def _short(names: list[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - SHOWN} more (--json names all)" if len(names) > SHOWN else ""
    return f"{len(names)}: {', '.join(names[:SHOWN])}{more}"


def _cells(item: Profile) -> list[str]:
    printed = "-" if item.printed is None else f"{item.printed:.1f}"
    counts = [f"{number / 1e6:.3f}" for number in (item.parameters_1000, item.parameters)]
    cells = [item.name, str(item.size), printed, *counts, f"{item.flops / 1e9:.3f}"]
    if item.measured:
        memory = item.measured.peak_memory_bytes
        cells += [f"{1000 * item.measured.seconds:.2f}", "-" if memory is None else f"{memory / 1e6:.0f}"]
    return cells


def _notes(profiles: Sequence[Profile]) -> str:
    lines = [
        "printed: the paper's table 2, millions, 1000-class heads. GFLOPs: one image, 2 a multiply-add (papers that"
        " count multiply-adds give half)."
    ]
    differing = [item.name for item in profiles if item.agrees is False]
    if differing:
        lines.append(f"not what the paper prints: {', '.join(differing)}")
    elif any(item.agrees for item in profiles):
        lines.append("every printed count agrees with the 1000-class one, to the decimal it is printed with.")
    first = next((item.measured for item in profiles if item.measured), None)
    if first:
        lines.append(
            f"ms: median of {first.runs} single-image forward passes on {first.cpu},"
            f" CPU threads: {first.threads}, float32; peak: weights, activations and workspace of one pass,"
            " without the libraries."
        )
        if first.peak_memory_bytes is None:
            lines.append("peak memory is measured on Linux only.")
    return "\n".join(lines)


def _meta(name: str, size: int) -> Network:
    try:
        with torch.device("meta"):
            return create_network(name, size=size, num_classes=LABELS)
    except (RuntimeError, NotImplementedError):  # a constructor that looks at values
        network = create_network(name, size=size, num_classes=LABELS)
        return replace(network, module=skeleton(network.module))
