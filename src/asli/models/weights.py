"""Start weights from a file, a folder in the hub's format, or the hub: the head is replaced, the rest accounted for."""

import math
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from asli.errors import WeightsError
from asli.files import read_json, sha256_of_file
from asli.models.networks import Network


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """Result of loading a file of weights.

    Attributes:
        source: Source, as in the recipe.
        revision: Commit of the hub's repository, or None where the weights did not come from the hub.
        sha256: SHA-256 of the file.
        loaded: Parameters and buffers taken over.
        replaced: The head's: new, because its number of classes differs.
        missing: Tensors of the network that the file lacks.
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
    tensors = {own_name(key, tensors): value for key, value in tensors.items()}
    own = network.module.state_dict()
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    problem = misfit(network, shapes)
    if problem:
        raise WeightsError(f"{start} does not fit the network '{network.name}': {problem}")
    replaced = sorted(key for key in _head(network) if key in tensors and shapes[key] != tuple(own[key].shape))
    missing = sorted(key for key in _head(network) if key not in tensors)
    # timm holds as 1 x 1 and 7 x 7 convolutions what torchvision's VGG holds as matrices; the numbers are the same.
    fitting = {k: v.reshape(own[k].shape) for k, v in tensors.items() if k in own and k not in replaced}
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
    if network.name == "googlenet":
        network = replace(network, mean=INCEPTION_MEAN, std=INCEPTION_STD)
    if "mean" in config and "std" in config:
        network = replace(network, mean=tuple(config["mean"]), std=tuple(config["std"]))
    return network, report


INCEPTION_MEAN = INCEPTION_STD = (0.5, 0.5, 0.5)
"""Normalization of GoogLeNet's published weights: torchvision loads them with `transform_input`, which turns
ImageNet's normalization into this one."""


def misfit(network: Network, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return why tensors are not weights of a network, or an empty text where every tensor of its body is there.

    Args:
        network: Whose weights they should be.
        shapes: Shape of each tensor, under the network's own names (`own_name`).
    """
    own, head = {key: tuple(value.shape) for key, value in network.module.state_dict().items()}, _head(network)
    # A shallower ResNet's tensors all have the names and shapes of a deeper one's: only whole blocks tell them apart.
    theirs, ours = _blocks(shapes), _blocks(own)
    stages = {block.split(".")[0] for block in theirs} & {block.split(".")[0] for block in ours}
    other = sorted(block for block in theirs ^ ours if block.split(".")[0] in stages - {network.head})
    wrong = [key for key, shape in shapes.items() if key in own and key not in head and not _same(shape, own[key])]
    # BatchNorm's counter is not in every file and does not change the network's output.
    body = [key for key in own if key not in head and not key.endswith("num_batches_tracked")]
    missing = [key for key in body if key not in shapes]
    if wrong or len(missing) > len(own) // 2:
        return f"{wrong[0] if wrong else missing[0]} differs; choose other weights"
    if other:
        lacking = "the network" if other[0] in theirs else "the file"
        return f"{lacking} has no block {other[0]}; choose weights of the same depth (weights.start)"
    if missing:
        return (
            f"the file lacks {len(missing)} of {len(body)} tensors of its body (first: {missing[0]}), which would stay"
            " random; choose other weights"
        )
    return ""


def own_name(key: str, keys: Container[str]) -> str:
    """Return the name our network has for a tensor of a file, whether timm, torchvision or transformers wrote it."""
    if key.startswith(("resnet.", "classifier.1.")) and "resnet.embedder.embedder.convolution.weight" in keys:
        return _from_transformers(key)
    if "classifier.6.weight" in keys:  # torchvision's VGG
        module, _, leaf = key.rpartition(".")
        return f"{_VGG.get(module, module)}.{leaf}"
    return key


_VGG = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc"}


def _head(network: Network) -> set[str]:
    return {key for key in network.module.state_dict() if key.startswith(f"{network.head}.")}


def _same(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Return whether shapes are the same, a matrix being the same as the convolution over a whole map it stands for."""
    if first == second:
        return True
    return len(first) == 2 and len(second) == 4 and first[0] == second[0] and first[1] == math.prod(second[1:])


def _locate(start: str) -> tuple[Path, dict[str, Any], str | None]:
    """Return the file, its folder's settings of preprocessing, and the commit if it came from the hub."""
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


def _blocks(keys: Iterable[str]) -> set[str]:
    """Return the blocks that names of tensors lie in: what comes before the first part that is no number."""
    return {found.group() for key in keys if (found := re.match(r"[^.]+(\.\d+)+(?=\.)", key))}
