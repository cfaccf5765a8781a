"""An explanation as a picture: the original, what the detector looks at, and the map over it."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image

from asli.explanation.view import Array, View
from asli.messages import LANGUAGES, Language, Message, catalog
from asli.metrics.classification import Floats
from asli.reports.colors import FAKE, INK, REAL
from asli.reports.plots import STYLE

SIDE = 2000
"""Pixels of a view's longer side that are drawn at most."""

PANEL = 900
"""Pixels of a panel's longer side at most. One below half of them is enlarged, so that its pixels can be seen."""

COLORS = LinearSegmentedColormap.from_list("asli", [REAL, "white", FAKE])


def draw(
    picture: Array, view: View, heat: Floats, lines: Sequence[Message | str], *, failed: bool, language: Language
) -> Figure:
    """Draw a picture, what the detector sees of it, and the map, side by side.

    Args:
        picture: The original, uint8, height x width x 3.
        view: What the detector looks at.
        heat: height x width of the view; positive is evidence for fake. What no window looks at (NaN) is striped.
        lines: The title, then what stands below.
        failed: Whether the check of the map failed; a warning then lies across the map.
        language: Language of all text.
    """
    texts = catalog(language)
    title, *below = (line.text(language) if isinstance(line, Message) else line for line in lines)
    step = -(-max(heat.shape) // SIDE)
    pixels = view.pixels[::step, ::step]
    gray = _striped(pixels.mean(axis=2), np.isnan(heat[::step, ::step]))
    shown = heat[::step, ::step] * heat.size / view.by_cell(heat).size  # log-odds a cell
    most = float(np.nanmax(np.abs(shown))) or 1.0
    tallest = max(gray.shape[0] / gray.shape[1], picture.shape[0] / picture.shape[1])
    with rc_context({**STYLE, "axes.grid": False, "text.parse_math": False}):  # a $ in a file's name is a $
        figure = Figure(figsize=(9.6, min(9.0, 2.9 * tallest + 1.4)), layout="constrained")
        panels = figure.subplots(1, 3)
        for axes, name in zip(panels, ("picture", "view", "map"), strict=True):
            axes.set_axis_off()
            axes.set_title(texts[f"explain.{name}"], fontsize=9)
        original, left, right = panels
        every = -(-max(picture.shape) // SIDE)
        original.imshow(picture[::every, ::every])
        left.imshow(pixels)
        right.imshow(gray, cmap="gray", vmin=0, vmax=255)
        strength = np.nan_to_num(np.abs(shown) / most)
        drawn: Any = right.imshow(shown, cmap=COLORS, vmin=-most, vmax=most, alpha=0.15 + 0.65 * strength)
        if failed:
            _warn(right, language, 10)
        bar = figure.colorbar(drawn, ax=right, shrink=0.9)
        bar.set_label(texts["explain.bar"], color=INK)
        figure.suptitle(title, fontsize=10, weight="bold")
        figure.supxlabel("\n".join(below), fontsize=8)
    return figure


@dataclass(frozen=True, slots=True)
class Panels:
    """The three parts of an explanation as JPEG files.

    Attributes:
        picture: The original.
        view: What the detector looks at.
        map: The map over it; where it failed its check, one in each language, since the warning is drawn in it.
    """

    picture: bytes
    view: bytes
    map: bytes | Mapping[Language, bytes]


def draw_panels(picture: Array, view: View, heat: Floats, *, failed: bool) -> Panels:
    """Draw a picture, what the detector sees of it, and the map, each for itself.

    Args:
        picture: The original, uint8, height x width x 3.
        view: What the detector looks at.
        heat: height x width of the view; positive is evidence for fake.
        failed: Whether the check of the map failed; a warning then lies across the map.
    """
    drawn = _fitted(overlay(view, heat))
    marked = {code: _jpeg(_warned(drawn, code)) for code in LANGUAGES} if failed else _jpeg(drawn)
    return Panels(picture=_jpeg(_fitted(picture)), view=_jpeg(_fitted(view.pixels)), map=marked)


def _fitted(pixels: Array) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((PANEL, PANEL), Image.Resampling.LANCZOS)
    times = PANEL // 2 // max(image.size)
    return image.resize((times * image.width, times * image.height), Image.Resampling.NEAREST) if times > 1 else image


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90, subsampling=0)
    return stream.getvalue()


def _warned(image: Image.Image, language: Language) -> Image.Image:
    inches = image.width / 100, image.height / 100
    with rc_context(STYLE):
        figure = Figure(figsize=inches, dpi=100)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(image, aspect="auto")
        _warn(axes, language, 3.4 * min(inches))
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=100)
    return Image.open(stream).convert("RGB")


def _warn(axes: Axes, language: Language, size: float) -> None:
    axes.text(
        0.5,
        0.5,
        catalog(language)["explain.warning"],
        transform=axes.transAxes,
        ha="center",
        va="center",
        rotation=20,
        fontsize=size,
        weight="bold",
        color="white",
        bbox={"facecolor": "#B3001B", "edgecolor": "white", "boxstyle": "square,pad=0.5"},
    )


def overlay(view: View, heat: Floats) -> Array:
    """Return a map over the gray view as plain pixels: uint8, height x width x 3.

    Args:
        view: What the detector looks at.
        heat: height x width of the view; positive (orange) is evidence for fake. What no window looks at is striped.
    """
    step = -(-max(heat.shape) // SIDE)
    unseen = np.isnan(heat[::step, ::step])
    gray = _striped(view.pixels[::step, ::step].mean(axis=2), unseen)[..., None] / 255
    shown = np.nan_to_num(heat[::step, ::step])
    share = shown / (float(np.abs(shown).max()) or 1.0)
    strength = np.where(unseen, 0.0, 0.15 + 0.65 * np.abs(share))[..., None]
    mixed = (1 - strength) * gray + strength * COLORS((share + 1) / 2)[..., :3]
    pixels: Array = (255 * mixed + 0.5).astype(np.uint8)
    return pixels


def _striped(gray: Floats, unseen: npt.NDArray[np.bool_]) -> Floats:
    """Lay stripes over places that no window looks at: as plain gray they would seem to be marked.

    Args:
        gray: Brightness, 0 to 255, height x width.
        unseen: Which places.
    """
    width = max(1, max(gray.shape) // 150)
    rows, columns = np.indices(gray.shape)
    lines = (rows + columns) // width % 4 == 0
    stripes = np.where(gray < 128, gray + 100, gray - 100)  # as visible on dark ground as on bright
    striped: Floats = np.where(unseen & lines, stripes, gray)
    return striped
