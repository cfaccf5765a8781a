"""What happens to pictures between the camera and the reader: pure functions of one image.

Each takes and returns pixels, uint8, height x width x 3, and depends on nothing but its arguments (and, for JPEG and
WebP, the version of the codec). Training augmentation, the robustness sweep and the stability of a verdict call them.
"""

import io
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter
from scipy.special import ndtri

from asli.errors import ImageError, MissingExtraError
from asli.transforms.randomness import uniforms

Array = npt.NDArray[np.uint8]
Kernel = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

KERNELS: tuple[Kernel, ...] = get_args(Kernel)
"""Pillow's, by name; all but `nearest` are antialiased where they shrink."""

WEBP_SIDE = 16_383
"""Most pixels along a side of a WebP file."""

JPEG_SIDE = 65_500
"""Most pixels along a side of a JPEG file that libjpeg writes."""

AVIF_SIDE = 16_384
HEIC_SIDE = 8_192

DRAWN_AT_ONCE = 1 << 20
"""Random numbers of a corruption that are in memory at a time."""


def jpeg(pixels: Array, quality: int, subsampling: Subsampling = "4:2:0") -> Array:
    """Encode as JPEG and decode again; quality 1 to 100 as libjpeg counts it.

    Raises:
        ImageError: A side is longer than the format allows.
    """
    _require_side(pixels, "JPEG", JPEG_SIDE)
    return _through(pixels, "JPEG", quality=quality, subsampling=subsampling)


def webp(pixels: Array, quality: int) -> Array:
    """Encode as lossy WebP and decode again; quality 0 to 100.

    Raises:
        ImageError: A side is longer than the format allows.
    """
    _require_side(pixels, "WebP", WEBP_SIDE)
    return _through(pixels, "WEBP", quality=quality, method=4)


def avif(pixels: Array, quality: int) -> Array:
    """Encode as lossy AVIF and decode again; quality 0 to 100.

    Raises:
        ImageError: A side is longer than the format allows.
    """
    _require_side(pixels, "AVIF", AVIF_SIDE)
    return _through(pixels, "AVIF", quality=quality, speed=8)


def heic(pixels: Array, quality: int) -> Array:
    """Encode as lossy HEIC and decode again; quality 0 to 100.

    Raises:
        ImageError: A side is longer than the format allows.
        MissingExtraError: pillow-heif is not installed.
    """
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise MissingExtraError("pillow-heif", "heif") from error
    register_heif_opener()
    _require_side(pixels, "HEIC", HEIC_SIDE)
    return _through(pixels, "HEIF", quality=quality)


def resized(pixels: Array, size: tuple[int, int], kernel: Kernel) -> Array:
    """Resample to (height, width)."""
    height, width = size
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling[kernel.upper()]))


def scaled(pixels: Array, factor: float, kernel: Kernel) -> Array:
    """Resample both sides to `factor` times their length, rounded, at least one pixel."""
    height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
    return resized(pixels, (height, width), kernel)


def rescale(pixels: Array, factor: float, kernel: Kernel) -> Array:
    """Resample both sides to `factor` times their length and back again; the size stays."""
    return resized(scaled(pixels, factor, kernel), (pixels.shape[0], pixels.shape[1]), kernel)


def blur(pixels: Array, sigma: float) -> Array:
    """Blur by a Gaussian with a standard deviation in pixels (Pillow's: three box filters)."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def sharpen(pixels: Array, amount: float, radius: float = 1.0) -> Array:
    """Add `amount` times the difference from a Gaussian blur (unsharp mask); the radius is its sigma in pixels."""
    mask = ImageFilter.UnsharpMask(radius, percent=round(100 * amount), threshold=0)
    return np.asarray(Image.fromarray(pixels).filter(mask))


def noise(pixels: Array, sigma: float, key: int) -> Array:
    """Add Gaussian noise, independent for each pixel and channel.

    Args:
        pixels: uint8, height x width x 3.
        sigma: Standard deviation, in levels of 255.
        key: What the noise is a pure function of, together with the place in the image (see `derived_seed`).
    """
    height, width, channels = pixels.shape
    noisy = np.empty_like(pixels)
    lines = max(1, DRAWN_AT_ONCE // (width * channels))  # some lines at a time bound memory
    for top in range(0, height, lines):
        part = pixels[top : top + lines]
        drawn = uniforms(key, 0, np.arange(top, top + len(part)), width * channels)
        added = sigma * ndtri(drawn + 2.0**-54).reshape(part.shape)  # half a step, since ndtri(0) is infinite
        noisy[top : top + lines] = np.clip(np.rint(part + added), 0, 255)
    return noisy


def crop(pixels: Array, share: float, place: tuple[float, float] = (0.5, 0.5)) -> Array:
    """Cut a window out; the result is smaller.

    Args:
        pixels: uint8, height x width x 3.
        share: Share of the height and of the width that stays, at least one pixel of each.
        place: How far down and to the right the window lies, 0 to 1 of the room there is.
    """
    height, width = (max(1, round(side * share)) for side in pixels.shape[:2])
    top = round(place[0] * (pixels.shape[0] - height))
    left = round(place[1] * (pixels.shape[1] - width))
    return pixels[top : top + height, left : left + width].copy()


def brightness(pixels: Array, factor: float) -> Array:
    """Multiply every level by a factor, cut off at 255."""
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(factor))


def contrast(pixels: Array, factor: float) -> Array:
    """Multiply every level's distance from the image's mean gray by a factor, cut off at 0 and 255."""
    return np.asarray(ImageEnhance.Contrast(Image.fromarray(pixels)).enhance(factor))


def screenshot(pixels: Array, zoom: float, amount: float = 0.3, quality: int = 85) -> Array:
    """Do what becomes of a picture that is captured from a screen and posted.

    The picture is drawn at a zoom that is not a whole number (bilinear, as in browsers) and captured without loss. It
    is sharpened a little, as phones do (unsharp mask, radius 1 px), and saved as JPEG 4:2:0. The size is that on the
    screen.

    Args:
        pixels: uint8, height x width x 3.
        zoom: Zoom of the display.
        amount: Amount of the sharpening.
        quality: Quality of the JPEG.
    """
    return jpeg(sharpen(scaled(pixels, zoom, "bilinear"), amount), quality)


def _require_side(pixels: Array, form: str, most: int) -> None:
    if max(pixels.shape[:2]) > most:
        raise ImageError(f"a side of {max(pixels.shape[:2]):,} pixels; {form} holds at most {most:,}")


def _through(pixels: Array, file_format: str, **options: object) -> Array:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return np.asarray(Image.open(buffer).convert("RGB"))
