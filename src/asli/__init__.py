"""Tell photographs from AI-generated images, and say how sure one can be.

Every verb of the command line is a function here. Names are imported on first use, so `import asli` is cheap.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from asli.data.folder import DataFolder
    from asli.data.ingest import open_cifake, open_folders
    from asli.demo import demo
    from asli.detector.bundle import Detector
    from asli.detector.predict import predict
    from asli.errors import AsliError
    from asli.evaluation.evaluate import evaluate
    from asli.pipeline import train
    from asli.recipe import Recipe, load_recipe
    from asli.scan.scan import scan

_HOME = {
    "AsliError": "asli.errors",
    "DataFolder": "asli.data.folder",
    "Detector": "asli.detector.bundle",
    "Recipe": "asli.recipe",
    "demo": "asli.demo",
    "evaluate": "asli.evaluation.evaluate",
    "load_recipe": "asli.recipe",
    "open_cifake": "asli.data.ingest",
    "open_folders": "asli.data.ingest",
    "predict": "asli.detector.predict",
    "scan": "asli.scan.scan",
    "train": "asli.pipeline",
}

__all__ = [
    "AsliError",
    "DataFolder",
    "Detector",
    "Recipe",
    "__version__",
    "demo",
    "evaluate",
    "load_recipe",
    "open_cifake",
    "open_folders",
    "predict",
    "scan",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'asli' has no attribute {name!r}")
