"""One image: bytes to RGB pixels and file facts. The only place that decodes.

How each kind is treated (the same in training, evaluation and every later use):

* EXIF orientation is applied.
* Transparency is laid over white.
* Palette, grayscale and CMYK become RGB; color profiles are recorded, not applied.
* 16-bit grayscale is scaled to 8 bits (value / 257); of 16-bit color Pillow keeps the upper 8 bits.
* Floating-point images are refused, and gray of 32 bits that does not fit into 16: their range is not stated.
* HEIC needs the extra `heif`; its main picture is taken, turned upright by the decoder.
* Of an animation the first frame is taken; the number of frames is recorded.
* A truncated file is an error, never half an image; so is a corrupt one where the format can tell. Damage inside the
  coded data of a JPEG file cannot be told: any bits decode to something.
"""

import hashlib
import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from asli.errors import ImageError, MissingExtraError
from asli.limits import MAX_PIXELS

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
"""What is opened, by Pillow's names. Its other plugins are for rare files; one would start a PostScript interpreter."""

# Luminance table of the JPEG standard (ITU T.81, annex K) in row order; libjpeg scales it by "quality".
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
SIDEWAYS = range(5, 9)
"""EXIF orientations that swap width and height."""

_ORIENTATION = 0x0112
_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MOST_SCANS = 100
"""Of a JPEG file. Encoders write about ten; each costs a pass over all pixels, and a few bytes are enough for one."""
_MOST_PAGES = 10_000
"""Of a TIFF file that are counted."""
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
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
_QUALITIES = np.arange(1, 101)
_SCALES = np.where(_QUALITIES < 50, 5000 // _QUALITIES, 200 - 2 * _QUALITIES)
_TABLE_SUMS = np.clip((_LUMINANCE.reshape(1, 64) * _SCALES[:, None] + 50) // 100, 1, 255).sum(axis=1)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself before its pixels are looked at; None where a fact does not apply."""

    format: str | None = None
    mode: str | None = None
    """Pillow's, with `;16` added to color of 16 bits, which Pillow reads as 8."""
    width: int | None = None
    """Of the pixels as stored, before EXIF turns them; likewise `height`."""
    height: int | None = None
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
    image, facts = load(data)
    return pixels_of(image), facts


def load(data: bytes) -> tuple[Image.Image, Facts]:
    """Decode an image as Pillow does, with all its metadata; what `decode` does first.

    Raises:
        ImageError: See `decode`.
    """
    if not data:
        raise ImageError("empty file (0 bytes)")
    with _plainly():
        if _is_heif(data):
            _register_heif()
        scans = data.count(b"\xff\xda") if data.startswith(b"\xff\xd8") else 0
        if scans > _MOST_SCANS:
            raise ImageError(f"a JPEG file of {scans:,} scans, more than {_MOST_SCANS}")
        image = Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name != "HEIF" or name in Image.OPEN])
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
        facts = _facts(image, data)
        image.load()
        return image, facts


def pixels_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the pixels of a loaded image, uint8, height x width x 3, treated as the head of this module says.

    Raises:
        ImageError: They cannot be had so.
    """
    with _plainly():
        return np.asarray(to_rgb(image))


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn what Pillow says of damaged files into one plain error."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of corrupt EXIF and of large images; MAX_PIXELS decides on the latter.
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except Exception as error:  # Pillow's plugins raise almost anything on damaged files
        raise ImageError(_reason(error)) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image as upright 8-bit RGB, treated as the head of this module says."""
    if image.mode == "F":
        raise ImageError("floating-point image of unstated range; convert it to 8 or 16 bits")
    # Not ImageOps.exif_transpose: it writes the EXIF anew, which fails on values that bear on nothing.
    turned = _TURNED.get(_orientation(image) or 1)
    if turned is not None:
        image = image.transpose(turned)
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


def perceptual_hashes(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Hash what images look like: 64-bit pHash of 32x32 gray images.

    The 8x8 lowest frequencies of the two-dimensional DCT-II, each compared with their median (Zauner 2010).

    Args:
        images: uint8, n x 32 x 32 (see `thumbnail`).
    """
    k, x = np.arange(8)[:, None], np.arange(32)[None, :]
    basis = np.cos(np.pi * k * (2 * x + 1) / 64)
    low = (basis @ images.astype(np.float64) @ basis.T).reshape(len(images), 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(-1)


def thumbnail(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return an image as 32x32 gray levels, uint8."""
    gray = Image.fromarray(pixels).convert("L")
    return np.asarray(gray if gray.size == (32, 32) else gray.resize((32, 32), Image.Resampling.LANCZOS))


def pixel_sha256(pixels: npt.NDArray[np.uint8]) -> str:
    """Return the SHA-256 of decoded pixels and their shape, in hexadecimal."""
    digest = hashlib.sha256(np.array(pixels.shape, dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _orientation(image: Image.Image) -> int | None:
    said = image.getexif().get(_ORIENTATION)
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
        "has_exif": bool(len(image.getexif())),
        "icc": "icc_profile" in image.info,
        "frames": _pages(data) if image.format == "TIFF" else getattr(image, "n_frames", 1),
    }
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        tables = image.quantization
        values["subsampling"] = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(JpegImagePlugin.get_sampling(image), "other")
        if tables:
            known = _of_tables(tuple((key, tuple(tables[key])) for key in sorted(tables)))
            values["quantization"], values["quality"] = known
    return Facts(**values)


def _pages(tiff: bytes) -> int | None:
    """Count the pages of a TIFF file (TIFF 6.0, section 2; BigTIFF); None above `_MOST_PAGES`.

    Pillow looks for each page among all that came before it: the square of what a crafted file holds.
    """
    order = "<" if tiff[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", tiff, 2)[0] == 43
    count, offset, entry = (f"{order}Q", f"{order}Q", 20) if big else (f"{order}H", f"{order}I", 12)
    seen: set[int] = set()
    (place,) = struct.unpack_from(offset, tiff, 8 if big else 4)
    while place and place not in seen:
        if len(seen) == _MOST_PAGES:
            return None
        seen.add(place)
        try:
            (entries,) = struct.unpack_from(count, tiff, place)
            (place,) = struct.unpack_from(offset, tiff, place + struct.calcsize(count) + entries * entry)
        except struct.error:  # the file ends here
            break
    return len(seen)


def _is_deep_color(image: Image.Image) -> bool:
    """Return whether a PNG or TIFF file holds 16 bits of each color; only Pillow's raw mode says so."""
    tiles: Any = getattr(image, "tile", None)
    return image.mode.startswith("RGB") and bool(tiles) and ";16" in str(tiles[0][3])


@lru_cache(maxsize=1024)  # most files share the tables of a few encoders
def _of_tables(tables: tuple[tuple[int, tuple[int, ...]], ...]) -> tuple[str, int]:
    """Return the hash of quantization tables, and the quality of the first."""
    flat = repr([(key, list(values)) for key, values in tables]).encode()
    quality = int(_QUALITIES[np.abs(_TABLE_SUMS - sum(tables[0][1])).argmin()])
    return hashlib.sha256(flat).hexdigest()[:16], quality


def _is_heif(data: bytes) -> bool:
    """Return whether a file is HEIC; AVIF files may begin with the same general brand and name their own further on."""
    if data[4:8] != b"ftyp" or data[8:12] not in _HEIF_BRANDS:
        return False
    brands = data[16 : min(int.from_bytes(data[:4]), 256)]
    return not (data[8:12] in (b"mif1", b"msf1") and any(brands[n : n + 4] == b"avif" for n in range(0, 240, 4)))


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
