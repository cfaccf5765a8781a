"""A detector out of a frozen trunk and a linear head that was fitted to its features: the verb behind `asli head`."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.detector.base import Detector
from asli.detector.building import halved
from asli.detector.calibrate import calibrate
from asli.detector.card import Card, Thresholds
from asli.detector.classifier import Classifier
from asli.detector.domain import Domain
from asli.errors import WeightsError
from asli.files import sha256_of_json
from asli.metrics.thresholds import Policy
from asli.models.frozen import FROZEN, FrozenFeatures
from asli.models.networks import Network, create_network
from asli.models.trunks import TRUNKS, find_trunk, load_trunk
from asli.transforms.preprocessing import Preprocessing

SIZE = 224
"""Side of the windows that the trunks were trained on, in pixels."""


@dataclass(frozen=True, slots=True)
class LinearHead:
    """What turns the features of one window into log-odds of fake: their product with `weight`, plus `bias`.

    Attributes:
        weight: float32, one a feature of the network; 0 where a feature is not used.
        bias: Of the log-odds.
    """

    weight: npt.NDArray[np.float32]
    bias: float

    @classmethod
    def read(cls, path: str | Path) -> "LinearHead":
        """Read a head from an .npz file with `weight` and `bias`.

        Raises:
            WeightsError: It is missing or damaged, or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                weight, bias = np.asarray(arrays["weight"], dtype=np.float32).reshape(-1), arrays["bias"]
                found = cls(weight, float(np.asarray(bias, dtype=np.float64).reshape(-1)[0]))
        except (OSError, KeyError, ValueError, IndexError, TypeError, EOFError) as error:
            raise WeightsError(
                f"{path} is no head: an .npz file with `weight` and `bias` is needed ({error})"
            ) from error
        if not (np.isfinite(found.weight).all() and np.isfinite(found.bias)):
            raise WeightsError(f"{path} holds numbers that are not finite; fit the head again")
        return found

    def write(self, path: str | Path) -> None:
        """Write it as an .npz file."""
        buffer = io.BytesIO()
        np.savez(buffer, weight=self.weight, bias=np.array(self.bias))
        Path(path).write_bytes(buffer.getvalue())

    def digest(self) -> str:
        """Return a SHA-256 of its numbers."""
        return sha256_of_json([self.weight.astype(np.float64).tolist(), self.bias])


def trunk_network(name: str, trunk: Path | None = None, *, half: bool = False) -> tuple[Network, str]:
    """Return a network with its trunk's weights, its head fresh, and the SHA-256 of the trunk's file.

    Args:
        name: `lite0-stages` or `clip-b16-blocks`.
        trunk: The trunk's file; None takes the one `asli trunk fetch` left.
        half: Round the trunk's weights to 16 bits, as a detector of such weights keeps them.

    Raises:
        WeightsError: There is no such network, or its trunk is missing or damaged.
    """
    import torch

    if name not in FROZEN:
        raise WeightsError(f"no network with a frozen trunk is named '{name}'; there are {', '.join(FROZEN)}")
    network = create_network(name, size=SIZE)
    digest = load_trunk(network, trunk or find_trunk(FROZEN[name].trunk))
    if half:
        with torch.no_grad():
            for key, value in network.module.state_dict().items():
                if not key.startswith(f"{network.head}."):
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
    network: Network, head: LinearHead, preprocessing: Preprocessing, card: Card, trunk_sha256: str
) -> Classifier:
    """Return an unsaved classifier of a network and a head, its weights in 16 bits or its trunk left out."""
    put_head(network, head)
    module = network.module
    assert isinstance(module, FrozenFeatures)
    trunk = {"name": module.trunk, "sha256": trunk_sha256} if module.external else None
    return Classifier(network, preprocessing, card, trunk=trunk, half=trunk is None)


def blank_card(data: DataFolder, trained_on: str, recipe_hash: str, start: str, license: str) -> Card:
    """Return the card of a head that is not calibrated yet: neither thresholds nor figures."""
    return Card(
        temperature=1.0,
        thresholds=Thresholds(low=0.5, high=0.5, policy="argmax", n=0, calibration_hash=data.hash),
        domain=Domain(formats=(), sizes=(0, 0), qualities=None, generators=()),
        trained_on={"name": trained_on, "hash": data.hash, "images": int(data.readable.sum())},
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
        network: `lite0-stages` or `clip-b16-blocks`: whose features it reads.
        data: A data folder; its calibration part gives temperature, thresholds and domain.
        out: The new detector's folder.
        policy: How thresholds are chosen.
        crop_mode: `grid` or `texture`; see the recipe's `data.crop_mode`.
        crops: Windows a picture.
        pooling: How their logits become one.
        short_side: To which larger pictures are shrunk first; 0 for never.
        trunk: The trunk's file; None takes the one `asli trunk fetch` left.
        license: Under which the weights may be used.
        trained_on: What the head was fitted to, in words; the data's name by default.
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
    start = f"{TRUNKS[FROZEN[network].trunk].what} (sha256 {digest[:16]}), frozen"
    card = blank_card(folder, trained_on or folder.name, given.digest(), start, license)
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
    """Return what such a network sees: native crops of 224 px.

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
