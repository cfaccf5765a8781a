"""One image: bytes to RGB pixels and file facts. The only place that decodes.

How each kind is treated (the same in training, evaluation and every later use):

* EXIF orientation is applied.
* Transparency is laid over white.
* Palette, grayscale and CMYK become RGB; color profiles are recorded, not applied.
* 16-bit grayscale is scaled to 8 bits (value / 257); of 16-bit color Pillow keeps the upper 8 bits.
* Floating-point images are refused, and gray of 32 bits that does not fit into 16: their range is not stated.
* HEIC needs the extra `heif`; its main picture is taken, turned upright by the decoder.
* Of an animation the first frame is taken; the number of frames is recorded.
* Metadata never make an image unreadable: damaged or very long texts and profiles are left aside.
* What lies behind a picture's own end, such as the video of a motion photo, is not looked at.
* A truncated file is an error, never half an image; so is a corrupt one where the format can tell. Damage inside the
  coded data of a JPEG file cannot be told: any bits decode to something.
"""

import io
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from asli.datasets.containers import (
    PNG,
    has_profile,
    is_heif,
    jpeg_scans,
    no_image,
    tiff_pages,
    without_faulty_chunks,
    without_faulty_segments,
)
from asli.datasets.jpeg_tables import of_tables
from asli.errors import ImageError, MissingExtraError
from asli.pixel_limits import MAX_PIXELS

EXTENSIONS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".jfi", ".pjpeg", ".pjp", ".mpo"),
        *(".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".avif", ".avifs", ".heic", ".heif", ".heics", ".heifs", ".hif"),
        *(".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
"""Endings of image files, in lower case; see `is_image`."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF", "PPM")
"""Formats that are opened, by Pillow's names. Its other plugins are for rare files; one runs PostScript."""

SIDEWAYS = range(5, 9)
"""EXIF orientations that swap width and height."""

_ORIENTATION = 0x0112
_STORED: dict[int, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}
"""Functions by EXIF orientation. Each maps upright pixels to a view in the order in which the file stores them."""

GIANT = 50_000_000
"""Pixels of an image above which only one is decoded at a time, to bound memory."""

_ONE_GIANT, _LIMIT = threading.RLock(), threading.Lock()
STRIP = 1 << 22
"""Pixels that are converted at a time."""

_MOST_SCANS = 100
"""Most scans of a JPEG file. Encoders write about ten. Each takes a pass over all pixels, yet only a few bytes."""
_RAW = frozenset({".arw", ".cr2", ".dng", ".iiq", ".nef", ".nrw", ".orf", ".pef", ".raw", ".rw2", ".sr2", ".srw"})
_BEGINNINGS = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|RIFF.{4}WEBP"
    rb"|GIF8[79]a"
    rb"|II[*+]\0|MM\0[*+]"  # TIFF and BigTIFF
    rb"|BM.{4}\0{4}.{4}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"  # BMP: reserved zeros, a known header length
    rb"|P[1-6]\s+[#\d]"  # PBM, PGM, PPM
    rb"|.{4}ftyp(?:avi[fs]|hei[cmsx]|hev[cx]|mif1|miaf|msf1)",  # AVIF and HEIF
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of an image file that are known before its pixels are read; None where a fact does not apply."""

    format: str | None = None
    mode: str | None = None
    """Pillow's, with `;16` added to color of 16 bits, which Pillow reads as 8."""
    width: int | None = None
    """Width of the stored pixels, before EXIF turns them."""
    height: int | None = None
    """Height of the stored pixels, before EXIF turns them."""
    bytes: int | None = None
    subsampling: str | None = None
    quantization: str | None = None
    """First 16 hexadecimal digits of the SHA-256 of the JPEG quantization tables."""
    quality: int | None = None
    """libjpeg quality whose luminance table is nearest."""
    orientation: int | None = None
    has_exif: bool | None = None
    icc: bool | None = None
    frames: int | None = None


def is_image(name: str, head: bytes | None = None) -> bool:
    """Return whether a file is taken for an image: the one rule for folders, archives, lists and tables.

    A known ending decides. Any other name is decided by the first bytes, so that images without an ending or with a
    foreign one (`photo.jpg.bak`) count. Camera raw files are never images here: they begin like TIFF files.

    Args:
        name: The file's name or path, `/`-separated.
        head: Its first 32 bytes or more; None where only the name is known.
    """
    base = name.rpartition("/")[2].lower()
    ending = f".{base.rpartition('.')[2]}" if "." in base else ""
    if ending in EXTENSIONS:
        return True
    return head is not None and ending not in _RAW and _BEGINNINGS.match(head) is not None


def decode(data: bytes) -> tuple[npt.NDArray[np.uint8], Facts]:
    """Decode an image completely.

    Args:
        data: The file's bytes.

    Returns:
        Pixels, uint8, height x width x 3, and the file's facts.

    Raises:
        ImageError: Empty, corrupt, truncated, too large, or none of `FORMATS`.
    """
    with decoding(data) as decoded:
        return decoded


@contextmanager
def decoding(data: bytes) -> Iterator[tuple[npt.NDArray[np.uint8], Facts]]:
    """Decode an image for as long as its pixels are used; of those above `GIANT` pixels one at a time in a process.

    Peak memory is 7 bytes a pixel, and up to 6 more for a progressive JPEG file (see docs/data.md).

    Raises:
        ImageError: See `decode`.
    """
    with _plainly():
        image = _open(data)
        facts = _facts(image, data)
    with _ONE_GIANT if image.width * image.height > GIANT else nullcontext():
        with _plainly():
            image.load()
            pixels = _pixels(image)
        del image
        yield pixels, facts


def opened(data: bytes) -> Image.Image:
    """Open an image for its metadata, without decoding its pixels.

    Raises:
        ImageError: See `decode`.
    """
    with _plainly():
        return _open(data)


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ImageError("empty file (0 bytes)")
    if other := no_image(data):
        raise ImageError(other)
    if is_heif(data):
        _register_heif()
    # Counting the marker of a scan everywhere is quick, and counts too many rather than too few.
    may_be_many = data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > _MOST_SCANS
    if may_be_many and (scans := jpeg_scans(data)) > _MOST_SCANS:
        raise ImageError(f"a JPEG file of {scans:,} scans, more than {_MOST_SCANS}")
    try:
        image = _by_format(without_faulty_chunks(data) if data.startswith(PNG) else data)
    except UnidentifiedImageError:
        if not data.startswith(b"\xff\xd8"):
            raise
        image = _by_format(without_faulty_segments(data))
    if image.width * image.height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise ImageError(
            f"{image.width} x {image.height} pixels, more than the limit of {limit} megapixels; make it smaller"
        )
    return image


def _by_format(data: bytes) -> Image.Image:
    """Do what `Image.open` does, without Pillow's own limit on pixels: `MAX_PIXELS` is the one that counts."""
    Image.init()
    for name in FORMATS:
        opener, accepts = Image.OPEN.get(name, (None, None))
        said = accepts(data[:16]) if accepts else True
        if opener is not None and said and not isinstance(said, str):  # words say why it cannot be read
            with suppress(SyntaxError, IndexError, TypeError, struct.error):  # as `Image.open`: the next may read it
                try:
                    return opener(io.BytesIO(data), "")
                except Image.DecompressionBombError:  # some openers ask for it themselves
                    with _without_limit():
                        return opener(io.BytesIO(data), "")
    raise UnidentifiedImageError


@contextmanager
def _without_limit() -> Iterator[None]:
    with _LIMIT:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn what Pillow says of damaged files into one plain error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of corrupt metadata
            yield
    except ImageError:
        raise
    except Exception as error:  # Pillow's plugins raise almost anything on damaged files
        raise ImageError(_reason(error)) from error


def pixels_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the pixels of an image that somebody else opened, as `decode` does.

    Raises:
        ImageError: See `decode`.
    """
    with _plainly():
        image.load()
        return _pixels(image)


def _pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return a loaded image as upright 8-bit RGB, uint8, height x width x 3, strip by strip to save memory."""
    if image.mode == "F":
        raise ImageError("floating-point image of unstated range; convert it to 8 or 16 bits")
    width, height = image.size
    orientation = _orientation(image) or 1
    upright = np.empty((width, height, 3) if orientation in SIDEWAYS else (height, width, 3), dtype=np.uint8)
    # Not ImageOps.exif_transpose: it writes the EXIF anew, which fails on values that bear on nothing.
    stored = _STORED[orientation](upright)
    rows = max(STRIP // width, 1)
    for top in range(0, height, rows):
        part = image if rows >= height else image.crop((0, top, width, min(top + rows, height)))
        stored[top : top + rows] = np.asarray(_rgb(part))
    return upright


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 65_535:
            raise ImageError("gray levels below 0 or above 65,535; convert it to 8 or 16 bits")
        image = Image.fromarray((wide // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # Pillow raises almost anything on damaged EXIF; the picture is whole all the same
        return Image.Exif()


def _orientation(image: Image.Image) -> int | None:
    said = _exif(image).get(_ORIENTATION)
    return said if isinstance(said, int) and 1 <= said <= 8 else None


def _facts(image: Image.Image, data: bytes) -> Facts:
    mode = image.mode + (";16" if _is_deep_color(image) else "")  # first: EXIF reads a PNG file to its end
    orientation = _orientation(image)
    width, height = image.size
    if image.format == "TIFF" and orientation in SIDEWAYS:  # Pillow gives these upright before they are turned
        width, height = height, width
    values: dict[str, Any] = {
        "format": "JPEG" if image.format == "MPO" else image.format,  # MPO: a JPEG file with more pictures behind it
        "mode": mode,
        "width": width,
        "height": height,
        "bytes": len(data),
        "orientation": orientation,
        "has_exif": bool(len(_exif(image))),
        "icc": "icc_profile" in image.info or (image.format == "PNG" and has_profile(data)),
        "frames": tiff_pages(data) if image.format == "TIFF" else getattr(image, "n_frames", 1),
    }
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        tables = image.quantization
        values["subsampling"] = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(JpegImagePlugin.get_sampling(image), "other")
        if tables:
            known = of_tables(tuple((key, tuple(tables[key])) for key in sorted(tables)))
            values["quantization"], values["quality"] = known
    return Facts(**values)


def _is_deep_color(image: Image.Image) -> bool:
    """Return whether a PNG or TIFF file holds 16 bits of each color; only Pillow's raw mode says so."""
    tiles: Any = getattr(image, "tile", None)
    return image.mode.startswith("RGB") and bool(tiles) and ";16" in str(tiles[0][3])


def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise ImageError(f"HEIC image: {MissingExtraError('pillow-heif', 'heif')}") from None
    register_heif_opener()  # again and again is harmless


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not an image of a kind that is read ({', '.join(FORMATS)})"
    return f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}"
