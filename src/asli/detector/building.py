"""Between a classifier's files and its network: what is written, how it is put together, where the temperature goes."""

from pathlib import Path
from typing import TYPE_CHECKING

from asli.detector.store import WEIGHTS
from asli.errors import DetectorError, RecipeError

if TYPE_CHECKING:
    import torch

    from asli.models.networks import Network


def assemble(folder: Path, architecture: str, size: int, trunk: Path | None) -> "Network":
    """Build a network and load its weights.

    Args:
        folder: Folder of the detector; holds `model.safetensors`.
        architecture: Name of the network.
        size: Size of its input, in pixels.
        trunk: A trunk's file, for all but the head; None where the detector's weights hold everything.

    Raises:
        DetectorError: A file is damaged or foreign.
        WeightsError: The trunk's is.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from asli.models.coded import decoded
    from asli.models.networks import create_network
    from asli.models.trunks import load_trunk

    try:
        network = create_network(architecture, size=size)
        module = network.module
        tensors = decoded(load_file(folder / WEIGHTS), module)
        if trunk is not None:
            load_trunk(network, trunk)
            tensors = {key.removeprefix(f"{network.head}."): value for key, value in tensors.items()}
            module = module.get_submodule(network.head)
        module.load_state_dict(tensors)
    except (OSError, RuntimeError, RecipeError, SafetensorError) as error:
        problem = " ".join(str(error).split())[:200]
        raise DetectorError(f"detector {folder} is damaged or foreign: {problem}") from error
    return network


def stored(network: "Network", *, head_only: bool, half: bool) -> dict[str, "torch.Tensor"]:
    """Return the tensors a classifier's file holds.

    Args:
        network: Its network.
        head_only: Leave out all but the head.
        half: Keep all but the head as numbers of 16 bits, or as codes where the network names such tensors.

    Raises:
        WeightsError: A tensor cannot be coded.
    """
    from asli.models.coded import STEPS, coded
    from asli.models.codes import CODES

    tensors = {key: value.detach().cpu().contiguous() for key, value in network.module.state_dict().items()}
    head = {key: value for key, value in tensors.items() if key.startswith(f"{network.head}.")}
    if head_only:
        return head
    if not half:
        return tensors
    names: tuple[str, ...] = getattr(network.module, "coded", ())
    steps = tensors[STEPS].tolist() if names else []
    codes = {f"{name}{CODES}": coded(tensors[name], step) for name, step in zip(names, steps, strict=True)}
    exact = {*head, *names, STEPS}
    small = {key: value if key in exact else halved(value) for key, value in tensors.items() if key not in names}
    return {**small, **codes}


def storage_of(network: "Network") -> str:
    """Return how a file keeps a network's weights in few bits: `coded` or `float16`."""
    return "coded" if getattr(network.module, "coded", ()) else "float16"


def halved(value: "torch.Tensor") -> "torch.Tensor":
    """Return a tensor with numbers of 16 bits; whole numbers stay."""
    return value.half() if value.is_floating_point() else value


def fold_temperature(network: "Network", temperature: float) -> float:
    """Divide a network's logits by a temperature in the weights and bias of its head.

    Returns:
        The temperature that remains to be applied: 1, or all of it where the head is no linear layer.
    """
    import torch

    head = network.module.get_submodule(network.head) if network.head else None
    if not isinstance(head, (torch.nn.Linear, torch.nn.Conv2d)):
        return temperature
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.div_(temperature)
    return 1.0
