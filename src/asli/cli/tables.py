"""Commands on tables of any length, without images."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from asli.cli.common import EVALUATE, OTHER, AsJson, DetectorName, InLanguage, Seed, Share, app, examples, leave
from asli.cli.policies import policy_of, print_calibrated
from asli.files import printable

table = cyclopts.App(
    name="table",
    group=EVALUATE,
    help="Evaluate, calibrate or audit from tables of any length in bounded memory, without images.",
    help_epilogue=examples(
        "table evaluate scores/ --labels manifest.parquet --out report",
        "table calibrate photo scores/ --labels manifest.parquet --out detector --target-fpr 1%",
        "table audit manifest.parquet",
    ),
)
app.command(table)
for flag in ("--help", "--version"):
    table[flag].group = OTHER

Labels = Annotated[
    str | Path | None,
    Parameter(help="A table or data folder with id and label, if the scores have no labels; joined by id."),
]
Duplicates = Annotated[
    str | None,
    Parameter(help="Column that dependent images share, such as sha256; duplicate_group by default, if it exists."),
]


@table.command(help_epilogue=examples("table evaluate scores/ --labels manifest.parquet --out report"))
def evaluate(
    scores: str | Path,
    *,
    labels: Labels = None,
    split: str | None = None,
    detector: DetectorName | None = None,
    threshold: float | None = None,
    by: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    duplicates: Duplicates = None,
    prevalence: Annotated[list[Share] | None, Parameter(negative="", consume_multiple=True)] = None,
    out: Path | None = None,
    language: InLanguage = None,
    as_json: AsJson = False,
) -> None:
    """Compute every metric with its interval from a table of scores.

    Args:
        scores: A table with a column score (Parquet, CSV, TSV), or a folder of Parquet parts; a path or URL.
        split: Rows to evaluate, if there is a column split; test by default, all for every row.
        detector: The detector whose scan it is: its thresholds are used.
        threshold: Fake from here on; 0.5 by default.
        by: Columns of groups; by default generator, source, category and format, if they exist.
        prevalence: Shares of fakes among future images, such as 1%; by default 50%, 10%, 1% and 0.1%.
        out: Also write a report into this folder.
    """
    from asli.evaluation.measure import PREVALENCES
    from asli.tables.evaluate_table import evaluate_table
    from asli.tables.origin import thresholds_of

    if detector is not None and threshold is not None:
        leave("--detector brings its own thresholds; leave --threshold out", 2)
    limits = thresholds_of(detector, scores) if detector is not None else 0.5 if threshold is None else threshold
    result = evaluate_table(
        scores,
        labels,
        split=_split(split, "test"),
        threshold=limits,
        by=by,
        duplicates=duplicates,
        prevalences=prevalence or PREVALENCES,
    )
    words: list[object] = ["asli", "table", "evaluate", scores, *(["--by", *by] if by else [])]
    words += ["--prevalence", *prevalence] if prevalence else []
    given = {"labels": labels, "split": split, "detector": detector, "threshold": threshold, "duplicates": duplicates}
    for name, value in {**given, "out": out}.items():
        words += [] if value is None else [f"--{name}", value]
    command = shlex.join(printable(str(word)) for word in words)
    result = replace(result, attachments=replace(result.attachments, command=command))
    report = None if out is None else result.save(out, language=language)
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    print(result)
    if report is not None:
        print(f"report: {report}")


@table.command(help_epilogue=examples("table calibrate photo scores/ --labels data --out detector --target-fpr 1%"))
def calibrate(
    detector: DetectorName,
    scores: str | Path,
    *,
    labels: Labels = None,
    out: Path,
    policy: Literal["max-f1", "argmax", "target-fpr"] | None = None,
    target_fpr: Share | None = None,
    confidence: Share = 0.95,
    band: Annotated[bool, Parameter(negative="")] = False,
    split: str | None = None,
    duplicates: Duplicates = None,
) -> None:
    """Fit a detector's temperature and thresholds on a table of its own scan.

    Args:
        detector: A detector folder or a run folder; it stays as it is.
        scores: The table or folder of parts that asli scan wrote with this detector.
        out: The new detector's folder.
        policy: How the threshold is chosen: highest F1, 0.5 (argmax), or a promised false positive rate.
        target_fpr: Largest share of photographs that may be called fake, such as 1% or 0.01.
        confidence: Confidence that the promise holds.
        band: Promise the same for fakes called real; scores between the two thresholds are unsure.
        split: Rows to fit on, if there is a column split; calibration by default, all for every row.
    """
    from asli.tables.calibrate_table import calibrate_table

    chosen = policy_of(policy, target_fpr=target_fpr, confidence=confidence, band=band)
    split = _split(split, "calibration")
    print_calibrated(calibrate_table(detector, scores, labels, out, chosen, split=split, duplicates=duplicates), out)


@table.command(help_epilogue=examples("table audit manifest.parquet --strict"))
def audit(
    manifest: str | Path,
    *,
    as_json: AsJson = False,
    strict: Annotated[bool, Parameter(negative="")] = False,
    seed: Seed = 0,
) -> None:
    """Find shortcuts that a manifest shows: damage, imbalance, duplicates, labels in file settings.

    Args:
        manifest: A table with id, label and other columns of a manifest, or a data folder.
        strict: Exit with status 3 if a check fails.
        seed: Seed of every random choice.
    """
    from asli.tables.audit_table import audit_table

    result = audit_table(manifest, seed=seed)
    print(json.dumps(result.to_dict(), indent=2) if as_json else result)
    if strict:
        result.require_pass()


def _split(given: str | None, default: str) -> str | None:
    return None if given == "all" else given or default
