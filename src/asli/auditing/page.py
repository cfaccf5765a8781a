"""The audit as a page: the result of each check first, then what it rests on, with pictures."""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from asli.auditing.audit import AuditResult
from asli.auditing.checks.check import Finding, Severity
from asli.auditing.drawing import shortcut_areas
from asli.auditing.duplicates import Duplicates
from asli.auditing.evidence import Evidence
from asli.auditing.pixels import Image8, Pixels
from asli.datasets.folder import DataFolder
from asli.datasets.layouts import LABELS
from asli.metrics.intervals import proportion
from asli.reports.colors import Status
from asli.reports.kit import CaptionedImage, Cell, KeyNumber, Report, ReportFigure, ReportTable, Section
from asli.reports.numbers import p_text, percent_counted, percent_interval
from asli.reports.render import write_report

PAIRS = 12
"""Pairs of duplicates shown, of either kind."""

TYPICAL = 6
"""Files of each label shown."""

SIDE = 96
"""Pictures are shrunk to this many pixels along their longer side; small ones stay."""

GENERATOR_FACTS = ("images", "format", "JPEG quality", "width", "height", "bytes a pixel")
"""File facts shown of each generator."""

NAMES = {"files": "file settings", "weight": "bytes", "colors": "8x8 colors", "spectrum": "sharpness, resampling"}

STATUSES = {
    Severity.PASS: Status.GOOD,
    Severity.WARNING: Status.CAUTION,
    Severity.FAIL: Status.BAD,
    Severity.NOT_CHECKED: Status.NEUTRAL,
}


def write_page(path: Path, result: AuditResult, evidence: Evidence) -> Path:
    """Write an audit as one HTML file; its drawings are kept beside it under `figures/`, too.

    Args:
        path: Of the page.
        result: What the audit found.
        evidence: What it rests on: images are read again.
    """
    data, pixels = evidence.data, evidence.pixels
    sections = [
        _checks(result.findings),
        _shortcuts(result.shortcuts),
        *_duplicates(result.duplicates, data, pixels, evidence.duplicates),
        look_alikes(result.duplicates["near"]["look_alikes"], data, pixels),
        _files(result.facts, data, pixels),
        _counts(result.counts),
        _oddities(result),
    ]
    found = result.data
    report = Report(
        title=f"Audit of {found['name']}",
        origin=f"{found['images']:,} files, {found['readable']:,} readable; data hash {found['hash'][:16]};"
        f" asli {result.asli}, {result.date[:10]}",
        summary=_summary(result),
        key_numbers=_key_numbers(result),
        sections=[section for section in sections if section is not None],
    )
    return write_report(path.parent, report, path.name)


def _summary(result: AuditResult) -> list[str]:
    failed, warned = result.of(Severity.FAIL), result.of(Severity.WARNING)
    if not failed and not warned:
        return ["No check failed. That does not prove that there is no shortcut."]
    lines = []
    for findings, what in ((failed, "failed"), (warned, "gave a warning")):
        if findings:
            names = ", ".join(finding.title.lower() for finding in findings)
            lines.append(f"{len(findings)} of {len(result.findings)} checks {what}: {names}.")
    return lines


def _key_numbers(result: AuditResult) -> list[KeyNumber]:
    duplicates, shortcuts = result.duplicates, result.shortcuts["kinds"]
    status = {finding.check: STATUSES[finding.severity] for finding in result.findings}
    failed, warned, total = (*map(len, map(result.of, (Severity.FAIL, Severity.WARNING))), len(result.findings))
    numbers = [
        KeyNumber(
            title="Checks failed",
            value=f"{failed} of {total}",
            detail=f"and {warned} warning{'' if warned == 1 else 's'}",
            status=Status.BAD if failed else Status.CAUTION if warned else Status.GOOD,
        )
    ]
    if "files" in shortcuts:
        area = shortcuts["files"]["auroc"]
        numbers.append(
            KeyNumber(
                title="Labels from file settings",
                value=f"{area['value']:.3f}",
                detail=f"AUROC; 95 % CI {area['low']:.3f} to {area['high']:.3f}; 0.5 is chance",
                status=status["file-settings"],
            )
        )
    if duplicates["test_total"]:
        for kind, check in (("exact", "exact-duplicates"), ("near", "near-duplicates")):
            count = duplicates[kind]["test_images"]
            numbers.append(
                KeyNumber(
                    title=f"Test images with {kind} duplicates in another split",
                    value=f"{count / duplicates['test_total']:.1%}".replace("%", " %"),
                    detail=f"{count:,} of {duplicates['test_total']:,}",
                    status=status[check],
                )
            )
    return numbers


def _checks(findings: tuple[Finding, ...]) -> Section:
    order = [Severity.FAIL, Severity.WARNING, Severity.NOT_CHECKED, Severity.PASS]
    return Section(
        id="checks",
        title="Checks",
        tables=[
            ReportTable(
                columns=["check", "result", "finding", "what to do"],
                rows=[
                    [
                        Cell(text=line.title, note=line.meaning),
                        Cell(text=str(line.severity), value=order.index(line.severity), status=STATUSES[line.severity]),
                        line.finding,
                        line.remedy or "nothing",
                    ]
                    for line in sorted(findings, key=lambda line: order.index(line.severity))
                ],
            )
        ],
    )


def _shortcuts(found: dict[str, Any]) -> Section:
    if not found["kinds"]:
        return Section(id="shortcuts", title="What gives the label away", notes=[f"Not checked: {found['why']}."])
    areas = {NAMES[kind]: part for kind, part in found["kinds"].items()}
    rows = [
        [
            name,
            f"{part['auroc']['value']:.3f}",
            f"{part['auroc']['low']:.3f} to {part['auroc']['high']:.3f}",
            f"{part['null']['low']:.3f} to {part['null']['high']:.3f}",
            p_text(part["null"]["p"]),
            ", ".join(f"{line['feature']} {line['auroc']:.2f}" for line in part["telling"][:3]),
        ]
        for name, part in areas.items()
    ]
    columns = ["seen alone", "AUROC", "95 % CI", "by chance (95 %)", "p", "strongest features, each alone"]
    figure = ReportFigure(name="audit-shortcuts", title="AUROC of labels", drawing=shortcut_areas(areas))
    return Section(
        id="shortcuts",
        title="What gives the label away",
        tables=[ReportTable(columns=columns, rows=rows)],
        figures=[figure],
        notes=[
            f"Gradient-boosted trees, {found['folds']} folds that never part duplicates, on {found['images']:,} of"
            f" {found['of']:,} images; interval by DeLong, clustered by duplicates. By chance:"
            f" {found['permutations']} permutations of the labels on at most"
            f" {max(part['null']['images'] for part in areas.values()):,} images, so on more chance is nearer 0.5.",
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
        rows: list[list[str | Cell]] = [[name, f"{count:,}"] for name, count in terms.items()]
        if summary["test_total"]:
            share = asdict(proportion(found["test_images"], summary["test_total"]))
            text = f"{percent_counted(share)}, 95 % CI {percent_interval(share)}"
            rows.append(["test images with a duplicate in another split", text])
            labels = f"{found['test_images_real']:,} real, {found['test_images_fake']:,} fake"
            rows.append(["of these", labels])
        sections.append(
            Section(
                id=f"duplicates-{kind}",
                title="Exact duplicates" if kind == "exact" else "Near-duplicates",
                tables=[ReportTable(columns=["pairs of images", "number"], rows=rows)],
                images=[
                    _pair_image(data, pixels, pairs[n], None if distances is None else distances[n]) for n in shown
                ],
                notes=[_duplicate_note(kind, found)],
            )
        )
    return sections


def look_alikes(found: dict[str, Any], data: DataFolder, pixels: Pixels) -> Section | None:
    """Return the section on pictures of which many look alike, or None where there are none.

    Args:
        found: `look_alikes` of the near-duplicates' summary.
        data: The images.
        pixels: Theirs.
    """
    if not found["images"]:
        return None
    names = [found["listed"][n] for n in np.linspace(0, len(found["listed"]) - 1, PAIRS).astype(int)]
    rows = pc.index_in(pa.array(list(dict.fromkeys(names))), data.table(["id"])["id"]).to_pylist()
    lines = data.table(["id", "split", "label"], np.array(rows)).to_pylist()
    terms = {"images": found["images"], "groups": found["groups"], "images of the largest group": found["largest"]}
    return Section(
        id="look-alikes",
        title="Pictures that look alike",
        tables=[ReportTable(columns=["many look alike", "number"], rows=[[k, f"{n:,}"] for k, n in terms.items()])],
        images=[
            CaptionedImage(data=_png([pixels.read(row)]), lines=[f"{line['split']} {line['label']}", line["id"]])
            for row, line in zip(rows, lines, strict=True)
        ],
        notes=[
            "Each is near 20 or more others, as pages of one template, icons and screenshots are, and differs from them"
            " in some part: they are not counted as duplicates. Names: --json."
        ],
    )


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


def _pair_image(
    data: DataFolder, pixels: Pixels, pair: npt.NDArray[np.int64], distance: float | None
) -> CaptionedImage:
    lines = data.table(["id", "split", "label"], pair).to_pylist()
    title = " and ".join(dict.fromkeys(f"{line['split']} {line['label']}" for line in lines))
    if distance is not None:
        title += f", {distance:.0f} gray levels"
    return CaptionedImage(
        data=_png([pixels.read(int(row)) for row in pair]), lines=[title, *(line["id"] for line in lines)]
    )


def _files(facts: dict[str, dict[str, str]], data: DataFolder, pixels: Pixels) -> Section:
    generators = [group for group in next(iter(facts.values())) if group not in LABELS]
    tables = [
        ReportTable(columns=["fact", *LABELS], rows=[[fact, *(of[g] for g in LABELS)] for fact, of in facts.items()])
    ]
    if generators:
        rows = [[generator, *(facts[fact][generator] for fact in GENERATOR_FACTS)] for generator in generators]
        tables.append(ReportTable(caption="By generator", columns=["generator", *GENERATOR_FACTS], rows=rows))
    return Section(
        id="files",
        title="What the files are like",
        tables=tables,
        images=[tile for label in (0, 1) for tile in _typical(data, pixels, label)],
        notes=["Numbers: median (5% to 95%). Pictures: files whose size in bytes is nearest their label's median."],
    )


def _typical(data: DataFolder, pixels: Pixels, label: int) -> list[CaptionedImage]:
    rows = np.flatnonzero(data.readable & (data.labels == label))
    if not len(rows):
        return []
    weight = data.table(["bytes"], rows)["bytes"].to_numpy()
    rows = rows[np.argsort(np.abs(weight - np.median(weight)), kind="stable")[:TYPICAL]]
    lines = data.table(["label", "format", "width", "height", "quality", "bytes", "generator", "id"], rows).to_pylist()
    return [
        CaptionedImage(
            data=_png([pixels.read(int(row))]),
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
            ReportTable(
                caption=f"Images by {by}",
                columns=[by, "real", "fake"],
                rows=[[name, f"{n['real']:,}", f"{n['fake']:,}"] for name, n in groups.items()],
            )
            for by, groups in counts.items()
            if groups
        ],
    )


def _oddities(result: AuditResult) -> Section | None:
    odd = result.oddities
    if not odd and not any(result.not_images.values()):
        return None
    rows = [
        [kind["kind"], kind["treatment"], f"{kind['real']:,}", f"{kind['fake']:,}", ", ".join(kind["names"][:3])]
        for kind in odd
    ]
    others = [(f"{kind} files", f"{count:,}") for kind, count in result.not_images.items() if count]
    return Section(
        id="oddities",
        title="Damaged and unusual files",
        tables=[ReportTable(columns=["kind", "treatment", "real", "fake", "for example"], rows=rows)] if rows else [],
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
