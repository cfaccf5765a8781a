"""Interface of all kinds of detectors: load, predict, stream, logits. Each kind adds preparation and computation."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
import numpy.typing as npt

from asli.datasets.images import Facts
from asli.detector.card import Card, Thresholds
from asli.detector.description import DetectorDescription
from asli.detector.domain import Domain
from asli.detector.examining import Examined
from asli.detector.image_inputs import ImageLike, is_one
from asli.detector.locate import DEFAULT, find_detector, short_name
from asli.detector.predicting import logits, predictions, stream
from asli.detector.prediction import Prediction, Predictions
from asli.detector.runtimes import Kind, Logits, Runtime, batch_of, usable_threads
from asli.detector.store import ONNX
from asli.errors import DetectorError
from asli.records import Json
from asli.transforms.preprocessing import Preparation

if TYPE_CHECKING:
    import torch

    from asli.datasets.folder import DataFolder

Array = npt.NDArray[np.uint8]


class Detector(ABC):
    """A detector of AI-generated images, of any kind.

    Open one with `Detector.load`. `predict`, `stream` and `logits` may be called from several threads at once.

    Attributes:
        kind: `classifier`, `adopted`, `ensemble`, `family`, or one of a package (entry point group `asli.detectors`).
        card: Thresholds, domain, origin and figures.
        hash: SHA-256 of everything that determines its verdicts; None until it is saved.
        folder: The folder in which it is saved, or None.
    """

    kind: ClassVar[str]

    def __init__(self, card: Card) -> None:
        self.card = card
        self.hash: str | None = None
        self.folder: Path | None = None
        self._called: str | None = None
        self._info: Json = {}
        self._compute: tuple[str | None, Kind | None, int | None] = (None, None, None)
        self._engine: Runtime | None = None
        self._lock = threading.RLock()  # `engine` holds it while the network is read

    @staticmethod
    def load(
        name: str | Path = DEFAULT,
        *,
        device: str | None = None,
        runtime: Kind | None = None,
        threads: int | None = None,
    ) -> "Detector":
        """Open a detector.

        Args:
            name: `default`, `thumbnail`, `photo` or `photo-large` for those in the package, a detector folder, a run
                folder, or `hub:owner/name[@revision]`.
            device: cuda, mps or cpu; None leaves it to the runtime.
            runtime: `torch` or `onnx`; None takes ONNX Runtime on the CPU where the detector has an ONNX form.
            threads: CPU threads of one operation; None leaves the library's choice.

        Raises:
            DetectorError: There is none, or it is damaged, foreign, newer, or of a kind that is not installed.
        """
        from asli.detector.kinds import load_folder  # which imports the kinds, and they import this module

        detector = load_folder(find_detector(name))
        detector._called = short_name(name)
        detector._compute = (device, runtime, threads)
        return detector

    @classmethod
    @abstractmethod
    def from_folder(cls, folder: Path, info: Json) -> "Detector":
        """Open a saved detector of this kind.

        Args:
            folder: Its folder.
            info: The content of `detector.json`.
        """

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write it as a folder, all at once; `hash` and `folder` become those of what was written."""

    @property
    @abstractmethod
    def preparation(self) -> Preparation:
        """Return the preparation for images of a data folder, if this one detector scores all of them."""

    @abstractmethod
    def runtime(
        self, device: "torch.device | str | None" = None, kind: Kind | None = None, threads: int | None = None
    ) -> Runtime:
        """Return a runtime that computes logits of prepared images; arguments as in `load`.

        Raises:
            DetectorError: It has no such form, or that is damaged.
            MissingExtraError: ONNX Runtime is asked for and not installed.
        """

    @abstractmethod
    def files(self) -> list[str]:
        """Return the paths of its files, relative to `folder`, after comparing them with `detector.json`."""

    @abstractmethod
    def model_card(self, measured: Json | None = None) -> str:
        """Return the model card, in Markdown.

        Args:
            measured: The content of an evaluation's `metrics.json`; None shows the detector's own figures.
        """

    @property
    @abstractmethod
    def name(self) -> str:
        """Return a short name: the architecture, or the members."""

    @property
    def called(self) -> str:
        """Return what pages call it: the name or folder it was opened by, else its architecture."""
        return self._called or (short_name(self.folder) if self.folder else self.name)

    def prepare(self, pixels: Array, facts: Facts) -> Any:
        """Turn one image into what `forward` takes.

        Args:
            pixels: uint8, height x width x 3.
            facts: Facts of its file.

        Raises:
            ImageError: It is so narrow that, enlarged, it would exhaust memory.
        """
        return self.preparation.to_input(pixels)

    def forward(self, prepared: Sequence[Any]) -> Logits:
        """Compute the logits of prepared images, float64, n x 2 (real, fake)."""
        return self.engine.logits(prepared)

    def outside(self, facts: Sequence[Facts], prepared: Sequence[Any]) -> list[str | None]:
        """Return for each prepared image why it lies outside the domain, or None."""
        return self.card.domain.why_all_outside(facts, prepared)

    def answering(self, prepared: Any) -> tuple["Detector", str | None, Any]:
        """Return the detector that answers for a prepared image, its name as a member, and what it computes on."""
        return self, None, prepared

    def answering_for(self, data: "DataFolder", split: str) -> "Detector":
        """Return the one detector that answers for a part of a data folder.

        Raises:
            DetectorError: Several members of a family would.
        """
        return self

    def recalibrated(self, temperature: float, card: Card) -> "Detector":
        """Return a copy whose logits are divided by a temperature, with another card; not saved yet.

        Raises:
            DetectorError: This kind has no temperature of its own.
        """
        raise DetectorError(f"a detector of kind '{self.kind}' cannot be calibrated as a whole")

    @property
    def training_images(self) -> npt.NDArray[np.uint64] | None:
        """Return `DataFolder.keys` of the images it was trained on, sorted; None where they were not recorded."""
        return None

    @property
    def run_folder(self) -> Path | None:
        """Return the folder of the run whose detector it is, or None."""
        return None

    def near(self, device: "torch.device") -> "torch.device | str":
        """Return the device it computes on if others compute on `device`."""
        return device

    @property
    def thresholds(self) -> Thresholds:
        """Return the thresholds that turn scores into verdicts."""
        return self.card.thresholds

    @property
    def domain(self) -> Domain:
        """Return the domain: the kind of image it was calibrated on."""
        return self.card.domain

    @property
    def engine(self) -> Runtime:
        """Return the runtime that `load` was asked for; it is made on first use and kept."""
        with self._lock:
            if self._engine is None:
                device, kind, threads = self._compute
                self._engine = self.runtime(device, kind, threads)
            return self._engine

    def warm_up(self) -> None:
        """Load everything now that the first image would wait for."""
        self.engine  # noqa: B018 - made on first use

    @overload
    def predict(  # type: ignore[overload-overlap]  # text, bytes and pixels are iterables, but one image
        self,
        images: ImageLike,
        *,
        batch_size: int | None = None,
        stability: bool = False,
        force_domain: bool = False,
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        images: Iterable[ImageLike],
        *,
        batch_size: int | None = None,
        stability: bool = False,
        force_domain: bool = False,
    ) -> Predictions: ...
    def predict(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        batch_size: int | None = None,
        stability: bool = False,
        force_domain: bool = False,
    ) -> Prediction | Predictions:
        """Score one image or several.

        Args:
            images: A path, the bytes of a file, an open binary file, a Pillow image or pixels (uint8, height x width x
                3): returns a `Prediction`. A folder, an array of several images or an iterable of these: returns
                `Predictions`. A type checker takes every path and array for one image; `stream` has one type for all.
            batch_size: Images computed at a time; None chooses by input size.
            stability: Also score re-encoded and resized views of each image.
            force_domain: Give a verdict on images outside the domain, too.

        Raises:
            DataError: `images` is nothing of the above. An image that cannot be read is no exception: its prediction
                has an `error`.
        """
        found = self.stream(images, batch_size=batch_size, stability=stability, force_domain=force_domain)
        if is_one(images):
            return next(found)
        return Predictions(detector=self.describe().forced(force_domain), images=tuple(found))

    def stream(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        batch_size: int | None = None,
        stability: bool = False,
        force_domain: bool = False,
    ) -> Iterator[Prediction]:
        """Yield a prediction for each image, in order, in bounded memory; arguments as in `predict`.

        Threads read and decode a few batches ahead of the network.
        """
        return stream(self, images, batch_size, stability=stability, force_domain=force_domain)

    def logits(self, images: ImageLike | Iterable[ImageLike], *, batch_size: int | None = None) -> Logits:
        """Return the logits of images, float64, n x 2 (real, fake): softmax of a row gives the score.

        Args:
            images: Images, as in `predict`; one image gives one row.
            batch_size: Images computed at a time; None chooses by input size.

        Raises:
            ImageError: One of them cannot be read: it has no logits.
        """
        return logits(self, images, batch_size)

    def predictions(
        self, images: Sequence[tuple[str, Examined]], *, force_domain: bool = False, stability: bool = False
    ) -> list[Prediction]:
        """Compute the predictions of a batch of examined images.

        Args:
            images: Name of each, and what was found of it.
            force_domain: See `predict`.
            stability: See `predict`; the images' pixels must have been kept.
        """
        return predictions(self, images, force_domain=force_domain, stability=stability)

    @property
    def has_onnx(self) -> bool:
        """Return whether ONNX Runtime can compute it."""
        return "onnx" in self._info or self._info.get("weights") == ONNX

    @property
    def asked(self) -> tuple[str | None, Kind | None, int | None]:
        """Return the device, runtime and threads that `load` was asked for."""
        return self._compute

    @property
    def reading_threads(self) -> int:
        """Return how many threads read and decode images."""
        return self._compute[2] or usable_threads()

    @property
    def batch_size(self) -> int:
        """Return how many images go through the network at a time: fewer large ones."""
        return batch_of(self.preparation.size)

    def about(self) -> dict[str, str]:
        """Return further facts for `asli info`, by what they state."""
        return {}

    def describe(self) -> DetectorDescription:
        """Return what goes beside its scores."""
        return DetectorDescription(
            network=self.name,
            kind=self.kind,
            hash=self.hash,
            recipe_hash=self.card.recipe_hash,
            thresholds=self.thresholds,
            caveats=tuple(self.thresholds.caveats),
            trained_on=self.card.trained_on.name,
        )

    def __repr__(self) -> str:
        thresholds = self.thresholds
        band = f"real below {thresholds.low:.4f}, fake from {thresholds.high:.4f}"
        return f"<{self.kind} {self.name}: {band}; {self.card.domain.describe()}; hash {(self.hash or 'unsaved')[:16]}>"

    def _repr_html_(self) -> str:
        thresholds = self.thresholds
        lines = {
            "detector": f"{self.name} ({self.kind})",
            "verdicts": f"real below {thresholds.low:.4f}, fake from {thresholds.high:.4f}",
            "promise": thresholds.promise or "none",
            "supported input": self.card.domain.describe(),
            "trained on": self.card.trained_on.name,
            "license": self.card.license,
            "hash": self.hash or "unsaved",
        }
        rows = "".join(f"<tr><th>{key}</th><td>{escape(value)}</td></tr>" for key, value in lines.items())
        return f"<table>{rows}</table>"
