"""Upload a detector to the Hugging Face hub: the function behind `asli push`."""

from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

from asli._version import __version__
from asli.detector.base import Detector
from asli.detector.store import FILES, MEMBERS
from asli.errors import DetectorError

REFUSED = (401, 403)


def push(detector: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload a detector to the hub, in one commit; the repository is made if it is not there.

    `HF_ENDPOINT` and `HF_TOKEN` hold, as in every tool that uses huggingface_hub.

    Args:
        detector: A detector folder or a run folder.
        repository: `owner/name`.
        private: Make the repository private, if it is new.

    Returns:
        The name that pins what was uploaded: `hub:owner/name@commit`.

    Raises:
        DetectorError: It cannot be used, or the hub refused it.
    """
    opened = Detector.load(detector)
    assert opened.folder is not None
    files, api = opened.files(), HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=opened.folder,
            allow_patterns=files,
            # What an earlier detector left and this one does not have would no longer belong to it.
            delete_patterns=[*(name for name in FILES if name not in files), f"{MEMBERS}/**"],
            commit_message=f"Detector {str(opened.hash)[:16]}, written by asli {__version__}",
        )
    except HFValidationError as error:
        raise DetectorError(f"'{repository}' is no name on the hub; give OWNER/NAME") from error
    except OfflineModeIsEnabled as error:
        raise DetectorError("HF_HUB_OFFLINE is set; unset it to push a detector") from error
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in REFUSED:
            raise DetectorError(
                f"{constants.ENDPOINT} refused '{repository}': set HF_TOKEN to a token that may write there"
            ) from error
        raise DetectorError(f"{constants.ENDPOINT} failed: {_line(error)}") from error
    except Exception as error:  # those of huggingface_hub's HTTP library, which changes with its version
        raise DetectorError(f"'{repository}' was not uploaded to {constants.ENDPOINT}: {_line(error)}") from error
    return f"hub:{repository}@{commit.oid}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
