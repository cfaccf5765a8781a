import json

import jsonschema
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from sklearn import metrics as reference

import asli
from asli.detector.card import Thresholds
from asli.errors import DataError
from asli.reports.numbers import value_text
from asli.schemas import json_schema


@pytest.fixture
def arrays(rng):
    labels = rng.integers(0, 2, 500)
    return labels, 1 / (1 + np.exp(-rng.normal(2.0 * (2 * labels - 1), 1.5)))


def test_metrics_equal_scikit_learn(arrays):
    labels, scores = arrays
    metrics = asli.evaluate_scores(labels, scores, thresholds=0.4).metrics
    called = scores >= 0.4
    assert metrics["f1"].value == pytest.approx(reference.f1_score(labels, called))
    assert metrics["precision"].value == pytest.approx(reference.precision_score(labels, called))
    assert metrics["balanced_accuracy"].value == pytest.approx(reference.balanced_accuracy_score(labels, called))
    assert metrics["false_negative_rate"].value == pytest.approx(1 - reference.recall_score(labels, called))
    assert metrics["auroc"].value == pytest.approx(reference.roc_auc_score(labels, scores))
    assert metrics["average_precision"].value == pytest.approx(reference.average_precision_score(labels, scores))
    assert metrics["loss"].value == pytest.approx(reference.log_loss(labels, scores))
    assert metrics["brier"].value == pytest.approx(reference.brier_score_loss(labels, scores))
    assert all(estimate.low < estimate.value < estimate.high and estimate.n > 0 for estimate in metrics.values())


def test_every_usual_container_gives_the_same_result(arrays):
    labels, scores = arrays
    names = np.where(labels == 1, "fake", "real")
    expected = asli.evaluate_scores(labels, scores)
    for given, values in (
        (labels.tolist(), scores.tolist()),
        (names, torch.tensor(scores)),
        (pd.Series(names), pd.Series(scores)),
        (labels == 1, scores),
        (labels.astype(float), scores),
    ):
        found = asli.evaluate_scores(given, values)
        assert found.data == expected.data  # its hash covers every value
        assert found.figures.threshold == expected.figures.threshold


def test_the_same_numbers_as_evaluate(finished, sample):
    whole = asli.evaluate(finished.path, sample, split="validation")
    table = whole.attachments.scores.to_pandas()
    found = asli.evaluate_scores(
        table.label,
        table.score,
        groups={"category": table.category},
        thresholds=whole.thresholds,
        duplicates=sample.groups(sample.rows("validation")),
    )
    assert found.figures.threshold == whole.figures.threshold
    assert found.metrics["auroc"] == whole.metrics["auroc"]
    assert found.groups("category").to_dict() == whole.groups("category").to_dict()
    assert found.curves == whole.curves
    assert found.calibration == whole.calibration


def test_groups_duplicates_and_bands(arrays):
    labels, scores = arrays
    camera = [None if number % 5 == 0 else f"camera {number % 3}" for number in range(500)]
    frame = pd.DataFrame({"camera": camera, "size": ["small", "large"] * 250})
    result = asli.evaluate_scores(labels, scores, groups=frame, thresholds=(0.3, 0.7))
    assert [len(result.groups(name)) for name in ("camera", "size")] == [3, 2]
    assert sum(group.real + group.fake for group in result.groups("camera")) == 400
    unsure = ((scores >= 0.3) & (scores < 0.7))[labels == 0].mean()
    assert result.verdicts["real"]["unsure"].value == pytest.approx(unsure)
    assert (
        asli.evaluate_scores(labels, scores, groups=camera, thresholds=(0.3, 0.7)).groups("group")["camera 1"]
        == result.groups("camera")["camera 1"]
    )
    double = [np.tile(values, 2) for values in (labels, scores)]
    ids = [f"scene {number}" for number in range(500)]
    twice = asli.evaluate_scores(*double, duplicates=ids * 2)
    once = asli.evaluate_scores(labels, scores)
    assert twice.data.duplicates == 500
    assert twice.metrics["accuracy"].low == pytest.approx(once.metrics["accuracy"].low)
    assert twice.metrics["auroc"].low == pytest.approx(once.metrics["auroc"].low)
    assert twice.metrics["brier"].low == pytest.approx(once.metrics["brier"].low)
    apart = asli.evaluate_scores(*double)
    assert apart.metrics["auroc"].low > once.metrics["auroc"].low


def test_it_can_be_saved(arrays, tmp_path):
    labels, scores = arrays
    result = asli.evaluate_scores(labels, scores, groups={"generator": ["a", "b"] * 250}, name="theirs")
    assert list(tmp_path.iterdir()) == []
    page = result.save(tmp_path / "report").read_text()
    assert "theirs on arrays" in page
    assert value_text(result.metrics["f1"]) in page
    assert "asli.evaluate_scores(labels, scores, ...)" in page
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    jsonschema.validate(written, json_schema("metrics"))
    assert written == result.to_dict()
    assert written["data"]["split"] is None
    table = pq.read_table(tmp_path / "report" / "scores.parquet").to_pandas()
    assert table.score.tolist() == scores.tolist()
    assert set(table.columns) == {"id", "score", "verdict", "label", "generator"}


def test_one_label_leaves_what_needs_both_undefined(arrays, tmp_path):
    result = asli.evaluate_scores(np.ones(500, int), arrays[1])
    undefined = {name for name, estimate in result.metrics.items() if estimate.value is None}
    assert undefined == {"f1", "precision", "balanced_accuracy", "false_positive_rate", "auroc", "average_precision"}
    assert "undefined" in repr(result)
    jsonschema.validate(result.to_dict(), json_schema("metrics"))
    assert "All images are AI-generated" in result.save(tmp_path / "report").read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": ["real", "genuine"]}, "label 1 is 'genuine'; labels are real or fake"),
        ({"labels": [0, 2]}, "label 1 is 2"),
        ({"labels": []}, "give one label for each image"),
        ({"scores": [0.1, 1.5]}, r"score 1 is 1\.5; scores are P\(fake\), from 0 to 1"),
        ({"scores": [0.1, float("nan")]}, "score 1 is nan"),
        ({"scores": ["a", "b"]}, "scores are not numbers"),
        ({"scores": [[0.1, 0.9]]}, r"shape \(1, 2\)"),
        ({"scores": [0.1]}, "2 labels and 1 scores"),
        ({"groups": {"camera": ["a"]}}, "2 labels and 1 groups of 'camera'"),
        ({"groups": {"camera": "ab"}}, "are the text 'ab'"),
        ({"groups": {"worst": ["a", "b"]}}, "cannot be called 'worst'"),
        ({"duplicates": [1, 2, 3]}, "2 labels and 3 duplicates"),
        ({"thresholds": (0.7, 0.3)}, "makes no sense"),
        ({"thresholds": 1.2}, "a threshold of 1.2 makes no sense"),
        ({"prevalences": [0]}, "shares of fakes between 0 and 1"),
    ],
)
def test_what_cannot_be_used_is_refused_with_one_line(change, words):
    with pytest.raises(DataError, match=words) as caught:
        asli.evaluate_scores(**{"labels": [0, 1], "scores": [0.2, 0.8], **change})
    assert "\n" not in str(caught.value)


def test_a_detectors_own_thresholds_are_used_as_they_are():
    thresholds = Thresholds(low=0.2, high=0.6, policy="target-fpr", n=10, calibration_hash="x")
    assert asli.evaluate_scores([0, 1], [0.5, 0.7], thresholds=thresholds).thresholds is thresholds


def test_it_needs_no_torch():
    import subprocess
    import sys

    code = "import sys, asli; asli.evaluate_scores([0, 1], [0.1, 0.9]).metrics; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
