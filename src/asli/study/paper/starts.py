"""Start weights of the study's cells: files of one folder, by name, or the hub; where neither has them, the reason."""

from collections.abc import Callable
from pathlib import Path

from asli.errors import WeightsError
from asli.files import read_json, write_json
from asli.study.paper.budgets import Budget
from asli.study.sweep.cells import Cell

CIFAR_10 = "CIFAR-10 weights have seen CIFAKE's REAL training images: these are CIFAR-10's photographs"

HUB = {
    **{f"resnet{depth}": f"hub:microsoft/resnet-{depth}" for depth in (18, 50, 101, 152)},
    "vgg16": "hub:timm/vgg16.tv_in1k",
    "efficientnet_b3": "hub:timm/efficientnet_b3.ra2_in1k",
    "efficientnet_b4": "hub:timm/efficientnet_b4.ra2_in1k",
    "densenet121": "hub:timm/densenet121.tv_in1k",
    "inception_v3": "hub:timm/inception_v3.tv_in1k",
    "tf_efficientnet_lite0": "hub:timm/tf_efficientnet_lite0.in1k",
}
"""ImageNet weights in safetensors form. GoogLeNet's are published pickled only, and pickled weights are not read."""


class Pins:
    """The hub's commits that a study uses: asked for once, then kept, so that all its runs start alike.

    Args:
        path: File that keeps them.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._silent = path, set[str]()

    def pinned(self, start: str) -> str:
        """Return `hub:owner/name@commit` of `hub:owner/name`; without an answer from the hub, `start` itself.

        What cannot be asked may still lie in the hub's cache: then the run's own loading finds it, or says why not.
        """
        from asli.models.hub import header_of

        known: dict[str, str] = read_json(self._path) if self._path.exists() else {}
        if start in self._silent:
            return start
        if start not in known:
            try:
                known[start] = header_of(start.removeprefix("hub:")).commit
            except WeightsError:
                self._silent.add(start)
                return start
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, known)
        return f"{start}@{known[start]}"


def starts_from(budget: Budget, folder: Path | None, pins: Pins | None = None) -> Callable[[Cell], str]:
    """Return what finds `weights.start` of a cell.

    Args:
        budget: Only `full` asks the hub.
        folder: Folder of weight files, each named after its network, those of CIFAR-10 `cifar10_resnetNN.safetensors`.
        pins: Pins hub repositories to a commit, which then belongs to the run's identity.
    """

    def start_of(cell: Cell) -> str:
        if cell.start == "scratch":
            return "scratch"
        network = network_of(cell)
        name = f"{network.replace('cifar_', 'cifar10_')}.safetensors"
        if folder is not None and (folder / name).is_file():
            return str((folder / name).resolve())
        if budget.name == "full":
            if network in HUB:
                return pins.pinned(HUB[network]) if pins else HUB[network]
            raise WeightsError(f"the hub has no safetensors file for {network}; give --weights with {name}")
        raise WeightsError(f"no {name} in --weights {folder.name}" if folder else f"no --weights given with {name}")

    return start_of


def network_of(cell: Cell) -> str:
    """Return the network whose weights a cell starts from: itself, or the one whose shortcuts it lacks."""
    return cell.network.removeprefix("plain_").removesuffix("_stage")
