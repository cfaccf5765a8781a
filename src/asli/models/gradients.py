"""How much gradient reaches each stage: whether a network can learn at all."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from asli.models.networks import Network, stages
from asli.transforms.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class Gradients:
    """The gradient of the mean cross-entropy of some images.

    Attributes:
        norms: Euclidean norm by stage, from the input to the head.
        without: Parameters that got none, or nothing but zeros.
    """

    norms: dict[str, float]
    without: list[str]


def gradients_by_stage(network: Network, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Gradients:
    """Return how much gradient reaches each stage.

    One forward and backward pass in training mode, so BatchNorm normalizes by these images; the network is left as it
    was.

    Args:
        network: Network of two classes.
        images: uint8, n x size x size x 3.
        labels: n, 0 real and 1 fake.
    """
    module = network.module
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    training = module.training
    inputs = Preprocessing(images.shape[1], "bilinear", network.mean, network.std).batch(images, torch.device("cpu"))
    module.train()
    torch.manual_seed(0)  # dropout
    F.cross_entropy(module(inputs), torch.from_numpy(labels)).backward()  # type: ignore[no-untyped-call]
    squares = {name: 0.0 if p.grad is None else float(p.grad.square().sum()) for name, p in module.named_parameters()}
    module.zero_grad(set_to_none=True)
    for name, buffer in module.named_buffers():
        buffer.copy_(before[name])
    module.train(training)
    return Gradients(_by_stage(network, squares), [name for name, square in squares.items() if square == 0])


def _by_stage(network: Network, squares: dict[str, float]) -> dict[str, float]:
    head = [name for name in squares if name.startswith(f"{network.head}.")]
    result: dict[str, float] = {}
    for group in [*stages(network), head]:
        result[_title(group, result)] = math.sqrt(sum(squares[name] for name in group))
    return result


def _title(names: list[str], taken: Collection[str]) -> str:
    """Return the module a stage's parameters share, or the first one's where that names no stage of its own."""
    shared = []
    for words in zip(*(name.split(".")[:-1] for name in names), strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    common = ".".join(shared)
    return common if common and common not in taken else names[0].rpartition(".")[0] or names[0]
