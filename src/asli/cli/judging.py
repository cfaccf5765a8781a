"""Commands that judge: data before training, detectors after it."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from asli.cli.table import AsJson, Device, Threads, app, figure_text


@app.command
def audit(
    data: Path,
    *,
    as_json: AsJson = False,
    strict: Annotated[bool, Parameter(negative="")] = False,
    equalise: Path | None = None,
    size: int | None = None,
    seed: int = 0,
) -> None:
    """Look for what would let a classifier cheat: damage, twins, labels readable from files, colours or sharpness.

    Args:
        data: A data folder, or a folder or zip archive of images sorted into real and fake.
        strict: Leave with exit status 3 where a trap is sprung.
        equalise: Instead write a copy here in which both labels went through the same random chain.
        size: Side of the copy's images in pixels; by default 256, or what 95 of 100 images reach.
        seed: Of every random choice.
    """
    from asli.audit.audit import audit as run
    from asli.audit.audit import opened
    from asli.audit.equalise import equalise as copy
    from asli.audit.verdicts import TrapSprungError

    with opened(data) as folder:
        if equalise is not None:
            done = copy(folder, equalise, size=size, seed=seed)
            small = done["too_small"]
            print(f"{done['images']:,} images of {done['size']} px in {equalise}; left out: {done['unreadable']:,}")
            print(f"  unreadable, {small['real']:,} real and {small['fake']:,} fake too small (see equalise.json)")
            return
        result = run(folder, seed=seed)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        for line in result["verdicts"]:
            print(f"{line['verdict']:<10} {line['trap']}: {line['says']}")
            if line["do"] and line["verdict"] in ("look", "sprung"):
                print(f"{'':<11}{line['do']}")
    sprung = [line["trap"] for line in result["verdicts"] if line["verdict"] == "sprung"]
    if strict and sprung:
        raise TrapSprungError(f"{len(sprung)} traps are sprung: {', '.join(sprung)}")


@app.command
def evaluate(
    detector: Path,
    data: Path,
    *,
    split: Literal["train", "validation", "calibration", "test"] = "test",
    out: Path | None = None,
    as_json: AsJson = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Judge a detector on a part of a data folder and write a report.

    Args:
        detector: A detector folder or a run folder.
        data: The data folder.
        split: Which part; each opening of test is recorded in the data folder's ledger.
        out: Where the report goes; by default into the detector's run.
    """
    from asli.evaluation.evaluate import evaluate as run

    result = run(detector, data, split=split, out=out, device=device, threads=threads)
    if as_json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['data']['images']:,} images of {result['data']['name']}, {split} part; at the saved threshold:")
    for name, figure in {**result["figures"]["threshold"], **result["figures"]["ranking"]}.items():
        print(f"  {name:<20} {figure_text(figure)}")
    print(f"report: {Path(result['folder']) / 'report.html'}")


@app.command
def domain_study(
    detector: str,
    data: Path,
    *,
    out: Path | None = None,
    as_json: AsJson = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Shrink ordinary pictures to a detector's size by every common kernel and count its false alarms.

    Args:
        detector: A detector folder or a run folder.
        data: A data folder of whole pictures, larger than what the detector sees.
        out: Also write the study here, as JSON.
    """
    from asli.evaluation.domain_study import describe
    from asli.evaluation.domain_study import domain_study as run
    from asli.files import write_json

    result = run(detector, data, device=device, threads=threads)
    if out is not None:
        write_json(out, result)
    print(json.dumps(result, indent=2) if as_json else describe(result))
