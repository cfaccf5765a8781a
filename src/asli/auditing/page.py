"""The audit as a page that a reader understands in a minute: verdicts first, then what they rest on, with pictures."""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from asli.auditing.drawing import shortcut_areas
from asli.auditing.duplicates import Duplicates
from asli.auditing.pixels import Image8, Pixels
from asli.datasets.folder import DataFolder
from asli.datasets.layouts import LABELS
from asli.metrics.intervals import proportion
from asli.reports.kit import Box, Page, Picture, Section, Table, Tile, percent_text, write_report

PAIRS = 12
"""Pairs of duplicates shown, of either kind."""

TYPICAL = 6
"""Files of each label shown."""

SIDE = 96
"""Pictures are shrunk to this many pixels along their longer side; small ones stay."""

OF_MAKERS = ("images", "format", "JPEG quality", "width", "height", "bytes a pixel")
"""What is said of each generator's files."""

NAMES = {"files": "file settings", "weight": "bytes", "colors": "8x8 colors", "spectrum": "sharpness, resampling"}


def write_page(path: Path, result: dict[str, Any], data: DataFolder, pixels: Pixels, duplicates: Duplicates) -> Path:
    """Write an audit as one HTML file; its drawings are kept beside it under `figures/`, too.

    Args:
        path: Of the page.
        result: As `asli.auditing.audit.audit` returns it.
        data: The audited data folder.
        pixels: Where its images are decoded.
        duplicates: Pairs to show.
    """
    sections = [
        _verdicts(result["verdicts"]),
        _shortcuts(result["shortcuts"]),
        *_duplicates(result["duplicates"], data, pixels, duplicates),
        _files(result, data, pixels),
        _counts(result["counts"]),
        _oddities(result),
    ]
    found = result["data"]
    page = Page(
        title=f"Audit of {found['name']}",
        origin=f"{found['images']:,} files, {found['readable']:,} readable; data hash {found['hash'][:16]};"
        f" asli {result['asli']}, {result['date'][:10]}",
        boxes=_boxes(result),
        limits=_limits(result["verdicts"]),
        sections=[section for section in sections if section is not None],
    )
    return write_report(path.parent, page, path.name)


def _boxes(result: dict[str, Any]) -> list[Box]:
    verdicts, duplicates, shortcuts = result["verdicts"], result["duplicates"], result["shortcuts"]["kinds"]
    sprung = sum(line["verdict"] == "sprung" for line in verdicts)
    look = sum(line["verdict"] == "look" for line in verdicts)
    boxes = [Box(title="Traps sprung", value=str(sprung), interval=f"and {look} to look at, of {len(verdicts)}")]
    if "files" in shortcuts:
        area = shortcuts["files"]["auroc"]
        interval = f"{area['low']:.3f} to {area['high']:.3f}; .5 is chance"
        boxes.append(Box(title="Labels from file settings", value=f"{area['value']:.3f}", interval=f"AUROC {interval}"))
    if duplicates["test_total"]:
        for kind in ("exact", "near"):
            count = duplicates[kind]["test_images"]
            share = f"{count / duplicates['test_total']:.1%}"
            boxes.append(
                Box(title=f"Test images with {kind} duplicates elsewhere", value=share, interval=f"{count:,} images")
            )
    return boxes


def _limits(verdicts: list[dict[str, str]]) -> list[str]:
    lines = [f"{line['trap'].capitalize()}: {line['says']}." for line in verdicts if line["verdict"] == "sprung"]
    return lines or ["No trap is sprung. That is no proof that there is none."]


def _verdicts(verdicts: list[dict[str, str]]) -> Section:
    return Section(
        id="verdicts",
        title="Verdicts",
        tables=[
            Table(
                columns=["trap", "verdict"],
                rows=[[line["trap"], line["verdict"]] for line in verdicts],
                marked=frozenset(n for n, line in enumerate(verdicts) if line["verdict"] == "sprung"),
            )
        ],
        facts=[(line["trap"], ". To do: ".join(filter(None, [line["says"], line["do"]]))) for line in verdicts],
    )


def _shortcuts(found: dict[str, Any]) -> Section:
    if not found["kinds"]:
        return Section(id="shortcuts", title="What gives the label away", notes=[f"Not judged: {found['why']}."])
    areas = {NAMES[kind]: part for kind, part in found["kinds"].items()}
    rows = [
        [
            name,
            f"{part['auroc']['value']:.3f}",
            f"{part['auroc']['low']:.3f} to {part['auroc']['high']:.3f}",
            f"{part['null']['low']:.3f} to {part['null']['high']:.3f}",
            f"{part['null']['p']:.3f}",
            ", ".join(f"{line['feature']} {line['auroc']:.2f}" for line in part["telling"][:3]),
        ]
        for name, part in areas.items()
    ]
    columns = ["seen alone", "AUROC", "95% interval", "by chance (95%)", "p", "features that tell most, each alone"]
    picture = Picture(name="audit-shortcuts", title="AUROC of labels", figure=shortcut_areas(areas))
    return Section(
        id="shortcuts",
        title="What gives the label away",
        tables=[Table(columns=columns, rows=rows)],
        pictures=[picture],
        notes=[
            f"Gradient-boosted trees, {found['folds']} folds that never part duplicates, on {found['images']:,} of"
            f" {found['of']:,} images; interval by DeLong, clustered by duplicates. By chance:"
            f" {found['permutations']} permutations of the labels on at most"
            f" {max(part['null']['images'] for part in areas.values()):,} images, so on more chance is nearer .5.",
        ],
    )


def _duplicates(summary: dict[str, Any], data: DataFolder, pixels: Pixels, duplicates: Duplicates) -> list[Section]:
    sections = []
    for kind, pairs, distances in (("exact", duplicates.exact, None), ("near", duplicates.near, duplicates.distances)):
        found = summary[kind]
        if not found["pairs"]:
            continue
        shown = _telling_pairs(data, pairs)
        terms = {
            "pairs": found["pairs"],
            "within a split": found["within_a_split"],
            "across splits": found["across_splits"],
            "across labels": found["across_labels"],
        }
        rows = [[name, f"{count:,}"] for name, count in terms.items()]
        if summary["test_total"]:
            share = percent_text(asdict(proportion(found["test_images"], summary["test_total"])))
            rows.append(["test images with a duplicate elsewhere", f"{found['test_images']:,}: {share}"])
            labels = f"{found['test_images_real']:,} real, {found['test_images_fake']:,} fake"
            rows.append(["of these", labels])
        sections.append(
            Section(
                id=f"duplicates-{kind}",
                title=f"{kind.capitalize()} duplicates",
                tables=[Table(columns=["", "pictures"], rows=rows)],
                tiles=[_pair_tile(data, pixels, pairs[n], None if distances is None else distances[n]) for n in shown],
                notes=[_duplicate_note(kind, found)],
            )
        )
    return sections


def _duplicate_note(kind: str, found: dict[str, Any]) -> str:
    first = "Pairs across splits are shown first. "
    if kind == "exact":
        return f"{first}Equal pixels; {found['identical_bytes']:,} pairs are equal byte for byte."
    return (
        f"{first}Perceptual hashes differ in at most {found['radius_bits']} of 64 bits and thumbnails of 32 px by at"
        f" most {found['rms_limit']:.0f} of 255 gray levels (root mean square) and half the weaker picture's contrast."
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


def _pair_tile(data: DataFolder, pixels: Pixels, pair: npt.NDArray[np.int64], distance: float | None) -> Tile:
    lines = data.table(["id", "split", "label"], pair).to_pylist()
    title = " and ".join(dict.fromkeys(f"{line['split']} {line['label']}" for line in lines))
    if distance is not None:
        title += f", {distance:.0f} gray levels"
    return Tile(png=_png([pixels.read(int(row)) for row in pair]), lines=[title, *(line["id"] for line in lines)])


def _files(result: dict[str, Any], data: DataFolder, pixels: Pixels) -> Section:
    facts = result["facts"]
    makers = [group for group in next(iter(facts.values())) if group not in LABELS]
    tables = [Table(columns=["", *LABELS], rows=[[fact, *(of[g] for g in LABELS)] for fact, of in facts.items()])]
    if makers:
        rows = [[maker, *(facts[fact][maker] for fact in OF_MAKERS)] for maker in makers]
        tables.append(Table(columns=["generator", *OF_MAKERS], rows=rows))
    return Section(
        id="files",
        title="What the files are like",
        tables=tables,
        tiles=[tile for label in (0, 1) for tile in _typical(data, pixels, label)],
        notes=["Numbers: median (5% to 95%). Pictures: files whose size in bytes is nearest their label's median."],
    )


def _typical(data: DataFolder, pixels: Pixels, label: int) -> list[Tile]:
    rows = np.flatnonzero(data.readable & (data.labels == label))
    if not len(rows):
        return []
    weight = data.table(["bytes"], rows)["bytes"].to_numpy()
    rows = rows[np.argsort(np.abs(weight - np.median(weight)), kind="stable")[:TYPICAL]]
    lines = data.table(["label", "format", "width", "height", "quality", "bytes", "generator", "id"], rows).to_pylist()
    return [
        Tile(
            png=_png([pixels.read(int(row))]),
            lines=[
                f"{line['label']}{': ' + line['generator'] if line['generator'] else ''}",
                f"{line['format']}{' quality ' + str(line['quality']) if line['quality'] else ''},"
                f" {line['width']} x {line['height']}, {line['bytes']:,} bytes",
                line["id"],
            ],
        )
        for row, line in zip(rows, lines, strict=True)
    ]


def _counts(counts: dict[str, dict[str, dict[str, int]]]) -> Section:
    return Section(
        id="counts",
        title="Counts",
        tables=[
            Table(
                columns=[by, "real", "fake"],
                rows=[[name, f"{n['real']:,}", f"{n['fake']:,}"] for name, n in groups.items()],
            )
            for by, groups in counts.items()
            if groups
        ],
    )


def _oddities(result: dict[str, Any]) -> Section | None:
    odd = result["oddities"]
    if not odd and not any(result["not_images"].values()):
        return None
    rows = [
        [kind["kind"], kind["treatment"], f"{kind['real']:,}", f"{kind['fake']:,}", ", ".join(kind["names"][:3])]
        for kind in odd
    ]
    others = [(f"{kind} files", f"{count:,}") for kind, count in result["not_images"].items() if count]
    return Section(
        id="oddities",
        title="Damaged and unusual files",
        tables=[Table(columns=["kind", "treatment", "real", "fake", "for example"], rows=rows)] if rows else [],
        facts=others,
        notes=["All names: --json."],
    )


def _png(images: list[Image8]) -> bytes:
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
