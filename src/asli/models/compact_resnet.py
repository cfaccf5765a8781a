"""Compact residual networks for 32 px images: as much accuracy as a CPU minute buys.

Basic blocks (He et al. 2015) in three stages of width w, 2w and 4w on maps of 16, 8 and 4 px. The stem is one
convolution of w/2 channels at native resolution, where the traces of a generator are. All later layers have wide, small
maps, on which a CPU is fastest. Where a stage changes the shape, the shortcut is average pooling
and a 1 x 1 convolution ("ResNet-D", He et al. 2018, arXiv 1812.01187), so that no pixel is skipped.
"""

import torch
from torch import nn
from torch.nn import functional as F

from asli.models.cifar_resnet import BasicBlock


class CompactResNet(nn.Module):
    """Stem, three stages of residual blocks, average pooling, one linear layer.

    Args:
        blocks: Blocks a stage, n: the depth is 6n + 2.
        width: Channels of the first stage; doubled in the second and third.
        num_classes: Outputs.
    """

    head_name = "linear"
    stage_names = ("layer1", "layer2", "layer3")

    def __init__(self, blocks: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width // 2, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.layer1 = _stage(width // 2, width, blocks)
        self.layer2 = _stage(width, 2 * width, blocks)
        self.layer3 = _stage(2 * width, 4 * width, blocks)
        self.linear = nn.Linear(4 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BasicBlock):
                nn.init.zeros_(module.bn2.weight)  # each block starts as its shortcut (Goyal et al. 2017)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images, n x 3 x h x w, to logits, n x num_classes."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: torch.Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    projection = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
    rest = (BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1))
    return nn.Sequential(BasicBlock(inputs, outputs, 2, projection), *rest)
