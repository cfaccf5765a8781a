"""The three things a cheating classifier may look at: file facts, blurred colors, traces of resampling."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from asli.auditing.read_pixels import Image8, PixelReader

Floats = npt.NDArray[np.float64]
SETTINGS = ("format", "mode", "subsampling", "quantization")
NUMBERS = ("quality", "width", "height", "orientation", "has_exif", "icc", "frames")
LEVELS = 30
"""Commonest values of a fact in words that are told apart; the others share one."""

CROP = (16, 256)
"""Least and greatest side, in pixels, of the crop whose spectrum is taken."""

_BANDS = 16


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one of the classifiers.

    Attributes:
        values: float64, n x k; NaN where a fact does not apply.
        names: k.
    """

    values: Floats
    names: list[str]


def file_settings(table: pa.Table) -> Features:
    """Return format, JPEG tables, quality, subsampling, size, mode and metadata, as numbers."""
    columns, names = [], []
    for name in SETTINGS:
        column = table[name].combine_chunks()
        top = sorted(column.value_counts().to_pylist(), key=lambda line: -line["counts"])[:LEVELS]
        known = {line["values"]: float(code) for code, line in enumerate(top)}
        columns.append(np.array([known.get(value, float(LEVELS)) for value in column.to_pylist()]))
        names.append({"quantization": "JPEG tables"}.get(name, name))
    for name in NUMBERS:
        columns.append(table[name].cast(pa.float64()).fill_null(np.nan).to_numpy())
        names.append({"has_exif": "EXIF", "icc": "color profile", "quality": "JPEG quality"}.get(name, name))
    width, height = (table[name].to_numpy().astype(np.float64) for name in ("width", "height"))
    return Features(np.stack([*columns, width / height, width * height], axis=1), [*names, "width / height", "pixels"])


def file_weight(table: pa.Table) -> Features:
    """Return the file's size in bytes, whole and a pixel."""
    width, height, size = (table[name].to_numpy().astype(np.float64) for name in ("width", "height", "bytes"))
    return Features(np.stack([size, size / (width * height)], axis=1), ["bytes", "bytes a pixel"])


def crop_side(table: pa.Table) -> int:
    """Return a crop side, a multiple of 8, that 99 of 100 images reach, within `CROP`."""
    short = np.minimum(table["width"].to_numpy(), table["height"].to_numpy())
    return int(np.clip(np.quantile(short, 0.01, method="lower"), *CROP)) // 8 * 8


def from_pixels(pixels: PixelReader, rows: npt.NDArray[np.int64], side: int) -> tuple[Features, Features]:
    """Return the colors of an 8x8 thumbnail, and spectrum and resampling statistics of the central crop.

    Crops begin at multiples of 8 pixels, so that the grid of JPEG blocks stays where it is. Images smaller than the
    crop have no spectrum (NaN).
    """
    colors = np.empty((len(rows), 192))
    spectra = np.full((len(rows), len(SPECTRUM_NAMES)), np.nan)
    crops: list[Image8] = []
    places: list[int] = []

    def flush() -> None:
        if crops:
            spectra[places] = spectrum(np.stack(crops))
            crops.clear()
            places.clear()

    for place, (small, crop) in enumerate(pixels.map(partial(_look, side=side), rows, "measuring colors and spectra")):
        colors[place] = small.reshape(-1)
        if crop is not None:
            crops.append(crop)
            places.append(place)
        if len(crops) * side * side >= 1 << 20:
            flush()
    flush()
    names = [
        f"{c} at row {r + 1}, column {k + 1}" for r in range(8) for k in range(8) for c in ("red", "green", "blue")
    ]
    return Features(colors, names), Features(spectra, list(SPECTRUM_NAMES))


SPECTRUM_NAMES = (
    *[f"brightness spectrum, band {k + 1} of {_BANDS}" for k in range(_BANDS)],
    *[f"color spectrum, band {k + 1} of {_BANDS}" for k in range(_BANDS)],
    "spectrum across over down, high frequencies",
    "high-pass energy",
    *[f"period of neighbor differences, {k + 1} of 8" for k in range(8)],
    "JPEG block edges across",
    "JPEG block edges down",
)


def spectrum(crops: Image8) -> Floats:
    """Return statistics of sharpness and resampling.

    These are:

    - the radially averaged log power spectrum of brightness and of color difference in 16 bands;
    - how much the high frequencies of rows and columns differ;
    - the energy of the Laplacian;
    - the spectrum of mean second differences along rows and columns, whose peaks show interpolation (Gallagher 2005);
    - differences of adjacent pixels at the 8-pixel grid, against those elsewhere (blockiness).

    Args:
        crops: uint8, n x side x side x 3.

    Returns:
        n x len(SPECTRUM_NAMES).
    """
    rgb = crops.astype(np.float32)
    gray = rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    n, side = gray.shape[:2]
    frequency = np.fft.fftfreq(side)
    radius = np.hypot(frequency[:, None], frequency[None, : side // 2 + 1])
    band = np.minimum((radius / 0.5 * _BANDS).astype(np.int64), _BANDS)  # the corners make a band of their own
    window = np.hanning(side)[:, None] * np.hanning(side)[None, :]
    columns: list[npt.NDArray[np.floating]] = []
    log_power = np.zeros(0)
    for plane in (rgb[..., 2] - gray, gray):
        centerd = plane - plane.mean(axis=(1, 2), keepdims=True)
        log_power = np.log(np.abs(np.fft.rfft2(centerd * window)) ** 2 + 1e-2)
        columns.insert(0, np.stack([_mean(log_power[:, band == k]) for k in range(_BANDS)], axis=1))
    high = np.abs(frequency) > 0.3
    across = log_power[:, 1:3][:, :, high[: side // 2 + 1]].mean(axis=(1, 2))
    down = log_power[:, high][:, :, 1:3].mean(axis=(1, 2))
    laplacian = (
        4 * gray[:, 1:-1, 1:-1] - gray[:, :-2, 1:-1] - gray[:, 2:, 1:-1] - gray[:, 1:-1, :-2] - gray[:, 1:-1, 2:]
    )
    columns += [(across - down)[:, None], np.log((laplacian**2).mean(axis=(1, 2)) + 1e-2)[:, None]]
    periods: Floats = np.zeros((n, 8))
    for axis in (1, 2):
        second = np.abs(np.diff(gray, 2, axis=axis)).mean(axis=3 - axis)
        power = np.abs(np.fft.rfft(second / (second.mean(axis=1, keepdims=True) + 1e-2), axis=1))[:, 1:]
        periods = periods + np.stack([part.max(axis=1, initial=0) for part in np.array_split(power, 8, axis=1)], axis=1)
    columns.append(periods / side)
    for axis in (2, 1):
        step = np.abs(np.diff(gray, axis=axis)).mean(axis=3 - axis)
        edge = np.arange(side - 1) % 8 == 7
        columns.append((np.log(step[:, edge].mean(axis=1) + 0.1) - np.log(step[:, ~edge].mean(axis=1) + 0.1))[:, None])
    return np.concatenate(columns, axis=1).astype(np.float64)


def _mean(power: Floats) -> Floats:
    """Return each image's mean over a band; NaN where the crop is too small to have that band."""
    return power.mean(axis=1) if power.shape[1] else np.full(len(power), np.nan)


def _look(pixels: Image8, side: int) -> tuple[Image8, Image8 | None]:
    small = np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.BOX))
    height, width = pixels.shape[:2]
    if min(height, width) < side:
        return small, None
    top, left = (height - side) // 16 * 8, (width - side) // 16 * 8
    return small, pixels[top : top + side, left : left + side]
