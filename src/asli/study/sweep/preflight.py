"""What a sweep on a GPU needs before it starts: weights that can be had and fit, hours, memory, disk.

Nothing is trained and no weight file is downloaded: the hub is asked for commits and for the headers of its
safetensors files, which name every tensor and its shape.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from asli.errors import AsliError
from asli.models.hub import Header, header_of
from asli.models.networks import create_network, skeleton
from asli.models.profile import profile
from asli.models.weights import misfit
from asli.recipe import Recipe

SUSTAINED = 4e12
"""Operations a second that a P100, the paper's GPU, is taken to sustain in float32: 40% of its peak of 9.5e12."""

BYTES = 4
"""Of a float32."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A weight file of the hub.

    Attributes:
        start: As `weights.start` names it, `hub:owner/name`.
        network: Whose weights they are.
        commit: The newest, or None where the hub cannot be reached.
        says: How many tensors match in name and shape, what does not, or why nothing is known.
    """

    start: str
    network: str
    commit: str | None
    says: str


def check_weights(starts: Iterable[tuple[str, str]]) -> list[WeightFile]:
    """Ask the hub for each weight file: its commit, and whether its tensors match the network in name and shape.

    Args:
        starts: `hub:owner/name` and the network, one a file.
    """
    return [_checked(start, network) for start, network in dict.fromkeys(starts)]


def _checked(start: str, network: str) -> WeightFile:
    try:
        header: Header = header_of(start.removeprefix("hub:"))
    except AsliError as error:
        return WeightFile(start, network, None, f"not reachable: {error}")
    built = create_network(network, size=299 if network == "inception_v3" else 224)
    problem = misfit(built, header.shapes)
    return WeightFile(start, network, header.commit, problem or f"{len(header.shapes)} tensors, all that are needed")


@dataclass(frozen=True, slots=True)
class Needs:
    """What one run needs.

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
        recipe: Of the run.
        images: It trains on in an epoch.
        scored: Images it scores in all.
    """
    loop = recipe.loop
    found = profile(recipe.model.name, recipe.data.size)
    operations = found.flops * (3 * images * loop.epochs + scored)
    weights = BYTES * found.parameters
    updates = loop.epochs * -(-images // (loop.micro_batch * loop.accumulation))
    checkpoints = (updates // loop.checkpoint_every if loop.checkpoint_every else 0) + 1
    return Needs(
        hours=operations / SUSTAINED / 3600,
        memory=4 * weights + activations(recipe) * loop.micro_batch,
        disk=3 * weights * (checkpoints + 1),  # weights and AdamW's two moments each; one is written aside
        kept=weights,
    )


def activations(recipe: Recipe) -> int:
    """Return the bytes of all layers' outputs for one image: what a backward pass needs kept, roughly."""
    bare = skeleton(create_network(recipe.model.name, size=recipe.data.size).module)
    total = 0

    def add(_: nn.Module, __: object, out: object) -> None:
        nonlocal total
        total += out.numel() * BYTES if isinstance(out, torch.Tensor) else 0

    for module in bare.modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(add)
    with torch.inference_mode():
        bare.eval()(torch.empty(1, 3, recipe.data.size, recipe.data.size, device="meta"))
    return total
