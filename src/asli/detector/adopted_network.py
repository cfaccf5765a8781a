"""The network of an adopted detector: whatever its author's library and outputs, a module that gives (real, fake)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from asli.detector.author import Library, Outputs
from asli.detector.store import WEIGHTS
from asli.errors import AsliError, DetectorError, MissingExtraError


class RealFake(nn.Module):
    """An author's network behind asli's interface.

    Args:
        network: Maps float32, n x 3 x size x size, to logits, n x outputs, or to an object that holds them.
        outputs: What they mean.
        bgr: Whether it takes blue first.
    """

    def __init__(self, network: nn.Module, outputs: Outputs, *, bgr: bool = False) -> None:
        super().__init__()
        self.network, self.outputs, self.bgr = network, outputs, bgr
        _mark_sequences(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map normalized images, float32, n x 3 x size x size, red first, to logits, n x 2 (real, fake)."""
        return self.outputs.real_fake(self.raw(images))

    def raw(self, images: torch.Tensor) -> torch.Tensor:
        """Return the author's own logits, n x outputs."""
        result = self.network(images[:, [2, 1, 0]] if self.bgr else images)
        logits: torch.Tensor = result if isinstance(result, torch.Tensor) else result.logits
        return logits


def _mark_sequences(module: nn.Module) -> None:
    """Mark the parts around a network's sequence of blocks, as transformers nests them, for Grad-CAM to look into."""
    for part in module.children():
        inside = any(isinstance(one, (nn.ModuleList, nn.Sequential)) for one in part.modules())
        if inside and not isinstance(part, (nn.ModuleList, nn.Sequential)):
            part.holds_sequence = True  # type: ignore[assignment]
            _mark_sequences(part)


def load_network(folder: Path, library: Library) -> nn.Module:
    """Open the network in a folder, in float32 and evaluation mode.

    Args:
        folder: Folder with `config.json` and `model.safetensors`, as the library wrote them.
        library: Which.

    Raises:
        DetectorError: The library cannot build it, or weights are missing or of another shape.
        MissingExtraError: transformers is needed and not installed.
    """
    if library == "onnx":
        raise DetectorError(f"{folder} is an ONNX file without a network in torch; only the onnx runtime computes it")
    with refusing(f"{library} cannot open {folder}"):
        return (_from_timm if library == "timm" else _from_transformers)(folder)


def untrained(folder: Path, library: Library, seed: int) -> nn.Module:
    """Build the network of a folder with fresh random weights; see `load_network`."""
    torch.manual_seed(seed)
    if library == "timm":
        import timm

        return timm.create_model(f"local-dir:{folder}", pretrained=False).eval()  # type: ignore[no-any-return]
    transformers = require_transformers()
    with quiet():
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        module: nn.Module = transformers.AutoModelForImageClassification.from_config(config)
    return module.float().eval()


def _from_timm(folder: Path) -> nn.Module:
    import timm
    from safetensors.torch import load_file

    module: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=False)
    found = module.load_state_dict(load_file(folder / WEIGHTS), strict=False)
    _require_complete(folder, found.missing_keys, found.unexpected_keys)
    return module.float().eval()


def _from_transformers(folder: Path) -> nn.Module:
    transformers = require_transformers()
    with quiet():
        module, found = transformers.AutoModelForImageClassification.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    # Without this check a missing tensor would stay random and the scores would mean nothing.
    _require_complete(folder, [*found["missing_keys"], *found.get("mismatched_keys", ())], [])
    network: nn.Module = module.eval()
    return network


def _require_complete(folder: Path, missing: list[Any], unexpected: list[Any]) -> None:
    for what, names in (("lacks", missing), ("has, beyond the network's,", unexpected)):
        if names:
            raise DetectorError(
                f"{WEIGHTS} of {folder} {what} {len(names)} tensors (first: {sorted(map(str, names))[0]}):"
                " choose the architecture it was saved from, and the prefix of its names by --strip-prefix"
            )


def require_transformers() -> Any:
    """Import transformers.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "hf") from error
    return transformers


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn what other libraries raise on foreign files, which may be anything, into one line.

    Args:
        what: What cannot be done, before the colon.

    Raises:
        DetectorError: Something else than one of asli's own errors was raised.
    """
    try:
        yield
    except AsliError:
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise DetectorError(f"{what}: {why}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' own messages and progress bars off the terminal: what matters of them becomes an error."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
