"""The convolutional network of the authors of CIFAKE (Bird & Lotfi 2023, arXiv 2303.14126)."""

import torch
from torch import nn
from torch.nn import functional as F


class BirdLotfi(nn.Module):
    """Two convolutions, one hidden layer, for 32 px images.

    Published summaries describe the paper's network; we could not check them against its text. It has two layers of 32
    filters, each with ReLU and max-pooling, one dense layer of 64, and a sigmoid. A public reimplementation (github
    YS7538/CIFAKE_implementation, models/cnn_paper.py) has the same layers and widths. It pads its convolutions by 1 and
    has two logits. We do not know the authors' padding.

    These assumptions are Keras' defaults: 3x3 filters of stride 1 without padding, 2x2 pools, ReLU after the dense
    layer. Initial weights are Glorot's uniform ones (Glorot & Bengio 2010), biases are zero. The maps have 30, 15, 13
    and 6 pixels a side. Here, two logits replace the sigmoid. Their difference is the sigmoid's logit, so the functions
    are the same, with 65 more parameters.

    Args:
        num_classes: Outputs.
    """

    head_name = "linear"
    stage_names = ("conv2", "hidden")

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.conv2 = nn.Conv2d(32, 32, 3)
        self.hidden = nn.Linear(32 * 6 * 6, 64)
        self.linear = nn.Linear(64, num_classes)
        for module in self.children():
            nn.init.xavier_uniform_(module.weight)  # type: ignore[arg-type]
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images, n x 3 x 32 x 32, to logits, n x num_classes."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        logits: torch.Tensor = self.linear(F.relu(self.hidden(x.flatten(1))))
        return logits
