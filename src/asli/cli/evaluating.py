"""Commands that judge: data before training, detectors after it."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from asli.cli.common import AsJson, Device, Seed, Share, Threads, app, figure_text, leave
from asli.errors import AsliError


@app.command
def audit(
    data: Path,
    *,
    as_json: AsJson = False,
    html: Path | None = None,
    strict: Annotated[bool, Parameter(negative="")] = False,
    equalize: Path | None = None,
    size: int | None = None,
    seed: Seed = 0,
) -> None:
    """Look for what would let a classifier cheat: damage, duplicates, labels readable from files, colors or sharpness.

    Args:
        data: A data folder, or a folder or zip archive of images sorted into real and fake.
        html: Also write a page with pictures here.
        strict: Leave with exit status 3 where a trap is sprung.
        equalize: Instead write a copy here in which both labels went through the same random chain.
        size: Side of the copy's images in pixels; by default 256, or what 95 of 100 images reach.
        seed: Of every random choice.
    """
    from asli.auditing.audit import audit as run
    from asli.auditing.audit import opened
    from asli.auditing.equalize import equalize as copy
    from asli.auditing.findings import TrapSprungError

    if equalize is not None and (html is not None or strict):
        leave("--equalize writes a copy and judges nothing: audit that copy with --html and --strict", 2)
    with opened(data) as folder:
        if equalize is not None:
            done = copy(folder, equalize, size=size, seed=seed)
            small = done["too_small"]
            left = f"{done['unreadable']:,} unreadable, {small['real']:,} real and {small['fake']:,} fake too small"
            said = f"{done['images']:,} images of {done['size']} px in {equalize}; left out (see equalize.json): {left}"
            print(json.dumps(done, indent=2) if as_json else said)
            return
        result = run(folder, seed=seed, html=html)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        for line in result["verdicts"]:
            print(f"{line['verdict']:<10} {line['trap']}: {line['says']}")
            if line["do"] and line["verdict"] in ("look", "sprung"):
                print(f"{'':<11}{line['do']}")
        if html is not None:
            print(f"page: {html}")
    sprung = [line["trap"] for line in result["verdicts"] if line["verdict"] == "sprung"]
    if strict and sprung:
        raise TrapSprungError(f"{len(sprung)} traps are sprung: {', '.join(sprung)}")


@app.command
def calibrate(
    detector: str,
    data: Path,
    *,
    out: Path,
    policy: Literal["max-f1", "argmax", "target-fpr"] | None = None,
    target_fpr: Share | None = None,
    confidence: Share = 0.95,
    band: Annotated[bool, Parameter(negative="")] = False,
    license: str | None = None,
    split: str = "calibration",
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Fit a detector's temperature and thresholds anew, on the calibration part of a data folder.

    Args:
        detector: A detector folder or a run folder; it stays as it is.
        data: The data folder.
        out: The new detector's folder.
        policy: Where fake begins: highest F1, 0.5, or a promised false positive rate; target-fpr where that is given,
            else max-f1.
        target_fpr: The share of photographs that may be called fake, such as 1% (the default) or 0.01.
        confidence: That the promise holds.
        band: Promise the same of fakes called real; what lies between the two thresholds is unsure.
        license: Under which the weights may be used, for the model card; the given detector's by default.
        split: Must be calibration; other parts are refused.
    """
    from asli.detector.calibrate import calibrate as run
    from asli.metrics.thresholds import Policy

    chosen = policy or ("target-fpr" if target_fpr is not None or band else "max-f1")
    if target_fpr is not None and chosen != "target-fpr":
        raise AsliError(f"--target-fpr goes with --policy target-fpr, not with {chosen}")
    settings = Policy(name=chosen, target=0.01 if target_fpr is None else target_fpr, confidence=confidence, band=band)
    made = run(detector, data, out, settings, license=license, split=split, device=device, threads=threads)
    thresholds = made.card.thresholds
    print(f"real below {thresholds.low:.4f}, fake from {thresholds.high:.4f} ({thresholds.policy}, {thresholds.basis})")
    if thresholds.promise:
        print(f"promised: {thresholds.promise}")
    print(f"detector: {out}")


@app.command
def evaluate(
    detector: str,
    data: Path,
    *,
    split: Literal["train", "validation", "calibration", "test"] = "test",
    out: Path | None = None,
    robustness: Annotated[bool, Parameter(negative="")] = False,
    robustness_images: int = 2000,
    against: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    threshold: float | None = None,
    prevalence: Annotated[list[Share] | None, Parameter(negative="", consume_multiple=True)] = None,
    as_json: AsJson = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Judge a detector, or a table of anyone's scores, on a part of a data folder and write a report.

    Args:
        detector: A detector folder, a run folder, or a table of filename,score, the score being P(fake).
        data: The data folder.
        split: Which part; each opening of test is recorded in the data folder's ledger.
        out: Where the report goes; by default into the detector's run.
        robustness: Also corrupt images (JPEG, blur, noise, ...) and judge them at the unchanged threshold; an
            interrupted sweep goes on with the same command.
        robustness_images: At most as many, drawn evenly by label.
        against: Detectors or runs to compare with on the same images; runs of one recipe that differ by their seed are
            taken together.
        threshold: Where fake begins for a table of scores; 0.5 by default. A detector brings its own.
        prevalence: Shares of fakes among future images, such as 1%, for which the report states how often a verdict is
            right; 50%, 10%, 1% and 0.1% by default.
    """
    from asli.evaluation.evaluate import evaluate as run
    from asli.evaluation.further import headlines
    from asli.evaluation.judge import PREVALENCES

    result = run(
        detector,
        data,
        split=split,
        out=out,
        robustness=robustness_images * robustness,
        against=against or (),
        threshold=threshold,
        prevalences=prevalence or PREVALENCES,
        device=device,
        threads=threads,
    )
    if as_json:
        print(json.dumps(result, indent=2))
        return
    judged = result["data"]
    print(f"{judged['images']:,} images of {judged['name']}, {split} part; fake from {result['threshold']:.4f}")
    for caveat in result["detector"].get("caveats", ()):
        print(f"  the detector is {caveat}")
    for name, figure in {**result["figures"]["threshold"], **result["figures"]["ranking"]}.items():
        print(f"  {name.replace('_', ' '):<20} {figure_text(figure)}")
    for rate, worst in result["groups"]["worst"].items():
        name = f"worst {rate.replace('_', ' ')} of {worst['of']} groups"
        print(f"  {name}: {worst['property']} {worst['name']} {figure_text(worst['figure'])}")
    for line in headlines(result):
        print(f"  {line}")
    print(f"report: {Path(result['folder']) / 'report.html'}")


@app.command
def domain_study(
    detector: str,
    data: Path,
    *,
    out: Path | None = None,
    card: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Shrink ordinary pictures to a detector's size by every common kernel and count its false alarms.

    Args:
        detector: A detector folder or a run folder.
        data: A data folder of whole pictures, larger than what the detector sees.
        out: Also write the study here, as JSON.
        card: Also keep its figures in the detector's model card.
    """
    from asli.detector.bundle import Detector
    from asli.detector.locate import require_own_folder
    from asli.evaluation.domain_study import describe, for_card
    from asli.evaluation.domain_study import domain_study as run
    from asli.files import write_json

    if card:
        require_own_folder(detector)
    result = run(detector, data, device=device, threads=threads)
    if out is not None:
        write_json(out, result)
    if card:
        Detector.open(detector).add_domain_study(for_card(result))
    print(json.dumps(result, indent=2) if as_json else describe(result))
