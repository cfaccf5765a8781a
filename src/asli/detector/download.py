"""Detectors on the Hugging Face hub: `hub:owner/name` wherever a detector is asked for."""

import logging
from pathlib import Path

from asli.detector.store import FILES, INFO, MEMBERS, ONNX, WEIGHTS
from asli.errors import DetectorError
from asli.models.hub import snapshot, verify

logger = logging.getLogger("asli")


def fetch_detector(name: str) -> Path:
    """Return the folder of a detector in the hub's cache, fetched if it is not there.

    Args:
        name: `owner/name`, or `owner/name@revision` with a commit, tag or branch.

    Raises:
        DetectorError: The hub does not have it, or it can be found neither there nor in the cache.
    """
    repository, _, revision = name.partition("@")
    folder, commit = snapshot(name, (f"{MEMBERS}/**", *FILES), wanted_by="DETECTOR", error=DetectorError)
    if not (folder / INFO).is_file():
        raise DetectorError(f"'{repository}' at commit {commit} is no detector of asli: it has no detector.json")
    for large in (WEIGHTS, ONNX):
        for file in folder.rglob(large):
            verify(file)
    if revision != commit:
        logger.info("%s is now commit %s; hub:%s@%s pins it", name, commit, repository, commit)
    return folder
