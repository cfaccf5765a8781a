"""The audit page's sections on duplicates and on pictures that look alike, with examples side by side."""

import io

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from asli.auditing.duplicates import Duplicates
from asli.auditing.findings import DuplicateSummary, ExactDuplicates, LookAlikes, NearDuplicates
from asli.auditing.read_pixels import Image8, PixelReader
from asli.datasets.folder import DataFolder
from asli.metrics.intervals import proportion
from asli.reports.kit import CaptionedImage, ReportTable, Section, TableCell
from asli.reports.numbers import percent_counted, percent_interval

PAIRS = 12
"""Pairs of duplicates shown, of either kind."""

SIDE = 96
"""Pictures are shrunk to this many pixels along their longer side; small ones stay."""


def duplicate_sections(
    summary: DuplicateSummary, data: DataFolder, pixels: PixelReader, duplicates: Duplicates
) -> list[Section]:
    """Return a section on exact and one on near-duplicates, of those there are.

    Args:
        summary: `duplicates` of the audit's result.
        data: The images.
        pixels: Theirs.
        duplicates: The pairs.
    """
    sections = []
    assert summary.near is not None, "an audit of images searches them"
    for kind, found, note, pairs, distances in (
        ("exact", summary.exact.counts, _exact_note(summary.exact), duplicates.exact, None),
        ("near", summary.near.counts, _near_note(summary.near), duplicates.near, duplicates.distances),
    ):
        if not found.pairs:
            continue
        shown = _telling_pairs(data, pairs)
        terms = {
            "pairs": found.pairs,
            "within a split": found.within_a_split,
            "across splits": found.across_splits,
            "across labels": found.across_labels,
        }
        rows: list[list[str | TableCell]] = [[name, f"{count:,}"] for name, count in terms.items()]
        if summary.test_total:
            share = proportion(found.test_images, summary.test_total)
            text = f"{percent_counted(share)}, 95 % CI {percent_interval(share)}"
            rows.append(["test images with a duplicate in another split", text])
            labels = f"{found.test_images_real:,} real, {found.test_images_fake:,} fake"
            rows.append(["of these", labels])
        sections.append(
            Section(
                id=f"duplicates-{kind}",
                title="Exact duplicates" if kind == "exact" else "Near-duplicates",
                tables=[ReportTable(columns=["pairs of images", "number"], rows=rows)],
                images=[
                    _pair_image(data, pixels, pairs[n], None if distances is None else distances[n]) for n in shown
                ],
                notes=[f"Pairs across splits are shown first. {note}"],
            )
        )
    return sections


def look_alikes(found: LookAlikes, data: DataFolder, pixels: PixelReader) -> Section | None:
    """Return the section on pictures of which many look alike, or None where there are none.

    Args:
        found: `look_alikes` of the near-duplicates' summary.
        data: The images.
        pixels: Theirs.
    """
    if not found.images:
        return None
    names = [found.listed[n] for n in np.linspace(0, len(found.listed) - 1, PAIRS).astype(int)]
    rows = pc.index_in(pa.array(list(dict.fromkeys(names))), data.table(["id"])["id"]).to_pylist()
    lines = data.table(["id", "split", "label"], np.array(rows)).to_pylist()
    terms = {"images": found.images, "groups": found.groups, "images of the largest group": found.largest}
    return Section(
        id="look-alikes",
        title="Pictures that look alike",
        tables=[ReportTable(columns=["many look alike", "number"], rows=[[k, f"{n:,}"] for k, n in terms.items()])],
        images=[
            CaptionedImage(data=strip([pixels.read(row)]), lines=[f"{line['split']} {line['label']}", line["id"]])
            for row, line in zip(rows, lines, strict=True)
        ],
        notes=[
            "Each is near 20 or more others, as pages of one template, icons and screenshots are, and differs from them"
            " in some part: they are not counted as duplicates. Names: --json."
        ],
    )


def _exact_note(found: ExactDuplicates) -> str:
    return f"Equal pixels; {found.identical_bytes:,} pairs are equal byte for byte."


def _near_note(found: NearDuplicates) -> str:
    return (
        f"Perceptual hashes differ in at most {found.radius_bits} of 64 bits and thumbnails of 32 px by at most"
        f" {found.rms_limit:.0f} of 255 gray levels (root mean square) and half the weaker picture's contrast."
    )


def _telling_pairs(data: DataFolder, pairs: npt.NDArray[np.int64]) -> list[int]:
    """Return which pairs to show: those across labels first, then across splits, evenly over the rest of the order."""
    table = data.table(["split", "label"])
    splits, labels = (np.array(table[name].to_pylist(), dtype=object) for name in ("split", "label"))
    a, b = pairs.T
    rank = np.where(labels[a] != labels[b], 0, np.where(splits[a] != splits[b], 1, 2))
    best = np.flatnonzero(rank == rank.min())
    if len(best) < PAIRS:
        best, chosen = np.argsort(rank, kind="stable"), np.arange(min(PAIRS, len(rank)))
    else:
        chosen = np.linspace(0, len(best) - 1, PAIRS).astype(np.int64)
    return [int(n) for n in best[chosen]]


def _pair_image(
    data: DataFolder, pixels: PixelReader, pair: npt.NDArray[np.int64], distance: float | None
) -> CaptionedImage:
    lines = data.table(["id", "split", "label"], pair).to_pylist()
    title = " and ".join(dict.fromkeys(f"{line['split']} {line['label']}" for line in lines))
    if distance is not None:
        title += f", {distance:.0f} gray levels"
    return CaptionedImage(
        data=strip([pixels.read(int(row)) for row in pair]), lines=[title, *(line["id"] for line in lines)]
    )


def strip(images: list[Image8]) -> bytes:
    """Return images side by side, each shrunk to `SIDE`, as a PNG file."""
    small = []
    for pixels in images:
        image = Image.fromarray(pixels)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        small.append(image)
    gap = max(1, small[0].width // 16)
    width = sum(image.width for image in small) + gap * (len(small) - 1)
    sheet = Image.new("RGB", (width, max(image.height for image in small)), "white")
    left = 0
    for image in small:
        sheet.paste(image, (left, 0))
        left += image.width + gap
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
