"""Data folders of raw images, made once and kept: so that every command takes images as they lie."""

import logging
import os
import shutil
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from asli.datasets.build import make
from asli.datasets.division import Division, as_plan
from asli.datasets.folder import DataFolder, is_data_folder
from asli.datasets.layouts import LabelNames
from asli.datasets.splits import Shares
from asli.datasets.survey import SurveyOptions, understand
from asli.errors import DataError
from asli.files import sha256_of_json, sha256_of_json_array
from asli.records import Record

logger = logging.getLogger("asli")


class SplitOptions(TypedDict, total=False):
    """How images are split: keyword arguments of `open_data` and `open_folders`."""

    division: Division | None
    fractions: Shares | None


class OpenOptions(SurveyOptions, SplitOptions, total=False):
    """Keyword arguments of `open_data`."""


def open_data(
    data: str | Path | DataFolder | None,
    *,
    division: Division | None = None,
    fractions: Shares | None = None,
    **how: Unpack[SurveyOptions],
) -> DataFolder:
    """Open a data folder, or images as `asli data open` takes them.

    A data folder of raw images is kept in the cache, under a name that depends on their content. Its split stays the
    same, and its ledger records every evaluation on the test part.

    Args:
        data: A data folder, opened or by path; a folder, archive or table of images; None with `real` and `fake`.
        division: Which images are test; None draws by chance.
        fractions: Shares of the parts that the images do not name; None takes those that fit their number.
        how: `real`, `fake`, `layout`, `labels`, `generator`, `include_hidden`: see `asli.datasets.survey.understand`.

    Raises:
        DataError: There are no such images, a label cannot be told, or a data folder was given such settings.
    """
    if isinstance(data, DataFolder):
        return data
    if data is not None and is_data_folder(Path(data)):
        given = [name for name, value in how.items() if value and value != LabelNames()]
        given += ["another split"] if fractions is not None or division not in (None, Division()) else []
        if given:
            raise DataError(f"{data} is a data folder already: {', '.join(given)} cannot change it; name its images")
        return DataFolder.open(data)
    if data is None and not (how.get("real") or how.get("fake")):
        raise DataError("no data: give a data folder, images, or --real and --fake with a folder each")
    found = understand(data, **how)
    logger.info("%s", found.describe())
    names = [entry.name for entry in found.listing.entries]
    content = {
        "source": found.source.fingerprint(names),
        "listing": sha256_of_json_array(map(astuple, found.listing.entries)),
        **as_plan(division or Division()),
        **({} if fractions is None else {"fractions": asdict(fractions)}),
    }
    stem = Path(found.origin).stem if data is not None else "real-and-fake"
    place = cache_folder() / f"{stem or 'images'}-{sha256_of_json(content)[:16]}"
    logger.info("data folder: %s (list and clear such folders with: asli data cache)", place)
    return make(found, place, division or Division(), fractions)


def cache_folder() -> Path:
    """Return where data folders of raw images are kept: `ASLI_CACHE`, else `asli` in the user's cache folder."""
    place = os.environ.get("ASLI_CACHE")
    if place:
        return Path(place)
    base = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    return (Path(base) if base else Path.home() / ".cache") / "asli" / "data"


@dataclass(frozen=True, slots=True)
class Cached(Record):
    """A data folder in the cache.

    Attributes:
        path: Its folder.
        bytes: Its size on disk.
        openings: Recorded evaluations on its test part.
    """

    path: Path
    bytes: int
    openings: int


def cached() -> list[Cached]:
    """Return the data folders in the cache, by name."""
    found = []
    for folder in sorted(cache_folder().glob("*/")):
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        ledger = folder / "ledger.jsonl"
        openings = len(ledger.read_text(encoding="utf-8").splitlines()) if ledger.is_file() else 0
        found.append(Cached(folder, size, openings))
    return found


def clear_cache() -> None:
    """Remove the data folders in the cache, with their splits and ledgers; the images themselves stay."""
    for one in cached():
        shutil.rmtree(one.path)
