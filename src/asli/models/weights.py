"""Start weights from a file, a folder in the hub's format, or the hub: the head is replaced, the rest accounted for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from asli.errors import WeightsError
from asli.files import read_json, sha256_of_file
from asli.models.networks import Network


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """What became of a file of weights.

    Attributes:
        source: As in the recipe.
        revision: Commit of the hub's repository, or None where the weights did not come from the hub.
        sha256: Of the file.
        loaded: Parameters and buffers taken over.
        replaced: The head's: new, because its number of classes differs.
        missing: Of the network, but not in the file.
        unexpected: In the file, but not of the network.
    """

    source: str
    revision: str | None
    sha256: str
    loaded: int
    replaced: list[str]
    missing: list[str]
    unexpected: list[str]

    def describe(self) -> str:
        """Return one line for a person, naming everything that did not load."""
        commit = f"commit {self.revision}, " if self.revision else ""
        parts = [f"{self.loaded} tensors from {self.source} ({commit}sha256 {self.sha256})"]
        for what in ("replaced", "missing", "unexpected"):
            names = getattr(self, what)
            if names:
                parts.append(f"{what}: {', '.join(names)}")
        return "; ".join(parts)


def load_start_weights(network: Network, start: str) -> tuple[Network, LoadedWeights | None]:
    """Load start weights into a network.

    Args:
        network: Its module is changed in place.
        start: `scratch`, a .safetensors file, a folder with `config.json` and `model.safetensors`, `hub:owner/name`,
            or `hub:owner/name@revision`.

    Returns:
        The network, with the weights' own mean and std where their folder states them, and what was loaded.

    Raises:
        WeightsError: Missing, unreadable, or of another network.
    """
    if start == "scratch":
        return network, None
    path, config, revision = _locate(start)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from error
    if any(key.startswith("resnet.embedder.") for key in tensors):
        tensors = {_from_transformers(key): value for key, value in tensors.items()}
    own = network.module.state_dict()
    head = {key for key in own if key.startswith(f"{network.head}.")}
    replaced = sorted(key for key in head if key in tensors and tensors[key].shape != own[key].shape)
    fitting = {key: value for key, value in tensors.items() if key in own and key not in replaced}
    wrong = [key for key, value in fitting.items() if value.shape != own[key].shape]
    # BatchNorm's counter is not in every file and does not change the network's output.
    missing = sorted(key for key in own if key not in tensors and not key.endswith("num_batches_tracked"))
    if wrong or len(missing) > len(own) // 2:
        example = wrong[0] if wrong else missing[0]
        raise WeightsError(
            f"{start} does not fit the network '{network.name}': {example} differs; choose other weights"
        )
    # A shallower ResNet's tensors all have the names and shapes of a deeper one's: only whole blocks tell them apart.
    theirs, ours = _blocks(tensors), _blocks(own)
    stages = {block.split(".")[0] for block in theirs} & {block.split(".")[0] for block in ours}
    other = sorted(block for block in theirs ^ ours if block.split(".")[0] in stages - {network.head})
    if other:
        lacking = "the network" if other[0] in theirs else "the file"
        raise WeightsError(
            f"{start} does not fit the network '{network.name}': {lacking} has no block {other[0]}; choose weights of"
            " the same depth (weights.start)"
        )
    network.module.load_state_dict(fitting, strict=False)
    report = LoadedWeights(
        source=start,
        revision=revision,
        sha256=sha256_of_file(path),
        loaded=len(fitting),
        replaced=replaced,
        missing=missing,
        unexpected=sorted(key for key in tensors if key not in own),
    )
    if "mean" in config and "std" in config:
        network = replace(network, mean=tuple(config["mean"]), std=tuple(config["std"]))
    return network, report


def _locate(start: str) -> tuple[Path, dict[str, Any], str | None]:
    """Find the file, what its folder says of preprocessing, and the commit where it came from the hub."""
    if start.startswith("hub:"):
        from asli.models.hub import fetch

        folder, revision = fetch(start.removeprefix("hub:"))
        return *_in_folder(folder), revision
    path = Path(start)
    if path.is_dir():
        return *_in_folder(path), None
    if path.is_file() and path.suffix == ".safetensors":
        return path, {}, None
    if path.is_file():
        raise WeightsError(f"{path} is not a .safetensors file; pickled weights are not read, convert them first")
    raise WeightsError(
        f"no start weights at {start}; weights.start takes scratch, a .safetensors file, a folder or hub:owner/name"
    )


def _in_folder(folder: Path) -> tuple[Path, dict[str, Any]]:
    file = folder / "model.safetensors"
    if not file.exists():
        raise WeightsError(f"{folder} has no model.safetensors")
    try:
        config = read_json(folder / "config.json")
        extractor = folder / "preprocessor_config.json"
        if extractor.exists():  # transformers' own ResNets keep the normalization there
            values = read_json(extractor)
            return file, {"mean": values["image_mean"], "std": values["image_std"]}
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{folder} is not a folder in the hub's format: {error}") from error
    return file, config.get("pretrained_cfg", config)


_STEM = {
    "resnet.embedder.embedder.convolution": "conv1",
    "resnet.embedder.embedder.normalization": "bn1",
    "classifier.1": "fc",
}
_BLOCK = re.compile(
    r"resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)\.(layer\.(\d+)|shortcut)\.(convolution|normalization)"
)


def _from_transformers(key: str) -> str:
    """Return timm's name of a tensor of transformers' ResNet (the two have the same layers)."""
    name, _, leaf = key.rpartition(".")
    if name in _STEM:
        return f"{_STEM[name]}.{leaf}"
    match = _BLOCK.fullmatch(name)
    if not match:
        return key
    stage, block, _, layer, kind = match.groups()
    prefix = f"layer{int(stage) + 1}.{block}"
    if layer is None:
        return f"{prefix}.downsample.{0 if kind == 'convolution' else 1}.{leaf}"
    return f"{prefix}.{'conv' if kind == 'convolution' else 'bn'}{int(layer) + 1}.{leaf}"


def restore(module: torch.nn.Module, path: Path) -> None:
    """Load a checkpoint's tensors into a module; all must be there and nothing else."""
    module.load_state_dict(load_file(path))


def _blocks(keys: Iterable[str]) -> set[str]:
    """Return the blocks that names of tensors lie in: what comes before the first part that is no number."""
    return {found.group() for key in keys if (found := re.match(r"[^.]+(\.\d+)+(?=\.)", key))}
