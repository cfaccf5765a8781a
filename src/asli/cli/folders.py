"""Commands that make and show data folders."""

import json
import logging
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from asli.cli.common import DATA, AsJson, GroupBy, GroupFile, app, examples, leave
from asli.cli.opening import NO_FLAGS, Opening

logger = logging.getLogger("asli")

data = cyclopts.App(
    name="data",
    group=DATA,
    help="Make a data folder: read, check, split and pack images.",
    help_epilogue=examples("data open photos data", "data show data"),
)
app.command(data)


@data.command(help_epilogue=examples("data cifake data --from downloads"))
def cifake(
    out: Path,
    *,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    hub: str | None = None,
) -> None:
    """Make a data folder of CIFAKE, downloaded from Kaggle by default.

    Args:
        out: The data folder to make.
        from_: A folder of its zips, Kaggle's archive, or the unpacked folders.
        hub: Fetch a copy in Parquet form from the Hugging Face hub: OWNER/NAME or OWNER/NAME@REVISION.
    """
    from asli.datasets.build import open_cifake
    from asli.datasets.cifake import verify

    folder = open_cifake(from_, out, hub=hub)
    print(folder.describe())
    print(f"  {verify(folder)}")


@data.command(
    name="open",
    help_epilogue=examples(
        "data open photos data --dry-run",
        "data open data --real camera --fake midjourney",
        "data open photos data --split-by release_date",
    ),
)
def open_(
    path: Path,
    out: Path | None = None,
    *,
    opening: Opening = NO_FLAGS,
    group_by: GroupBy = None,
    group_file: GroupFile = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make a data folder of your own images: asli data open PATH DIR, or asli data open DIR --real A --fake B.

    It prints which images are real and which are fake before it reads any image.

    Args:
        path: A folder, an archive, a folder of archives, a table (CSV, JSON, Parquet), or Hugging Face Parquet.
            With --real and --fake, give only the data folder.
        out: The data folder to make.
        dry_run: Only print which images are real and which are fake.
    """
    from asli.auditing.quick import quick_check
    from asli.datasets.build import open_folders
    from asli.datasets.survey import understand

    pair = opening.is_pair
    target = path if pair else out
    if pair and out is not None:
        leave("with --real and --fake give one path only, the data folder to make (see asli --help)", 2)
    splitting = opening.splitting(group_by, group_file)
    place = None if pair else path
    if dry_run:
        print(understand(place, **opening.reading()).describe())
    elif target is None:
        leave("give the data folder to make after the path (see asli --help)", 2)
    else:
        made = open_folders(place, target, **opening.reading(), **splitting)
        print(made.describe())
        found = quick_check(made)
        if found is not None:
            logger.warning("%s; more: asli audit %s", found, target)


@data.command(help_epilogue=examples("data sample data"))
def sample(out: Path) -> None:
    """Make a data folder of the 3,300 CIFAKE images inside the package.

    Args:
        out: The data folder to make.
    """
    from asli.sample import open_sample

    print(open_sample(out).describe())


@data.command(help_epilogue=examples("data show data"))
def show(path: Path, *, as_json: AsJson = False) -> None:
    """Print what a data folder holds.

    Args:
        path: The data folder.
    """
    from asli.datasets.folder import DataFolder

    folder = DataFolder.open(path)
    print(json.dumps(folder.info, indent=2) if as_json else folder.describe())


@data.command(help_epilogue=examples("data cache", "data cache --clear"))
def cache(*, clear: Annotated[bool, Parameter(negative="")] = False, as_json: AsJson = False) -> None:
    """List the data folders that commands made from raw images, or remove them.

    `ASLI_CACHE` sets their place.

    Args:
        clear: Remove them, with their splits and records of evaluations. Your images stay.
    """
    from asli.datasets.cache import cache_folder, cached, clear_cache

    found = cached()
    if clear:
        clear_cache()
    if as_json:
        print(json.dumps([one.to_dict() for one in found], indent=2))
        return
    for one in found:
        print(f"{one.bytes / 1e6:10,.1f} MB  {one.openings:,} evaluations on test  {one.path}")
    done = "removed from" if clear else "in"
    print(f"{len(found):,} data folders, {sum(one.bytes for one in found) / 1e6:,.1f} MB, {done} {cache_folder()}")
