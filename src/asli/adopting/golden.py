"""Pictures by which an adopted network is compared with its original: many sizes, shapes, modes and file formats."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from asli.datasets.images import decode
from asli.sample import golden_images

PICTURES = 20
"""How many adoption compares."""

TILES = (18, 24)
"""Rows and columns of 32 px photographs and AI images that the pictures are cut from."""

SIZES = (
    (32, 32),
    (640, 480),
    (480, 640),
    (224, 224),
    (1000, 250),
    (250, 1000),
    (256, 256),
    (97, 61),
    (333, 577),
    (500, 499),
)
"""Width and height of the first ones."""

FORMS = (
    ("RGB", "JPEG"),
    ("RGB", "PNG"),
    ("L", "PNG"),
    ("RGB", "WEBP"),
    ("P", "PNG"),
    ("CMYK", "JPEG"),
    ("rotated", "JPEG"),
    ("L", "JPEG"),
    ("1", "PNG"),
)
"""Mode and file format, in turn; `rotated` has an EXIF orientation."""


@dataclass(frozen=True, slots=True)
class Golden:
    """A picture.

    Attributes:
        name: What it is, for messages.
        data: Bytes of its file.
    """

    name: str
    data: bytes


def golden_pictures(count: int = PICTURES) -> list[Golden]:
    """Return the first `count` pictures; they are the same in every call.

    Transparent and 16-bit pictures are not among them: transformers drops the alpha channel and clips 16 bits, asli
    lays transparent pictures on white and scales 16 bits to 8.
    """
    rows, columns = TILES
    tiles = [decode(data)[0] for _, data in golden_images()]
    mosaic = np.concatenate(
        [
            np.concatenate([tiles[(row * 7 + column) % len(tiles)] for column in range(columns)], 1)
            for row in range(rows)
        ]
    )
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        width, height = SIZES[number] if number < len(SIZES) else rng.integers(40, 900, 2).tolist()
        mode, file_format = FORMS[number % len(FORMS)]
        scale = float(rng.uniform(0.6, 3.0))  # from finer than the tiles' own pixels to blurred ones
        region = min(mosaic.shape[1], max(1, round(width / scale))), min(mosaic.shape[0], max(1, round(height / scale)))
        left, top = (
            int(rng.integers(0, extent - side + 1)) for extent, side in zip(mosaic.shape[1::-1], region, strict=True)
        )
        cut = Image.fromarray(mosaic[top : top + region[1], left : left + region[0]])
        picture = cut.resize((width, height), Image.Resampling.BICUBIC)
        made.append(Golden(f"{number} ({mode}, {width} x {height}, {file_format})", _file(picture, mode, file_format)))
    return made


def _file(picture: Image.Image, mode: str, file_format: str) -> bytes:
    options: dict[str, object] = {"quality": 90} if file_format != "PNG" else {}
    if mode == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        options["exif"] = exif
    elif mode != "RGB":
        picture = picture.convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()
