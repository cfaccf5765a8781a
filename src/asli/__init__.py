"""Train, evaluate and run detectors of AI-generated images, with uncertainty.

Each command is a function here. Names are imported on first use, so `import asli` is cheap. No package or module inside
has the name of such a function, since importing it would replace the function.
"""

import importlib
from typing import TYPE_CHECKING, Any

from asli._version import __version__

if TYPE_CHECKING:
    from asli.adopting.adopt import adopt
    from asli.alignment import align
    from asli.auditing.audit import audit
    from asli.auditing.equalize import equalize
    from asli.datasets.build import open_cifake, open_folders
    from asli.datasets.cache import open_data
    from asli.datasets.folder import DataFolder
    from asli.datasets.splits import Shares
    from asli.demonstration import demo
    from asli.detector.base import Detector
    from asli.detector.calibrate import calibrate
    from asli.detector.combine import combine
    from asli.detector.download import pull
    from asli.detector.heads import detector_of_head
    from asli.detector.info import info
    from asli.detector.predict import predict
    from asli.detector.prediction import Prediction, Predictions
    from asli.detector.push import push
    from asli.detector.several import predict_with
    from asli.errors import AsliError
    from asli.evaluation.arrays import evaluate_scores
    from asli.evaluation.compare import compare
    from asli.evaluation.domain_study import domain_study
    from asli.evaluation.evaluate import evaluate
    from asli.evaluation.result import EvaluationResult
    from asli.explanation.explain import explain
    from asli.exporting.int8 import export_int8
    from asli.exporting.onnx import export_onnx
    from asli.generalization import generalize
    from asli.machine import doctor
    from asli.metrics.estimate import Estimate
    from asli.metrics.metric import Metric
    from asli.metrics.thresholds import Policy
    from asli.models.profile import list_models
    from asli.models.trunks import convert_trunk, fetch_trunk
    from asli.pipeline import train
    from asli.recipe import Recipe, list_recipes, load_recipe
    from asli.sample import open_sample
    from asli.scaling.merging import merge_parts
    from asli.scaling.scorer import Scorer
    from asli.scaling.sharded import scan_parts
    from asli.scanning.scan import scan
    from asli.schemas import json_schema
    from asli.serving.serve import serve
    from asli.study.paper.run_study import open_study, run_study
    from asli.tables.audit_table import audit_table
    from asli.tables.calibrate_table import calibrate_table
    from asli.tables.evaluate_table import evaluate_table

_HOME = {
    "AsliError": "asli.errors",
    "DataFolder": "asli.datasets.folder",
    "Detector": "asli.detector.base",
    "Estimate": "asli.metrics.estimate",
    "EvaluationResult": "asli.evaluation.result",
    "Metric": "asli.metrics.metric",
    "Policy": "asli.metrics.thresholds",
    "Prediction": "asli.detector.prediction",
    "Predictions": "asli.detector.prediction",
    "Recipe": "asli.recipe",
    "Scorer": "asli.scaling.scorer",
    "Shares": "asli.datasets.splits",
    "align": "asli.alignment",
    "audit": "asli.auditing.audit",
    "audit_table": "asli.tables.audit_table",
    "adopt": "asli.adopting.adopt",
    "calibrate": "asli.detector.calibrate",
    "calibrate_table": "asli.tables.calibrate_table",
    "combine": "asli.detector.combine",
    "compare": "asli.evaluation.compare",
    "convert_trunk": "asli.models.trunks",
    "demo": "asli.demonstration",
    "detector_of_head": "asli.detector.heads",
    "doctor": "asli.machine",
    "domain_study": "asli.evaluation.domain_study",
    "equalize": "asli.auditing.equalize",
    "evaluate": "asli.evaluation.evaluate",
    "evaluate_scores": "asli.evaluation.arrays",
    "evaluate_table": "asli.tables.evaluate_table",
    "explain": "asli.explanation.explain",
    "export_int8": "asli.exporting.int8",
    "export_onnx": "asli.exporting.onnx",
    "fetch_trunk": "asli.models.trunks",
    "generalize": "asli.generalization",
    "info": "asli.detector.info",
    "json_schema": "asli.schemas",
    "list_models": "asli.models.profile",
    "list_recipes": "asli.recipe",
    "load_recipe": "asli.recipe",
    "merge_parts": "asli.scaling.merging",
    "open_cifake": "asli.datasets.build",
    "open_data": "asli.datasets.cache",
    "open_folders": "asli.datasets.build",
    "open_sample": "asli.sample",
    "open_study": "asli.study.paper.run_study",
    "predict": "asli.detector.predict",
    "predict_with": "asli.detector.several",
    "pull": "asli.detector.download",
    "push": "asli.detector.push",
    "run_study": "asli.study.paper.run_study",
    "scan": "asli.scanning.scan",
    "scan_parts": "asli.scaling.sharded",
    "serve": "asli.serving.serve",
    "train": "asli.pipeline",
}

__all__ = [
    "AsliError",
    "DataFolder",
    "Detector",
    "Estimate",
    "EvaluationResult",
    "Metric",
    "Policy",
    "Prediction",
    "Predictions",
    "Recipe",
    "Scorer",
    "Shares",
    "__version__",
    "adopt",
    "align",
    "audit",
    "audit_table",
    "calibrate",
    "calibrate_table",
    "combine",
    "compare",
    "convert_trunk",
    "demo",
    "detector_of_head",
    "doctor",
    "domain_study",
    "equalize",
    "evaluate",
    "evaluate_scores",
    "evaluate_table",
    "explain",
    "export_int8",
    "export_onnx",
    "fetch_trunk",
    "generalize",
    "info",
    "json_schema",
    "list_models",
    "list_recipes",
    "load_recipe",
    "merge_parts",
    "open_cifake",
    "open_data",
    "open_folders",
    "open_sample",
    "open_study",
    "predict",
    "predict_with",
    "pull",
    "push",
    "run_study",
    "scan",
    "scan_parts",
    "serve",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'asli' has no attribute {name!r}")
