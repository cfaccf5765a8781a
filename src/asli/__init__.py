"""Tell photographs from AI-generated images, and say how sure one can be.

The verbs of the command line are functions here. Names are imported on first use, so `import asli` is cheap. No package
or module inside bears the name of one of them: importing it would put it in the function's place.
"""

import importlib
from typing import TYPE_CHECKING, Any

from asli._version import __version__

if TYPE_CHECKING:
    from asli.datasets.build import open_cifake, open_folders
    from asli.datasets.folder import DataFolder
    from asli.datasets.splits import Shares
    from asli.demonstration import demo
    from asli.detector.bundle import Detector
    from asli.detector.calibrate import calibrate
    from asli.detector.hub import push
    from asli.detector.predict import predict
    from asli.errors import AsliError
    from asli.evaluation.domain_study import domain_study
    from asli.evaluation.evaluate import evaluate
    from asli.explanation.explain import explain
    from asli.exporting.int8 import export_int8
    from asli.exporting.onnx import export_onnx
    from asli.metrics.thresholds import Policy
    from asli.pipeline import train
    from asli.recipe import Recipe, load_recipe
    from asli.scanning.scan import scan
    from asli.serving.serve import serve

_HOME = {
    "AsliError": "asli.errors",
    "DataFolder": "asli.datasets.folder",
    "Detector": "asli.detector.bundle",
    "Policy": "asli.metrics.thresholds",
    "Recipe": "asli.recipe",
    "Shares": "asli.datasets.splits",
    "calibrate": "asli.detector.calibrate",
    "demo": "asli.demonstration",
    "domain_study": "asli.evaluation.domain_study",
    "evaluate": "asli.evaluation.evaluate",
    "explain": "asli.explanation.explain",
    "export_int8": "asli.exporting.int8",
    "export_onnx": "asli.exporting.onnx",
    "load_recipe": "asli.recipe",
    "open_cifake": "asli.datasets.build",
    "open_folders": "asli.datasets.build",
    "predict": "asli.detector.predict",
    "push": "asli.detector.hub",
    "scan": "asli.scanning.scan",
    "serve": "asli.serving.serve",
    "train": "asli.pipeline",
}

__all__ = [
    "AsliError",
    "DataFolder",
    "Detector",
    "Policy",
    "Recipe",
    "Shares",
    "__version__",
    "calibrate",
    "demo",
    "domain_study",
    "evaluate",
    "explain",
    "export_int8",
    "export_onnx",
    "load_recipe",
    "open_cifake",
    "open_folders",
    "predict",
    "push",
    "scan",
    "serve",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'asli' has no attribute {name!r}")
