"""A detector's folder on disk: names of its files, atomic writing, and what older versions called things.

config.json  model.safetensors    timm's hub format: a timm network opens in timm and transformers without asli
detector.json                     kind, preprocessing, card (thresholds, domain, origin), hashes of the other files
preprocessor_config.json          of an adopted detector: its author's, as config.json and model.safetensors then are
model.onnx                        where exported: another form of the same network, which runs without torch
README.md                         the model card
training_images.npy               hashes of the training images
members/NAME/                     the members of an ensemble or a family, each a folder like this one
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asli._version import __version__
from asli.datasets.layouts import LABELS
from asli.errors import DetectorError
from asli.files import FILE_MODE, read_json, sha256_of_file, sha256_of_json, sync, write_json, write_text
from asli.records import Json

if TYPE_CHECKING:
    from asli.detector.base import Detector

VERSION = 2
"""Version of `detector.json`. Version 1 (asli 0.1.0) has no `kind`: its bundles are classifiers."""

INFO, CONFIG, CARD = "detector.json", "config.json", "README.md"
PROCESSOR = "preprocessor_config.json"
"""The author's image processor of an adopted detector, whose `config.json` and weights are the author's, too."""

WEIGHTS, ONNX, TRAINING_IMAGES, MEMBERS = "model.safetensors", "model.onnx", "training_images.npy", "members"
FILES = (CONFIG, PROCESSOR, INFO, CARD, TRAINING_IMAGES, ONNX, WEIGHTS)

LATER = ("onnx", "domain_studies", "parameters")
"""Parts of `detector.json` that change none of its verdicts, so they are not part of its hash."""

FORMER_NAMES = {"licence": "license", "window": "crop_mode", "centre-crop": "center-crop"}
"""Keys and values of version 1, and their present names."""


def read_info(folder: Path) -> Json:
    """Return the content of `detector.json`.

    Raises:
        DetectorError: It is damaged, foreign or newer than this asli.
    """
    try:
        info = read_json(folder / INFO)
        version, labels = info.get("version", 0), info["labels"]
        newer = version > VERSION
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise DetectorError(f"detector {folder} is damaged or foreign: {error}") from error
    if newer:
        raise DetectorError(f"detector {folder} has version {version}; update asli to read it")
    if labels != list(LABELS):
        raise DetectorError(f"detector {folder} has labels {labels}; asli reads {list(LABELS)}")
    return dict(info)


def identity(info: Json) -> str:
    """Return the hash of what gives the verdicts."""
    return sha256_of_json({key: value for key, value in info.items() if key not in LATER})


def describe_in(detector: "Detector", part: Path, own: Json) -> Json:
    """Write `detector.json` and the model card of a detector that is being saved; leave the detector as it is.

    Args:
        detector: Detector of any kind.
        part: The folder being written.
        own: What its kind adds to `detector.json`.

    Returns:
        The content of `detector.json`.
    """
    info = {
        "version": VERSION,
        "asli": __version__,
        "kind": detector.kind,
        "labels": list(LABELS),
        **own,
        "card": detector.card.to_dict(),
    }
    write_json(part / INFO, info)
    read: Json = json.loads(json.dumps(info))  # as it will be
    before = detector.hash, detector._info
    try:
        detector.hash, detector._info = identity(read), read
        write_text(part / CARD, detector.model_card())
    finally:
        detector.hash, detector._info = before
    return read


def became(detector: "Detector", folder: str | Path, info: Json) -> None:
    """Note in a detector that it has been saved."""
    detector._info, detector.hash, detector.folder = info, identity(info), Path(folder)


def present_names(settings: Mapping[str, Any]) -> Json:
    """Return settings of any version under their present names, lists as tuples."""

    def present(value: Any) -> Any:
        if isinstance(value, str):
            return FORMER_NAMES.get(value, value)
        return tuple(value) if isinstance(value, list) else value

    return {FORMER_NAMES.get(key, key): present(value) for key, value in settings.items()}


def require_same(file: Path, sha256: str) -> None:
    """Compare a file with its hash in `detector.json`.

    Raises:
        DetectorError: It is missing or another file.
    """
    if not file.is_file():
        raise DetectorError(f"{file} is missing; fetch or export the detector again")
    if sha256_of_file(file) != sha256:
        raise DetectorError(f"{file} is not the file detector.json describes; fetch or export the detector again")


@contextmanager
def rewriting(folder: str | Path, *, keep: bool) -> Iterator[Path]:
    """Yield a folder to write a detector into; on success it takes the place of `folder` as a whole.

    A reader sees the former detector or the new one, and a crash leaves one of them. Files that are no detector's
    stay.

    Args:
        folder: Where the detector will be.
        keep: Start with the files of the detector that is there; otherwise without them.
    """
    folder = Path(folder).resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name[:50]}.", suffix=".part", dir=folder.parent))
    try:
        if folder.is_dir():
            dropped = () if keep else (*FILES, MEMBERS)
            shutil.copytree(
                folder,
                part,
                dirs_exist_ok=True,
                ignore=lambda place, _: dropped if Path(place) == folder else (),
                copy_function=_link_or_copy,
            )
        yield part
        part.chmod(FILE_MODE | (FILE_MODE & 0o444) >> 2)  # who may read a file may enter the folder
        for file in [*part.rglob("*"), part]:
            sync(file)
        _swap(part, folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def former(folder: Path) -> Path:
    """Return where the detector at `folder` lies for the moment in which another one takes its place."""
    return folder.with_name(f".{folder.name}.former")


def _swap(part: Path, folder: Path) -> None:
    aside = former(folder)
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    part.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)  # files of a detector are replaced, never written into
    except OSError:
        shutil.copy2(source, target)
