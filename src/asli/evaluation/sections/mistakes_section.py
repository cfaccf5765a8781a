"""The gallery as sections of the report: how mistakes look, then the pictures, one panel a kind."""

from collections.abc import Mapping

from asli.evaluation.further import AppearanceTest, Mistake, Mistakes
from asli.evaluation.mistakes import KINDS
from asli.messages import Message, message
from asli.metrics.appearance import NAMES
from asli.reports.kit import CaptionedImage, ReportTable, Section
from asli.reports.numbers import interval_text, p_text, value_text

_TITLES = {"real called fake": "Photographs called fake", "fake called real": "Fakes called real"}


def gallery_sections(part: Mistakes, pictures: Mapping[int, bytes]) -> list[Section]:
    """Return the sections of the mistakes.

    Args:
        part: The mistakes.
        pictures: PNG files of its pictures, by row.
    """
    tables = [
        ReportTable(
            caption=f"{_TITLES[kind]}, compared with correct verdicts of the same label",
            columns=[
                "measure",
                "median: mistakes",
                "right",
                "chance that a mistake measures higher",
                "95 % CI",
                "p, Holm",
                "mistakes measure",
            ],
            rows=[_row(claim) for claim in part.tests if claim.kind == kind],
        )
        for kind in KINDS
    ]
    counts = ", ".join(f"{number:,} {_TITLES[kind].lower()}" for kind, number in part.counts.items())
    unsure = f", without the {part.unsure:,} called unsure" if part.unsure else ""
    tested = sum(claim.p is not None for claim in part.tests)
    checked = Section(
        id="mistakes",
        title=message("section.mistakes"),
        headline=headline(part),
        tables=tables,
        notes=[
            f"All {part.images:,} images were measured, {part.independent:,} of them count (one of each group of"
            f" identical images{unsure}): {counts}. Mistakes are compared with correct verdicts of the same label."
            f" Mann-Whitney's test; interval of the chance: DeLong's; Holm over these {tested} tests. This shows"
            " how mistakes differ, not what causes them.",
            "Colorfulness: Hasler and Suesstrunk 2003. Texture: root mean square difference of neighboring pixels'"
            " brightness (energy of the gradient). Background flatness: share of blocks along the picture's edge whose"
            " brightness varies by less than 5 levels of 255. The panels below show the most confident mistakes first.",
        ],
    )
    panels = [
        Section(
            id=f"mistakes-{kind.split()[0]}",
            title=message(f"section.mistakes_{kind.split()[0]}"),
            images=[
                CaptionedImage(
                    data=pictures[line.row],
                    lines=[f"P(fake) {line.score:.4f}", _caption(line)],
                    alternative=f"{kind}, {line.id}",
                )
                for line in part.worst[kind]
            ],
        )
        for kind in KINDS
        if part.worst[kind]
    ]
    return [checked, *panels]


def _row(claim: AppearanceTest) -> list[str]:
    start = [NAMES[claim.measure]]
    if claim.medians is None or claim.area is None or claim.p_holm is None or claim.direction is None:
        return [
            *start,
            "",
            "",
            f"not judged: {claim.mistakes} mistake{'s' if claim.mistakes != 1 else ''}",
            "",
            "",
            "",
        ]
    digits = 2 if claim.measure == "flatness" else 1
    return [
        *start,
        *(f"{median:.{digits}f}" for median in claim.medians),
        value_text(claim.area),
        interval_text(claim.area),
        p_text(claim.p_holm),
        claim.direction,
    ]


def headline(part: Mistakes) -> list[Message]:
    """Return a sentence on how mistakes differ from correctly classified images, where a difference is shown."""
    shown = [claim for claim in part.tests if claim.direction not in (None, "not shown")]
    parts = [
        message(
            "finding.mistake",
            measure=message(f"finding.{claim.measure}"),
            direction=message(f"finding.{claim.direction}"),
            kind=message(f"finding.{claim.kind.split()[0]}_mistaken"),
        )
        for claim in shown
    ]
    return [message("finding.mistakes", parts=parts)] if parts else []


def _caption(line: Mistake) -> str:
    kind = line.generator or line.category
    numbers = f"color {line.colorfulness:.0f}, texture {line.texture:.0f}, flat {100 * line.flatness:.0f} %"
    return f"{kind + '; ' if kind else ''}{numbers}; {line.id}"
