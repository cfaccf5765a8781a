"""The command line: a table of thin commands, each of which calls the function of the same name.

Nothing heavy is imported before a command runs, so `asli --help` answers at once.
"""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import cyclopts
from cyclopts import Parameter

from asli import __version__
from asli.errors import AsliError

app = cyclopts.App(
    name="asli",
    help="Is this picture a photograph or AI-generated, and how sure can we be?",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
data = cyclopts.App(name="data", help="Make a data folder: read, check, split and pack images.")
app.command(data)

Device = Annotated[
    Literal["cuda", "mps", "cpu"] | None, Parameter(help="Where to compute; the best there is by default.")
]
Threads = Annotated[int | None, Parameter(help="CPU threads of one operation; torch's choice by default.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for programs.")]


@app.command
def demo(*, out: Path = Path("asli-demo"), threads: Threads = None) -> None:
    """Go the whole way on the bundled real sample: data, training, evaluation, two pictures.

    Args:
        out: Where everything goes; what an earlier call finished is kept.
    """
    from asli.demo import demo as run

    result = run(out, threads=threads)
    at = result["figures"]["threshold"]
    print(f"\ntest F1 {_figure(at['f1'])}, accuracy {_figure(at['accuracy'])}, {at['accuracy']['n']} images")
    for picture in result["pictures"]:
        print(_line(picture))
    print(f"report: {Path(result['folder']) / 'report.html'}")


@data.command
def cifake(
    out: Path,
    *,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    hub: str | None = None,
) -> None:
    """Make a data folder of CIFAKE, fetched from Kaggle where nothing else is said.

    Args:
        out: The data folder to make.
        from_: A folder of its zips, one archive as Kaggle serves it, or the unpacked tree.
        hub: Fetch a copy in Parquet form from the Hugging Face hub: OWNER/NAME or OWNER/NAME@REVISION.
    """
    from asli.data.cifake import verify
    from asli.data.ingest import open_cifake

    folder = open_cifake(from_, out, hub=hub)
    print(folder.describe())
    print(f"  {verify(folder)}")


@data.command(name="open")
def open_(
    path: Path,
    out: Path | None = None,
    *,
    real: Annotated[list[Path] | None, Parameter(negative="")] = None,
    fake: Annotated[list[Path] | None, Parameter(negative="")] = None,
    layout: str | None = None,
    real_label: Annotated[list[str] | None, Parameter(negative="")] = None,
    fake_label: Annotated[list[str] | None, Parameter(negative="")] = None,
    generator: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make a data folder of your own images: asli data open PATH DIR, or asli data open DIR --real A --fake B.

    What is taken for real and for fake is printed before any image is read.

    Args:
        path: A folder, a zip archive, a folder of zip archives, a table (CSV, JSON, Parquet), or Hugging Face Parquet.
            With --real and --fake there is none: give only the data folder.
        out: The data folder to make.
        real: A folder or zip archive of real images; may be repeated.
        fake: A folder or zip archive of fake images; may be repeated.
        layout: How to read PATH where several ways fit: parquet, table, cifake, forensynths, genimage,
            community-forensics or imagefolder.
        real_label: A folder name or label value that means real; may be repeated.
        fake_label: A folder name or label value that means fake, for example 1; may be repeated.
        generator: What made the fake images of which nothing else says it.
        dry_run: Only print what is taken for what.
    """
    from asli.data.ingest import open_folders
    from asli.data.layouts import LabelNames
    from asli.data.survey import understand

    pair = bool(real or fake)
    target = path if pair else out
    if pair and out is not None:
        _leave("with --real and --fake give one path only, the data folder to make (see asli --help)", 2)
    how: dict[str, Any] = {
        "real": real or (),
        "fake": fake or (),
        "layout": layout,
        "labels": LabelNames(tuple(real_label or ()), tuple(fake_label or ())),
        "generator": generator,
    }
    place = None if pair else path
    if dry_run:
        print(understand(place, **how).describe())
    elif target is None:
        _leave("give the data folder to make after the path (see asli --help)", 2)
    else:
        print(open_folders(place, target, **how).describe())


@data.command
def sample(out: Path) -> None:
    """Make a data folder of the 3,300 real CIFAKE images inside the package.

    Args:
        out: The data folder to make.
    """
    from asli.sample import open_sample

    print(open_sample(out).describe())


@data.command
def show(path: Path, *, as_json: AsJson = False) -> None:
    """Print what a data folder holds.

    Args:
        path: The data folder.
    """
    from asli.data.folder import DataFolder

    folder = DataFolder.open(path)
    print(json.dumps(folder.info, indent=2) if as_json else folder.describe())


@app.command
def train(
    recipe: str,
    *,
    data: Path,
    out: Path,
    set_: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    track: Annotated[list[Literal["tensorboard", "wandb"]] | None, Parameter(negative="")] = None,
    device: Device = None,
    threads: Threads = None,
    recovery_minutes: float = 10.0,
) -> None:
    """Train a network by a recipe and make a calibrated detector of it.

    Args:
        recipe: Name of a bundled recipe (see asli recipes) or path of a .toml file.
        data: The data folder.
        out: The run folder to make.
        set_: Settings in place of the recipe's, for example --set optim.lr=1e-3 loop.epochs=2.
        resume: Go on with an interrupted run; the result is bit-identical to an undisturbed one's.
        track: Also log to TensorBoard or Weights & Biases.
        recovery_minutes: How often the state is saved for a resume.
    """
    from asli.pipeline import train as run

    finished = run(
        recipe,
        data,
        out,
        settings=set_ or (),
        resume=resume,
        device=device,
        threads=threads,
        trackers=track or (),
        recovery_minutes=recovery_minutes,
    )
    print(f"detector: {finished.detector}")


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
        print(f"  {name:<20} {_figure(figure)}")
    print(f"report: {Path(result['folder']) / 'report.html'}")


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
def predict(
    images: list[Path],
    *,
    detector: Path,
    force_domain: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
    device: Device = None,
) -> None:
    """Score pictures: P(fake), a verdict and its reasons.

    Args:
        images: Image files.
        detector: A detector folder or a run folder.
        force_domain: Give a verdict on pictures unlike those the detector knows, too.
    """
    from asli.detector.predict import predict as run

    result = run(images, detector, force_domain=force_domain, device=device)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        for image in result["images"]:
            print(_line(image))
    failed = [image for image in result["images"] if image["error"]]
    if failed:
        raise AsliError(f"{len(failed)} of {len(images)} images could not be scored; each is named above")


@app.command
def recipes(name: str | None = None) -> None:
    """List the bundled recipes, or print one.

    Args:
        name: The one to print.
    """
    from importlib import resources

    from asli.recipe import bundled_recipes, load_recipe

    if name is not None:
        print(load_recipe(name).to_toml(), end="")
        return
    for known in bundled_recipes():
        first = (resources.files("asli") / "recipes" / f"{known}.toml").read_text(encoding="utf-8").splitlines()[0]
        print(f"{known:<12} {first.removeprefix('# ')}")


@app.command
def models(
    name: str | None = None,
    *,
    size: int | None = None,
    measure: Annotated[bool, Parameter(negative="")] = False,
    runs: int = 9,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """List the paper's networks with what they cost; with a name, measure one, any timm classifier too.

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


def main(tokens: list[str] | None = None) -> None:
    """Run a command and leave with its exit status: 0 done, 1 bad data, 2 usage, 3 trap sprung, 130 interrupted."""
    logger = logging.getLogger("asli")
    logger.setLevel(logging.INFO)
    logger.addHandler(_StandardError())
    try:
        app(tokens, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        _leave(f"{' '.join(str(error).split())} (see asli --help)", 2)
    except AsliError as error:
        _leave(str(error), error.exit_status)
    except KeyboardInterrupt:
        _leave("interrupted", 130)
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


class _StandardError(logging.Handler):
    """Print messages to whatever standard error is at that moment, since a live progress bar stands in for it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message, warnings marked as such."""
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        print(f"{mark}{record.getMessage()}", file=sys.stderr, flush=True)


def _leave(message: str, status: int) -> NoReturn:
    print(f"asli: {message}", file=sys.stderr)
    sys.exit(status)


def _figure(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "undefined"
    return f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"


def _line(image: dict[str, Any]) -> str:
    if image["error"]:
        return f"{image['path']}: {image['error']}"
    reasons = f"  ({'; '.join(image['reasons'])})" if image["reasons"] else ""
    return f"{image['path']}: {image['verdict']}  P(fake) {image['score']:.4f}{reasons}"
