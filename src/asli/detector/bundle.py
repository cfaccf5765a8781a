"""The detector folder: the one module that reads and writes it.

config.json  model.safetensors    timm's hub format: a timm network opens in timm and transformers without asli
detector.json                     what turns its logits into a verdict, and what it was trained and judged on
model.onnx                        where exported: another form of the same detector, which runs without torch
README.md                         the model card
training_images.npy               by which an image it was trained on is known again

An int8 detector has `model.onnx` alone: it is the network, not another form of it.
"""

import copy
import dataclasses
import json
import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from asli._version import __version__
from asli.datasets.layouts import LABELS
from asli.detector.card import Card, Thresholds
from asli.detector.domain import Domain
from asli.detector.locate import find_detector
from asli.detector.runtime import Kind, OnnxRuntime, Runtime, TorchRuntime, onnx_installed
from asli.errors import DetectorError, RecipeError
from asli.files import read_json, replacing, sha256_of_file, sha256_of_json, write_json, write_text
from asli.transforms.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

    from asli.models.networks import Network

FORMAT_VERSION = 1
WEIGHTS, ONNX, TRAINING_IMAGES = "model.safetensors", "model.onnx", "training_images.npy"
FILES = ("config.json", "detector.json", "README.md", TRAINING_IMAGES, ONNX, WEIGHTS)


class Detector:
    """A network with everything its verdict depends on. The network itself is read when it is first asked for.

    Attributes:
        preprocessing: What the network sees of an image.
        card: What it says of itself.
        hash: SHA-256 over weights and description, not over other forms of the same; None until it is saved.
        folder: Where it lies; None until it is saved.
    """

    def __init__(
        self,
        network: "Network",
        preprocessing: Preprocessing,
        card: Card,
        training_images: npt.NDArray[np.uint64] | None = None,
    ) -> None:
        self._network: Network | None = network
        self._training_images = training_images
        self._architecture = network.name
        self.preprocessing, self.card = preprocessing, card
        self.hash: str | None = None
        self.folder: Path | None = None
        self._info: dict[str, Any] = {}

    @classmethod
    def open(cls, name: str | Path) -> Self:
        """Open a detector.

        Args:
            name: A detector folder, a run folder that has one, `hub:owner/name[@revision]`, or `default` for the one
                in the package.

        Raises:
            DetectorError: There is none, or it is damaged, foreign or newer.
        """
        folder = find_detector(name)
        try:
            info = read_json(folder / "detector.json")
            if info.get("version", 0) > FORMAT_VERSION:
                raise DetectorError(f"detector {folder} has version {info['version']}; update asli to read it")
            if info["labels"] != list(LABELS):
                raise DetectorError(f"detector {folder} has labels {info['labels']}; asli reads {list(LABELS)}")
            _require_same(folder / info.get("weights", WEIGHTS), info["weights_sha256"])
            card = _present_names(info["card"])
            card["thresholds"] = Thresholds(**card["thresholds"])
            card["domain"] = Domain.from_json(card["domain"])
            opened = cls.__new__(cls)
            opened._network, opened._info, opened.folder = None, info, folder
            opened._training_images = None
            opened._architecture = read_json(folder / "config.json")["architecture"]
            opened.preprocessing = Preprocessing(**_present_names(info["preprocessing"]))
            opened.card, opened.hash = Card(**card), _identity(info)
        except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
            raise DetectorError(f"detector {folder} is damaged or foreign: {error}") from error
        return opened

    @property
    def network(self) -> "Network":
        """Return the network; its head divides by the temperature.

        Raises:
            DetectorError: It is not one this asli builds, or an int8 one, which is `model.onnx` and nothing else.
        """
        if self._network is None:
            self._network = self._load()
        return self._network

    @property
    def training_images(self) -> npt.NDArray[np.uint64] | None:
        """Return `DataFolder.keys` of what it was trained on, sorted; None where that was not written down.

        Raises:
            DetectorError: The file is damaged.
        """
        path = None if self.folder is None else self.folder / TRAINING_IMAGES
        if self._training_images is None and path is not None and path.is_file():
            try:
                self._training_images = np.load(path, allow_pickle=False).astype(np.uint64, casting="safe")
            except (OSError, ValueError, TypeError) as error:
                raise DetectorError(f"{path} is damaged ({error}); fetch the detector again") from error
        return self._training_images

    def _load(self) -> "Network":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from asli.models.networks import create_network

        assert self.folder is not None
        if self.quantized:
            raise DetectorError(f"detector {self.folder} is an int8 one, for ONNX Runtime only: use the one it is of")
        try:
            network = create_network(self._architecture, size=self.preprocessing.size)
            network.module.load_state_dict(load_file(self.folder / WEIGHTS))
        except (OSError, RuntimeError, RecipeError, SafetensorError) as error:
            problem = " ".join(str(error).split())[:200]
            raise DetectorError(f"detector {self.folder} is damaged or foreign: {problem}") from error
        return network

    @property
    def quantized(self) -> bool:
        """Return whether it is an int8 one."""
        return bool(self._info.get("weights") == ONNX)

    @property
    def run_folder(self) -> Path | None:
        """Return the folder of the run it is the detector of, or None; others made of it may lie beside it there."""
        folder = None if self.folder is None else self.folder.resolve()
        if folder is None or folder.name != "detector" or not (folder.parent / "recipe.toml").is_file():
            return None
        return folder.parent

    def save(self, folder: Path) -> None:
        """Write the bundle; `hash` and `folder` are set to what it will be opened with. An ONNX form is made anew."""
        from safetensors.torch import save

        tensors = {key: value.detach().cpu().contiguous() for key, value in self.network.module.state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)
        # safetensors' own `save_file` makes a file that only its owner can read.
        with replacing(folder / WEIGHTS) as part:
            part.write_bytes(save(tensors, metadata={"format": "pt"}))
        self._describe_in(folder, {})

    def save_int8(self, folder: Path, graph: Path) -> None:
        """Write the bundle of an int8 detector.

        Args:
            folder: Is made; it must not hold another detector.
            graph: The quantized network; copied there.
        """
        _take(graph, folder / ONNX)
        self._describe_in(folder, {"weights": ONNX})

    def add_onnx(self, graph: Path, checked: dict[str, Any]) -> None:
        """Take in an ONNX file as another form of this saved detector; its `hash` stays.

        Args:
            graph: Copied into the bundle.
            checked: How it was compared with the network.
        """
        assert self.folder is not None, "only a saved detector has other forms"
        self._info = {**self._info, "onnx": {"sha256": sha256_of_file(graph), **checked}}
        _take(graph, self.folder / ONNX)
        write_json(self.folder / "detector.json", self._info)
        write_text(self.folder / "README.md", self.model_card())

    def add_domain_study(self, study: dict[str, Any]) -> None:
        """Keep a domain study in this saved detector's card, in place of an older one on the same data; `hash` stays.

        Args:
            study: As `asli.evaluation.domain_study.for_card` returns it.
        """
        assert self.folder is not None, "only a saved detector has a card"
        others = [old for old in self._info.get("domain_studies", []) if old["data"]["hash"] != study["data"]["hash"]]
        self._info = {**self._info, "domain_studies": [*others, study]}
        write_json(self.folder / "detector.json", self._info)
        write_text(self.folder / "README.md", self.model_card())

    def _describe_in(self, folder: Path, kind: dict[str, str]) -> None:
        write_json(folder / "config.json", self._hub_config())
        if self.training_images is None:
            (folder / TRAINING_IMAGES).unlink(missing_ok=True)  # another detector's, which lay here before
        else:
            with replacing(folder / TRAINING_IMAGES) as part, part.open("wb") as stream:
                np.save(stream, np.unique(self.training_images), allow_pickle=False)
        info = {
            "version": FORMAT_VERSION,
            "asli": __version__,
            "labels": list(LABELS),
            **kind,
            "weights_sha256": sha256_of_file(folder / kind.get("weights", WEIGHTS)),
            "preprocessing": dataclasses.asdict(self.preprocessing),
            "card": dataclasses.asdict(self.card),
        }
        write_json(folder / "detector.json", info)
        self._info = json.loads(json.dumps(info))
        self.hash, self.folder = _identity(self._info), folder
        write_text(folder / "README.md", self.model_card())

    def runtime(
        self, device: "torch.device | str | None" = None, kind: Kind | None = None, threads: int | None = None
    ) -> Runtime:
        """Return what computes its logits.

        Args:
            device: None leaves it to the runtime: the CPU for ONNX, the best there is for torch.
            kind: None takes `onnx` unless another device than the CPU is named, where the bundle has `model.onnx` and
                ONNX Runtime is installed; else `torch`.
            threads: CPU threads of one operation; None leaves the library's choice.

        Raises:
            DetectorError: It has no such form, or that is damaged.
            MissingExtraError: ONNX Runtime is asked for and not installed.
        """
        on_cpu = device is None or str(device) == "cpu"
        if kind is None:
            has_onnx = self.quantized or "onnx" in self._info
            kind = "onnx" if self.quantized or (on_cpu and has_onnx and onnx_installed()) else "torch"
        if kind == "onnx":
            if not on_cpu:
                raise DetectorError(f"ONNX runs on the CPU, not on '{device}'; leave out one of the two")
            return OnnxRuntime(self._onnx_file(), threads)
        from asli.models.device import pick_device, set_threads

        set_threads(threads)
        place = pick_device(None if device is None else str(device))
        return TorchRuntime(copy.deepcopy(self.network.module).to(place), self.preprocessing, place)

    def near(self, device: "torch.device") -> "torch.device | str":
        """Return where it computes when others compute on `device`: an int8 detector stays on the CPU."""
        return "cpu" if self.quantized else device

    def _onnx_file(self) -> Path:
        if self.folder is None or not (self.quantized or "onnx" in self._info):
            where = self.folder or "that is not saved"
            raise DetectorError(f"detector {where} has no ONNX form; make it with: asli export DETECTOR --onnx")
        if not self.quantized:  # else `open` has compared it already
            _require_same(self.folder / ONNX, self._info["onnx"]["sha256"])
        return self.folder / ONNX

    def files(self) -> list[str]:
        """Return the names of the files that belong to the saved bundle, after comparing them with `detector.json`."""
        if "onnx" in self._info:
            self._onnx_file()
        absent = {WEIGHTS if self.quantized else ONNX if "onnx" not in self._info else None}
        if self.training_images is None:
            absent.add(TRAINING_IMAGES)
        return [name for name in FILES if name not in absent]

    def describe(self) -> dict[str, Any]:
        """Return what goes beside its scores, for `--json`."""
        return {
            "network": self._architecture,
            "hash": self.hash,
            "recipe_hash": self.card.recipe_hash,
            "thresholds": dataclasses.asdict(self.card.thresholds),
            "caveats": self.card.thresholds.caveats,
            "trained_on": self.card.trained_on["name"],
        }

    def model_card(self, measured: dict[str, Any] | None = None) -> str:
        """Return the model card, in Markdown.

        Args:
            measured: What an evaluation's `metrics.json` holds, for its figures; None shows those the detector keeps.
        """
        from jinja2 import Environment

        from asli.models.networks import create_network

        template = (resources.files("asli") / "detector" / "model_card.md.j2").read_text(encoding="utf-8")
        environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 - Markdown
        return environment.from_string(template).render(
            network=self._network or create_network(self._architecture, size=self.preprocessing.size),
            preprocessing=self.preprocessing,
            card=self.card,
            hash=self.hash,
            onnx=self._info.get("onnx"),
            domain_studies=self._info.get("domain_studies", []),
            quantized=self.quantized,
            measured=measured,
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


def fold_temperature(network: "Network", temperature: float) -> None:
    """Divide a network's logits by a temperature, in its head's weights and bias."""
    import torch

    head = network.module.get_submodule(network.head)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.div_(temperature)


def _identity(info: dict[str, Any]) -> str:
    """Return the hash of what gives the verdicts: an ONNX form and what was measured later change none."""
    return sha256_of_json({key: value for key, value in info.items() if key not in ("onnx", "domain_studies")})


def _take(graph: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(graph, temporary)


def _require_same(file: Path, sha256: str) -> None:
    if not file.is_file():
        raise DetectorError(f"{file} is missing; fetch or export the detector again")
    if sha256_of_file(file) != sha256:
        raise DetectorError(f"{file} is not the file detector.json describes; fetch or export the detector again")


FORMER_NAMES = {"licence": "license", "window": "crop_mode", "centre-crop": "center-crop"}
"""Keys and values of bundles that asli 0.1.0 wrote, and their present names."""


def _present_names(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of any version under their present names, lists as tuples."""
    values = {
        key: FORMER_NAMES.get(value, value) if isinstance(value, str) else value for key, value in settings.items()
    }
    return {
        FORMER_NAMES.get(key, key): tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
