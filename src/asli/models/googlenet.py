"""GoogLeNet (Szegedy et al. 2014, arXiv 1409.4842), which timm does not have."""

from torch import nn
from torchvision.models import GoogLeNet


def googlenet(num_classes: int) -> nn.Module:
    """Build torchvision's GoogLeNet, with BatchNorm as there, without the two auxiliary classifiers of training."""
    module: nn.Module = GoogLeNet(num_classes=num_classes, aux_logits=False, transform_input=False, init_weights=True)
    module.head_name = "fc"  # type: ignore[assignment]
    module.stage_names = ("conv2", "inception3a", "inception4a", "inception5a")  # type: ignore[assignment]
    return module
