"""Figures that show a value where the pointer rests, as inline SVG that follows a page's light or dark ground."""

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from asli.reports.colors import VARIABLES

_SVG = "http://www.w3.org/2000/svg"
_ABOVE = 10  # over all that is drawn, or the pointer would rest on that


class HoverFigure(Figure):
    """A matplotlib figure that keeps texts for places in it.

    Attributes:
        hover_texts: Hover texts of each artist's id in the SVG: one for a rectangle, one a point for markers.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.hover_texts: dict[str, list[str]] = {}

    def name(self, texts: Sequence[str]) -> str:
        """Keep texts and return the id of the artist they belong to."""
        identity = f"hover-{len(self.hover_texts) + 1}"
        self.hover_texts[identity] = list(texts)
        return identity


def hover_points(axes: Axes, x: ArrayLike, y: ArrayLike, texts: Sequence[str]) -> None:
    """Lay unseen markers over points; resting on one shows its text. Points outside the axes' limits are left out.

    Call it last: limits that change afterwards do not count.
    """
    figure = axes.figure
    assert isinstance(figure, HoverFigure)
    (left, right), (bottom, top) = (sorted(limits) for limits in (axes.get_xlim(), axes.get_ylim()))
    points = zip(np.asarray(x), np.asarray(y), texts, strict=True)
    inside = [point for point in points if left <= point[0] <= right and bottom <= point[1] <= top]
    if inside:
        a, b, kept = zip(*inside, strict=True)
        axes.plot(a, b, "o", markersize=10, alpha=0, zorder=_ABOVE, gid=figure.name(kept), scalex=False, scaley=False)


def hover_area(axes: Axes, left: float, bottom: float, width: float, height: float, text: str) -> None:
    """Lay an unseen rectangle over an area in data coordinates; resting on it shows the text."""
    figure = axes.figure
    assert isinstance(figure, HoverFigure)
    axes.add_artist(
        Rectangle((left, bottom), width, height, alpha=0, linewidth=0, zorder=_ABOVE, gid=figure.name([text]))
    )


def to_svg(figure: Figure) -> bytes:
    """Return a figure as an SVG file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def inline(svg: bytes, name: str, title: str = "", texts: dict[str, list[str]] | None = None) -> str:
    """Return an SVG file as an element for a page.

    Its ids begin with the figure's name, its colors are the page's variables, and hover texts are `<title>` elements,
    which browsers show without a script.

    Args:
        svg: From `to_svg`.
        name: Name of the figure; unique in the page.
        title: Says to screen readers what it shows.
        texts: From `HoverFigure.hover_texts`.
    """
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own file
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    groups = {group.get("id"): group for group in root.iter(f"{{{_SVG}}}g")}
    for identity, kept in (texts or {}).items():
        _entitle(groups[identity], kept)
    root.set("role", "img")
    root.set("aria-label", title or name)
    text = ElementTree.tostring(root, encoding="unicode")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for color, variable in VARIABLES.items():
        text = re.sub(rf"(?<=[ :]){color}\b", f"var({variable})", text, flags=re.IGNORECASE)
    return re.sub(r"fill: #ffffff(?=[;\"])", "fill: none", text)


def _entitle(group: ElementTree.Element, texts: Sequence[str]) -> None:
    """Put a title into a group, or into a group of its own around each of its markers."""
    group.set("class", "hover")
    if len(texts) == 1 and group.find(f".//{{{_SVG}}}use") is None:
        _title(group, texts[0])
        return
    for parent in list(group.iter()):
        for number, child in enumerate(list(parent)):
            if child.tag == f"{{{_SVG}}}use":
                wrapper = ElementTree.Element(f"{{{_SVG}}}g")
                wrapper.append(child)
                parent[number] = wrapper
    wrappers = [parent for parent in group.iter() if len(parent) and parent[0].tag == f"{{{_SVG}}}use"]
    for wrapper, text in zip(wrappers, texts, strict=True):
        _title(wrapper, text)


def _title(element: ElementTree.Element, text: str) -> None:
    title = ElementTree.Element(f"{{{_SVG}}}title")
    title.text = text
    element.insert(0, title)
