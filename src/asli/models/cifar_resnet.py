"""Residual networks for 32 px images (He et al. 2015, arXiv 1512.03385, section 4.2).

Parameter-free shortcuts ("option A"): where a stage halves the resolution, the identity is subsampled by 2 and padded
with zero channels. Parameter names are those of the widely used CIFAR-10 weights, so these load as they are.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PaddedIdentity(nn.Module):
    """The identity, subsampled and padded with zero channels: a shortcut without parameters ("option A").

    Args:
        stride: One row and one column of so many stay.
        extra: Channels to add.
    """

    def __init__(self, stride: int, extra: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, extra

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map n x inputs x h x w to n x (inputs + extra) x h/stride x w/stride."""
        if self.stride == 1 and self.extra == 0:
            return x
        before = self.extra // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.extra - before))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Stride of the first convolution.
        shortcut: What is added before the last activation; None takes the one without parameters.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = PaddedIdentity(stride, outputs - inputs) if shortcut is None else shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map n x inputs x h x w to n x outputs x h/stride x w/stride."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x), inplace=True)


class CifarResNet(nn.Module):
    """ResNet-(6n+2) for 32 px: three stages of n blocks with 16, 32 and 64 channels, average pooling, one linear layer.

    Args:
        blocks: Blocks a stage, n: 3 gives ResNet-20, 5 ResNet-32, 7 ResNet-44, 9 ResNet-56.
        num_classes: Outputs.
        block: Makes a block of input channels, output channels and stride.
    """

    head_name = "linear"
    stage_names = ("layer1", "layer2", "layer3")

    def __init__(self, blocks: int, num_classes: int, block: Callable[[int, int, int], nn.Module] = BasicBlock) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(block, 16, 16, blocks, 1)
        self.layer2 = _stage(block, 16, 32, blocks, 2)
        self.layer3 = _stage(block, 32, 64, blocks, 2)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images, n x 3 x h x w, to logits, n x num_classes."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: torch.Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits


def _stage(
    block: Callable[[int, int, int], nn.Module], inputs: int, outputs: int, blocks: int, stride: int
) -> nn.Sequential:
    first = block(inputs, outputs, stride)
    return nn.Sequential(first, *(block(outputs, outputs, 1) for _ in range(blocks - 1)))
