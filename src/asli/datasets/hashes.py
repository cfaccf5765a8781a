"""Hashes of decoded pixels: an exact one, and one of what an image looks like."""

import hashlib

import numpy as np
import numpy.typing as npt
from PIL import Image


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
