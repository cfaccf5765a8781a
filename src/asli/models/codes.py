"""Reads coded weights (`asli.models.coded`) without torch."""

import zlib

import numpy as np
import numpy.typing as npt

from asli.errors import WeightsError

CODES = ".codes"
"""Suffix of a coded tensor's name, in a file of weights and in an ONNX graph."""


def multiples_of(name: str, code: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """Return a coded tensor in multiples of its step.

    Args:
        name: Name of the tensor, for the message.
        code: zlib's bytes.
        shape: Shape of the tensor.

    Raises:
        WeightsError: The code is damaged or of another shape.
    """
    try:
        return np.frombuffer(zlib.decompress(code), np.int8).reshape(shape)
    except (zlib.error, ValueError) as error:
        raise WeightsError(f"the code of {name} is damaged: {error}; fetch the file again") from error
