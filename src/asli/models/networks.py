"""Networks by name: asli's own and every timm classifier, behind one small description."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from asli.errors import RecipeError
from asli.models.cifar_resnet import IMAGENET_MEAN, IMAGENET_STD, CifarResNet
from asli.models.small_maps import trim_kernels

OWN: dict[str, Callable[[int], nn.Module]] = {f"cifar_resnet{6 * n + 2}": partial(CifarResNet, n) for n in (3, 5, 7, 9)}
"""Networks that timm does not have; each takes the number of classes."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network and what one must know to feed, freeze and save it.

    Attributes:
        name: As in the recipe.
        module: Maps float32, n x 3 x h x w, to logits, n x classes.
        mean: Of each input channel, of values in [0, 1].
        std: Likewise.
        head: Name of the last linear layer.
        timm: Whether timm builds it by that name.
    """

    name: str
    module: nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    head: str
    timm: bool

    @property
    def parameters(self) -> int:
        """Return how many parameters there are."""
        return sum(p.numel() for p in self.module.parameters())


def create_network(name: str, *, size: int, num_classes: int = 2, seed: int = 0) -> Network:
    """Build a network with fresh weights.

    Args:
        name: One of `OWN`, or a timm classifier.
        size: Height and width of its input; transformers need it to build their position embedding.
        num_classes: Outputs.
        seed: Of the initial weights.

    Raises:
        RecipeError: There is no network of that name, or it has no linear head.
    """
    torch.manual_seed(seed)
    if name in OWN:
        module = OWN[name](num_classes)
        return Network(name, module, IMAGENET_MEAN, IMAGENET_STD, str(module.head_name), timm=False)
    import timm

    if not timm.is_model(name):
        known = [*OWN, *timm.list_models()]
        close = difflib.get_close_matches(name, known, n=3)
        advice = f"did you mean {' or '.join(close)}?" if close else "see timm.list_models()"
        raise RecipeError(f"no network named '{name}'; {advice}")
    options: dict[str, Any] = {"pretrained": False, "num_classes": num_classes}
    try:
        module = timm.create_model(name, img_size=size, **options)
    except TypeError:  # convolutional networks take no img_size
        torch.manual_seed(seed)
        module = timm.create_model(name, **options)
    trim_kernels(module)
    config = module.pretrained_cfg
    head = config.get("classifier")
    if not isinstance(head, str):
        raise RecipeError(f"timm's '{name}' has no single linear head; choose another network")
    return Network(name, module, tuple(config["mean"]), tuple(config["std"]), head, timm=True)


def stages(network: Network) -> list[list[str]]:
    """Return the parameter names of each stage, from the input to the last before the head."""
    if network.timm:
        from timm.models import group_parameters

        groups = group_parameters(network.module, network.module.group_matcher(coarse=True)).values()  # type: ignore[operator]
    else:
        names = [name for name, _ in network.module.named_parameters()]
        opens = [*network.module.stage_names, network.head]  # type: ignore[misc]
        starts = [0, *(next(i for i, name in enumerate(names) if name.startswith(f"{o}.")) for o in opens), len(names)]
        groups = [names[a:b] for a, b in pairwise(starts)]
    bare = [[name for name in group if not name.startswith(f"{network.head}.")] for group in groups]
    return [group for group in bare if group]


def set_trainable(network: Network, what: str) -> None:
    """Freeze all that a recipe does not train, BatchNorm statistics included.

    Args:
        network: Changed in place.
        what: `all`, `head`, or `stages:K` for the head and the K stages before it.

    Raises:
        RecipeError: There are fewer stages.
    """
    if what == "all":
        return
    trained = {name for name, _ in network.module.named_parameters() if name.startswith(f"{network.head}.")}
    if what.startswith("stages:"):
        groups, count = stages(network), int(what.partition(":")[2])
        if count > len(groups):
            raise RecipeError(f"'{network.name}' has {len(groups)} stages; weights.train asks for {count}")
        trained |= {name for group in groups[-count:] for name in group}
    for name, parameter in network.module.named_parameters():
        parameter.requires_grad_(name in trained)
    for module in network.module.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not any(
            p.requires_grad for p in module.parameters()
        ):
            # `train()` on the whole network would otherwise let the running statistics drift.
            module.train = _stay_in_eval.__get__(module)  # type: ignore[method-assign]
            module.eval()


def _stay_in_eval(self: nn.Module, mode: bool = True) -> nn.Module:
    self.training = False
    return self
