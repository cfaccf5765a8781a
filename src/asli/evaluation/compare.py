"""Compare detectors and tables of scores on the same images: the function behind `asli compare`."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from asli._version import __version__
from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.datasets.groups import grouped
from asli.errors import DataError
from asli.evaluation.arrays import now, summary_of
from asli.evaluation.comparison import Contender, compare_with, disagreements_of, open_others
from asli.evaluation.further import Comparison
from asli.evaluation.parts import DataSummary, Openings
from asli.evaluation.side_by_side import seconds_per_image
from asli.evaluation.subject import Given, Subject, threshold_of
from asli.files import printable, read_json, write_json
from asli.messages import Language
from asli.metrics.metric import LabeledScores
from asli.metrics.registry import registered
from asli.models.device import pick_device, set_threads
from asli.records import HIDDEN, Record

CONTENT = "compare.json"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ComparisonResult(Record):
    """Result of `compare`, and output of `asli compare --json`.

    Attributes:
        version: Version of this structure.
        asli: Version that computed it.
        date: Date, ISO 8601, UTC.
        data: The images that all detectors scored.
        comparison: The detectors, every test, and their results side by side.
        test_opened: How often scores of this part were computed.
        command: Command that computes it again.
        pictures: PNG files of the disagreements, by row.
        folder: Where it was saved.
    """

    version: Literal[1] = 1
    asli: str = __version__
    date: str
    data: DataSummary
    comparison: Comparison
    test_opened: Openings | None
    command: str
    pictures: dict[int, bytes] = field(default_factory=dict, metadata=HIDDEN, compare=False)
    folder: Path | None = field(default=None, metadata=HIDDEN, compare=False)

    def __repr__(self) -> str:
        from asli.evaluation.sections.side_by_side_section import comparison_text

        return comparison_text(self)


def compare(
    detectors: Sequence[Given],
    data: str | Path | DataFolder,
    *,
    split: str = "test",
    out: str | Path | None = None,
    threshold: float | None = None,
    group_by: str | None = None,
    group_file: str | Path | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    language: Language | None = None,
) -> ComparisonResult:
    """Compare detectors on the same images, each at its own saved threshold.

    Every difference from the first detector is tested in pairs, with one correction for all tests.

    Args:
        detectors: Two or more detectors, their folders, runs or names, or tables of scores as files or mappings.
        data: A data folder.
        split: The part to evaluate; the ledger gets an entry per detector if it is `test`.
        out: Folder of the report; None writes nothing.
        threshold: Threshold for tables of scores; None takes 0.5. A detector has its own.
        group_by: A column of the manifest, such as `source`, whose groups are resampled as one for every interval.
        group_file: A table of `id,group` for the same.
        batch_size: Images computed at a time; None chooses by input size.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.
        language: Language of the report's page; None takes the browser's.

    Raises:
        DetectorError, DataError: See their messages.
    """
    if len(detectors) < 2:
        raise DataError(f"a comparison needs two detectors or more, not {len(detectors)}")
    folder = grouped(open_data(data), group_by, group_file)
    registered()  # a metric that cannot be loaded is found before test is opened
    set_threads(threads)
    first = Subject.open(detectors[0], folder, split, threshold_of(detectors[0], threshold))
    if len(np.unique(folder.labels[folder.rows(split)])) < 2:
        raise DataError(f"the {split} part of {folder.path} has one label only; a comparison needs both")
    others = open_others(detectors[1:], first, folder, split, threshold)
    target = None if out is None else Path(out)
    if target is not None:
        _require_own(target)
    place = pick_device(device)
    scores = first.score(folder, split, place, batch_size)
    seconds = None if first.detector is None else seconds_per_image(first.detector, folder, split, place)
    contender = Contender.of(first, scores, folder, seconds)
    comparison, rows = compare_with(contender, others, folder, split, place, timed=True, batch_size=batch_size)
    words: list[str | Path] = ["asli", "compare", *(one.where for one in (first, *others)), folder.path]
    words += ["--split", split, *([] if threshold is None else ["--threshold", str(threshold)])]
    words += [] if out is None else ["--out", Path(out)]
    labels = folder.labels[rows]
    across = folder.cross_split_duplicate[rows]
    of = LabeledScores.of(labels, np.zeros(len(rows)), folder.groups(rows))
    lines = [line for line in folder.ledger() if line["split"] == split]
    result = ComparisonResult(
        date=now(),
        data=summary_of(of, name=folder.name, hash=folder.hash, split=split, across=across),
        comparison=comparison,
        test_opened=Openings(times=len(lines), recipes=len({line["recipe_hash"] for line in lines})),
        command=" ".join(shlex.quote(printable(word)) for word in words),
        pictures=disagreements_of(folder, comparison),
        folder=target,
    )
    if target is not None:
        _save(result, target, language)
    return result


def _require_own(folder: Path) -> None:
    """Refuse to write over a page that asli did not write; an earlier comparison is replaced."""
    from asli.reports.pages import require_page

    require_page(folder / "report.html", "--out")
    content = folder / CONTENT
    if content.exists():
        try:
            ours = "asli" in read_json(content)
        except (OSError, ValueError, TypeError):
            ours = False
        if not ours:
            raise DataError(f"{content} is there already and asli did not write it; give another --out")


def _save(result: ComparisonResult, folder: Path, language: Language | None) -> None:
    from asli.evaluation.sections.side_by_side_section import comparison_report
    from asli.reports.render import write_report

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONTENT, result.to_dict())
    write_report(folder, comparison_report(result, result.pictures, language))
