"""Weights kept as whole multiples of one step a tensor, the multiples Huffman-coded: about 3 bits a number.

A tensor that was rounded to such multiples needs no more bits than their entropy. `zlib` (RFC 1950) codes them without
looking for repetitions, of which rounded weights have none.
"""

import zlib
from collections.abc import Mapping

import numpy as np
import torch

from asli.errors import WeightsError
from asli.models.codes import CODES, multiples_of

STEPS = "steps"
"""Name of the steps of all coded tensors, float32, in a file and in the network."""
LARGEST = 127


def coded(weight: torch.Tensor, step: float) -> torch.Tensor:
    """Return the code of a tensor.

    Args:
        weight: float32; every number is a whole multiple of `step`, at most `LARGEST` times.
        step: Above 0.

    Returns:
        uint8, one-dimensional: zlib's bytes.

    Raises:
        WeightsError: A number is no such multiple: the weights were changed after they had been rounded.
    """
    values = weight.detach().cpu().numpy()
    multiples = np.rint(values / np.float32(step))
    exact = np.abs(multiples).max(initial=0) <= LARGEST and np.array_equal(
        multiples.astype(np.float32) * np.float32(step), values
    )
    if not exact:
        raise WeightsError("weights of a coded network were changed; they cannot be kept as multiples of its steps")
    packer = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    data = packer.compress(multiples.astype(np.int8).tobytes()) + packer.flush()
    return torch.from_numpy(np.frombuffer(data, np.uint8).copy())


def decoded(tensors: Mapping[str, torch.Tensor], network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a file's tensors with the coded ones as numbers; a network without coded tensors gets them as they are.

    Args:
        tensors: Tensors of a file: `NAME.codes` in place of `NAME`.
        network: Whose tensors they are: gives names, shapes and order of the steps (`FrozenFeatures.coded`).

    Raises:
        WeightsError: A tensor's code is damaged or of another shape.
    """
    found = dict(tensors)
    names: tuple[str, ...] = getattr(network, "coded", ())
    steps = found.get(STEPS)
    if steps is None or steps.shape != (len(names),):
        return found
    shapes = {name: value.shape for name, value in network.state_dict().items() if name in names}
    for name, step in zip(names, steps.tolist(), strict=True):
        code = found.pop(name + CODES, None)
        if code is None:
            continue
        multiples = multiples_of(name, code.numpy().tobytes(), tuple(shapes[name]))
        found[name] = torch.from_numpy(multiples.astype(np.float32) * np.float32(step))
    return found
