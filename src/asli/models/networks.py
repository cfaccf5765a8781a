"""Networks by name: asli's own and every timm classifier, behind one small description."""

import copy
import difflib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from asli.errors import RecipeError
from asli.models.cifar_resnet import IMAGENET_MEAN, IMAGENET_STD, CifarResNet
from asli.models.compact_resnet import CompactResNet
from asli.models.small_maps import trim_kernels
from asli.plugins import Plugin, plugins


def _bird_lotfi(num_classes: int) -> nn.Module:
    from asli.models.bird_lotfi import BirdLotfi

    return BirdLotfi(num_classes)


def _googlenet(num_classes: int) -> nn.Module:
    from asli.models.googlenet import googlenet

    return googlenet(num_classes)


def _plain(depth: int, reading: Any, num_classes: int) -> nn.Module:
    from asli.models.plain import plain_resnet

    return plain_resnet(depth, reading, num_classes)


def _plain_cifar(blocks: int, reading: Any, num_classes: int) -> nn.Module:
    from asli.models.plain import plain_cifar_resnet

    return plain_cifar_resnet(blocks, reading, num_classes)


def _unnormalized(blocks: int, num_classes: int) -> nn.Module:
    from asli.models.ablated import unnormalized_cifar_resnet

    return unnormalized_cifar_resnet(blocks, num_classes)


def _tanh(blocks: int, num_classes: int) -> nn.Module:
    from asli.models.ablated import tanh_cifar_resnet

    return tanh_cifar_resnet(blocks, num_classes)


_CIFAR_BLOCKS = {6 * n + 2: n for n in (3, 5, 7, 9)}
_READINGS = {"": "all", "_stage": "stage"}

OWN: dict[str, Callable[[int], nn.Module]] = {
    "bird_lotfi": _bird_lotfi,
    "googlenet": _googlenet,
    **{f"plain_resnet{d}{end}": partial(_plain, d, r) for d in (18, 34, 50, 101, 152) for end, r in _READINGS.items()},
    **{f"cifar_resnet{d}": partial(CifarResNet, n) for d, n in _CIFAR_BLOCKS.items()},
    **{
        f"plain_cifar_resnet{d}{end}": partial(_plain_cifar, n, r)
        for d, n in _CIFAR_BLOCKS.items()
        for end, r in _READINGS.items()
    },
    **{f"cifar_resnet{d}_unnormalized": partial(_unnormalized, n) for d, n in _CIFAR_BLOCKS.items()},
    **{f"cifar_resnet{d}_tanh": partial(_tanh, n) for d, n in _CIFAR_BLOCKS.items()},
    **{
        f"compact_resnet{6 * n + 2}x{w}": partial(CompactResNet, n, w)
        for n in (1, 2, 3, 4)
        for w in (32, 48, 64, 80, 96)
    },
}
"""Networks that timm does not have; each takes the number of classes. `plain_NAME` is NAME without any shortcut,
`plain_NAME_stage` without the one that opens each stage, `NAME_unnormalized` without BatchNorm, `NAME_tanh` with tanh
in place of its blocks' ReLU."""


def networks() -> dict[str, Callable[[int], nn.Module]]:
    """Return every network that timm does not have, by name: asli's own and those of installed packages.

    A package adds one by an entry point of the group `asli.networks`: a function of the number of classes. The module
    it returns has `head_name`, the name of its last linear layer.
    """
    from asli.models.frozen import FROZEN

    return {**{plugin.name: partial(_installed, plugin) for plugin in plugins("network")}, **OWN, **FROZEN}


def _installed(plugin: Plugin, num_classes: int) -> nn.Module:
    module: nn.Module = plugin.load()(num_classes)
    return module


@dataclass(frozen=True, slots=True)
class Network:
    """A network and what one must know to feed, freeze and save it.

    Attributes:
        name: Name, as in the recipe.
        module: Maps float32, n x 3 x h x w, to logits, n x classes.
        mean: Mean of each input channel, of values in [0, 1].
        std: Standard deviation of each input channel, of values in [0, 1].
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

    @property
    def trunk(self) -> str | None:
        """Return the name of the trunk whose frozen features a linear head reads, or None for other networks."""
        name = getattr(self.module, "trunk", None)
        return name if isinstance(name, str) else None


def create_network(name: str, *, size: int, num_classes: int = 2, seed: int = 0) -> Network:
    """Build a network with fresh weights.

    Args:
        name: One of `OWN`, or a timm classifier.
        size: Height and width of its input; transformers need it to build their position embedding.
        num_classes: Outputs.
        seed: Seed of the initial weights.

    Raises:
        RecipeError: There is no network of that name, it has no linear head, or it does not take images of that size.
    """
    if name in networks():
        torch.manual_seed(seed)
        module = networks()[name](num_classes)
        mean = getattr(module, "input_mean", IMAGENET_MEAN)
        std = getattr(module, "input_std", IMAGENET_STD)
        network = Network(name, module, mean, std, str(module.head_name), timm=False)
    else:
        network = _from_timm(name, size, num_classes, seed)
    _require_size(network, size)
    return network


def _from_timm(name: str, size: int, num_classes: int, seed: int) -> Network:
    import timm

    if not timm.is_model(name):
        known = [*networks(), *timm.list_models()]
        close = difflib.get_close_matches(name, known, n=3)
        advice = f"did you mean {' or '.join(close)}?" if close else "see timm.list_models()"
        raise RecipeError(f"no network named '{name}'; {advice}")
    options: dict[str, Any] = {"pretrained": False, "num_classes": num_classes}
    torch.manual_seed(seed)
    try:
        module = timm.create_model(name, img_size=size, **options)
    except TypeError:  # convolutional networks take no img_size
        torch.manual_seed(seed)
        module = timm.create_model(name, **options)
    trim_kernels(module)
    config = module.pretrained_cfg
    head = config.get("classifier")
    if not isinstance(head, str) or not isinstance(module.get_submodule(head), nn.Linear):
        raise RecipeError(f"timm's '{name}' has no single linear head; choose another network")
    return Network(name, module, tuple(config["mean"]), tuple(config["std"]), head, timm=True)


LARGEST_TRIED = 512
"""Up to which size, in pixels, a network is tried with a real image, and asked what it takes after it failed."""


def _require_size(network: Network, size: int) -> None:
    """Refuse a size the network fails at, naming one that it takes."""
    # One real image is quicker than loading what meta tensors need, unless it is so large that it fills the memory.
    if size <= LARGEST_TRIED and _takes(network.module, size):
        return
    meta = skeleton(network.module)
    # What meta tensors cannot do is no reason to refuse a network: then it must really fail.
    if size > LARGEST_TRIED and (_takes(meta, size) or _takes(network.module, size)):
        return
    taken = (tried for tried in range(1, LARGEST_TRIED + 1) if _takes(meta, tried))
    smallest = next(taken, None)
    if smallest is None:
        advice = "choose another network"
    elif smallest > size:
        advice = f"set data.size to {smallest} or more"
    else:
        largest = max([smallest, *itertools.takewhile(lambda tried: tried < size, taken)])
        advice = f"set data.size to between {smallest} and {largest}"
    raise RecipeError(f"'{network.name}' cannot take images of {size} x {size} pixels; {advice}")


def skeleton(module: nn.Module) -> nn.Module:
    """Return a copy on the meta device: shapes without values, so a forward pass costs no arithmetic or memory."""
    tensors = {id(p): nn.Parameter(p.to("meta"), p.requires_grad) for p in module.parameters()}
    return copy.deepcopy(module, {**tensors, **{id(b): b.to("meta") for b in module.buffers()}})


def _takes(module: nn.Module, size: int) -> bool:
    training = module.training
    device = next(module.parameters()).device
    try:
        with torch.no_grad():  # what a network keeps of inference mode could not be trained with
            module.eval()(torch.zeros(1, 3, size, size, device=device))
    except (RuntimeError, AssertionError, ValueError):
        return False
    finally:
        module.train(training)
    return True


def stages(network: Network) -> list[list[str]]:
    """Return the parameter names of each stage, from the input to the last before the head."""
    if network.timm:
        from timm.models import group_parameters

        groups = group_parameters(network.module, network.module.group_matcher(coarse=True)).values()  # type: ignore[operator]
    else:
        names = [name for name, _ in network.module.named_parameters()]
        opens = [*network.module.stage_names, network.head]  # type: ignore[misc]
        starts = [0, *(next(i for i, name in enumerate(names) if name.startswith(f"{o}.")) for o in opens), len(names)]
        groups = [names[a:b] for a, b in itertools.pairwise(starts)]
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


def draw_head(network: Network, seed: int) -> None:
    """Draw a network's head anew from torch's `Linear` distribution, whatever its own code draws it from.

    timm draws the two-class head of an EfficientNet within 0.71, that of a ResNet-152 within 0.02: an unequal start.

    Args:
        network: Changed in place.
        seed: Seed of the draw.
    """
    head = network.module.get_submodule(network.head)
    assert isinstance(head, nn.Linear)
    torch.manual_seed(seed)
    head.reset_parameters()


def _stay_in_eval(self: nn.Module, mode: bool = True) -> nn.Module:
    self.training = False
    return self
