"""The detector folder: the one module that reads and writes it.

config.json  model.safetensors    timm's hub format: a timm network opens in timm and transformers without asli
detector.json                     what turns its logits into a verdict, and what it was trained and judged on
README.md                         the model card
"""

import copy
import dataclasses
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors.torch import load_file, save_file

from asli import __version__
from asli.data.layouts import LABELS
from asli.data.preprocessing import Preprocessing
from asli.detector.domain import Domain
from asli.detector.runtime import Runtime, TorchRuntime
from asli.errors import DetectorError, RecipeError
from asli.files import read_json, sha256_of_file, sha256_of_json, write_json, write_text
from asli.models.networks import Network, create_network

FORMAT_VERSION = 1

Verdict = Literal["real", "unsure", "fake"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Where scores become verdicts, fitted on the calibration part.

    Attributes:
        low: Scores below are `real`.
        high: Scores from here on are `fake`; between the two it is `unsure`.
        policy: How they were chosen.
        n: Calibration images.
        calibration_hash: Content hash of the data they came from.
        real: Real calibration images, a group of twins counted once; None where an older asli did not say.
        fake: Fake ones, likewise.
        target: The error rate that was promised, or None where none was.
        confidence: Of the promise.
        band: Whether the rate of missed fakes was promised too.
        errors: On the calibration part itself: real images called fake, fake ones called real, and `unsure` ones.
    """

    low: float
    high: float
    policy: str
    n: int
    calibration_hash: str
    real: int | None = None
    fake: int | None = None
    target: float | None = None
    confidence: float | None = None
    band: bool = False
    errors: dict[str, int] | None = None

    def verdict(self, score: float) -> Verdict:
        """Return what a score means."""
        if score >= self.high:
            return "fake"
        return "real" if score < self.low else "unsure"

    @property
    def promise(self) -> str | None:
        """Return in a sentence what error rate was promised, or None."""
        if self.target is None:
            return None
        both = " and at most as many fakes called real, each" if self.band else ","
        return (
            f"at most {self.target:.3g} of photographs called fake{both} with {self.confidence:.0%} confidence over"
            f" calibration sets, for images like the {self.n:,} of the calibration part"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a detector says of itself.

    Attributes:
        temperature: By which its logits were divided; folded into the head already.
        thresholds: Of the verdict.
        domain: What it knows.
        trained_on: Name, content hash and counts of the training data.
        figures: Measured ones with their intervals, by the name of what they were measured on.
        recipe_hash: Of the recipe.
        seed: Of the run.
        start_weights: Where training started.
        licence: Under which the weights may be used; those of data and start weights bear on it.
    """

    temperature: float
    thresholds: Thresholds
    domain: Domain
    trained_on: dict[str, Any]
    figures: dict[str, Any]
    recipe_hash: str
    seed: int
    start_weights: str
    licence: str = "not stated"


class Detector:
    """A network with everything its verdict depends on.

    Attributes:
        network: Its head divides by the temperature.
        preprocessing: What the network sees of an image.
        card: What it says of itself.
        hash: SHA-256 over weights and description; None until it is saved.
    """

    def __init__(self, network: Network, preprocessing: Preprocessing, card: Card, hash: str | None = None) -> None:
        self.network, self.preprocessing, self.card, self.hash = network, preprocessing, card, hash

    @classmethod
    def open(cls, name: str | Path) -> Self:
        """Open a detector.

        Args:
            name: A detector folder, or a run folder that has one.

        Raises:
            DetectorError: There is none, or it is damaged, foreign or newer.
        """
        folder = _find(Path(name))
        try:
            info = read_json(folder / "detector.json")
            config = read_json(folder / "config.json")
        except (OSError, ValueError) as error:
            raise DetectorError(f"detector {folder} is damaged: {error}") from error
        if info.get("version", 0) > FORMAT_VERSION:
            raise DetectorError(f"detector {folder} has version {info['version']}; update asli to read it")
        weights = folder / "model.safetensors"
        try:
            if info["labels"] != list(LABELS):
                raise DetectorError(f"detector {folder} has labels {info['labels']}; asli reads {list(LABELS)}")
            if sha256_of_file(weights) != info["weights_sha256"]:
                raise DetectorError(f"{weights} is not the file detector.json describes; fetch the detector again")
            preprocessing = Preprocessing(**{key: _tuple(value) for key, value in info["preprocessing"].items()})
            network = create_network(config["architecture"], size=preprocessing.size)
            network.module.load_state_dict(load_file(weights))
            card = dict(info["card"])
            card["thresholds"] = Thresholds(**card["thresholds"])
            card["domain"] = Domain.from_json(card["domain"])
            return cls(network, preprocessing, Card(**card), sha256_of_json(info))
        except (KeyError, TypeError, OSError, RuntimeError, RecipeError) as error:
            raise DetectorError(f"detector {folder} is damaged or foreign: {error}") from error

    def save(self, folder: Path) -> None:
        """Write the bundle; `hash` is set to what it will be opened with."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = folder / "model.safetensors"
        tensors = {key: value.detach().cpu().contiguous() for key, value in self.network.module.state_dict().items()}
        save_file(tensors, weights, metadata={"format": "pt"})
        write_json(folder / "config.json", self._hub_config())
        info = {
            "version": FORMAT_VERSION,
            "asli": __version__,
            "labels": list(LABELS),
            "weights_sha256": sha256_of_file(weights),
            "preprocessing": dataclasses.asdict(self.preprocessing),
            "card": dataclasses.asdict(self.card),
        }
        write_json(folder / "detector.json", info)
        self.hash = sha256_of_json(json.loads(json.dumps(info)))
        write_text(folder / "README.md", self.model_card())

    def runtime(self, device: torch.device) -> Runtime:
        """Return what computes its logits on a device."""
        return TorchRuntime(copy.deepcopy(self.network.module).to(device), self.preprocessing, device)

    def describe(self) -> dict[str, Any]:
        """Return what goes beside its scores, for `--json`."""
        return {
            "network": self.network.name,
            "hash": self.hash,
            "recipe_hash": self.card.recipe_hash,
            "thresholds": dataclasses.asdict(self.card.thresholds),
            "trained_on": self.card.trained_on["name"],
        }

    def model_card(self, measured: dict[str, Any] | None = None) -> str:
        """Return the model card, in Markdown.

        Args:
            measured: What an evaluation's `metrics.json` holds, for its figures; None shows those the detector keeps.
        """
        from jinja2 import Environment

        template = (resources.files("asli") / "detector" / "model_card.md.j2").read_text(encoding="utf-8")
        environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 - Markdown
        return environment.from_string(template).render(
            network=self.network, preprocessing=self.preprocessing, card=self.card, hash=self.hash, measured=measured
        )

    def _hub_config(self) -> dict[str, Any]:
        module, prep = self.network.module, self.preprocessing
        return {
            "architecture": self.network.name,
            "num_classes": len(LABELS),
            "num_features": getattr(module, "num_features", None),
            "label_names": list(LABELS),
            "pretrained_cfg": {
                "tag": "asli",
                "custom_load": False,
                "input_size": [3, prep.size, prep.size],
                "fixed_input_size": False,
                "interpolation": prep.interpolation,
                "crop_pct": 1.0,
                "crop_mode": "center",
                "mean": list(prep.mean),
                "std": list(prep.std),
                "num_classes": len(LABELS),
                "classifier": self.network.head,
                "first_conv": getattr(module, "pretrained_cfg", {}).get("first_conv"),
                "pool_size": None,
            },
        }


def fold_temperature(network: Network, temperature: float) -> None:
    """Divide a network's logits by a temperature, in its head's weights and bias."""
    head = network.module.get_submodule(network.head)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.div_(temperature)


def _find(path: Path) -> Path:
    for folder in (path, path / "detector"):
        if (folder / "detector.json").is_file():
            return folder
    if (path / "recipe.toml").is_file():
        raise DetectorError(f"run {path} has no detector yet: finish it with asli train ... --resume")
    raise DetectorError(f"{path} is no detector: it has no detector.json; give a detector folder or a run folder")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
