"""The model card of a detector, and what timm and transformers read of it."""

from importlib import resources
from typing import TYPE_CHECKING, Any

from asli.datasets.layouts import LABELS
from asli.records import Json

if TYPE_CHECKING:
    from asli.models.networks import Network
    from asli.transforms.preprocessing import Preprocessing


def model_card(template: str = "model_card.md.j2", **content: Any) -> str:
    """Return a model card, in Markdown.

    Args:
        template: In this package.
        content: What the template shows.
    """
    from jinja2 import Environment

    source = (resources.files("asli") / "detector" / template).read_text(encoding="utf-8")
    environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 - Markdown
    return environment.from_string(source).render(**content)


def hub_config(network: "Network", preprocessing: "Preprocessing") -> Json:
    """Return `config.json` as timm and transformers read it."""
    module = network.module
    return {
        "architecture": network.name,
        "num_classes": len(LABELS),
        "num_features": getattr(module, "num_features", None),
        "label_names": list(LABELS),
        "pretrained_cfg": {
            "tag": "asli",
            "custom_load": False,
            "input_size": [3, preprocessing.size, preprocessing.size],
            "fixed_input_size": False,
            "interpolation": preprocessing.interpolation,
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.std),
            "num_classes": len(LABELS),
            "classifier": network.head,
            "first_conv": getattr(module, "pretrained_cfg", {}).get("first_conv"),
            "pool_size": None,
        },
    }
