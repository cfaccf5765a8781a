"""Networks for photographs: a linear head on features that many layers of a frozen trunk leave.

Traces of generators are visible in early and middle layers, but not in a network's last features. So the head gets
statistics of several layers (the idea of Corvi et al. 2023 and Cozzolino et al. 2024, among others).
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import nn

from asli.models.coded import STEPS

LITE0_WIDTHS = (32, 16, 24, 40, 80, 112, 192, 320)
"""Channels of EfficientNet-Lite0's stem and stages."""


class FrozenFeatures(nn.Module, ABC):
    """Base class of these networks: features and a linear head.

    Attributes:
        trunk: Name of the trunk whose weights all but the head has (`asli.models.trunks`).
        external: Whether a detector leaves the trunk out of its files and names its SHA-256 instead.
        features: Numbers an image.
        coded: Tensors that files keep as codes (`asli.models.coded`); the buffer `steps` has a step for each.
    """

    trunk: ClassVar[str]
    external: ClassVar[bool] = False
    head_name: ClassVar[str] = "head"
    input_mean: ClassVar[tuple[float, float, float]]
    input_std: ClassVar[tuple[float, float, float]]
    stage_names: tuple[str, ...]
    coded: tuple[str, ...] = ()

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.features = features
        self._classes = num_classes

    def _add_head(self) -> None:
        # Last, so that it is the last of the parameters, too.
        self.head = nn.Linear(self.features, self._classes)

    @abstractmethod
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32, n x 3 x 224 x 224, to features, n x `features`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32, n x 3 x 224 x 224, to logits, n x classes."""
        logits: torch.Tensor = self.head(self.encode(x))
        return logits


class Lite0Stages(FrozenFeatures):
    """EfficientNet-Lite0: mean and standard deviation over places of the stem and each stage, and the head's means.

    2,912 features: [mean, std] of the stem (32 channels) and stages (16, 24, 40, 80, 112, 192, 320), then 1,280 means.

    Args:
        num_classes: Outputs.
    """

    trunk = "lite0"
    input_mean = input_std = (0.5, 0.5, 0.5)

    def __init__(self, num_classes: int) -> None:
        import timm

        net = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        super().__init__(2 * sum(LITE0_WIDTHS) + net.num_features, num_classes)
        self.conv_stem, self.bn1, self.blocks = net.conv_stem, net.bn1, net.blocks
        self.conv_head, self.bn2 = net.conv_head, net.bn2
        self.stage_names = (*(f"blocks.{number}" for number in range(len(net.blocks))), "conv_head")
        self._add_head()

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32, n x 3 x 224 x 224, to features, n x 2,912."""
        x = self.bn1(self.conv_stem(x))
        found = [*_mean_and_std(x)]
        for block in self.blocks:
            x = block(x)
            found += _mean_and_std(x)
        found.append(self.bn2(self.conv_head(x)).mean(dim=(2, 3)))
        return torch.cat(found, dim=1)


class ClipB16Blocks(FrozenFeatures):
    """CLIP ViT-B/16's image tower: class token and mean of the patch tokens after each of its 12 blocks.

    18,432 features: the class tokens of blocks 0 to 11, then the means of blocks 0 to 11, 768 each.

    Args:
        num_classes: Outputs.
    """

    trunk = "clip-b16"
    external = True
    depth: ClassVar[int] = 12
    input_mean = (0.48145466, 0.4578275, 0.40821073)
    input_std = (0.26862954, 0.26130258, 0.27577711)

    def __init__(self, num_classes: int) -> None:
        import timm

        # "skip": drawing 86 million numbers takes seconds, and a file replaces them.
        name = "vit_base_patch16_clip_quickgelu_224"
        net = timm.create_model(name, num_classes=0, weight_init="skip", depth=self.depth)
        super().__init__(2 * len(net.blocks) * net.embed_dim, num_classes)
        # "skip" leaves these two as whatever was in memory. A generator of their own keeps the head's first weights.
        generator = torch.Generator().manual_seed(torch.initial_seed())
        for tokens in (net.cls_token, net.pos_embed):
            nn.init.normal_(tokens, std=0.02, generator=generator)
        self.cls_token, self.pos_embed = net.cls_token, net.pos_embed
        self.patch_embed, self.norm_pre, self.blocks = net.patch_embed, net.norm_pre, net.blocks
        self.stage_names = tuple(f"blocks.{number}" for number in range(len(net.blocks)))
        self._add_head()

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Map float32, n x 3 x 224 x 224, to features, n x 1,536 for each block."""
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
        x = self.norm_pre(x)
        tokens, means = [], []
        for block in self.blocks:
            x = block(x)
            tokens.append(x[:, 0])
            means.append(x[:, 1:].mean(dim=1))
        return torch.cat([*tokens, *means], dim=1)


class ClipB16Early(ClipB16Blocks):
    """The first 7 of those blocks, their weights rounded to about 3 bits: 20 MB, so that a package can hold them.

    10,752 features: the class tokens of blocks 0 to 6, then the means. The rounding is GPTQ's (Frantar et al. 2023).
    """

    trunk = "clip-b16-early"
    external = False
    depth = 7

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        matrices = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
        blocks = [f"blocks.{number}.{name}.weight" for number in range(self.depth) for name in matrices]
        self.coded = ("pos_embed", "patch_embed.proj.weight", *blocks)
        self.register_buffer(STEPS, torch.zeros(len(self.coded)))


FROZEN: dict[str, type[FrozenFeatures]] = {
    "lite0-stages": Lite0Stages,
    "clip-b16-blocks": ClipB16Blocks,
    "clip-b16-early": ClipB16Early,
}
"""Networks by the name that recipes and detectors use."""


def _mean_and_std(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and unbiased standard deviation over places of maps, n x channels x h x w: n x channels each."""
    mean = x.mean(dim=(2, 3))
    off = x - mean[:, :, None, None]
    # Kept off zero, where the root has no gradient.
    variance = off.square().sum(dim=(2, 3)) / max(x.shape[2] * x.shape[3] - 1, 1)
    return mean, variance.clamp_min(1e-12).sqrt()
