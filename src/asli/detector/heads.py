"""Make a detector from a frozen trunk and a linear head fitted to its features: the function behind `asli head`."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.detector.base import Detector
from asli.detector.building import fold_temperature, halved
from asli.detector.calibrate import calibrate
from asli.detector.card import Card, Thresholds, TrainingData
from asli.detector.classifier import Classifier
from asli.detector.domain import Domain
from asli.detector.locate import find_detector
from asli.detector.store import WEIGHTS
from asli.errors import WeightsError
from asli.metrics.thresholds import Policy
from asli.models.frozen import FROZEN, FrozenFeatures
from asli.models.networks import Network, create_network
from asli.models.trunks import TRUNKS, find_trunk, load_trunk, trunk_tensors
from asli.training.logistic import LinearHead
from asli.transforms.preprocessing import Preprocessing

BUNDLED = "clip-b16-early"
"""The network whose trunk is in the package: in the detector `photo`."""

SIZE = 224
"""Side of the windows that the trunks were trained on, in pixels."""


def trunk_file(name: str) -> Path:
    """Return the file of a network's trunk: the one that `asli trunk fetch` left, or that in the detector `photo`.

    Args:
        name: Name of the network.

    Raises:
        WeightsError: It is not here.
    """
    return find_detector("photo") / WEIGHTS if name == BUNDLED else find_trunk(FROZEN[name].trunk)


def trunk_network(name: str, trunk: Path | None = None, *, half: bool = False) -> tuple[Network, str]:
    """Return a network with its trunk's weights, its head fresh, and the SHA-256 of the trunk's file.

    Args:
        name: One of `asli.models.frozen.FROZEN`.
        trunk: The trunk's file; None takes that of `trunk_file`.
        half: Round the trunk's weights to 16 bits, as a detector of such weights keeps them.

    Raises:
        WeightsError: There is no such network, or its trunk is missing or damaged.
    """
    import torch

    if name not in FROZEN:
        raise WeightsError(f"no network with a frozen trunk is named '{name}'; there are {', '.join(FROZEN)}")
    network = create_network(name, size=SIZE)
    digest = load_trunk(network, trunk or trunk_file(name))
    if half and not network.module.coded:  # codes are rounded already
        with torch.no_grad():
            for value in trunk_tensors(network).values():
                value.copy_(halved(value))
    network.module.eval()
    return network, digest


def put_head(network: Network, head: LinearHead) -> None:
    """Put a linear head into a network: half of its log-odds for fake, minus half for real.

    Raises:
        WeightsError: It has not as many weights as the network has features.
    """
    import torch

    assert isinstance(network.module, FrozenFeatures)
    linear = network.module.head
    if len(head.weight) != network.module.features:
        raise WeightsError(
            f"the head has {len(head.weight):,} weights and '{network.name}' {network.module.features:,} features"
        )
    weight, bias = torch.from_numpy(head.weight) / 2, head.bias / 2
    with torch.no_grad():
        linear.weight.copy_(torch.stack([-weight, weight]))
        linear.bias.copy_(torch.tensor([-bias, bias]))


def unfitted(
    network: Network,
    head: LinearHead,
    preprocessing: Preprocessing,
    card: Card,
    trunk_sha256: str,
    training_images: npt.NDArray[np.uint64] | None = None,
    *,
    temperature: float = 1.0,
) -> Classifier:
    """Return an unsaved classifier of a network and a head, its weights in 16 bits or its trunk left out.

    Args:
        network: Gets the head.
        head: Before temperature.
        preprocessing: Gives the windows.
        card: States the temperature, too.
        trunk_sha256: SHA-256 of the trunk's file.
        training_images: `DataFolder.keys` of the images that the head was fitted to, where they are known.
        temperature: Divides the logits; it is folded into the head.
    """
    put_head(network, head)
    fold_temperature(network, temperature)
    module = network.module
    assert isinstance(module, FrozenFeatures)
    trunk = {"name": module.trunk, "sha256": trunk_sha256} if module.external else None
    return Classifier(network, preprocessing, card, training_images, trunk=trunk, half=trunk is None)


def origin_of(name: str, trunk_sha256: str) -> str:
    """Return where a network's weights come from, in words, for its card.

    Args:
        name: Name of the network.
        trunk_sha256: SHA-256 of its trunk's file.
    """
    trunk = FROZEN[name].trunk
    what = (
        TRUNKS[trunk].what if trunk in TRUNKS else "first 7 blocks of CLIP ViT-B/16, in 3 bits, of the detector 'photo'"
    )
    return f"{what} (sha256 {trunk_sha256[:16]}), frozen"


def blank_card(data: DataFolder, trained_on: str, recipe_hash: str, start: str, license: str) -> Card:
    """Return the card of a head that is not calibrated yet: neither thresholds nor figures."""
    return Card(
        temperature=1.0,
        thresholds=Thresholds(low=0.5, high=0.5, policy="argmax", n=0, calibration_hash=data.hash),
        domain=Domain(formats=(), sizes=(0, 0), qualities=None, generators=()),
        trained_on=TrainingData(name=trained_on, hash=data.hash, images=int(data.readable.sum())),
        figures={},
        recipe_hash=recipe_hash,
        seed=0,
        start_weights=start,
        license=license,
    )


def detector_of_head(
    head: str | Path | LinearHead,
    network: str,
    data: str | Path | DataFolder,
    out: str | Path,
    *,
    policy: Policy = Policy(),  # noqa: B008 - it is frozen
    crop_mode: str = "grid",
    crops: int = 4,
    pooling: str = "mean",
    short_side: int = 1024,
    trunk: str | Path | None = None,
    license: str = "not stated",
    trained_on: str | None = None,
    group_by: str | None = None,
    group_file: str | Path | None = None,
    views: bool = False,
    device: str | None = None,
    threads: int | None = None,
) -> Detector:
    """Make a calibrated detector of a linear head.

    Args:
        head: The head, or its .npz file.
        network: The network whose features it reads, one of `asli.models.frozen.FROZEN`.
        data: A data folder; its calibration part gives temperature, thresholds and domain.
        out: The new detector's folder.
        policy: How thresholds are chosen.
        crop_mode: `grid` or `texture`; see the recipe's `data.crop_mode`.
        crops: Windows per picture.
        pooling: How their logits are combined.
        short_side: Shorter side to which larger pictures are shrunk first; 0 for never.
        trunk: The trunk's file; None takes that of `trunk_file`.
        license: License under which the weights may be used.
        trained_on: The data that the head was fitted to; the data's name by default.
        group_by: See `calibrate`.
        group_file: See `calibrate`.
        views: See `calibrate`.
        device: cuda, mps or cpu; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.

    Raises:
        WeightsError: The head or the trunk is missing or does not fit.
        DataError, DetectorError: See `calibrate`.
    """
    given = head if isinstance(head, LinearHead) else LinearHead.read(head)
    folder = open_data(data)
    external = network in FROZEN and FROZEN[network].external
    built, digest = trunk_network(network, None if trunk is None else Path(trunk), half=not external)
    preprocessing = crop_preprocessing(built, crop_mode, crops, pooling, short_side)
    card = blank_card(folder, trained_on or folder.name, given.digest(), origin_of(network, digest), license)
    made = unfitted(built, given, preprocessing, card, digest)
    return calibrate(
        made,
        folder,
        out,
        policy,
        group_by=group_by,
        group_file=group_file,
        views=views,
        device=device,
        threads=threads,
    )


def crop_preprocessing(network: Network, crop_mode: str, crops: int, pooling: str, short_side: int) -> Preprocessing:
    """Return the preprocessing of such a network: crops of 224 px without resampling.

    Raises:
        RecipeError: A setting is none that a recipe allows.
    """
    from asli.recipe import recipe_from_dict

    asked = {
        "size": SIZE,
        "interpolation": "bicubic",
        "crop_mode": crop_mode,
        "crops": crops,
        "pooling": pooling,
        "short_side": short_side,
    }
    return Preprocessing.of(recipe_from_dict({"data": asked}).data, network.mean, network.std)
