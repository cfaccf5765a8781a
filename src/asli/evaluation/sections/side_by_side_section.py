"""Several detectors side by side: a table each of answers, promises and groups, and the pictures they disagree on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from asli.evaluation.further import Comparison
from asli.evaluation.sections.comparison_section import VOID_RESULT, comparison_section, trained_on
from asli.evaluation.side_by_side import Answers, Disagreement, GroupRates, SideBySide
from asli.messages import Language, message
from asli.metrics.estimate import Estimate
from asli.reports.colors import Status
from asli.reports.kit import CaptionedImage, Report, ReportTable, Section, TableCell, stacked, stacked_rate

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
    void = list(trained_on(part))
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
        warning=message("report.compare_void", names=void) if void else None,
        limits=[message("report.like_these", name=data.name), message("report.compare_unchanged")],
        sections=[*side_by_side_sections(part, pictures), comparison_section(part)],
        commands=[content.command],
        language=language,
    )


def side_by_side_sections(comparison: Comparison, pictures: Mapping[int, bytes]) -> list[Section]:
    """Return the sections of several detectors on the same images.

    Args:
        comparison: Their results; it has them side by side.
        pictures: PNG files of the disagreements, by row.
    """
    part, void = comparison.side_by_side, trained_on(comparison)
    assert part is not None, "the caller has asked"
    tables = [_answers(part, void), *([promises] if (promises := _promises(part, void)) else [])]
    notes = [f"Time of an image: {part.timing}."] if part.timing else []
    notes += [f"{one.name}: {caveat}." for one in part.answers for caveat in one.caveats]
    sections = [Section(id="side-by-side", title=message("section.side_by_side"), tables=tables, notes=notes)]
    if part.groups:
        sections.append(_groups(part, void))
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
                images=[_picture(one, pictures[one.row], void) for one in shown],
            )
        )
    return sections


def _answers(part: SideBySide, void: Mapping[str, str]) -> ReportTable:
    rows: list[list[str | TableCell]] = []
    for one in part.answers:
        figures = one.figures
        seconds = one.seconds
        rows.append(
            [
                TableCell(text=one.name, note="; ".join(filter(None, [one.license, _policy(one)]))),
                *(stacked(figures[key]) for key in ("auroc", "f1")),
                *(stacked_rate(figures[key]) for key in ("false_positive_rate", "false_negative_rate")),
                TableCell(text=f"{100 * one.unsure:.1f} %", value=one.unsure),
                TableCell(text="" if seconds is None else f"{1000 * seconds:.1f} ms", value=seconds),
            ]
        )
    return ReportTable(
        caption="Each at its own threshold",
        columns=["detector", "AUROC", "F1", "real called fake", "fake missed", "unsure", "time"],
        rows=rows,
        void=_void_rows([one.name for one in part.answers], void),
    )


def _policy(one: Answers) -> str:
    return f"fake from {one.threshold:.4f} ({one.policy})"


def _void_rows(names: Sequence[str], void: Mapping[str, str]) -> dict[int, str]:
    return {number: void[name] for number, name in enumerate(names) if name in void}


def _kept(one: Answers, void: Mapping[str, str]) -> tuple[str, Status]:
    """Return whether a promise was kept, in words and as a status."""
    if one.name in void:
        return VOID_RESULT, Status.VOID
    if one.kept is None:
        return "no real images", Status.NEUTRAL
    return ("in line with it", Status.GOOD) if one.kept else ("not kept here", Status.BAD)


def _promises(part: SideBySide, void: Mapping[str, str]) -> ReportTable | None:
    rows: list[list[str | TableCell]] = []
    promised = [one for one in part.answers if one.promised is not None]
    for one in promised:
        assert one.promised is not None
        result, status = _kept(one, void)
        rows.append(
            [
                one.name,
                TableCell(text=f"{100 * one.promised:.3g} %", value=one.promised),
                stacked_rate(one.figures["false_positive_rate"]),
                TableCell(text=result, value=result, status=status),
            ]
        )
    if not rows:
        return None
    return ReportTable(
        caption="False alarms at each promised threshold",
        columns=["detector", "promised: at most", "real called fake", "result"],
        rows=rows,
        void=_void_rows([one.name for one in promised], void),
        notes=[
            "A promise holds for images like those of its calibration. “Not kept here” means that the whole interval"
            " lies above the promise."
            + (" “Void” means that the detector was trained on some of these images." if void else "")
        ],
    )


def _groups(part: SideBySide, void: Mapping[str, str]) -> Section:
    names = [one.name for one in part.answers]
    titles = [f"{name} (void)" if name in void else name for name in names]
    gray = frozenset(2 + number for number, name in enumerate(names) if name in void)
    notes = [f"{name} is {words}." for name, words in void.items()]
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
                [one.name, f"{count_of(one, label):,}", *(stacked_rate(one.rates[name][rate]) for name in names)]
                for one in groups
            ]
            columns = [property_, "images", *titles]
            tables.append(ReportTable(caption=caption, columns=columns, rows=rows, void_columns=gray, notes=notes))
    return Section(id="side-by-side-groups", title=message("section.side_by_side_groups"), tables=tables)


def _picture(one: Disagreement, data: bytes, void: Mapping[str, str]) -> CaptionedImage:
    kind = one.generator or one.source
    lines = [f"{one.label}{f' ({kind})' if kind else ''}"]
    lines += [
        f"{name}: {verdict}, {one.scores[name]:.4f}{' (void)' if name in void else ''}"
        for name, verdict in one.verdicts.items()
    ]
    return CaptionedImage(data=data, lines=[*lines, one.id], alternative=f"{one.label} image {one.id}")


def comparison_text(content: "ComparisonResult") -> str:
    """Return a comparison for a terminal: the table, promises, worst groups and tests."""
    data, part = content.data, content.comparison
    side, void = part.side_by_side, trained_on(part)
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
            f"{one.name} (void)" if one.name in void else one.name,
            *(_plain(one.figures[key]) for key in ("auroc", "f1", "false_positive_rate", "false_negative_rate")),
            f"{one.unsure:.3f}",
            "" if one.seconds is None else f"{1000 * one.seconds:.1f}",
        ]
        for one in side.answers
    ]
    lines += table_text([columns, *rows])
    for one in side.answers:
        if one.promised is not None:
            kept, _ = _kept(one, void)
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
