"""A network that somebody else trained, with its own preprocessing, proven to give its author's scores."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from asli.detector.author import AuthorNetwork, Origin
from asli.detector.base import Detector
from asli.detector.card import Card
from asli.detector.classifier import Classifier
from asli.detector.description import DetectorDescription
from asli.detector.model_card import model_card
from asli.detector.store import (
    CARD,
    FILES,
    INFO,
    ONNX,
    WEIGHTS,
    became,
    describe_in,
    present_names,
    require_same,
    rewriting,
)
from asli.files import sha256_of_file
from asli.records import Json
from asli.transforms.author_preprocessing import AuthorPreprocessing

if TYPE_CHECKING:
    from torch import nn

    from asli.models.networks import Network


class Adopted(Classifier):
    """An adopted network; `config.json`, `preprocessor_config.json` and the weights stay its author's, to the byte.

    Its ONNX form computes without the author's library. The temperature is applied to the logits of either form, so
    the form stays valid when the detector is calibrated anew.

    Attributes:
        network_info: The author's network.
        origin: Where it comes from, and how equality of scores was proven.
    """

    kind = "adopted"
    network_info: AuthorNetwork
    origin: Origin

    @classmethod
    def made(
        cls,
        folder: Path,
        network: AuthorNetwork,
        preprocessing: AuthorPreprocessing,
        card: Card,
        origin: Origin,
        *,
        temperature: float = 1.0,
    ) -> Self:
        """Describe a network whose files lie in a folder; `save` writes the detector.

        Args:
            folder: Folder with the author's files, or an adopted detector.
            network: See `network_info`.
            preprocessing: From an image to its input.
            card: Thresholds, domain, license.
            origin: See the attribute.
            temperature: Divides the logits.
        """
        opened = cls.__new__(cls)
        Detector.__init__(opened, card)
        opened._network, opened._training_images = None, None
        opened._architecture = network.name
        opened.preprocessing, opened.temperature = preprocessing, temperature
        opened.network_info, opened.origin, opened.folder = network, origin, folder
        opened.half, opened.trunk = False, None
        opened._info = {"weights": ONNX} if network.library == "onnx" else {}
        return opened

    @classmethod
    def from_folder(cls, folder: Path, info: Json) -> Self:
        """Open a saved one; see `Detector.from_folder`."""
        require_same(folder / info["weights"], info["weights_sha256"])
        preprocessing = AuthorPreprocessing(**present_names(info["preprocessing"]))
        card = Card.from_dict(info["card"])
        temperature = info["temperature"]
        network, origin = AuthorNetwork.from_dict(info["network"]), Origin.from_dict(info["origin"])
        return cls.made(folder, network, preprocessing, card, origin, temperature=temperature)

    @property
    def quantized(self) -> bool:
        """Return whether it is an int8 one of asli's: never."""
        return False

    @property
    def only_onnx(self) -> bool:
        """Return whether `model.onnx` is the only form of its network."""
        return self.network_info.library == "onnx"

    @property
    def graph_temperature(self) -> float:
        """Return what the ONNX form divides its logits by: nothing."""
        return 1.0

    def recalibrated(self, temperature: float, card: Card) -> "Adopted":
        """Return a copy whose logits are divided by a temperature; see `Detector.recalibrated`."""
        assert self.folder is not None
        made = Adopted.made(
            self.folder,
            self.network_info,
            self.preprocessing,  # type: ignore[arg-type]
            card,
            self.origin,
            temperature=self.temperature * temperature,
        )
        made._info = {key: value for key, value in self._info.items() if key in ("onnx", "weights")}
        return made

    def save(self, folder: str | Path) -> None:
        """Write it with a copy of the author's files, all at once."""
        assert self.folder is not None
        remade = {INFO, CARD} | ({ONNX} if "onnx" not in self._info and not self.only_onnx else set())
        weights = ONNX if self.only_onnx else WEIGHTS
        with rewriting(folder, keep=False) as part:
            for name in FILES:
                if name not in remade and (self.folder / name).is_file():
                    shutil.copyfile(self.folder / name, part / name)
            own: Json = {
                "weights": weights,
                "weights_sha256": sha256_of_file(part / weights),
                "network": self.network_info.to_dict(),
                "origin": self.origin.to_dict(),
                "preprocessing": asdict(self.preprocessing),
                "temperature": self.temperature,
                **({"onnx": self._info["onnx"]} if "onnx" in self._info else {}),
            }
            info = describe_in(self, part, own)
        became(self, folder, info)

    def files(self) -> list[str]:
        """Return the names of its files, after comparing them with `detector.json`."""
        assert self.folder is not None
        if "onnx" in self._info:
            self._onnx_file()
        absent = {ONNX} if "onnx" not in self._info and not self.only_onnx else set()
        return [name for name in FILES if name not in absent and (self.folder / name).is_file()]

    def model_card(self, measured: Json | None = None) -> str:
        """Return the model card, in Markdown; see `Detector.model_card`."""
        return model_card(
            "adopted_card.md.j2",
            detector=self,
            card=self.card,
            hash=self.hash,
            origin=self.origin,
            onnx=self._info.get("onnx"),
            measured=measured,
        )

    @property
    def outputs_text(self) -> str:
        """Return in a few words which of the author's labels are taken for fake and real."""
        return self.network_info.outputs.describe()

    def describe(self) -> DetectorDescription:
        """Return what goes beside its scores, with its origin."""
        return replace(super().describe(), origin=self.origin, outputs=self.network_info.outputs)

    def about(self) -> dict[str, str]:
        """Return lines for `asli info`, by what they state."""
        return about_origin(self.origin, self.outputs_text)

    def untrained(self, seed: int) -> "nn.Module":
        """Return the network with fresh random weights."""
        from asli.detector.adopted_network import untrained

        assert self.folder is not None
        return self._wrapped(untrained(self.folder, self.network_info.library, seed))

    def _wrapped(self, module: "nn.Module") -> "nn.Module":
        from asli.detector.adopted_network import RealFake

        return RealFake(module, self.network_info.outputs, bgr=self.network_info.bgr).eval()

    def _load(self) -> "Network":
        from asli.detector.adopted_network import load_network
        from asli.models.networks import Network

        assert self.folder is not None
        module = self._wrapped(load_network(self.folder, self.network_info.library))
        return Network(self.name, module, self.preprocessing.mean, self.preprocessing.std, "", timm=False)


def about_origin(origin: Origin, outputs: str) -> dict[str, str]:
    """Return what is known of an adopted network, in words, by what it is."""
    parity = origin.parity
    assert parity is not None, "every saved one was proven"
    commit = f", commit {origin.commit}" if origin.commit else ""
    return {
        "adopted from": f"{origin.source}{commit}",
        "author": origin.author or "not stated",
        "base model": origin.base_model or "not stated",
        "labels": outputs,
        "preprocessing": f"as {origin.processor}",
        "same scores": f"differ by at most {parity.largest_score_difference:.1e} from {parity.compared_with}"
        f" on {parity.images} pictures",
    }
