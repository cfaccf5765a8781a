"""The kind of image that a detector was trained on, and whether an image is of that kind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from asli.datasets.images import Facts
from asli.detector.drawn import drawn_statistics, why_drawn
from asli.detector.statistics import PixelDomain, statistics
from asli.pixel_limits import MAX_PIXELS
from asli.records import Record

if TYPE_CHECKING:
    import pyarrow as pa

SMALLEST = 200
"""Pixels of a shorter side below which a picture is too small for detectors that judge native crops."""

LARGEST = 65_535
"""Pixels of a side, more than any supported picture has: no upper limit."""


@dataclass(frozen=True, slots=True)
class Domain(Record):
    """The kinds of file the calibration images came as, and what their pixels are like.

    Attributes:
        formats: For example JPEG; none where nothing is known of it (`unknown`).
        sizes: Smallest and largest height or width, in pixels.
        qualities: Lowest and highest JPEG quality, or None where none of them was a JPEG.
        generators: Generators of the fake training images, as far as they are named.
        pixels: Statistics of what the network sees of them; None in detectors that were made without.
        photographs: Whether screenshots and drawings lie outside (`asli.detector.drawn`).
    """

    formats: tuple[str, ...]
    sizes: tuple[int, int]
    qualities: tuple[int, int] | None
    generators: tuple[str, ...]
    pixels: PixelDomain | None = None
    photographs: bool = False

    @classmethod
    def of(cls, facts: "pa.Table", values: npt.NDArray[np.float64] | None) -> "Domain":
        """Fit the domain to calibration images.

        Args:
            facts: Their manifest rows, with `format`, `width`, `height`, `quality` and `generator`.
            values: Their `statistics`, one row an image; None where several networks see different pixels.
        """
        import pyarrow.compute as pc  # here: a cold start needs no Parquet

        sides = [pc.min_max(facts[side]).as_py() for side in ("width", "height")]
        quality = pc.min_max(facts["quality"]).as_py()
        return cls(
            formats=tuple(sorted(pc.unique(facts["format"]).drop_null().to_pylist())),
            sizes=(min(s["min"] for s in sides), max(s["max"] for s in sides)),
            qualities=None if quality["min"] is None else (quality["min"], quality["max"]),
            generators=tuple(sorted(pc.unique(facts["generator"]).drop_null().to_pylist())),
            pixels=None if values is None else PixelDomain.fit(values),
        )

    @classmethod
    def unknown(cls) -> "Domain":
        """Return the domain of a detector without calibration images: no image is known to lie outside."""
        return cls(formats=(), sizes=(1, MAX_PIXELS), qualities=None, generators=())

    @classmethod
    def union(cls, domains: Sequence["Domain"]) -> "Domain":
        """Return the domain that holds all file kinds of several; it has no pixel statistics."""
        if not all(domain.formats for domain in domains):
            return cls.unknown()
        qualities = [quality for domain in domains if domain.qualities for quality in domain.qualities]
        return cls(
            formats=tuple(sorted({name for domain in domains for name in domain.formats})),
            sizes=(min(domain.sizes[0] for domain in domains), max(domain.sizes[1] for domain in domains)),
            qualities=(min(qualities), max(qualities)) if qualities else None,
            generators=tuple(sorted({name for domain in domains for name in domain.generators})),
        )

    def for_crops(self, short_side: int) -> "Domain":
        """Return the domain of a network that sees native crops.

        Pictures below `SMALLEST` have too few pixels to judge. Where larger pictures are shrunk to a shorter side, and
        calibration pictures were, every larger one is seen alike.

        Args:
            short_side: To which pictures are shrunk; 0 for never.
        """
        low, high = max(self.sizes[0], SMALLEST), max(self.sizes[1], SMALLEST)
        return replace(self, sizes=(low, LARGEST if 0 < short_side < high else high), photographs=True)

    def describe(self) -> str:
        """Return the kinds of file in it, in a few words."""
        if not self.formats:
            return "not known (no calibration images)"
        size = _range(self.sizes)
        lowest, highest = self.qualities or (0, 0)
        several = f" to {highest}" if highest > lowest else ""
        quality = f", JPEG quality {lowest}{several}" if self.qualities else ""
        return f"{', '.join(self.formats)} of {size} a side{quality}"

    def why_all_outside(self, facts: Sequence[Facts], fitted: Sequence[npt.NDArray[np.uint8]]) -> list[str | None]:
        """Return in plain words why each of several images lies outside, or None where it lies inside.

        Args:
            facts: Facts of their files.
            fitted: What the network sees of each, uint8, windows x size x size x 3.
        """
        reasons = [self.why_file_outside(one) for one in facts]
        rest = [number for number, reason in enumerate(reasons) if reason is None]
        if self.photographs and rest:
            shares = drawn_statistics([fitted[number] for number in rest])
            for number, values in zip(rest, shares, strict=True):
                reasons[number] = why_drawn(values)
            rest = [number for number in rest if reasons[number] is None]
        if self.pixels and rest:
            values = statistics([fitted[number] for number in rest])
            for number, reason in zip(rest, self.pixels.why_all_outside(values), strict=True):
                reasons[number] = reason
        return reasons

    def size_ratio(self, facts: Facts) -> float:
        """Return how many times too small or too large an image's sides are; 1 where its size is inside."""
        assert facts.width is not None
        assert facts.height is not None
        low, high = self.sizes
        return max(low / min(facts.width, facts.height), max(facts.width, facts.height) / high, 1.0)

    def why_file_outside(self, facts: Facts) -> str | None:
        """Return why a file lies outside by its size, format or quality, or None; unknown facts are inside."""
        assert facts.width is not None
        assert facts.height is not None
        low, high = self.sizes
        if not low <= min(facts.width, facts.height) <= max(facts.width, facts.height) <= high:
            advice = "; give the original, larger picture" if max(facts.width, facts.height) < high else ""
            return f"{facts.width} x {facts.height} pixels; supported are images of {_range(self.sizes)} a side{advice}"
        if self.formats and facts.format is not None and facts.format not in self.formats:
            return f"{facts.format} file; supported formats: {', '.join(self.formats)}"
        if self.qualities and facts.quality is not None and not self.qualities[0] <= facts.quality <= self.qualities[1]:
            return f"JPEG quality {facts.quality}; supported: {self.qualities[0]} to {self.qualities[1]}"
        return None


def _range(sizes: tuple[int, int]) -> str:
    low, high = sizes
    if high >= LARGEST:
        return f"{low} px or more"
    return f"{low} px" if low == high else f"{low} to {high} px"
