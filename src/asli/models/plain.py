"""Plain residual networks: the shortcuts taken out by injecting other block classes, all else as it was.

The paper (its section on ablation) removes shortcuts in one of two readings of its text. *All* of them: identity and
projection of every block. *One per stage*: that of the block which opens each stage, a projection wherever the stage
changes the shape. Names of parameters stay, so the residual network's weights load as they are; the projections, which
nothing would use, are not built, so every parameter gets a gradient.
"""

from collections.abc import Callable
from typing import Any, Literal

import timm
import torch
from timm.models import resnet
from torch import nn
from torch.nn import functional as F

from asli.models import cifar_resnet

Reading = Literal["all", "stage"]
"""Shortcuts that are removed: all, or that of the first block of each stage."""


class _WithoutShortcut:
    """Takes the projection out of a timm block, so that no parameter is left unused."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        _require_bare(self)
        self.downsample = None


class PlainBasicBlock(_WithoutShortcut, resnet.BasicBlock):  # type: ignore[misc]  # timm is not typed
    """timm's BasicBlock without its shortcut."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map n x inputs x h x w to n x outputs x h/stride x w/stride."""
        x = self.act1(self.bn1(self.conv1(x)))
        out: torch.Tensor = self.act2(self.bn2(self.conv2(x)))
        return out


class PlainBottleneck(_WithoutShortcut, resnet.Bottleneck):  # type: ignore[misc]  # timm is not typed
    """timm's Bottleneck without its shortcut."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map n x inputs x h x w to n x outputs x h/stride x w/stride."""
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.act2(self.bn2(self.conv2(x)))
        out: torch.Tensor = self.act3(self.bn3(self.conv3(x)))
        return out


class PlainCifarBlock(cifar_resnet.BasicBlock):
    """The 32 px family's block without its shortcut."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map n x inputs x h x w to n x outputs x h/stride x w/stride."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


class OpensPlain:
    """Stands in for a block class: plain where a stage opens, residual behind it.

    Args:
        plain: Class of the block that opens a stage.
        residual: Class of the others.
    """

    def __init__(self, plain: type[nn.Module], residual: type[nn.Module]) -> None:
        self._plain, self._residual, self._width = plain, residual, 0
        self.expansion = getattr(residual, "expansion", 1)

    def __call__(self, inputs: int, width: int, *args: Any, **settings: Any) -> nn.Module:
        """Build the next block; each stage has a width of its own, so a new one opens a stage."""
        opens, self._width = width != self._width, width
        return (self._plain if opens else self._residual)(inputs, width, *args, **settings)


def plain_resnet(depth: int, reading: Reading, num_classes: int) -> nn.Module:
    """Build timm's ResNet without shortcuts.

    Args:
        depth: 18, 34, 50, 101 or 152.
        reading: Which shortcuts go.
        num_classes: Outputs.
    """
    bottleneck = depth >= 50
    block = _injected(
        reading,
        PlainBottleneck if bottleneck else PlainBasicBlock,
        resnet.Bottleneck if bottleneck else resnet.BasicBlock,
    )
    # timm would set the last BatchNorm of each block to zero: a block without a shortcut then passes nothing on.
    module: nn.Module = timm.create_model(f"resnet{depth}", num_classes=num_classes, block=block, zero_init_last=False)
    module.head_name, module.stage_names = "fc", ("layer1", "layer2", "layer3", "layer4")  # type: ignore[assignment]
    return module


def plain_cifar_resnet(blocks: int, reading: Reading, num_classes: int) -> nn.Module:
    """Build a ResNet for 32 px without shortcuts.

    Args:
        blocks: Blocks a stage, as in `CifarResNet`.
        reading: Which shortcuts go.
        num_classes: Outputs.
    """
    block = _injected(reading, PlainCifarBlock, cifar_resnet.BasicBlock)
    return cifar_resnet.CifarResNet(blocks, num_classes, block)


def _injected(reading: Reading, plain: type[nn.Module], residual: type[nn.Module]) -> Callable[..., nn.Module]:
    return plain if reading == "all" else OpensPlain(plain, residual)


def _require_bare(block: Any) -> None:
    """Hold that a block has none of the parts timm's other families put before the sum; `forward` leaves them out."""
    assert block.se is None
    assert block.drop_path is None
    assert isinstance(block.drop_block, nn.Identity)
    assert isinstance(block.aa, nn.Identity)
