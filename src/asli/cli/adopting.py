"""Commands about other people's detectors: adopt one, compare several."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from asli.cli.common import (
    EVALUATE,
    MANAGE,
    AsJson,
    BatchSize,
    Device,
    GroupBy,
    GroupFile,
    InLanguage,
    Share,
    Threads,
    app,
    examples,
    leave,
)
from asli.cli.policies import policy_of

Names = Annotated[list[str] | None, Parameter(negative="")]


@app.command(
    group=MANAGE,
    help_epilogue=examples(
        "adopt hub:OWNER/NAME detector", "adopt network.onnx detector --preprocessing preprocessor_config.json"
    ),
)
def adopt(
    source: str,
    out: Path,
    *,
    data: Path | None = None,
    fake_label: Names = None,
    real_label: Names = None,
    preprocessing: Path | None = None,
    processor: Literal["fast", "slow"] | None = None,
    architecture: str | None = None,
    strip_prefix: str = "",
    onnx: bool = True,
    policy: Literal["max-f1", "argmax", "target-fpr"] | None = None,
    target_fpr: Share | None = None,
    confidence: Share = 0.95,
    band: Annotated[bool, Parameter(negative="")] = False,
    license: str | None = None,
    as_json: AsJson = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Make a detector of somebody else's network, after proving that its scores stay the same.

    Args:
        source: hub:OWNER/NAME[@REVISION], a folder with config.json and model.safetensors, a .safetensors file, or an
            .onnx file.
        out: The new detector's folder.
        data: A data folder whose calibration part sets temperature, thresholds and domain; without it the detector is
            not calibrated, which every output states.
        fake_label: The network's label that means fake, if its name is unclear, such as LABEL_1; may be repeated.
        real_label: The label that means real; may be repeated.
        preprocessing: A file like preprocessor_config.json; needed for ONNX files.
        processor: The image processor of transformers to match; by default the one its pipeline takes.
        architecture: timm:NAME for weights without a config.json of their own.
        strip_prefix: Prefix of the tensors' names in such weights, for example vit.
        onnx: Also export to ONNX, so that prediction does not need transformers.
        policy: Where fake begins, with --data: highest F1, 0.5, or a promised false positive rate.
        target_fpr: The share of photographs that may be called fake, such as 1% (the default) or 0.01.
        confidence: Confidence that the promise holds.
        band: Promise the same of fakes called real; what lies between the two thresholds is unsure.
        license: License under which the weights may be used; by default what the author states.
    """
    from asli.adopting.adopt import AdoptedDetector
    from asli.adopting.adopt import adopt as run

    if data is None and (policy or target_fpr is not None or band):
        leave("--policy, --target-fpr and --band choose thresholds on images: give --data DATA (see asli --help)", 2)
    made = run(
        source,
        out,
        data,
        policy_of(policy, target_fpr=target_fpr, confidence=confidence, band=band),
        fake_labels=fake_label or (),
        real_labels=real_label or (),
        preprocessing=preprocessing,
        processor=processor,
        architecture=architecture,
        strip_prefix=strip_prefix,
        onnx=onnx,
        license=license,
        device=device,
        threads=threads,
    )
    if as_json:
        print(json.dumps(AdoptedDetector(folder=out, detector=made.describe()).to_dict(), indent=2))
        return
    for name, text in made.about().items():
        print(f"{name:<14} {text}")
    thresholds = made.card.thresholds
    print(f"{'verdicts':<14} real below {thresholds.low:.4f}, fake from {thresholds.high:.4f} ({thresholds.basis})")
    if thresholds.promise:
        print(f"{'promised':<14} {thresholds.promise}")
    for caveat in thresholds.caveats:
        print(f"{'caveat':<14} {caveat}")
    print(f"{'detector':<14} {out}")


@app.command(group=EVALUATE, help_epilogue=examples("compare run-a run-b scores.csv data --out comparison"))
def compare(
    detectors: Annotated[list[str], Parameter(negative="")],
    *,
    split: Literal["train", "validation", "calibration", "test"] = "test",
    out: Path | None = None,
    threshold: float | None = None,
    group_by: GroupBy = None,
    group_file: GroupFile = None,
    language: InLanguage = None,
    as_json: AsJson = False,
    batch_size: BatchSize = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Compare detectors, adopted or your own, and tables of anyone's scores on the same images.

    Args:
        detectors: Two or more detectors, runs or tables of filename,score, and last the data folder. Differences are
            tested against the first.
        split: The part to evaluate; each evaluation on test is recorded in the data folder's ledger.
        out: Folder of the report; without it the table is printed and nothing is written.
        threshold: Threshold for tables of scores; 0.5 by default. A detector has its own.
    """
    from asli.evaluation.compare import compare as run

    if len(detectors) < 3:
        leave("give two detectors or more, and last the data folder: asli compare D1 D2 DATA", 2)
    *given, data = detectors
    result = run(
        given,
        data,
        split=split,
        out=out,
        threshold=threshold,
        group_by=group_by,
        group_file=group_file,
        batch_size=batch_size,
        device=device,
        threads=threads,
        language=language,
    )
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
        return
    print(result)
    if result.folder is not None:
        print(f"report: {result.folder / 'report.html'}")
