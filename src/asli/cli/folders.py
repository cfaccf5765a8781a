"""Commands that make and show data folders."""

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

from asli.cli.common import AsJson, Share, app, leave

logger = logging.getLogger("asli")

data = cyclopts.App(name="data", help="Make a data folder: read, check, split and pack images.")
app.command(data)


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
    from asli.datasets.build import open_cifake
    from asli.datasets.cifake import verify

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
    fractions: Annotated[tuple[Share, Share, Share, Share] | None, Parameter(negative="")] = None,
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
        fractions: Shares of train, validation, calibration and test, such as 60% 10% 15% 15%, for parts that the images
            do not name; by default the held-out parts of small folders are larger.
        dry_run: Only print what is taken for what.
    """
    from asli.auditing.quick import quick_check
    from asli.datasets.build import open_folders
    from asli.datasets.layouts import LabelNames
    from asli.datasets.splits import Shares
    from asli.datasets.survey import understand

    pair = bool(real or fake)
    target = path if pair else out
    if pair and out is not None:
        leave("with --real and --fake give one path only, the data folder to make (see asli --help)", 2)
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
        leave("give the data folder to make after the path (see asli --help)", 2)
    else:
        shares = None if fractions is None else Shares(*fractions)
        made = open_folders(place, target, fractions=shares, **how)
        print(made.describe())
        found = quick_check(made)
        if found is not None:
            logger.warning("%s; more: asli audit %s", found, target)


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
    from asli.datasets.folder import DataFolder

    folder = DataFolder.open(path)
    print(json.dumps(folder.info, indent=2) if as_json else folder.describe())
