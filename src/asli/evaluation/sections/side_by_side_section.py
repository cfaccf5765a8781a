"""Several detectors side by side: a table each of answers, promises and groups, and the pictures they disagree on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from asli.evaluation.sections.comparison_section import comparison_section
from asli.evaluation.side_by_side import Answers, Disagreement, GroupRates, SideBySide
from asli.messages import Language, message
from asli.metrics.estimate import Estimate
from asli.reports.colors import Status
from asli.reports.kit import CaptionedImage, Report, ReportTable, Section, TableCell
from asli.reports.numbers import counted, interval_text, percent, percent_interval, value_text

if TYPE_CHECKING:
    from asli.evaluation.compare import ComparisonResult


def comparison_report(content: "ComparisonResult", pictures: Mapping[int, bytes], language: Language | None) -> Report:
    """Return the report of a comparison.

    Args:
        content: The result, saved.
        pictures: PNG files of the disagreements, by row.
        language: Language of the page; None takes the browser's.
    """
    data, part = content.data, content.comparison
    assert part.side_by_side is not None, "a comparison of its own has it"
    return Report(
        title=message("report.compare_title", count=len(part.detectors), name=data.name, split=data.split),
        origin=message(
            "report.compare_origin",
            images=data.images,
            real=data.real,
            fake=data.fake,
            date=content.date[:10],
            version=content.asli,
        ),
        sections=[*side_by_side_sections(part.side_by_side, pictures), comparison_section(part)],
        commands=[content.command],
        language=language,
    )


def side_by_side_sections(part: SideBySide, pictures: Mapping[int, bytes]) -> list[Section]:
    """Return the sections of several detectors on the same images.

    Args:
        part: Their results.
        pictures: PNG files of the disagreements, by row.
    """
    tables = [_answers(part), *([promises] if (promises := _promises(part)) else [])]
    notes = [f"Time of an image: {part.timing}."] if part.timing else []
    notes += [f"{one.name}: {caveat}." for one in part.answers for caveat in one.caveats]
    sections = [Section(id="side-by-side", title=message("section.side_by_side"), tables=tables, notes=notes)]
    if part.groups:
        sections.append(_groups(part))
    shown = [one for one in part.disagreements if one.row in pictures]
    if part.conflicts:
        sections.append(
            Section(
                id="disagreements",
                title=message("section.disagreements"),
                paragraphs=[
                    f"One detector calls {part.conflicts:,} images real that another one calls fake. Those with the"
                    " widest range of scores:"
                ],
                images=[_picture(one, pictures[one.row]) for one in shown],
            )
        )
    return sections


def _answers(part: SideBySide) -> ReportTable:
    rows = []
    for one in part.answers:
        figures = one.figures
        seconds = one.seconds
        rows.append(
            [
                TableCell(text=one.name, note="; ".join(filter(None, [one.license, _policy(one)]))),
                *(
                    TableCell(text=value_text(figures[key]), value=figures[key].value, note=interval_text(figures[key]))
                    for key in ("auroc", "f1")
                ),
                *(_rate(figures[key]) for key in ("false_positive_rate", "false_negative_rate")),
                TableCell(text=f"{100 * one.unsure:.1f} %", value=one.unsure),
                TableCell(text="" if seconds is None else f"{1000 * seconds:.1f} ms", value=seconds),
            ]
        )
    return ReportTable(
        caption="Each at its own threshold",
        columns=["detector", "AUROC", "F1", "real called fake", "fake missed", "unsure", "time"],
        rows=rows,
    )


def _policy(one: Answers) -> str:
    return f"fake from {one.threshold:.4f} ({one.policy})"


def _rate(figure: Estimate) -> TableCell:
    return TableCell(text=percent(figure), value=figure.value, note=f"{percent_interval(figure)}, {counted(figure)}")


def _promises(part: SideBySide) -> ReportTable | None:
    rows: list[list[str | TableCell]] = []
    for one in part.answers:
        if one.promised is None:
            continue
        rate, kept = one.figures["false_positive_rate"], one.kept
        result = "no real images" if kept is None else "in line with it" if kept else "not kept here"
        status = Status.NEUTRAL if kept is None else Status.GOOD if kept else Status.BAD
        rows.append(
            [
                one.name,
                TableCell(text=f"{100 * one.promised:.3g} %", value=one.promised),
                _rate(rate),
                TableCell(text=result, value=result, status=status),
            ]
        )
    if not rows:
        return None
    return ReportTable(
        caption="False alarms at each promised threshold",
        columns=["detector", "promised: at most", "real called fake", "result"],
        rows=rows,
        notes=[
            "A promise holds for images like those of its calibration. “Not kept here” means that the whole interval"
            " lies above the promise."
        ],
    )


def _groups(part: SideBySide) -> Section:
    names = [one.name for one in part.answers]
    tables = []

    def count_of(group: GroupRates, label: str) -> int:
        return group.real if label == "real" else group.fake

    for property_, rate, label, caption in (
        ("generator", "false_negative_rate", "fake", "Fakes not called fake, by generator"),
        ("source", "false_positive_rate", "real", "Real images called fake, by source"),
        ("source", "false_negative_rate", "fake", "Fakes not called fake, by source"),
    ):
        groups = [one for one in part.groups if one.property == property_ and count_of(one, label)]
        if groups:
            rows: list[list[str | TableCell]] = [
                [one.name, f"{count_of(one, label):,}", *(_rate(one.rates[name][rate]) for name in names)]
                for one in groups
            ]
            tables.append(ReportTable(caption=caption, columns=[property_, "images", *names], rows=rows))
    return Section(id="side-by-side-groups", title=message("section.side_by_side_groups"), tables=tables)


def _picture(one: Disagreement, data: bytes) -> CaptionedImage:
    kind = one.generator or one.source
    lines = [f"{one.label}{f' ({kind})' if kind else ''}"]
    lines += [f"{name}: {verdict}, {one.scores[name]:.4f}" for name, verdict in one.verdicts.items()]
    return CaptionedImage(data=data, lines=[*lines, one.id], alternative=f"{one.label} image {one.id}")


def comparison_text(content: "ComparisonResult") -> str:
    """Return a comparison for a terminal: the table, promises, worst groups and tests."""
    data, part = content.data, content.comparison
    side = part.side_by_side
    assert side is not None, "a comparison of its own has it"
    lines = [
        f"{data.images:,} images of {data.name}, {data.split} part ({data.real:,} real, {data.fake:,}"
        " fake); each detector at its own threshold; 95% intervals"
    ]
    if part.left_out:
        lines.append(f"{part.left_out:,} images are left out: not all have scores of them")
    columns = ["detector", "AUROC", "F1", "real called fake", "fake missed", "unsure", "ms/image"]
    rows = [
        [
            one.name,
            *(_plain(one.figures[key]) for key in ("auroc", "f1", "false_positive_rate", "false_negative_rate")),
            f"{one.unsure:.3f}",
            "" if one.seconds is None else f"{1000 * one.seconds:.1f}",
        ]
        for one in side.answers
    ]
    lines += table_text([columns, *rows])
    for one in side.answers:
        if one.promised is not None:
            kept = {True: "in line with it", False: "not kept here", None: "no real images"}[one.kept]
            rate = _plain(one.figures["false_positive_rate"])
            lines.append(f"{one.name} promised at most {one.promised:.3g} of photographs called fake: {rate}, {kept}")
        lines += [f"{one.name}: {caveat}" for caveat in one.caveats]
    lines += map(str, comparison_section(part).headline)
    lines.append(f"{side.conflicts:,} images are called real by one detector and fake by another")
    return "\n".join(lines)


def table_text(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text as lines of aligned columns."""
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _plain(figure: Estimate) -> str:
    if figure.value is None or figure.low is None:
        return "undefined"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
