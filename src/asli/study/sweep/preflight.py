"""What a sweep on a GPU needs before it starts: weights that can be had and fit, hours, memory, disk.

Nothing is trained and no weight file is downloaded: the hub is asked for commits and for the headers of its
safetensors files, which name every tensor and its shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from asli.errors import AsliError, WeightsError
from asli.fitting import training_rows
from asli.models.networks import create_network, skeleton
from asli.models.profile import Profile, profile, usual_size
from asli.models.weights import misfit, own_name
from asli.recipe import Recipe
from asli.study.sweep.cells import Cell, recipe_of, runs_of, seeds_of
from asli.study.sweep.runner import Sweep

SUSTAINED = 4e12
"""Operations a second that a P100, the paper's GPU, is taken to sustain in float32: 40% of its peak of 9.5e12."""

BYTES = 4
"""Bytes of a float32."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A weight file of the hub.

    Attributes:
        start: Start, as `weights.start` names it, `hub:owner/name`.
        network: Whose weights they are.
        commit: The repository's, or None where the hub cannot be reached.
        fits: Whether every tensor of the network's body is there in its shape; None where that is not known.
        says: How many tensors there are, what does not fit, or why nothing is known.
    """

    start: str
    network: str
    commit: str | None
    fits: bool | None
    says: str


def check_weights(start: str, network: str) -> WeightFile:
    """Ask the hub for the commit of a weight file, and whether its tensors match the network in name and shape.

    Args:
        start: `hub:owner/name`.
        network: Network, as in a recipe.
    """
    from asli.models.hub import header_of

    try:
        header = header_of(start.removeprefix("hub:"))
    except AsliError as error:
        return WeightFile(start, network, None, None, f"not reachable: {error}")
    shapes = {own_name(key, header.shapes): shape for key, shape in header.shapes.items()}
    problem = misfit(create_network(network, size=usual_size(network)), shapes)
    if problem:
        return WeightFile(start, network, header.commit, False, f"does not fit: {problem}")
    tensors = f"{len(shapes)} tensors, all of the network's body among them, {header.bytes / 1e6:,.0f} MB"
    return WeightFile(start, network, header.commit, True, tensors)


@dataclass(frozen=True, slots=True)
class Needs:
    """Needs of one run.

    Attributes:
        hours: On a P100, estimated from its arithmetic.
        memory: Peak of weights, gradients, optimizer state and activations of a micro-batch, in bytes.
        disk: Checkpoints while it runs, in bytes.
        kept: The detector that stays, in bytes.
    """

    hours: float
    memory: int
    disk: int
    kept: int


def needs_of(recipe: Recipe, images: int, scored: int) -> Needs:
    """Estimate what a run needs.

    A training step costs three forward passes: one forward, two for the gradients of inputs and of weights.

    Args:
        recipe: Recipe of the run.
        images: It trains on in an epoch.
        scored: Images it scores in all.
    """
    loop = recipe.loop
    found = _profiled(recipe.model.name, recipe.data.size)
    operations = found.flops * (3 * images * loop.epochs + scored)
    weights = BYTES * found.parameters
    updates = loop.epochs * -(-images // (loop.micro_batch * loop.accumulation))
    checkpoints = (updates // loop.checkpoint_every if loop.checkpoint_every else 0) + 1
    return Needs(
        hours=operations / SUSTAINED / 3600,
        memory=4 * weights + activations(recipe.model.name, recipe.data.size) * loop.micro_batch,
        disk=3 * weights * (checkpoints + 1),  # weights and AdamW's two moments each; one is written aside
        kept=weights,
    )


@cache
def _profiled(name: str, size: int) -> Profile:
    return profile(name, size)


@cache
def activations(name: str, size: int) -> int:
    """Return the bytes of all layers' outputs for one image: what a backward pass needs kept, roughly.

    Args:
        name: Name of a network, as in a recipe.
        size: Size of its input, in pixels.
    """
    bare = skeleton(create_network(name, size=size).module)
    total = 0

    def add(_: nn.Module, __: object, out: object) -> None:
        nonlocal total
        total += out.numel() * BYTES if isinstance(out, torch.Tensor) else 0

    for module in bare.modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(add)
    with torch.inference_mode():
        bare.eval()(torch.empty(1, 3, size, size, device="meta"))
    return total


def preflight_text(sweep: Sweep, cells: Sequence[Cell], seeds: int) -> str:
    """Return what a sweep needs, a line a cell, then a line a weight file, then the sums. Nothing is trained."""
    width = max(len(cell.name) for cell in cells)
    scored = {part: len(sweep.data.rows(part)) for part in ("validation", "calibration", "test")}
    lines, files, hours, kept, most = [], dict[str, str](), 0.0, 0, Needs(0.0, 0, 0, 0)
    for cell in cells:
        try:
            start = sweep.start_of(cell)
        except WeightsError as error:
            lines.append(f"{cell.name:<{width}}  not run: {error}")
            continue
        if start.startswith("hub:"):
            files.setdefault(start, cell.network.removeprefix("plain_").removesuffix("_stage"))
        recipe, runs = recipe_of(sweep.base, cell, 1, start), len(seeds_of(cell, seeds))
        images = len(training_rows(sweep.data, recipe))
        need = needs_of(recipe, images, _scored(recipe, images, scored))
        lines.append(
            f"{cell.name:<{width}}  {runs} x {need.hours:6.1f} h  {need.memory / 2**30:5.1f} GiB of memory"
            f"  {need.disk / 2**30:5.1f} GiB of disk while it runs"
        )
        hours, kept = hours + runs * need.hours, kept + runs * need.kept
        most = Needs(0.0, max(most.memory, need.memory), max(most.disk, need.disk), 0)
    checked = [check_weights(start, network) for start, network in files.items()]
    for file in checked:
        commit = f" at commit {file.commit}" if file.commit else ""
        lines.append(f"{file.start}{commit}: {file.says}")
    fitting = sum(file.fits is True for file in checked)
    lines.append(
        f"{sweep.base}: {len(cells)} cells, {len(runs_of(cells, seeds))} runs, about {hours:,.0f} hours of one P100 at"
        f" {SUSTAINED / 1e12:g}e12 operations a second; peak {most.memory / 2**30:.1f} GiB of GPU memory;"
        f" {(most.disk + kept) / 2**30:.1f} GiB of disk. {fitting} of {len(checked)} weight"
        " files can be had and fit. Estimated from arithmetic and tensor sizes, not measured; nothing was trained."
    )
    return "\n".join(lines)


def _scored(recipe: Recipe, images: int, parts: dict[str, int]) -> int:
    """Return how many images a run scores: at each evaluation, at calibration, and on the test part."""
    loop = recipe.loop
    updates = loop.epochs * -(-images // (loop.micro_batch * loop.accumulation))
    looks = (updates // loop.evaluate_every if loop.evaluate_every else 0) + 1
    return (looks + 1) * parts["validation"] + 2 * parts["calibration"] + parts["test"]
