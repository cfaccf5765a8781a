"""The audit as a page: the result of each check first, then what it rests on, with pictures."""

from pathlib import Path

import numpy as np

from asli.auditing.audit import AuditResult
from asli.auditing.checks.check import Finding, Severity
from asli.auditing.drawing import shortcut_areas
from asli.auditing.duplicate_sections import duplicate_sections, look_alikes, strip
from asli.auditing.evidence import Evidence
from asli.auditing.findings import Counts, Shortcuts
from asli.auditing.read_pixels import PixelReader
from asli.datasets.folder import DataFolder
from asli.datasets.layouts import LABELS
from asli.reports.colors import Status
from asli.reports.kit import CaptionedImage, KeyNumber, Report, ReportFigure, ReportTable, Section, TableCell
from asli.reports.numbers import p_text
from asli.reports.render import write_report

TYPICAL = 6
"""Files of each label shown."""

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
        path: Path of the page.
        result: What the audit found.
        evidence: What it rests on: images are read again.
    """
    data, pixels = evidence.data, evidence.pixels
    assert result.duplicates.near is not None, "an audit of images searches them"
    sections = [
        _checks(result.findings),
        _shortcuts(result.shortcuts),
        *duplicate_sections(result.duplicates, data, pixels, evidence.duplicates),
        look_alikes(result.duplicates.near.look_alikes, data, pixels),
        _files(result.facts, data, pixels),
        _counts(result.counts),
        _oddities(result),
    ]
    found = result.data
    report = Report(
        title=f"Audit of {found.name}",
        origin=f"{found.images:,} files, {found.readable:,} readable; data hash {data.hash[:16]};"
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
    duplicates, shortcuts = result.duplicates, result.shortcuts.kinds
    severity = {finding.check: finding.severity for finding in result.findings}
    failed, warned, total = (*map(len, map(result.of, (Severity.FAIL, Severity.WARNING))), len(result.findings))
    overall = Severity.FAIL if failed else Severity.WARNING if warned else Severity.PASS
    numbers = [
        KeyNumber(
            title="Checks failed",
            value=f"{failed} of {total}",
            detail=f"and {warned} warning{'' if warned == 1 else 's'}",
            status=STATUSES[overall],
            meaning=str(overall),
        )
    ]
    if "files" in shortcuts:
        area = shortcuts["files"].auroc
        numbers.append(
            KeyNumber(
                title="Labels from file settings",
                value=f"{area.value:.3f}",
                detail=f"AUROC; 95 % CI {area.low:.3f} to {area.high:.3f}; 0.5 is chance",
                status=STATUSES[severity["file-settings"]],
                meaning=str(severity["file-settings"]),
            )
        )
    if duplicates.test_total:
        assert duplicates.near is not None, "an audit of images searches them"
        for kind, of in (("exact", duplicates.exact.counts), ("near", duplicates.near.counts)):
            count = of.test_images
            numbers.append(
                KeyNumber(
                    title=f"Test images with {kind} duplicates in another split",
                    value=f"{count / duplicates.test_total:.1%}".replace("%", " %"),
                    detail=f"{count:,} of {duplicates.test_total:,}",
                    status=STATUSES[severity[f"{kind}-duplicates"]],
                    meaning=str(severity[f"{kind}-duplicates"]),
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
                        TableCell(text=line.title, note=line.meaning),
                        TableCell(
                            text=str(line.severity), value=order.index(line.severity), status=STATUSES[line.severity]
                        ),
                        line.finding,
                        line.remedy or "nothing",
                    ]
                    for line in sorted(findings, key=lambda line: order.index(line.severity))
                ],
            )
        ],
    )


def _shortcuts(found: Shortcuts) -> Section:
    if not found.kinds:
        return Section(id="shortcuts", title="What gives the label away", notes=[f"Not checked: {found.why}."])
    areas = {NAMES[kind]: part for kind, part in found.kinds.items()}
    rows = [
        [
            name,
            f"{part.auroc.value:.3f}",
            f"{part.auroc.low:.3f} to {part.auroc.high:.3f}",
            f"{part.null.low:.3f} to {part.null.high:.3f}",
            p_text(part.null.p),
            ", ".join(f"{line.feature} {line.auroc:.2f}" for line in part.telling[:3]),
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
            f"Gradient-boosted trees, {found.folds} folds that never part duplicates, on {found.images:,} of"
            f" {found.of:,} images; interval by DeLong, clustered by duplicates. By chance:"
            f" {found.permutations} permutations of the labels on at most"
            f" {max(part.null.images for part in areas.values()):,} images, so on more chance is nearer 0.5.",
        ],
    )


def _files(facts: dict[str, dict[str, str]], data: DataFolder, pixels: PixelReader) -> Section:
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
        notes=["Numbers: median (5 % to 95 %). Pictures: files whose size in bytes is nearest their label's median."],
    )


def _typical(data: DataFolder, pixels: PixelReader, label: int) -> list[CaptionedImage]:
    rows = np.flatnonzero(data.readable & (data.labels == label))
    if not len(rows):
        return []
    weight = data.table(["bytes"], rows)["bytes"].to_numpy()
    rows = rows[np.argsort(np.abs(weight - np.median(weight)), kind="stable")[:TYPICAL]]
    lines = data.table(["label", "format", "width", "height", "quality", "bytes", "generator", "id"], rows).to_pylist()
    return [
        CaptionedImage(
            data=strip([pixels.read(int(row))]),
            lines=[
                f"{line['label']}{': ' + line['generator'] if line['generator'] else ''}",
                f"{line['format']}{' quality ' + str(line['quality']) if line['quality'] else ''},"
                f" {line['width']} x {line['height']}, {line['bytes']:,} bytes",
                line["id"],
            ],
        )
        for row, line in zip(rows, lines, strict=True)
    ]


def _counts(counts: Counts) -> Section:
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
    rows = [[kind.kind, kind.treatment, f"{kind.real:,}", f"{kind.fake:,}", ", ".join(kind.names[:3])] for kind in odd]
    others = [(f"{kind} files", f"{count:,}") for kind, count in result.not_images.items() if count]
    return Section(
        id="oddities",
        title="Damaged and unusual files",
        tables=[ReportTable(columns=["kind", "treatment", "real", "fake", "for example"], rows=rows)] if rows else [],
        facts=others,
        notes=["For all names: asli audit DATA --json."],
    )
