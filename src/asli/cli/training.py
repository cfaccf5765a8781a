"""Commands that train: the demonstration, a recipe, and what there is to choose from."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from asli.cli.common import OTHER, TRAIN, AsJson, Count, Device, Threads, Time, app, examples, prediction_text
from asli.cli.opening import NO_FLAGS, Opening
from asli.cli.recipe_keys import WithRecipeKeys
from asli.errors import DataError
from asli.files import visible


@app.command(group=TRAIN, help_epilogue=examples("demo --out asli-demo"))
def demo(*, out: Path = Path("asli-demo"), threads: Threads = None) -> None:
    """Run all steps on the bundled sample: data, training, evaluation, two predictions.

    Args:
        out: Folder for all results; steps that an earlier call finished are kept.
    """
    from asli.demonstration import demo as run

    done = run(out, threads=threads)
    metrics = done.evaluation.metrics
    print(f"\ntest F1 {metrics['f1']}, accuracy {metrics['accuracy']}, {metrics['accuracy'].n} images")
    for picture in done.pictures:
        print(prediction_text(picture))
    print(f"report: {done.report}")


@app.command(
    group=TRAIN,
    help_formatter=WithRecipeKeys(),
    help_epilogue=examples(
        "train fast --data photos --out run",
        "train fast --out run --real camera --fake midjourney --folds 5",
        "train fast --data data --out run --set optim.lr=1e-3 loop.epochs=2",
    ),
)
def train(
    recipe: Annotated[str | Path, Parameter(metavar="RECIPE")],
    *,
    data: Path | None = None,
    out: Path,
    opening: Opening = NO_FLAGS,
    set_: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None,
    folds: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    resume: Annotated[bool, Parameter(negative="")] = False,
    track: Annotated[list[Literal["tensorboard", "wandb"]] | None, Parameter(negative="")] = None,
    device: Device = None,
    threads: Threads = None,
    recovery_minutes: float = 10.0,
    stop_after: Time | None = None,
    keep_last: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    resume_from: Path | None = None,
    prefetch: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
) -> None:
    """Train a network by a recipe and make a calibrated detector from it.

    Args:
        recipe: Name of a bundled recipe (see asli recipes) or path of a .toml file.
        data: A data folder, or images as asli data open takes them, with the same flags.
        out: The run folder to make.
        set_: Settings that replace the recipe's, for example --set optim.lr=1e-3 loop.epochs=2; the keys are below.
        folds: Cross-validation for small folders; 5 is usual. This many further networks score the images they were
            not trained on, for thresholds and metrics. The detector trains on all splits but test.
        resume: Continue an interrupted run; the result is bit-identical to an uninterrupted one.
        track: Also log to TensorBoard or Weights & Biases.
        recovery_minutes: How often the state is saved for a resume.
        stop_after: Save and leave with status 4 after this time, for example 11h or 45m.
        keep_last: Resumable checkpoints to keep, besides the best one's; 0 keeps all.
        resume_from: An interrupted run that is only read, from an earlier session; --out starts where it stands.
        prefetch: Threads that make batches ahead; by default up to 2 beside a GPU, none on a CPU. Bits do not change.
    """
    from asli.datasets.cache import open_data
    from asli.pipeline import train as run
    from asli.recipe import load_recipe
    from asli.training.processes import started

    chosen = load_recipe(recipe, set_ or ())  # a mistyped name is told before any image is read
    rank, size = started()
    if size > 1 and (data is None or not (data / "manifest.parquet").is_file()):
        raise DataError("several processes need a data folder; make one with asli data open, or asli data cifake")
    finished = run(
        chosen,
        open_data(data, **opening.how()),
        out,
        folds=folds,
        resume=resume,
        device=device,
        threads=threads,
        trackers=track or (),
        recovery_minutes=recovery_minutes,
        stop_after=stop_after,
        keep_last=keep_last,
        resume_from=resume_from,
        prefetch=prefetch,
    )
    if rank == 0:
        print(f"detector: {finished.detector}")


@app.command(group=TRAIN, help_epilogue=examples("recipes", "recipes fast"))
def recipes(name: str | None = None) -> None:
    """List the bundled recipes, or print one.

    Args:
        name: The one to print.
    """
    from asli.recipe import list_recipes, recipe_text

    if name is not None:
        print(recipe_text(name), end="")
        return
    for known, purpose in list_recipes().items():
        print(f"{known:<12} {purpose}")


@app.command(group=TRAIN, help_epilogue=examples("models", "models resnet18 --size 32"))
def models(
    name: str | None = None,
    *,
    size: int | None = None,
    measure: Annotated[bool, Parameter(negative="")] = False,
    runs: Count = 9,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """List the paper's networks with their costs, or measure one network; any timm classifier works.

    Args:
        name: The network to measure: latency, memory, gradient norms by stage.
        size: Height and width of the input in pixels; each network's usual one by default.
        measure: Measure all of them; takes minutes.
        runs: Timed forward passes, of which the median is shown.
    """
    from asli.models.profile import as_json as for_programs
    from asli.models.profile import print_table, profile_networks

    names = [name] if name else []
    profiles = profile_networks(names, size=size, measure=measure or bool(name), threads=threads, runs=runs)
    if as_json:
        print(json.dumps(for_programs(profiles), indent=2))
    else:
        print_table(profiles)


@app.command(group=OTHER, help_epilogue=examples("doctor", "doctor --offline --json"))
def doctor(*, offline: Annotated[bool, Parameter(negative="")] = False, as_json: AsJson = False) -> None:
    """Check this machine: versions, extras, GPU and its kernels, access to hub and Kaggle, threads, disk.

    The exit status is 1 if something keeps asli from working.

    Args:
        offline: Do not contact any site.
    """
    from asli.machine import doctor as run

    findings = run(offline=offline)
    if as_json:
        print(json.dumps(findings.to_dict(), indent=2))
    else:
        width = max(len(finding.topic) for finding in findings)
        for finding in findings:
            mark = {"ok": "  ", "note": "? ", "problem": "! "}[finding.status]
            print(f"{mark}{finding.topic:<{width}}  {visible(finding.found)}")
    if findings.problems:
        sys.exit(1)
