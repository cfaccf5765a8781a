"""Commands that examine: data before training, detectors after it."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from asli.cli.common import (
    DATA,
    EVALUATE,
    AsJson,
    BatchSize,
    Count,
    DetectorName,
    Device,
    GroupBy,
    GroupFile,
    InLanguage,
    Seed,
    Share,
    Threads,
    app,
    examples,
    leave,
)
from asli.cli.opening import NO_FLAGS, Opening
from asli.cli.policies import policy_of, print_calibrated


@app.command(group=DATA, help_epilogue=examples("audit data --html audit.html", "audit data --equalize equalized"))
def audit(
    data: Path | None = None,
    *,
    as_json: AsJson = False,
    html: Path | None = None,
    strict: Annotated[bool, Parameter(negative="")] = False,
    equalize: Path | None = None,
    equalise: Annotated[Path | None, Parameter(show=False)] = None,
    size: int | None = None,
    seed: Seed = 0,
    opening: Opening = NO_FLAGS,
) -> None:
    """Find shortcuts in data: damage, duplicates, labels that files, colors or sharpness give away.

    Args:
        data: A data folder, or what `asli data open` takes, with the same flags.
        html: Also write a page with pictures here.
        strict: Exit with status 3 if a check fails.
        equalize: Instead write a copy here in which all images went through the same random chain.
        size: Side of the copy's images in pixels; by default 256, or what 95 of 100 images reach.
        seed: Seed of every random choice.
    """
    from asli.auditing.audit import audit as run
    from asli.auditing.equalize import equalize as copy
    from asli.datasets.cache import open_data

    equalize = equalize or equalise
    if equalize is not None and (html is not None or strict):
        leave("--equalize writes a copy and runs no check: audit that copy with --html and --strict", 2)
    folder = open_data(data, **opening.how())
    if equalize is not None:
        done = copy(folder, equalize, size=size, seed=seed)
        small = done.too_small
        left = f"{done.unreadable:,} unreadable, {small.real:,} real and {small.fake:,} fake too small"
        text = f"{done.images:,} images of {done.size} px in {equalize}; left out (see equalize.json): {left}"
        print(json.dumps(done.to_dict(), indent=2) if as_json else text)
        return
    result = run(folder, seed=seed, html=html)
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        print(result)
        if html is not None:
            print(f"page: {html}")
    if strict:
        result.require_pass()


@app.command(group=EVALUATE, help_epilogue=examples("calibrate run data --out detector --target-fpr 1% --band"))
def calibrate(
    detector: DetectorName,
    data: Path | None = None,
    *,
    opening: Opening = NO_FLAGS,
    out: Path,
    policy: Literal["max-f1", "argmax", "target-fpr"] | None = None,
    target_fpr: Share | None = None,
    confidence: Share = 0.95,
    band: Annotated[bool, Parameter(negative="")] = False,
    license: str | None = None,
    licence: Annotated[str | None, Parameter(show=False)] = None,
    split: str = "calibration",
    group_by: GroupBy = None,
    group_file: GroupFile = None,
    views: Annotated[bool, Parameter(negative="")] = False,
    trunk: Path | None = None,
    batch_size: BatchSize = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Fit a detector's temperature and thresholds anew, on the calibration part of a data folder.

    Args:
        detector: A detector folder or a run folder; it stays as it is.
        data: A data folder, or images as asli data open takes them, with the same flags.
        out: The new detector's folder.
        policy: How the threshold is chosen: highest F1, 0.5 (argmax), or a promised false positive rate. By default
            target-fpr if one is given, else max-f1.
        target_fpr: Largest share of photographs that may be called fake, such as 1% (the default) or 0.01.
        confidence: Confidence that the promise holds.
        band: Promise the same for fakes called real; scores between the two thresholds are unsure.
        license: License under which the weights may be used, for the model card; the given detector's by default.
        split: Must be calibration; other parts are refused.
        group_by: Column, such as source: a promised false positive rate holds for each of its groups of photographs.
        group_file: Table of id,group for the same.
        views: Score calibration images as JPEG 40 to 100, WebP, AVIF and HEIC files, too: the domain then holds these.
        trunk: Another trunk's file, for a detector that reads its features from one (see asli trunk).
    """
    from asli.datasets.cache import open_data
    from asli.detector.calibrate import calibrate as run

    made = run(
        detector,
        open_data(data, **opening.how()),
        out,
        policy_of(policy, target_fpr=target_fpr, confidence=confidence, band=band),
        license=license or licence,
        split=split,
        group_by=group_by,
        group_file=group_file,
        views=views,
        trunk=trunk,
        batch_size=batch_size,
        device=device,
        threads=threads,
    )
    print_calibrated(made, out)


@app.command(
    group=EVALUATE,
    help_epilogue=examples(
        "evaluate run data",
        "evaluate run data --against other-run --robustness 500",
        "evaluate scores.csv data --threshold 0.7",
    ),
)
def evaluate(
    detector: DetectorName,
    data: Path | None = None,
    *,
    opening: Opening = NO_FLAGS,
    split: Literal["train", "validation", "calibration", "test"] = "test",
    out: Path | None = None,
    robustness: Annotated[bool | int, Parameter(negative="", metavar="[N]", validator=Number(gte=0))] = False,
    robustness_images: Annotated[Count | None, Parameter(show=False)] = None,
    against: Annotated[list[DetectorName] | None, Parameter(consume_multiple=True, negative="")] = None,
    threshold: float | None = None,
    prevalence: Annotated[list[Share] | None, Parameter(negative="", consume_multiple=True)] = None,
    prior: Annotated[list[Share] | None, Parameter(negative="", consume_multiple=True, show=False)] = None,
    language: InLanguage = None,
    as_json: AsJson = False,
    group_by: GroupBy = None,
    group_file: GroupFile = None,
    batch_size: BatchSize = None,
    device: Device = None,
    threads: Threads = None,
    track: Annotated[list[Literal["wandb"]] | None, Parameter(negative="")] = None,
) -> None:
    """Evaluate a detector, or a table of anyone's scores, on a part of a data folder and write a report.

    Args:
        detector: A detector folder, a run folder, or a table of filename,score, the score being P(fake).
        data: A data folder, or images as asli data open takes them, with the same flags.
        split: The part to evaluate; each evaluation on test is recorded in the data folder's ledger.
        out: Folder of the report; by default in the detector's run.
        robustness: Also evaluate corrupted images (JPEG, blur, noise, ...) at the unchanged threshold. A number sets
            the most images (2,000 by default), drawn evenly by label. Rerun an interrupted command to resume it.
        robustness_images: Formerly the number of images.
        against: Detectors or runs to compare with on the same images. Runs of one recipe with different seeds are
            combined.
        threshold: Threshold for a table of scores; 0.5 by default. A detector has its own.
        prevalence: Shares of fakes among future images, such as 1%. The report states how often a verdict is right for
            each; by default 50%, 10%, 1% and 0.1%.
        prior: Formerly prevalence.
        track: Also add metrics, confusion matrix, figures and the report to the W&B run of the training.
    """
    from asli.datasets.cache import open_data
    from asli.evaluation.evaluate import evaluate as run
    from asli.evaluation.evaluate import report_folder
    from asli.evaluation.measure import PREVALENCES
    from asli.evaluation.report import headlines
    from asli.evaluation.robustness import IMAGES

    folder = open_data(data, **opening.how())
    result = run(
        detector,
        folder,
        split=split,
        out=report_folder(detector, folder, split) if out is None else out,
        robustness=(robustness_images or IMAGES) if robustness is True else int(robustness),
        against=against or (),
        threshold=threshold,
        prevalences=prevalence or prior or PREVALENCES,
        language=language,
        group_by=group_by,
        group_file=group_file,
        batch_size=batch_size,
        device=device,
        threads=threads,
        track=track or (),
    )
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    print(result)
    for line in headlines(result):
        print(f"  {line}")
    assert result.folder is not None
    print(f"report: {result.folder / 'report.html'}")


@app.command(group=EVALUATE, help_epilogue=examples("domain-study run pictures --out study.json"))
def domain_study(
    detector: DetectorName,
    data: Path,
    *,
    out: Path | None = None,
    card: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Shrink ordinary pictures to a detector's size by every common kernel and count false alarms.

    Args:
        detector: A detector folder or a run folder.
        data: A data folder of whole pictures, larger than the detector's input.
        out: Also write the study here, as JSON.
        card: Also add the results to the detector's model card.
    """
    from asli.detector.base import Detector
    from asli.detector.classifier import as_classifier
    from asli.detector.locate import require_own_folder
    from asli.evaluation.domain_study import domain_study as run
    from asli.files import write_json

    if card:
        require_own_folder(detector)
    result = run(detector, data, device=device, threads=threads)
    if out is not None:
        write_json(out, result.to_dict())
    if card:
        as_classifier(Detector.load(detector), "the domain study").add_domain_study(result.for_card())
    print(json.dumps(result.to_dict(), indent=2) if as_json else result.describe())
