"""Detectors on the Hugging Face hub: `hub:owner/name` wherever a detector is asked for."""

import logging
import shutil
from pathlib import Path

from asli.detector.store import FILES, INFO, MEMBERS, ONNX, WEIGHTS, rewriting
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


def pull(name: str, out: str | Path) -> Path:
    """Download a detector into a folder of the caller's: the function behind `asli pull`.

    Args:
        name: `owner/name`, or `owner/name@revision`; `hub:` may stand before it.
        out: The folder to make.

    Returns:
        `out`.

    Raises:
        DetectorError: The hub does not have it, it is damaged, or `out` exists.
    """
    out = Path(out)
    if out.exists():
        raise DetectorError(f"{out} exists; give another folder")
    folder = fetch_detector(name.removeprefix("hub:"))
    with rewriting(out, keep=False) as part:
        for file in (one for one in folder.rglob("*") if one.is_file()):
            target = part / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return out
