"""Fetch CIFAKE from Kaggle, or from a Hugging Face data set in Parquet form; what arrived before a break is kept."""

import contextlib
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from asli.errors import DataError, MissingExtraError
from asli.files import sha256_of_file

KAGGLE_HANDLE = "birdy654/cifake-real-and-ai-generated-synthetic-images"
CONVERTED = "refs/convert/parquet"
"""Revision in which the hub keeps Parquet files that it makes of data sets in other formats."""

logger = logging.getLogger("asli")

_BY_HAND = "or download it elsewhere and give it with --from PATH"


def fetch_kaggle(handle: str = KAGGLE_HANDLE) -> Path:
    """Download a Kaggle data set into kagglehub's cache; Kaggle's MD5 is checked where it is sent.

    Returns:
        The folder with the unpacked files.

    Raises:
        MissingExtraError: kagglehub is not installed.
        DataError: Kaggle cannot be reached, refuses, or sends something else.
    """
    logger.info("fetching %s from Kaggle", handle)
    with contextlib.redirect_stdout(sys.stderr):  # ours is for results, and kagglehub takes hold of it when imported
        try:
            import kagglehub
            from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout
        except ImportError as error:
            raise MissingExtraError("kagglehub", "hub") from error
        try:
            return Path(kagglehub.dataset_download(handle))
        except (ConnectionError, ChunkedEncodingError, Timeout) as error:  # the second: in the middle of a file
            raise DataError(
                f"Kaggle cannot be reached, or the connection broke: {_brief(error)};"
                f" run the same command again when online (what arrived is kept), {_BY_HAND}"
            ) from error
        except Exception as error:  # kagglehub raises almost anything on refusals and damaged archives
            raise DataError(f"Kaggle did not give {handle}: {_brief(error)}; try again, {_BY_HAND}") from error


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Parquet files of a hub data set at one revision.

    Attributes:
        root: The folder that holds them.
        paths: The files.
        revision: The commit.
        checked: How many files' SHA-256 is the one the hub records; the others' sizes were compared.
    """

    root: Path
    paths: list[Path]
    revision: str
    checked: int


def fetch_hub(name: str) -> Snapshot:
    """Download a hub data set's Parquet files into the hub's cache and compare them with the hub's checksums.

    Args:
        name: `OWNER/NAME[@REVISION]`; without Parquet files of its own the ones the hub converted are taken.

    Raises:
        DataError: The hub cannot be reached, there is no such data set, it has no Parquet, or a file is damaged.
    """
    from huggingface_hub import HfApi, snapshot_download

    repo, _, revision = name.partition("@")
    logger.info("fetching %s from the Hugging Face hub", name)
    try:
        api = HfApi()
        for candidate in [revision] if revision else ["main", CONVERTED]:
            info = api.dataset_info(repo, revision=candidate, files_metadata=True)
            files = {s.rfilename: s for s in info.siblings or [] if s.rfilename.endswith(".parquet")}
            if files:
                break
        else:
            raise DataError(f"the hub's {name} has no Parquet files; name a revision that has them: {repo}@REVISION")
        root = Path(
            snapshot_download(repo, repo_type="dataset", revision=info.sha, allow_patterns=list(files), max_workers=4)
        )
    except DataError:
        raise
    except Exception as error:  # the hub's client raises errors of its own, of httpx and of the system
        raise DataError(
            f"{name} cannot be fetched from the Hugging Face hub: {_brief(error)};"
            f" run the same command again when online (whole files that arrived are kept), {_BY_HAND}"
        ) from error
    checked = 0
    for file, sibling in files.items():
        path = root / file
        if sibling.size is not None and path.stat().st_size != sibling.size:
            raise DataError(
                f"{path} has {path.stat().st_size:,} bytes, the hub says {sibling.size:,}; {_damaged(path)}"
            )
        if sibling.lfs is not None:
            if sha256_of_file(path) != sibling.lfs.sha256:
                raise DataError(f"{path} does not have the checksum the hub records; {_damaged(path)}")
            checked += 1
    return Snapshot(root, [root / file for file in files], str(info.sha), checked)


def _damaged(path: Path) -> str:
    return f"delete {path.resolve()} and run the same command again"


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."
