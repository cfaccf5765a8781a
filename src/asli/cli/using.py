"""Commands that use a detector."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from cyclopts import Parameter

from asli.cli.common import (
    MANAGE,
    USE,
    AsJson,
    BatchSize,
    DetectorName,
    Device,
    FailOn,
    InLanguage,
    Share,
    Threads,
    answers_text,
    app,
    examples,
    explanation_text,
    leave,
    prediction_text,
)
from asli.cli.opening import NO_FLAGS, Opening
from asli.cli.policies import policy_of
from asli.errors import AsliError, FoundError

if TYPE_CHECKING:
    from asli.detector.prediction import Prediction
    from asli.detector.runtimes import Kind


class _Options(TypedDict):
    """What `predict` and `predict_with` take."""

    batch_size: int | None
    stability: bool
    force_domain: bool
    device: str | None
    runtime: "Kind | None"
    threads: int | None


@app.command(
    group=USE,
    help_epilogue=examples(
        "predict photo.jpg", "predict photos --detector run --json", "predict photo.jpg --fail-on fake"
    ),
)
def predict(
    images: Annotated[list[Path], Parameter(negative="")],
    *,
    detector: Annotated[list[str] | None, Parameter(negative="")] = None,
    batch_size: BatchSize = None,
    stability: Annotated[bool, Parameter(negative="")] = False,
    force_domain: Annotated[bool, Parameter(negative="")] = False,
    fail_on: FailOn = None,
    as_json: AsJson = False,
    device: Device = None,
    runtime: Literal["torch", "onnx"] | None = None,
    threads: Threads = None,
) -> None:
    """Score pictures: P(fake), a verdict and its reasons.

    Args:
        images: Image files, or one folder of them.
        detector: A detector folder, a run folder, hub:owner/name, or default, photo or photo-large; repeat it
            to see the answers of several side by side.
        stability: Also measure how much the score changes if the picture is saved again or resized a little.
        force_domain: Also give a verdict on pictures outside the detector's domain.
        runtime: Library that computes; by default ONNX if the detector was exported and ONNX Runtime is installed.
    """
    from asli.detector.predict import predict as run
    from asli.detector.prediction import Predictions

    given = images[0] if len(images) == 1 and images[0].is_dir() else images
    options: _Options = {
        "batch_size": batch_size,
        "stability": stability,
        "force_domain": force_domain,
        "device": device,
        "runtime": runtime,
        "threads": threads,
    }
    if detector is not None and len(detector) > 1:
        from asli.detector.several import predict_with

        several = predict_with(given, detector, **options)
        print(json.dumps(several.to_dict(), indent=2) if as_json else answers_text(several.images))
        if fail_on == "fake":
            _require_no_fake(several.predictions)
        _require_all(several.predictions)
        return
    result = run(given, detector[0] if detector else "default", **options)
    assert isinstance(result, Predictions), "several were given, as far as `predict` can tell"
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        for prediction in result:
            print(prediction_text(prediction))
    if fail_on == "fake":
        _require_no_fake(result)
    _require_all(result)


@app.command(
    group=USE,
    help_epilogue=examples("explain photo.jpg --out explained", "explain photo.jpg --method occlusion --check"),
)
def explain(
    images: Annotated[list[Path], Parameter(negative="")],
    *,
    detector: DetectorName = "default",
    out: Path = Path("explained"),
    method: Literal["grad-cam", "occlusion"] = "grad-cam",
    layer: str | None = None,
    check: Annotated[bool, Parameter(negative="")] = False,
    feature_maps: Annotated[bool, Parameter(negative="")] = False,
    force_domain: Annotated[bool, Parameter(negative="")] = False,
    language: InLanguage = None,
    as_json: AsJson = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Score pictures and draw the regions that change each score.

    Args:
        images: Image files.
        detector: A detector folder, a run folder, hub:owner/name, or default, photo or photo-large.
        out: Folder for the drawn maps, explain.html and explain.json.
        method: Grad-CAM uses the network's gradients; occlusion covers one part after another, for any detector.
        layer: Layer for Grad-CAM; by default the last one with a map of 4 x 4 or more.
        check: Also test the map against random orders and random weights.
        feature_maps: Also draw the outputs of successive layers.
        force_domain: Also give a verdict on pictures outside the detector's domain.
    """
    from asli.explanation.explain import explain as run

    result = run(
        images,
        detector,
        out=out,
        method=method,
        layer=layer,
        check=check,
        feature_maps=feature_maps,
        language=language,
        force_domain=force_domain,
        device=device,
        threads=threads,
    )
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        for image in result.images:
            print(prediction_text(image.prediction))
            if image.explanation is not None:
                print(explanation_text(image.explanation))
        print(f"page: {out / 'explain.html'}")
    _require_all([image.prediction for image in result.images])


@app.command(group=MANAGE, help_epilogue=examples("export run", "export run --int8 --data data"))
def export(
    detector: DetectorName,
    *,
    onnx: Annotated[bool, Parameter(negative="", show=False)] = True,
    int8: Annotated[bool, Parameter(negative="")] = False,
    data: Path | None = None,
    out: Path | None = None,
    linked: Annotated[bool, Parameter(negative="")] = False,
    threads: Threads = None,
) -> None:
    """Write a detector as ONNX and compare it with the original; int8 makes a new detector.

    Args:
        detector: A detector folder, a run folder or hub:owner/name.
        int8: Quantize to 8 bits: a detector of its own, with its own temperature and thresholds.
        data: Data folder for int8: ranges come from train, thresholds from calibration, losses from validation.
        out: The folder to write; by default the detector's own, with int8 a new one beside it.
        linked: Leave out the weights that a small detector such as photo holds as codes: 0.4 MB that only asli can run.
    """
    if int8 != (data is not None):
        leave("--int8 and --data DATA go together (see asli --help)", 2)
    if data is None:
        from asli.exporting.onnx import export_onnx

        done = export_onnx(detector, out, linked=linked, threads=threads)
        checked = done.checked
        print(f"{done.file}: {done.bytes / 1e6:.1f} MB; on {checked['golden_images']} golden images its scores")
        print(f"  differ by at most {checked['largest_score_difference']:.1e} from torch's")
        return
    from asli.exporting.int8 import export_int8

    made = export_int8(detector, data, out, threads=threads)
    print(f"{made.folder}: {made.bytes / 1e6:.1f} MB, a detector of its own; on the validation part")
    print(f"  {made.flips:,} of {made.images:,} verdicts differ; F1 {made.f1:.4f}, {made.f1_lost:+.4f} lost")


@app.command(
    group=MANAGE,
    help_epilogue=examples(
        "combine run-a run-b --data data --out ensemble", "combine small-images large-images --out family"
    ),
)
def combine(
    detectors: Annotated[list[DetectorName], Parameter(negative="")],
    *,
    out: Path,
    data: Path | None = None,
    opening: Opening = NO_FLAGS,
    method: Literal["stacking", "mean", "noisy-or", "maximum", "family"] | None = None,
    name: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    target_fpr: Share | None = None,
    band: Annotated[bool, Parameter(negative="")] = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Combine detectors: an ensemble, fitted on the calibration part, or a family for different inputs.

    Args:
        detectors: Two or more detectors. In a family the first one whose domain holds an image answers.
        out: The new detector's folder.
        data: A data folder, or images as asli data open takes them; an ensemble needs it.
        method: How an ensemble combines scores, or family; stacking by default with --data, family without.
        name: Names of the members; those of their folders by default.
        target_fpr: Promise that at most this share of photographs is called fake, such as 1%; by default highest F1.
        band: Promise the same for fakes called real; scores between the two thresholds are unsure.
    """
    from asli.datasets.cache import open_data
    from asli.detector.combine import combine as run

    policy = policy_of(target_fpr=target_fpr, band=band)
    folder = open_data(data, **opening.how()) if data is not None or opening.is_pair else None
    made = run(detectors, out, folder, method=method, names=name or (), policy=policy, device=device, threads=threads)
    print(f"{made.name}: {out}")


@app.command(group=MANAGE, help_epilogue=examples("info", "info run --json"))
def info(detector: DetectorName = "default", *, as_json: AsJson = False) -> None:
    """Describe a detector: kind, supported input, thresholds, origin, hash and size.

    Args:
        detector: A detector folder, a run folder, hub:owner/name, or default, photo or photo-large.
    """
    from asli.detector.info import info as run

    found = run(detector)
    print(json.dumps(found.to_dict(), indent=2) if as_json else found.describe())


@app.command(group=MANAGE, help_epilogue=examples("pull OWNER/NAME detector"))
def pull(repository: str, out: Path) -> None:
    """Download a detector from the Hugging Face hub into a folder of your own.

    Args:
        repository: OWNER/NAME or OWNER/NAME@REVISION.
        out: The folder to make.
    """
    from asli.detector.download import pull as run

    print(f"detector: {run(repository, out)}")


@app.command(group=MANAGE, help_epilogue=examples("push run OWNER/NAME --private"))
def push(
    detector: DetectorName,
    repository: str,
    *,
    private: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Upload a detector to the Hugging Face hub; anyone may then name it hub:OWNER/NAME.

    Args:
        detector: A detector folder or a run folder.
        repository: OWNER/NAME; created if it does not exist.
        private: Make a new repository private.
    """
    from asli.detector.push import push as run

    print(f"uploaded; this name pins it: {run(detector, repository, private=private)}")


def _require_no_fake(predictions: Sequence["Prediction"]) -> None:
    fakes = sum(prediction.verdict == "fake" for prediction in predictions)
    if fakes:
        raise FoundError(f"{fakes} of {len(predictions)} images were called fake")


def _require_all(predictions: Sequence["Prediction"]) -> None:
    failed = sum(prediction.error is not None for prediction in predictions)
    if failed:
        raise AsliError(f"{failed} of {len(predictions)} images could not be scored; each is named above")
