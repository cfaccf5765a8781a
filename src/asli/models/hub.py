"""Models from the Hugging Face hub: fetched once, kept in its cache, of a commit that is known and recorded."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from asli.errors import AsliError, WeightsError
from asli.files import sha256_of_file

FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
SHA256_DIGITS = 64

ANSWER_SECONDS = 10.0
"""How long the hub is waited for where only facts are asked for."""

logger = logging.getLogger("asli")


def fetch(name: str) -> tuple[Path, str]:
    """Return the folder of start weights in the hub's cache, fetched if they are not there, and their commit.

    Args:
        name: `owner/name`, or `owner/name@revision` with a commit, tag or branch.

    Raises:
        WeightsError: The hub does not have it, or it can be found neither there nor in the cache.
    """
    repository, _, revision = name.partition("@")
    folder, commit = snapshot(name, FILES, wanted_by="weights.start", error=WeightsError)
    weights = folder / "model.safetensors"
    if not weights.exists():
        raise WeightsError(
            f"'{repository}' at commit {commit} has no model.safetensors (pickled weights are not read),"
            f" or the cache in {constants.HF_HUB_CACHE} holds a part of it only"
        )
    verify(weights)
    if revision != commit:
        logger.info("%s is now commit %s; weights.start = 'hub:%s@%s' pins it", name, commit, repository, commit)
    return folder, commit


@dataclass(frozen=True, slots=True)
class Header:
    """Facts about a weight file that the hub returns without sending the file.

    Attributes:
        commit: Commit of the repository.
        shapes: Shapes of each tensor, by name.
        bytes: Bytes of the file.
    """

    commit: str
    shapes: dict[str, tuple[int, ...]]
    bytes: int


def header_of(name: str, filename: str = "model.safetensors") -> Header:
    """Return a repository's commit, and the names and shapes of the tensors in its weight file, from its header.

    Args:
        name: `owner/name`, or `owner/name@revision`.
        filename: Filename of the weights.

    Raises:
        WeightsError: The hub cannot be reached, or does not have it.
    """
    repository, _, revision = name.partition("@")
    if constants.HF_HUB_OFFLINE:
        raise WeightsError(f"'{repository}': HF_HUB_OFFLINE is set")
    try:
        api = HfApi()
        commit = api.model_info(repository, revision=revision or None, timeout=ANSWER_SECONDS).sha
        assert commit is not None
        found = api.parse_safetensors_file_metadata(repository, filename, revision=commit)
    except Exception as problem:  # those of huggingface_hub's HTTP library, which changes with its version
        raise WeightsError(
            f"'{repository}': {constants.ENDPOINT} does not answer or lacks it ({type(problem).__name__})"
        ) from problem
    size = max((tensor.data_offsets[1] for tensor in found.tensors.values()), default=0)
    return Header(commit, {key: tuple(tensor.shape) for key, tensor in found.tensors.items()}, size)


def snapshot(
    name: str, files: Sequence[str], *, wanted_by: str, error: type[AsliError] = AsliError
) -> tuple[Path, str]:
    """Return the folder of some of a repository's files in the hub's cache, and their commit.

    `HF_ENDPOINT`, `HF_HOME` and `HF_HUB_OFFLINE` hold, as in every tool that uses huggingface_hub.

    Args:
        name: `owner/name`, or `owner/name@revision` with a commit, tag or branch.
        files: Which of them; those the repository lacks are left out.
        wanted_by: The setting or option the name was given to, for messages.
        error: What is raised.
    """
    repository, _, revision = name.partition("@")
    try:
        folder = _snapshot(repository, revision or None, files)
    except GatedRepoError as problem:
        raise error(
            f"'{repository}' is open only to those who accepted its terms: do so on its page, then set HF_TOKEN"
        ) from problem
    except RepositoryNotFoundError as problem:
        raise error(f"the hub has no model '{repository}', or it is private: then set HF_TOKEN") from problem
    except RevisionNotFoundError as problem:
        raise error(f"'{repository}' on the hub has no revision '{revision}'") from problem
    except HFValidationError as problem:
        raise error(f"'{repository}' is no name of a model on the hub; {wanted_by} takes hub:owner/name") from problem
    except LocalEntryNotFoundError as problem:
        raise error(_unreachable(repository, revision, files, wanted_by)) from problem
    except OSError as problem:
        raise error(
            f"cannot keep '{repository}' in {constants.HF_HUB_CACHE}: {problem.strerror or problem}"
        ) from problem
    return folder, folder.name  # the cache keeps one folder a commit, named by it


def _snapshot(repository: str, revision: str | None, files: Sequence[str]) -> Path:
    """Fetch what is not in the cache yet; where the hub fails to answer, take what the cache has."""
    fetch_files = partial(snapshot_download, repository, revision=revision, allow_patterns=list(files))
    try:
        return Path(fetch_files())
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError, LocalEntryNotFoundError):
        raise
    except Exception as error:  # those of huggingface_hub's HTTP library, which changes with its version
        if isinstance(error, OSError) and error.errno:  # a full disk, say
            raise
        folder = Path(fetch_files(local_files_only=True))
        logger.warning("%s failed (%s): taking %s from the cache", constants.ENDPOINT, type(error).__name__, repository)
        return folder


def _unreachable(repository: str, revision: str, files: Sequence[str], wanted_by: str) -> str:
    which = f"'{repository}' at '{revision}'" if revision else f"'{repository}'"
    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} cannot be reached"
    return (
        f"{files[-1]} of {which} is not in the cache ({constants.HF_HUB_CACHE}) and {why};"
        f" connect once, or give {wanted_by} a local folder"
    )


def verify(path: Path) -> None:
    """Compare a large file's bytes with their SHA-256 on the hub, by which the cache names its blob.

    Raises:
        WeightsError: They differ.
    """
    blob = path.resolve()
    if len(blob.name) == SHA256_DIGITS and sha256_of_file(blob) != blob.name:
        raise WeightsError(f"{blob} is damaged: it is not the file the hub has; delete it and fetch again")
