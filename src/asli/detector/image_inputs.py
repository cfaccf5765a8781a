"""Inputs that can be scored: paths, bytes, file objects, Pillow images, arrays, folders, and iterables of these."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from asli.datasets.images import EXTENSIONS, Facts, pixels_of
from asli.datasets.sources import Folder
from asli.detector.examining import Decoded, read_file
from asli.errors import DataError, ImageError
from asli.files import printable

ImageLike = str | Path | bytes | bytearray | memoryview | BinaryIO | Image.Image | npt.NDArray[np.uint8]
"""One image: a path, the bytes of a file, an open binary file, a Pillow image, or pixels, uint8, height x width x 3."""


@dataclass(frozen=True, slots=True)
class Input:
    """An image to be scored.

    Attributes:
        name: Its path, or `image-N` for what has no name; N counts from 0.
        load: Returns the bytes of its file, or the decoded image.
    """

    name: str
    load: Callable[[], bytes | Decoded]


def is_one(images: Any) -> bool:
    """Return whether this is one image and not several: a folder is several."""
    if isinstance(images, (str, Path)):
        return not Path(images).is_dir()
    if isinstance(images, np.ndarray):
        return images.ndim == 3
    return isinstance(images, (bytes, bytearray, memoryview, Image.Image)) or hasattr(images, "read")


def inputs(images: Any) -> Iterator[Input]:
    """Yield what a user gave, one image at a time.

    Raises:
        DataError: A folder without images, or something that is no image.
    """
    if is_one(images):
        yield _input(images, 0)
    elif isinstance(images, (str, Path)):
        yield from _of_folder(Path(images))
    elif isinstance(images, Iterable):
        for number, image in enumerate(images):
            yield _input(image, number)
    else:
        raise DataError(f"{type(images).__name__} is no image; give {KINDS}")


KINDS = "paths, bytes, binary files, Pillow images or uint8 arrays of height x width x 3"


def _of_folder(folder: Path) -> Iterator[Input]:
    names = [name for name in Folder(folder).walk() if Path(name).suffix.lower() in EXTENSIONS]
    if not names:
        raise DataError(f"no image in {printable(folder)}; images end in .jpg, .png, .webp and the like")
    yield from (_input(folder / name, number) for number, name in enumerate(names))


def _input(image: Any, number: int) -> Input:
    name = f"image-{number}"
    if isinstance(image, (str, Path)):
        return Input(printable(image), partial(read_file, Path(image)))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return Input(name, partial(bytes, image))
    if isinstance(image, Image.Image):
        return Input(printable(getattr(image, "filename", "") or name), partial(_of_pillow, image))
    if isinstance(image, np.ndarray):
        return Input(name, partial(_of_array, image))
    if hasattr(image, "read"):
        given = getattr(image, "name", None)
        return Input(printable(given) if isinstance(given, str) and given else name, partial(_of_file, image))
    raise DataError(f"image {number} is of type {type(image).__name__}; give {KINDS}")


def _of_pillow(image: Image.Image) -> Decoded:
    width, height = image.size
    return Decoded(pixels_of(image), Facts(format=image.format, mode=image.mode, width=width, height=height))


def _of_array(pixels: npt.NDArray[Any]) -> Decoded:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        shape = " x ".join(map(str, pixels.shape))
        raise ImageError(f"array of {pixels.dtype}, {shape}; give uint8, height x width x 3 (red, green, blue)")
    height, width = pixels.shape[:2]
    return Decoded(np.ascontiguousarray(pixels), Facts(mode="RGB", width=width, height=height))


def _of_file(file: Any) -> bytes:
    data = file.read()
    if not isinstance(data, bytes):
        raise ImageError("a file opened as text; open it in binary mode, 'rb'")
    return data
