"""An ONNX graph without the weights that the detector's `model.safetensors` holds already: they are handed in."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.detector.store import WEIGHTS
from asli.errors import DetectorError
from asli.models.codes import CODES, multiples_of

PREFIX, HALF = "network.", ".half"
"""Begins the names of weights in a graph (`asli.exporting.onnx.Exported`); ends those that it keeps in 16 bits."""

SMALLEST = 64
"""Numbers of the smallest tensor that is taken out."""

Shapes = Mapping[str, list[int]]
"""Shape of each weight that a graph lacks, by its name there; `linked` in the part `onnx` of `detector.json`."""

Weights = dict[str, npt.NDArray[Any]]


def linked_weights(folder: Path, shapes: Shapes) -> Weights:
    """Return the weights that a graph lacks, coded ones as whole multiples of steps, which the graph holds.

    Args:
        folder: Folder of the detector.
        shapes: Shapes of these weights.

    Raises:
        DetectorError: The file of weights is damaged or another one.
        WeightsError: A code is damaged.
    """
    tensors = _tensors(folder)
    missing = next((name for name in shapes if _key(name) not in tensors), None)
    if missing is not None:
        raise DetectorError(f"{folder / WEIGHTS} lacks {_key(missing)}; fetch the detector again")
    return {name: _stored(tensors, name, shape) for name, shape in shapes.items()}


def unlink(graph: Path, folder: Path) -> Shapes:
    """Take out of an ONNX file what a detector's file of weights holds.

    Args:
        graph: Graph, as `asli.exporting.onnx.store_small` leaves it; rewritten.
        folder: Folder of the detector.

    Returns:
        What the graph lacks now; nothing where the file holds none of it.
    """
    import onnx
    from onnx import numpy_helper

    model, tensors, shapes = onnx.load(graph), _tensors(folder), dict[str, list[int]]()
    for tensor in model.graph.initializer:
        values, name = numpy_helper.to_array(tensor), tensor.name
        known = values.size >= SMALLEST and name.startswith(PREFIX) and _key(name) in tensors
        if not known or not np.array_equal(_stored(tensors, name, values.shape), values):
            continue
        shapes[name] = list(values.shape)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=WEIGHTS)
    onnx.save(model, graph)
    return shapes


def _tensors(folder: Path) -> Weights:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found: Weights = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise DetectorError(f"{folder / WEIGHTS} is damaged or foreign: {error}; fetch the detector again") from error
    return found


def _key(name: str) -> str:
    """Return a weight's name in the file of weights."""
    return name.removeprefix(PREFIX).removesuffix(HALF)


def _stored(tensors: Weights, name: str, shape: Iterable[int]) -> npt.NDArray[Any]:
    """Return a weight of the file in the graph's form."""
    stored = tensors[_key(name)]
    if name.endswith(CODES):
        return multiples_of(name, stored.tobytes(), tuple(shape))
    return np.ascontiguousarray(stored, np.float16 if name.endswith(HALF) else np.float32)
