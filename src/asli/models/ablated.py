"""ResNets for 32 px without BatchNorm, or with tanh in place of ReLU: the paper says that both stabilize training."""

import torch
from torch import nn

from asli.models.cifar_resnet import BasicBlock, CifarResNet


class TanhBlock(BasicBlock):
    """The 32 px family's block with tanh in place of ReLU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map n x inputs x h x w to n x outputs x h/stride x w/stride."""
        out = torch.tanh(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return torch.tanh(out + self.shortcut(x))


def unnormalized_cifar_resnet(blocks: int, num_classes: int) -> nn.Module:
    """Build a ResNet for 32 px without BatchNorm; each convolution has a bias instead.

    Args:
        blocks: Blocks a stage, as in `CifarResNet`.
        num_classes: Outputs.
    """
    module = CifarResNet(blocks, num_classes)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.Conv2d):
                child.bias = nn.Parameter(torch.zeros(child.out_channels))
    return module


def tanh_cifar_resnet(blocks: int, num_classes: int) -> nn.Module:
    """Build a ResNet for 32 px whose blocks use tanh; the stem keeps its ReLU.

    Args:
        blocks: Blocks a stage, as in `CifarResNet`.
        num_classes: Outputs.
    """
    return CifarResNet(blocks, num_classes, TanhBlock)
