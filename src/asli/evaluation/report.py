"""The folder of a saved evaluation: files for programs, and the report for people."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from asli.errors import DataError
from asli.evaluation.parts import Attachments
from asli.evaluation.sections import comparison_section, mistakes_section, robustness_section, side_by_side_section
from asli.evaluation.sections.overview import report_of, training_section
from asli.files import read_json, replacing, write_json, write_text
from asli.messages import Language, Message
from asli.records import Json
from asli.reports.pages import require_page
from asli.reports.render import write_report

if TYPE_CHECKING:
    from asli.evaluation.result import EvaluationResult


def require_report_folder(folder: Path) -> None:
    """Refuse to write into a folder where files of these names are somebody else's; an earlier report is replaced.

    Raises:
        AsliError: They are, or the folder's name is not UTF-8.
    """
    require_page(folder / "report.html", "--out")
    metrics = folder / "metrics.json"
    if metrics.exists():
        try:
            ours = "asli" in read_json(metrics)
        except (OSError, ValueError, TypeError):
            ours = False
        if not ours:
            raise DataError(f"{metrics} is there already and asli did not write it; give another --out")


def write_numbers(content: Json, attached: Attachments, folder: Path) -> None:
    """Write `scores.parquet`, `metrics.json` and, where images have no score, `unscored.txt`.

    Args:
        content: What `EvaluationResult.to_dict` returns.
        attached: What else was measured.
        folder: Where they go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if attached.scores is not None:
        with replacing(folder / "scores.parquet") as temporary:
            pq.write_table(attached.scores, temporary, compression="zstd")
    if attached.left_out:
        write_text(folder / "unscored.txt", "".join(f"{line}\n" for line in attached.left_out))
    write_json(folder / "metrics.json", content)


def write_report_folder(result: "EvaluationResult", folder: Path, language: Language | None = None) -> Path:
    """Write a result and its attachments.

    Args:
        result: The result.
        folder: Where it goes.
        language: Language of the report's summary; None takes the browser's.

    Returns:
        The path of the report.
    """
    content, attached = result.to_dict(), result.attachments
    write_numbers(content, attached, folder)
    if attached.model_card is not None:
        write_text(folder / "model_card.md", attached.model_card())
    sections = [training_section(list(attached.training))] if attached.training else []
    if result.comparison is not None:
        sections.append(comparison_section.comparison_section(result.comparison))
        if result.comparison.side_by_side is not None:
            sections += side_by_side_section.side_by_side_sections(result.comparison, attached.pictures)
    if result.robustness is not None:
        sections += robustness_section.robustness_sections(result.robustness)
    if result.mistakes is not None:
        sections += mistakes_section.gallery_sections(result.mistakes, attached.pictures)
    return write_report(folder, report_of(content, sections, command=attached.command, language=language))


def headlines(result: "EvaluationResult") -> list[Message]:
    """Return what a reader must know of comparison, robustness and mistakes who reads nothing else."""
    return [
        *(comparison_section.headline(result.comparison) if result.comparison else ()),
        *(robustness_section.headline(result.robustness) if result.robustness else ()),
        *(mistakes_section.headline(result.mistakes) if result.mistakes else ()),
    ]
