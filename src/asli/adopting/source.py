"""Find a network to adopt: its files, its kind, and the statements of its author."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asli.detector.adopted_network import refusing
from asli.detector.author import Library
from asli.detector.store import CARD, CONFIG, PROCESSOR, WEIGHTS
from asli.errors import DetectorError
from asli.files import read_json

SHARDS = "model.safetensors.index.json"
FILES = (CARD, CONFIG, PROCESSOR, SHARDS, WEIGHTS)
"""Patterns of the files that are fetched from the hub; they exclude code and pickles."""

PICKLES = ("pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "model.bin")
TIMM = "timm:"


@dataclass(frozen=True, slots=True)
class Stated:
    """What an author states of a network, None where nothing: author, license, base model, training data."""

    author: str | None = None
    license: str | None = None
    base_model: str | None = None
    datasets: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionSource:
    """A network to adopt.

    Attributes:
        name: Name, as the user named it: `hub:owner/name` or a path.
        folder: Folder of its files.
        weights: The safetensors or ONNX file.
        library: What builds the network.
        config: The content of `config.json`; empty where there is none.
        commit: Commit of the hub's repository, or None.
        stated: What the author states.
        architecture: Architecture of a bare state dict, as timm names it; None where `config.json` holds it.
    """

    name: str
    folder: Path
    weights: Path
    library: Library
    config: dict[str, Any] = field(default_factory=dict)
    commit: str | None = None
    stated: Stated = field(default_factory=Stated)
    architecture: str | None = None


def find(name: str, architecture: str | None) -> AdoptionSource:
    """Find a network and refuse what asli does not open.

    Args:
        name: `hub:owner/name[@revision]`, a folder, a .safetensors file or an .onnx file.
        architecture: `timm:NAME` for a bare state dict.

    Raises:
        DetectorError: There is none, or it is a pickle, needs remote code, is no image classifier, or lacks files.
    """
    if architecture is not None and not architecture.startswith(TIMM):
        raise DetectorError(f"--architecture is '{architecture}'; give {TIMM}NAME, such as {TIMM}vit_small_patch16_224")
    commit = author = None
    if name.startswith("hub:"):
        from asli.models.hub import snapshot, verify

        repository = name.removeprefix("hub:")
        folder, commit = snapshot(repository, FILES, wanted_by="SOURCE", error=DetectorError)
        author = repository.partition("/")[0]
        path = folder
        if (folder / WEIGHTS).is_file():
            verify(folder / WEIGHTS)
    else:
        path = Path(name)
        folder = path if path.is_dir() else path.parent
    if path.is_file() and path.suffix == ".onnx":
        return AdoptionSource(name=name, folder=folder, weights=path, library="onnx", stated=_stated(folder, author))
    weights = path if path.is_file() else _weights(folder, name)
    if weights.suffix != ".safetensors":
        raise DetectorError(_no_pickles(weights.name, name))
    stated = _stated(folder, author)
    if architecture is not None:
        return AdoptionSource(
            name=name,
            folder=folder,
            weights=weights,
            library="timm",
            commit=commit,
            stated=stated,
            architecture=architecture.removeprefix(TIMM),
        )
    config = _config(folder, name)
    library: Library = "timm" if "architecture" in config else "transformers"
    return AdoptionSource(
        name=name, folder=folder, weights=weights, library=library, config=config, commit=commit, stated=stated
    )


def _weights(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise DetectorError(f"{name} does not exist; give a folder, a .safetensors or .onnx file, or hub:owner/name")
    if (folder / WEIGHTS).is_file():
        return folder / WEIGHTS
    if (folder / SHARDS).is_file():
        raise DetectorError(
            f"the weights of {name} are split into several files; save them as one {WEIGHTS} with"
            " save_pretrained(..., max_shard_size='100GB')"
        )
    pickled = next((one for one in PICKLES if (folder / one).exists()), None)
    raise DetectorError(_no_pickles(pickled, name))


def _no_pickles(found: str | None, name: str) -> str:
    what = f"{name} has {found}" if found else f"{name} has no {WEIGHTS}"
    return (
        f"{what}: asli reads safetensors only, since opening a pickle can run code; convert the weights to"
        f" {WEIGHTS}, or ask the author for them"
    )


def _config(folder: Path, name: str) -> dict[str, Any]:
    if not (folder / CONFIG).is_file():
        raise DetectorError(
            f"{name} has no {CONFIG}; name the architecture of a bare state dict: --architecture {TIMM}NAME"
        )
    with refusing(f"{CONFIG} of {name} cannot be read"):
        config = dict(read_json(folder / CONFIG))
    remote = config.get("auto_map")
    if remote:
        classes = ", ".join(map(str, remote)) if isinstance(remote, dict) else remote
        raise DetectorError(
            f"{name} needs code from its repository ({classes} in auto_map of {CONFIG}); asli runs no code of others;"
            " adopt an ONNX export of it with --preprocessing FILE"
        )
    if "architecture" not in config and "model_type" not in config:
        raise DetectorError(
            f"{CONFIG} of {name} names neither a model_type (transformers) nor an architecture (timm); name the"
            f" architecture of its state dict: --architecture {TIMM}NAME [--strip-prefix PREFIX]"
        )
    return config


def _stated(folder: Path, author: str | None) -> Stated:
    """Return what the front matter of the author's README states; empty where there is none."""
    from huggingface_hub import metadata_load

    found: dict[str, Any] = {}
    if (folder / CARD).is_file():
        try:
            found = metadata_load(folder / CARD) or {}
        except Exception:  # YAML of others can be broken in any way; then it states nothing
            found = {}
    kept = {key: _text(found.get(key)) for key in ("license", "license_name", "base_model", "datasets")}
    if kept["license"] == "other" and kept["license_name"]:
        kept["license"] = kept["license_name"]
    return Stated(author, kept["license"], kept["base_model"], kept["datasets"])


def _text(value: Any) -> str | None:
    """Return a text, or several in one line; what is neither, such as nested lists, states nothing."""
    parts = value if isinstance(value, list) else [value]
    return ", ".join(part for part in parts if isinstance(part, str) and part) or None
