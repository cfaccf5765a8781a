"""What computes logits, by name: `torch` on any device, `onnx` on the CPU. Everything that scores calls it.

Neither library is imported before its runtime is made: a bundle with `model.onnx` answers without torch.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from asli.errors import DetectorError, MissingExtraError
from asli.threads import choose_threads, usable_cpus
from asli.transforms.preprocessing import Preparation, Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH = 256

Kind = Literal["torch", "onnx"]
Windows = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float64]


class Runtime(Protocol):
    """Computes logits of images that the detector prepared."""

    def logits(self, prepared: Sequence[Any]) -> Logits:
        """Map prepared images to logits, float64, n x 2 (real, fake)."""


class Fitted(Protocol):
    """Anything that gives what evaluation sees of a data folder's rows: its pixels, or pixels changed on the way."""

    def fitted(self, rows: npt.NDArray[np.int64], preparation: Preparation) -> list[Any]:
        """Return each row's image, prepared by `preparation.to_input`."""


class TorchRuntime:
    """A torch module on a device, in float32.

    Args:
        module: Is put into evaluation mode.
        preprocessing: Normalizes the windows.
        device: Where the module is.
        temperature: Divides the logits, where it is not folded into the module's head.
    """

    def __init__(
        self, module: "nn.Module", preprocessing: Preprocessing, device: "torch.device", temperature: float = 1.0
    ) -> None:
        self._module, self._preprocessing, self._device = module.eval(), preprocessing, device
        self._temperature = temperature

    def logits(self, fitted: Sequence[Windows]) -> Logits:
        """Map fitted images, uint8, windows x size x size x 3 each, to logits, n x 2 (real, fake)."""
        import torch

        from asli.models.arithmetic import full_float32

        with torch.inference_mode(), full_float32(self._device):
            return _pooled(
                fitted,
                lambda windows: self._forward(windows).to("cpu", torch.float64).numpy(),
                self._preprocessing,
            )

    def _forward(self, windows: Windows) -> "torch.Tensor":
        result: torch.Tensor = self._module(self._preprocessing.batch(windows, self._device))
        return result if self._temperature == 1 else result / self._temperature


class OnnxRuntime:
    """An ONNX file from `asli export`, on the CPU by ONNX Runtime.

    Args:
        path: Its graph maps `images`, uint8, n x size x size x 3, to `logits`, float32, n x 2.
        preprocessing: States how the logits of an image's windows are pooled.
        threads: Threads of one operation; None takes `OMP_NUM_THREADS`, else one for each CPU this process may use.
        temperature: Divides the logits, where the graph does not.
        weights: Those that the graph lacks, by name.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        DetectorError: The file is no such graph.
    """

    def __init__(
        self,
        path: Path,
        preprocessing: Preprocessing,
        threads: int | None = None,
        temperature: float = 1.0,
        weights: Mapping[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        self._preprocessing, self._temperature = preprocessing, temperature
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read while it is loaded; see `asli.threads`
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "onnx") from error
        options = onnxruntime.SessionOptions()
        # Stated, since its own choice pins threads to cores a container may not have.
        options.intra_op_num_threads = threads or usable_threads()
        options.inter_op_num_threads = 1
        for key, value in spinning(onnxruntime.__version__).items():
            options.add_session_config_entry(f"session.intra_op.{key}", value)
        options.log_severity_level = 3
        if weights:
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
            options.add_external_initializers(list(weights), values)
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            (images,), (logits,) = self._session.get_inputs(), self._session.get_outputs()
        except Exception as error:  # ONNX Runtime's own classes, without a common base but this one
            raise DetectorError(f"{path} cannot be run: {' '.join(str(error).split())[:200]}") from error
        if (images.name, images.type, logits.name) != ("images", "tensor(uint8)", "logits"):
            raise DetectorError(f"{path} does not map images to logits; make it with: asli export DETECTOR")

    def logits(self, fitted: Sequence[Windows]) -> Logits:
        """Map fitted images, uint8, windows x size x size x 3 each, to logits, n x 2 (real, fake)."""
        pooled = _pooled(
            fitted, lambda windows: self._session.run(["logits"], {"images": windows})[0], self._preprocessing
        )
        return pooled if self._temperature == 1 else pooled / self._temperature


def spinning(version: str) -> dict[str, str]:
    """Return settings of ONNX Runtime for how long its threads spin while they wait for each other.

    20 microseconds save up to a seventh of the time on idle CPUs and cost little beside another busy process
    (`benchmarks/onnx_spin.py`). Before 1.26 threads spin for milliseconds or not at all.
    """
    known = tuple(int(part) for part in version.split(".")[:2]) >= (1, 26)
    return {"allow_spinning": "1", "spin_duration_us": "20"} if known else {"allow_spinning": "0"}


def onnx_installed() -> bool:
    """Return whether ONNX Runtime is there, without importing it."""
    return find_spec("onnxruntime") is not None


def usable_threads() -> int:
    """Return what torch uses where it is loaded, else `OMP_NUM_THREADS`, else what a command may use of the CPUs."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return choose_threads(usable_cpus())


def _pooled(
    fitted: Sequence[Windows], forward: Callable[[Windows], npt.NDArray[np.floating]], preprocessing: Preprocessing
) -> Logits:
    """Compute every window's logits and pool those of each image, as the preprocessing states."""
    counts = np.array([len(windows) for windows in fitted])
    windows = np.concatenate(fitted)
    batch = batch_of(preprocessing.size)
    parts = [forward(windows[start : start + batch]) for start in range(0, len(windows), batch)]
    result = np.concatenate(parts).astype(np.float64)
    starts = np.cumsum(counts) - counts
    if preprocessing.pooling == "mean":
        means: Logits = np.add.reduceat(result, starts, axis=0) / counts[:, None]
        return means
    odds = result[:, 1] - result[:, 0]
    weights = np.concatenate([preprocessing.weights(part) for part in np.split(odds, starts[1:])])
    pooled: Logits = np.add.reduceat(result * weights[:, None], starts, axis=0)
    return pooled


def batch_of(size: int) -> int:
    """Return how many images of `size` pixels a side go through a network at a time: fewer large ones."""
    return max(16, min(BATCH, BATCH * 64 * 64 // size**2))


def logits_of_rows(
    runtime: Runtime,
    pixels: Fitted,
    rows: npt.NDArray[np.int64],
    preparation: Preparation,
    batch_size: int | None = None,
) -> Iterator[Logits]:
    """Yield the logits of a data folder's rows, batch after batch in their order.

    Args:
        runtime: Computes them.
        pixels: Pixels of the data folder.
        rows: Which of them.
        preparation: The detector's; batches shrink as its size grows, to bound memory.
        batch_size: Images computed at a time; None chooses by input size.
    """
    batch = batch_size or batch_of(preparation.size)
    for start in range(0, len(rows), batch):
        yield runtime.logits(pixels.fitted(rows[start : start + batch], preparation))
