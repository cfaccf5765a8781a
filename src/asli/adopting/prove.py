"""Proof that an adopted network gives its author's scores, or where the two first differ."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from asli.adopting.golden import Golden
from asli.adopting.reference import Reference
from asli.datasets.images import decode
from asli.detector.adopted import Adopted
from asli.detector.adopted_network import refusing
from asli.detector.author import Parity
from asli.detector.runtimes import Runtime
from asli.errors import DetectorError
from asli.metrics.classification import score_of_logits

TOLERANCE = 1e-4
"""Largest difference in score that adoption accepts."""

SAME_INPUT = 1e-3
"""Largest difference of the network's inputs that counts as rounding: a level of 255 is four times as much or more."""


def prove(
    detector: Adopted, runtime: Runtime, reference: Reference, pictures: Sequence[Golden], *, bgr: bool
) -> Parity:
    """Compare a detector with its original on pictures.

    Args:
        detector: Not calibrated.
        runtime: Its own.
        reference: The original.
        pictures: Files of many kinds.
        bgr: Whether the original takes blue first.

    Returns:
        What was compared, and the largest difference of scores and of the network's inputs.

    Raises:
        DetectorError: A score differs by more than `TOLERANCE`; the message names the first difference.
    """
    worst_score = worst_input = 0.0
    for picture in pictures:
        pixels = decode(picture.data)[0]
        with Image.open(io.BytesIO(picture.data)) as opened, refusing(f"{reference.name} fails on {picture.name}"):
            opened.load()
            theirs_input, theirs = reference.input(opened), reference.score(opened)
        fitted = detector.preprocessing.to_input(pixels)
        ours_input = detector.preprocessing.batch(fitted, torch.device("cpu"))[0].numpy()
        if bgr:
            ours_input = ours_input[::-1]
        ours = float(score_of_logits(runtime.logits([fitted]))[0])
        difference = abs(ours - theirs)
        first = _first_difference(ours_input, theirs_input)
        if not difference <= TOLERANCE:
            raise DetectorError(
                f"the score of golden picture {picture.name} is {theirs:.6f} by {reference.name} and {ours:.6f} here"
                f" (allowed difference: {TOLERANCE:.0e}); first difference: {first or 'the outputs of the network'};"
                " nothing was adopted"
            )
        worst_score = max(worst_score, difference)
        if ours_input.shape == theirs_input.shape:
            worst_input = max(worst_input, float(np.abs(ours_input - theirs_input).max()))
    return Parity(
        images=len(pictures),
        largest_score_difference=worst_score,
        largest_input_difference=worst_input,
        compared_with=reference.name,
    )


def _first_difference(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> str | None:
    """Return in words where the network's inputs differ, or None where they do not."""
    if ours.shape != theirs.shape:
        sizes = (" x ".join(map(str, array.shape[1:])) for array in (theirs, ours))
        return "the network's input is {} px there and {} px here".format(*sizes)
    apart = np.abs(ours - theirs)
    if apart.max() <= SAME_INPUT:
        return None
    channel, row, column = (int(place) for place in np.unravel_index(apart.argmax(), apart.shape))
    share = float((apart > SAME_INPUT).mean())
    return (
        f"the network's input, at channel {channel}, row {row}, column {column}: {theirs[channel, row, column]:.4f}"
        f" there and {ours[channel, row, column]:.4f} here ({share:.0%} of its values differ)"
    )
