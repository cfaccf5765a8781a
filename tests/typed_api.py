"""Types of the Python API as a user's type checker sees them: `make types` checks this file; it is never run."""

from pathlib import Path
from typing import assert_type

from PIL import Image

import asli
from asli.auditing.audit import AuditResult
from asli.detector.description import DetectorDescription
from asli.detector.info import DetectorInfo
from asli.detector.several import SeveralPredictions
from asli.explanation.explain import Explanation, Explanations
from asli.machine import MachineReport
from asli.provenance.read import Provenance
from asli.records import Json


def one_image(image: Image.Image) -> None:
    assert_type(asli.predict("photo.jpg"), asli.Prediction)
    assert_type(asli.predict(Path("photo.jpg"), "default", stability=True), asli.Prediction)
    assert_type(asli.predict(b"bytes"), asli.Prediction)
    assert_type(asli.predict(image), asli.Prediction)
    detector = asli.Detector.load("default")
    one = detector.predict("photo.jpg")
    assert_type(one, asli.Prediction)
    assert_type(one.score, float | None)
    assert_type(one.provenance, Provenance | None)
    assert_type(one.to_dict(), Json)


def several_images(image: Image.Image) -> None:
    assert_type(asli.predict(["a.jpg", "b.jpg"]), asli.Predictions)
    assert_type(asli.predict([Path("a.jpg"), b"bytes", image]), asli.Predictions)
    many = asli.Detector.load("default").predict(Path("photos").iterdir(), batch_size=64)
    assert_type(many, asli.Predictions)
    assert_type(many[0], asli.Prediction)
    assert_type(many[:2], asli.Predictions)
    assert_type(many.detector, DetectorDescription)
    assert_type(asli.predict_with(["a.jpg"], ["default", "photo"]), SeveralPredictions)


def other_results() -> None:
    explained = asli.explain(["a.jpg"])
    assert_type(explained, Explanations)
    assert_type(explained.images[0].explanation, Explanation | None)
    audit = asli.audit("data")
    assert_type(audit, AuditResult)
    assert_type(audit.shortcuts.kinds["files"].auroc, asli.Estimate)
    assert_type(asli.info(), DetectorInfo)
    assert_type(asli.doctor(), MachineReport)
    result = asli.evaluate("run", "data")
    assert_type(result.metrics["auroc"].value, float | None)
