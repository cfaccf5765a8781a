"""Scores of an author's own library, with which an adopted network is compared."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from asli.detector.adopted_network import quiet, require_transformers
from asli.detector.author import Outputs

Floats = npt.NDArray[np.floating[Any]]


class Reference(Protocol):
    """An author's library with the network."""

    name: str
    """Description of the library."""

    def input(self, picture: Image.Image) -> Floats:
        """Return what the network gets, 3 x height x width, in the author's channel order."""

    def score(self, picture: Image.Image) -> float:
        """Return P(fake)."""


class Pipeline:
    """The image-classification pipeline of transformers.

    Args:
        model: In float32.
        processor: The image processor.
        outputs: Which labels are fake.
    """

    def __init__(self, model: nn.Module, processor: Any, outputs: Outputs) -> None:
        transformers = require_transformers()
        self._processor, self._outputs = processor, outputs
        with quiet():
            self._pipeline = transformers.pipeline(
                "image-classification", model=model, image_processor=processor, device="cpu"
            )
        self.name = f"transformers {transformers.__version__}'s pipeline with {type(processor).__name__}"

    def input(self, picture: Image.Image) -> Floats:
        """Return what the network gets; see `Reference`."""
        return processed(self._processor, picture)

    def score(self, picture: Image.Image) -> float:
        """Return P(fake) by label; see `Reference`."""
        with quiet():
            found = self._pipeline(picture, top_k=len(self._outputs.labels))
        by_label = {one["label"]: float(one["score"]) for one in found}
        labels = self._outputs.labels
        if not self._outputs.fake:  # one output, which stands for real
            return 1 - by_label[labels[self._outputs.real[0]]]
        return sum(by_label[labels[number]] for number in self._outputs.fake)


class ReferenceNetwork:
    """A network without a pipeline of its own: preprocessing, network and activation by the author's libraries.

    Args:
        name: What they are.
        prepare: Maps a picture to the network's input, 3 x height x width.
        logits: Maps inputs, n x 3 x height x width, to outputs, n x k.
        outputs: What they mean.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[Image.Image], Floats],
        logits: Callable[[Floats], Floats],
        outputs: Outputs,
    ) -> None:
        self.name, self._prepare, self._logits, self._outputs = name, prepare, logits, outputs

    def input(self, picture: Image.Image) -> Floats:
        """Return what the network gets; see `Reference`."""
        return self._prepare(picture)

    def score(self, picture: Image.Image) -> float:
        """Return P(fake); see `Reference`."""
        values = self._logits(self.input(picture)[None])[0].astype(np.float64)
        fake, real = list(self._outputs.fake), list(self._outputs.real)
        if self._outputs.activation == "sigmoid":
            share = 1 / (1 + np.exp(-values[(fake or real)[0]]))
            return float(share if fake else 1 - share)
        powers = np.exp(values - values.max())
        return float(powers[fake].sum() / powers.sum())


def processed(processor: Any, picture: Image.Image) -> Floats:
    """Return what an image processor of transformers makes of a picture, as its pipeline calls it."""
    from transformers.image_utils import load_image

    values = processor(images=load_image(picture), return_tensors="pt")["pixel_values"][0]
    result: Floats = values.numpy()
    return result


def module_logits(module: nn.Module) -> Callable[[Floats], Floats]:
    """Return a function that maps inputs to a torch module's outputs."""

    def logits(inputs: Floats) -> Floats:
        with torch.inference_mode():
            result: Floats = module(torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32))).numpy()
        return result

    return logits
