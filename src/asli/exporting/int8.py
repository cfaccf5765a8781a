"""A detector in 8-bit integers: a detector of its own, with its own temperature, thresholds and figures.

Static quantization by ONNX Runtime (QDQ, a scale for each channel of the weights; Jacob et al. 2018, arXiv 1712.05877).
Ranges come from training images, temperature and thresholds from the calibration part, losses from validation.
"""

import dataclasses
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asli.datasets.cache import open_data
from asli.datasets.folder import DataFolder
from asli.detector.base import Detector
from asli.detector.calibrate import figures_of, fit_thresholds, fresh, policy_of
from asli.detector.card import Thresholds
from asli.detector.classifier import Classifier, as_classifier
from asli.detector.locate import require_own_folder
from asli.detector.runtimes import OnnxRuntime, Runtime, logits_of_rows
from asli.detector.scoring import count_seen
from asli.detector.store import ONNX
from asli.errors import DetectorError
from asli.exporting.onnx import require_new, require_onnx, write_graph
from asli.metrics.classification import Floats, Labels, score_of_logits
from asli.metrics.intervals import Estimate, bootstrap, share_of, weighted_f1
from asli.transforms.preprocessing import Preprocessing

RANGE_IMAGES = 512
"""Training images whose activations give the ranges."""

QUANTIZED = ("Conv", "Gemm", "MatMul", "Add", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat")
"""Operators computed in integers; normalization of the pixels and the head stay in floating point."""

logger = logging.getLogger("asli")


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Export:
    """Result of `export_int8`; metrics are of the validation part.

    Attributes:
        folder: The new detector.
        bytes: Size of its graph.
        images: Images of the validation part.
        flips: Verdicts that differ from the float32 detector's.
        f1: F1 of the new detector.
        f1_lost: F1 of the float32 detector minus that.
    """

    folder: Path
    bytes: int
    images: int
    flips: int
    f1: float | None
    f1_lost: float | None


def export_int8(
    detector: str | Path, data: str | Path | DataFolder, out: str | Path | None = None, *, threads: int | None = None
) -> Int8Export:
    """Quantize a detector to a new one.

    Args:
        detector: A detector folder, a run folder or `hub:owner/name`.
        data: The data folder it was trained on; other data is used too, but with a warning.
        out: The new detector's folder; None takes the name of the detector's with `-int8`.
        threads: CPU threads of one operation.

    Raises:
        DetectorError, DataError: See their messages.
        MissingExtraError: ONNX is not installed.
    """
    opened = as_classifier(Detector.load(detector), "int8")
    if opened.kind == "adopted":
        raise DetectorError(
            f"{detector} is an adopted network, kept as its author saved it; int8 is for networks that asli trained"
        )
    require_onnx()
    if out is None:
        require_own_folder(detector)
    target = Path(out) if out is not None else Path(f"{opened.folder}-int8")
    require_new(target)
    data = open_data(data)
    if data.hash != opened.card.trained_on.hash:
        logger.warning("%s is not what the detector was trained on: ranges and thresholds will fit it", data.path)
    prep = opened.preprocessing
    calibration, validation = data.rows("calibration"), data.rows("validation")
    calibration = calibration[fresh(opened, data, calibration)]
    count_seen(opened, data, "validation")

    def logits_of(runtime: Runtime, rows: npt.NDArray[np.int64]) -> Floats:
        return np.concatenate(list(logits_of_rows(runtime, data.pixels, rows, prep)))

    with tempfile.TemporaryDirectory(prefix="asli-export-") as work:
        floating, graph = Path(work) / "float.onnx", Path(work) / ONNX
        write_graph(opened, floating)
        _quantize(floating, graph, _Ranges(data, prep))
        policy = policy_of(opened.card.thresholds)
        temperature, thresholds = fit_thresholds(
            logits_of(OnnxRuntime(graph, prep, threads), calibration), data, calibration, policy
        )
        _divide_logits(graph, temperature)
        before, after = (logits_of(OnnxRuntime(form, prep, threads), validation) for form in (floating, graph))
        cost = _cost(
            data.labels[validation], data.groups(validation), before, opened.card.thresholds, after, thresholds
        )
        figures = {**figures_of(after, data, "validation", thresholds), **cost}
        card = dataclasses.replace(
            opened.card,
            temperature=opened.card.temperature * temperature,
            thresholds=thresholds,
            figures={f"int8, validation part of {data.name}; beside the float32 detector {opened.hash}": figures},
        )
        try:
            Classifier(opened.network, prep, card, opened.training_images).save_int8(target, graph)
        except OSError as error:
            raise DetectorError(f"cannot write to {target} ({error.strerror}); give another folder by --out") from error
    share = cost["verdicts_changed"].value or 0.0
    return Int8Export(
        folder=target,
        bytes=(target / ONNX).stat().st_size,
        images=len(validation),
        flips=round(share * len(validation)),
        f1=figures["f1"].value,
        f1_lost=cost["f1_lost"].value,
    )


class _Ranges:
    """Batches of training images, as ONNX Runtime's calibration asks for them."""

    def __init__(self, data: DataFolder, preprocessing: Preprocessing) -> None:
        rows = data.rows("train")
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, RANGE_IMAGES).astype(np.int64))]
        self._batches = self._fitted(data, chosen, preprocessing)

    @staticmethod
    def _fitted(
        data: DataFolder, rows: npt.NDArray[np.int64], preprocessing: Preprocessing
    ) -> Iterator[dict[str, npt.NDArray[np.uint8]]]:
        for start in range(0, len(rows), 16):
            yield {"images": np.concatenate(data.pixels.fitted(rows[start : start + 16], preprocessing))}

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        """Return the next batch, or None after the last."""
        return next(self._batches, None)


def _quantize(floating: Path, graph: Path, ranges: _Ranges) -> None:
    import onnx
    import onnxruntime
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    folded = floating.with_name("folded.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Folds BatchNorm into the convolutions; higher levels would write what only this machine runs.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    onnxruntime.InferenceSession(floating, options, providers=["CPUExecutionProvider"])
    head = [node.name for node in onnx.load(folded).graph.node if "logits" in node.output]
    # The quantizer advises through the root logger, and would give it a handler that then repeats our own messages.
    silent, level = logging.NullHandler(), logging.root.level
    logging.root.addHandler(silent)
    logging.root.setLevel(logging.ERROR)
    try:
        quantize_static(
            folded,
            graph,
            ranges,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_exclude=head,
            per_channel=True,
            # 7-bit weights: with 8, processors without VNNI overflow in 16 bits, and the score would depend on them.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
    finally:
        logging.root.setLevel(level)
        logging.root.removeHandler(silent)


def _divide_logits(graph: Path, temperature: float) -> None:
    """Divide the graph's output by a temperature."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(graph)
    for node in model.graph.node:
        for number, name in enumerate(node.output):
            if name == "logits":
                node.output[number] = "logits_before_temperature"
    model.graph.initializer.append(numpy_helper.from_array(np.array(temperature, dtype=np.float32), "temperature"))
    model.graph.node.append(helper.make_node("Div", ["logits_before_temperature", "temperature"], ["logits"]))
    onnx.checker.check_model(model)
    onnx.save(model, graph)


def _cost(
    labels: Labels,
    groups: npt.NDArray[np.int64],
    before: Floats,
    before_at: Thresholds,
    after: Floats,
    after_at: Thresholds,
) -> dict[str, Estimate]:
    """Return the share of verdicts that differ, each detector at its own thresholds, and the F1 lost (paired)."""
    first, second = score_of_logits(before), score_of_logits(after)
    changed = np.array([before_at.verdict(a) != after_at.verdict(b) for a, b in zip(first, second, strict=True)])
    one = weighted_f1(labels, first >= before_at.high)
    two = weighted_f1(labels, second >= after_at.high)

    def lost(weights: Floats) -> Floats:
        return one(weights) - two(weights)

    value = float(lost(np.ones((1, len(labels))))[0])
    return {"verdicts_changed": share_of(changed, groups), "f1_lost": bootstrap(lost, value, groups)}
