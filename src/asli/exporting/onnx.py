"""A detector as one ONNX graph, normalization included, kept only if it gives the detector's scores."""

import importlib.util
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asli.datasets.images import decode
from asli.detector.base import Detector
from asli.detector.classifier import Classifier, as_classifier
from asli.detector.linked import unlink
from asli.detector.locate import require_own_folder
from asli.detector.runtimes import Runtime
from asli.detector.store import FILES, ONNX
from asli.errors import DetectorError, MissingExtraError
from asli.metrics.classification import score_of_logits
from asli.models.coded import LARGEST
from asli.sample import golden_images
from asli.transforms.preprocessing import Preprocessing

TOLERANCE = 1e-5
"""Largest difference in score that is taken for the same."""

BATCHES = (1, 7)
"""Sizes of the batches compared; the graph is made with another, since a wrong export may only know that one."""

TRACED_BATCH = 2

SMALL, FEW = 64, 10
"""Inputs of more pixels a side are compared on so many golden images: all of them would take minutes."""

LEAST_HALVED = 1024
"""Numbers of the smallest tensor that is kept in 16 bits."""


class Exported(nn.Module):
    """A network that takes pixels: normalization and network in one graph.

    Args:
        network: Maps float32, n x 3 x size x size, to logits.
        preprocessing: Gives mean and std.
        temperature: Divides the logits.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing, temperature: float = 1.0) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature
        std = torch.tensor(preprocessing.std, dtype=torch.float64)
        mean = torch.tensor(preprocessing.mean, dtype=torch.float64)
        self.register_buffer("scale", (255.0 * std).float().view(1, 3, 1, 1))
        self.register_buffer("shift", (mean / std).float().view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map windows, uint8, n x size x size x 3, to logits, float32, n x 2 (real, fake)."""
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        logits: torch.Tensor = self.network(pixels / self.scale - self.shift)
        return logits if self.temperature == 1 else logits / self.temperature


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxExport:
    """Result of `export_onnx`.

    Attributes:
        file: The graph.
        bytes: Its size.
        checked: How it was compared: `golden_images` and `largest_score_difference` among others.
    """

    file: Path
    bytes: int
    checked: dict[str, Any]


def export_onnx(
    detector: str | Path, out: str | Path | None = None, *, linked: bool = False, threads: int | None = None
) -> OnnxExport:
    """Add `model.onnx` to a detector, as another form of it.

    Args:
        detector: A detector folder, a run folder or `hub:owner/name`.
        out: Write a copy of the detector here, and `model.onnx` into the copy; None writes into the detector's folder.
        linked: Leave out the weights that `model.safetensors` holds as codes: a small graph that only asli can run.
        threads: CPU threads of one operation, in the comparison.

    Raises:
        DetectorError: The detector cannot be used or exported, or the graph does not give its scores.
        MissingExtraError: ONNX is not installed.
    """
    opened = as_classifier(Detector.load(detector), "ONNX export")
    if opened.only_onnx:
        raise DetectorError(f"{detector} is an ONNX file already, and nothing else; there is nothing to export")
    require_onnx()
    if out is None:
        require_own_folder(detector)
    else:
        require_new(Path(out))
    runtime = opened.runtime("cpu", "torch", threads)
    with tempfile.TemporaryDirectory(prefix="asli-export-") as work:
        graph = Path(work) / ONNX
        write_graph(opened, graph)
        assert opened.folder is not None
        lacking = unlink(graph, opened.folder) if linked else {}
        checked = compare(opened.run_graph(graph, threads, lacking), runtime, opened)
        if lacking:
            checked["linked"] = lacking
        target = opened.folder if out is None else Path(out)
        assert target is not None
        try:
            if out is not None:
                opened = _copied(opened, target)
            opened.add_onnx(graph, checked)
        except OSError as error:
            raise DetectorError(f"cannot write to {target} ({error.strerror}); give another folder by --out") from error
    return OnnxExport(file=target / ONNX, bytes=(target / ONNX).stat().st_size, checked=checked)


def require_new(out: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        DetectorError: It does.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DetectorError(f"{out} exists; give another folder by --out")


def require_onnx() -> None:
    """Refuse to begin where a library is missing.

    Raises:
        MissingExtraError: One is.
    """
    for library in ("onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(library, "onnx")


def write_graph(detector: Classifier, path: Path) -> None:
    """Write a detector's network and normalization as ONNX: `images`, uint8, n x size x size x 3, to `logits`, n x 2.

    Raises:
        DetectorError: The exporter cannot express the network.
    """
    size = detector.preprocessing.size
    module = Exported(detector.network.module, detector.preprocessing, detector.graph_temperature).eval()
    # Zeros would do for the shapes; noise keeps a network that divides by its own statistics out of trouble.
    example = torch.randint(0, 256, (TRACED_BATCH, size, size, 3), dtype=torch.uint8)
    try:
        with _silence():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                dynamic_shapes={"images": {0: torch.export.Dim("n", min=1)}},
                input_names=["images"],
                output_names=["logits"],
                external_data=False,
                verbose=False,
                # Folding BatchNorm into convolutions would leave numbers that need more than 16 bits.
                optimize=not detector.half,
            )
            assert program is not None
            program.save(path, external_data=False)
            _forget_origin(path)
            if detector.half:
                store_small(path)
    except Exception as error:  # the exporter raises its own classes and, from inside torch, almost any other
        problem = " ".join(str(error).split())[:200]
        raise DetectorError(f"'{detector.network.name}' cannot be exported to ONNX: {problem}") from error


def _forget_origin(path: Path) -> None:
    """Take out what the exporter notes of each step: stack traces with the paths of this machine."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def store_small(path: Path) -> None:
    """Keep weights in 16 bits, or as 8-bit multiples of a step, where these are the same numbers.

    The graph turns them back into 32-bit numbers when it is loaded.

    Args:
        path: An ONNX file; rewritten.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph, casts = model.graph, []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        if values.size < LEAST_HALVED:
            continue
        with np.errstate(over="ignore"):
            small = values.astype(np.float16)
        if np.array_equal(small.astype(np.float32), values):
            tensor.CopyFrom(numpy_helper.from_array(small, f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
            continue
        step = np.abs(values[values != 0]).min(initial=np.inf)
        multiples = np.rint(values / step)
        if np.abs(multiples).max() <= LARGEST and np.array_equal(multiples.astype(np.float32) * step, values):
            tensor.CopyFrom(numpy_helper.from_array(multiples.astype(np.int8), f"{name}.codes"))
            graph.initializer.append(numpy_helper.from_array(np.asarray(step, np.float32), f"{name}.step"))
            casts.append(helper.make_node("DequantizeLinear", [f"{name}.codes", f"{name}.step"], [name]))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


def compare(exported: Runtime, original: Runtime, detector: Classifier) -> dict[str, Any]:
    """Compare two runtimes of a detector on the golden images, in batches of several sizes.

    Returns:
        What was compared, and the largest difference in score and in logits.

    Raises:
        DetectorError: A score differs by more than `TOLERANCE`, or logits differ although scores saturate.
    """
    count = FEW if detector.preprocessing.size > SMALL else None
    fitted = [detector.preprocessing.to_input(decode(data)[0]) for _, data in golden_images()[:count]]
    first = original.logits(fitted)
    score = logits = 0.0
    for batch in (*BATCHES, len(fitted)):
        parts = [exported.logits(fitted[start : start + batch]) for start in range(0, len(fitted), batch)]
        second = np.concatenate(parts)
        score = max(score, _largest(score_of_logits(first), score_of_logits(second)))
        logits = max(logits, _largest(first, second) / max(1.0, float(np.abs(first).max())))
    # A saturated score hides a wrong graph, so the logits must agree, too; by their size, for they are float32.
    if not (score <= TOLERANCE and logits <= 10 * TOLERANCE):
        raise DetectorError(
            f"the ONNX graph does not give the network's scores: they differ by {score:.1e} (allowed: {TOLERANCE:.0e})"
            f" and logits by {logits:.1e} of their size; nothing was written; try another version of torch"
        )
    return {
        "golden_images": len(fitted),
        "batches": [*BATCHES, len(fitted)],
        "largest_score_difference": score,
        "largest_logit_difference": logits,
        "versions": {name: version(name) for name in ("torch", "onnx", "onnxscript", "onnxruntime")},
    }


def _largest(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Return the largest difference; infinite where one of the two is not a number."""
    difference = np.abs(first - second)
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")


def _copied(detector: Classifier, out: Path) -> Classifier:
    """Copy the bundle without its ONNX form."""
    assert detector.folder is not None
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if name != ONNX and (detector.folder / name).exists():  # not every bundle knows its training images
            shutil.copyfile(detector.folder / name, out / name)
    return as_classifier(Detector.load(out), "ONNX export")


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's chatter off the terminal: what matters of it becomes an error."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
