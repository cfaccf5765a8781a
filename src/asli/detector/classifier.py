"""One network on one or several crops of an image: the kind of detector that training makes."""

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from asli.detector.base import Detector
from asli.detector.building import assemble, fold_temperature, storage_of, stored
from asli.detector.card import Card
from asli.detector.linked import Shapes, linked_weights
from asli.detector.model_card import hub_config, model_card
from asli.detector.runtimes import Kind, OnnxRuntime, Runtime, TorchRuntime, onnx_installed
from asli.detector.store import (
    CARD,
    CONFIG,
    FILES,
    INFO,
    ONNX,
    PROCESSOR,
    TRAINING_IMAGES,
    WEIGHTS,
    became,
    describe_in,
    present_names,
    require_same,
    rewriting,
)
from asli.errors import DetectorError
from asli.files import read_json, sha256_of_file, write_json, write_text
from asli.records import Json
from asli.transforms.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn

    from asli.models.networks import Network


class Classifier(Detector):
    """A network with its preprocessing; the network itself is read when it is first needed.

    Attributes:
        preprocessing: From an image to the network's input.
        temperature: Divides the logits; 1 where it is folded into the head (`fold_temperature`).
        trunk: `name` and `sha256` of a trunk that is not among its files; None where its weights hold everything.
        half: Whether its files hold the weights but the head's as 16-bit numbers or as codes (`storage_of`).
    """

    kind = "classifier"

    def __init__(
        self,
        network: "Network",
        preprocessing: Preprocessing,
        card: Card,
        training_images: npt.NDArray[np.uint64] | None = None,
        *,
        temperature: float = 1.0,
        trunk: dict[str, str] | None = None,
        half: bool = False,
    ) -> None:
        super().__init__(card)
        self.trunk, self.half = trunk, half
        self._network: Network | None = network
        self._training_images = training_images
        self._architecture = network.name
        self.preprocessing, self.temperature = preprocessing, temperature

    @classmethod
    def from_folder(cls, folder: Path, info: Json) -> Self:
        """Open a saved classifier; see `Detector.from_folder`."""
        require_same(folder / info.get("weights", WEIGHTS), info["weights_sha256"])
        opened = cls.__new__(cls)
        Detector.__init__(opened, Card.from_dict(info["card"]))
        opened._network, opened._training_images = None, None
        opened._architecture = read_json(folder / CONFIG)["architecture"]
        opened.preprocessing = Preprocessing(**present_names(info["preprocessing"]))
        opened.temperature = info.get("temperature", 1.0)
        opened.trunk, opened.half = info.get("trunk"), "storage" in info
        return opened

    @property
    def name(self) -> str:
        """Return the architecture."""
        return self._architecture

    @property
    def preparation(self) -> Preprocessing:
        """Return the preprocessing."""
        return self.preprocessing

    @property
    def network(self) -> "Network":
        """Return the network; its head divides by the temperature, unless `temperature` is not 1.

        Raises:
            DetectorError: It is not one this asli builds, or an int8 one, which is `model.onnx` and nothing else.
        """
        if self._network is None:
            with self._lock:
                self._network = self._network or self._load()
        return self._network

    @property
    def training_images(self) -> npt.NDArray[np.uint64] | None:
        """Return `DataFolder.keys` of its training images, sorted; None where they were not recorded.

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

    @property
    def quantized(self) -> bool:
        """Return whether it is an int8 one."""
        return bool(self._info.get("weights") == ONNX)

    @property
    def only_onnx(self) -> bool:
        """Return whether `model.onnx` is the only form of its network."""
        return self.quantized

    @property
    def graph_temperature(self) -> float:
        """Return what the ONNX form divides its logits by."""
        return self.temperature

    def run_graph(self, path: Path, threads: int | None, linked: Shapes | None = None) -> OnnxRuntime:
        """Return what computes logits by an ONNX form in a file.

        Args:
            path: The file.
            threads: CPU threads of one operation.
            linked: Weights that it lacks and this detector's own file holds.
        """
        weights = linked_weights(self.folder, linked) if linked and self.folder is not None else None
        return OnnxRuntime(path, self.preprocessing, threads, self.temperature / self.graph_temperature, weights)

    def untrained(self, seed: int) -> "nn.Module":
        """Return the network with fresh random weights."""
        from asli.models.networks import create_network

        return create_network(self._architecture, size=self.preprocessing.size, seed=seed).module

    @property
    def run_folder(self) -> Path | None:
        """Return the folder of the run whose detector it is, or None."""
        folder = None if self.folder is None else self.folder.resolve()
        if folder is None or folder.name != "detector" or not (folder.parent / "recipe.toml").is_file():
            return None
        return folder.parent

    def runtime(
        self, device: "torch.device | str | None" = None, kind: Kind | None = None, threads: int | None = None
    ) -> Runtime:
        """Return what computes its logits; see `Detector.runtime`."""
        on_cpu = device is None or str(device) == "cpu"
        if kind is None:
            kind = "onnx" if self.only_onnx or (on_cpu and self.has_onnx and onnx_installed()) else "torch"
        if kind == "onnx":
            if not on_cpu:
                raise DetectorError(f"ONNX runs on the CPU, not on '{device}'; leave out one of the two")
            return self.run_graph(self._onnx_file(), threads, self._info.get("onnx", {}).get("linked"))
        from asli.models.device import pick_device, set_threads

        set_threads(threads)
        place = pick_device(None if device is None else str(device))
        module = copy.deepcopy(self.network.module).to(place)
        return TorchRuntime(module, self.preprocessing, place, self.temperature)

    def recalibrated(self, temperature: float, card: Card) -> "Classifier":
        """Return a copy whose logits are divided by a temperature; see `Detector.recalibrated`."""
        network = dataclasses.replace(self.network, module=copy.deepcopy(self.network.module))
        left = fold_temperature(network, temperature)
        return Classifier(
            network,
            self.preprocessing,
            card,
            self.training_images,
            temperature=self.temperature * left,
            trunk=self.trunk,
            half=self.half,
        )

    def with_trunk(self, path: Path) -> "Classifier":
        """Return an unsaved copy that reads its features from another trunk; it must be calibrated before use.

        Args:
            path: The trunk's file, where `asli.models.trunks.find_trunk` finds it by its SHA-256.

        Raises:
            DetectorError: This detector has no trunk of its own file.
            WeightsError: It is no such trunk.
        """
        from asli.models.trunks import find_trunk

        if self.trunk is None or self.folder is None:
            raise DetectorError(f"--trunk is for saved detectors with a trunk in a file of its own, not '{self.name}'")
        network = assemble(self.folder, self._architecture, self.preprocessing.size, path)
        digest = sha256_of_file(path)
        find_trunk(self.trunk["name"], digest)
        trunk = {**self.trunk, "sha256": digest}
        return Classifier(
            network, self.preprocessing, self.card, self.training_images, temperature=self.temperature, trunk=trunk
        )

    def near(self, device: "torch.device") -> "torch.device | str":
        """Return where it computes when others compute on `device`: an int8 detector stays on the CPU."""
        return "cpu" if self.only_onnx else device

    def save(self, folder: str | Path) -> None:
        """Write the bundle, all at once; an ONNX form is made anew by `asli export`."""
        from safetensors.torch import save

        tensors = stored(self.network, head_only=self.trunk is not None, half=self.half)
        with rewriting(folder, keep=False) as part:
            # safetensors' own `save_file` makes a file that only its owner can read.
            (part / WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))
            info = self._describe_in(part, {})
        became(self, folder, info)

    def save_int8(self, folder: Path, graph: Path) -> None:
        """Write the bundle of an int8 detector.

        Args:
            folder: Is made; it must not hold another detector.
            graph: The quantized network; copied there.
        """
        with rewriting(folder, keep=False) as part:
            (part / ONNX).write_bytes(graph.read_bytes())
            info = self._describe_in(part, {"weights": ONNX})
        became(self, folder, info)

    def add_onnx(self, graph: Path, checked: Json) -> None:
        """Add an ONNX file to this saved detector, as another form of it; its `hash` stays.

        Args:
            graph: Copied into the bundle.
            checked: How it was compared with the network.
        """
        self._add({"onnx": {"sha256": sha256_of_file(graph), **checked}}, graph)

    def add_domain_study(self, study: Json) -> None:
        """Keep a domain study in this saved detector's card, in place of an older one on the same data; `hash` stays.

        Args:
            study: Study, as `asli.evaluation.domain_study.for_card` returns it.
        """
        others = [old for old in self._info.get("domain_studies", []) if old["data"]["hash"] != study["data"]["hash"]]
        self._add({"domain_studies": [*others, study]})

    def files(self) -> list[str]:
        """Return the names of its files, after comparing them with `detector.json`."""
        if "onnx" in self._info:
            self._onnx_file()
        absent = {PROCESSOR, WEIGHTS if self.quantized else ONNX if "onnx" not in self._info else None}
        if self.training_images is None:
            absent.add(TRAINING_IMAGES)
        return [name for name in FILES if name not in absent]

    def model_card(self, measured: Json | None = None) -> str:
        """Return the model card, in Markdown.

        Args:
            measured: The content of an evaluation's `metrics.json`; None shows the detector's own figures.
        """
        from asli.models.networks import create_network, networks

        parameters = self._info.get("parameters")
        if parameters is None:  # saved by an earlier version
            parameters = (self._network or create_network(self._architecture, size=self.preprocessing.size)).parameters
        return model_card(
            architecture=self._architecture,
            timm=self._architecture not in networks(),
            parameters=parameters,
            preprocessing=self.preprocessing,
            card=self.card,
            hash=self.hash,
            onnx=self._info.get("onnx"),
            domain_studies=self._info.get("domain_studies", []),
            quantized=self.quantized,
            measured=measured,
        )

    def _load(self) -> "Network":
        assert self.folder is not None
        if self.quantized:
            raise DetectorError(f"detector {self.folder} is an int8 one, for ONNX Runtime only: use the one it is of")
        trunk = None
        if self.trunk is not None:
            from asli.models.trunks import find_trunk

            trunk = find_trunk(self.trunk["name"], self.trunk["sha256"])
        return assemble(self.folder, self._architecture, self.preprocessing.size, trunk)

    def _onnx_file(self) -> Path:
        if self.folder is None or not self.has_onnx:
            where = self.folder or "that is not saved"
            raise DetectorError(f"detector {where} has no ONNX form; make it with: asli export DETECTOR")
        if not self.only_onnx:  # else `load` has compared it already
            require_same(self.folder / ONNX, self._info["onnx"]["sha256"])
        return self.folder / ONNX

    def _add(self, parts: Json, graph: Path | None = None) -> None:
        assert self.folder is not None, "only a saved detector can be added to"
        self._info = {**self._info, **parts}
        with rewriting(self.folder, keep=True) as part:
            if graph is not None:
                (part / ONNX).unlink(missing_ok=True)  # a link to the one in use
                (part / ONNX).write_bytes(graph.read_bytes())
            write_json(part / INFO, self._info)
            write_text(part / CARD, self.model_card())

    def _describe_in(self, folder: Path, form: dict[str, str]) -> Json:
        """Write all but the weights; return the content of `detector.json`."""
        write_json(folder / CONFIG, hub_config(self.network, self.preprocessing))
        if self.training_images is not None:
            with (folder / TRAINING_IMAGES).open("wb") as stream:
                np.save(stream, np.unique(self.training_images), allow_pickle=False)
        own: Json = {
            **form,
            "weights_sha256": sha256_of_file(folder / form.get("weights", WEIGHTS)),
            "parameters": self.network.parameters,
            "preprocessing": self.preprocessing.to_dict(),
            **({"temperature": self.temperature} if self.temperature != 1 else {}),
            **({"trunk": self.trunk} if self.trunk is not None else {}),
            **({"storage": storage_of(self.network)} if self.half else {}),
        }
        return describe_in(self, folder, own)


def as_classifier(detector: Detector, what: str) -> Classifier:
    """Return a detector as a classifier, for what only one network can do.

    Args:
        detector: Detector of any kind.
        what: What is asked of it, for the message: `int8`, for example.

    Raises:
        DetectorError: It is of another kind.
    """
    if isinstance(detector, Classifier):
        return detector
    members: Sequence[str] = getattr(detector, "member_names", ())
    place = detector.folder / "members" if detector.folder else "members"
    example = f": {place}/{members[0]}" if members else ""
    raise DetectorError(f"{what} needs a single network, and this is of kind '{detector.kind}'; name a member{example}")
