import json
import re
import shutil
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
from sklearn import metrics as reference

from asli.datasets.folder import DataFolder
from asli.detector.base import Detector
from asli.errors import AsliError, DataError, DetectorError
from asli.evaluation.evaluate import evaluate, report_folder
from asli.evaluation.parts import Openings
from asli.reports.numbers import value_text
from asli.sample import open_sample
from asli.schemas import json_schema
from tests.conftest import run_asli


@pytest.fixture(scope="module")
def judged(finished, tmp_path_factory):
    data = open_sample(tmp_path_factory.mktemp("judged") / "sample")
    return evaluate(finished.path, data, out=report_folder(finished.path, data, "test")), data


def test_every_figure_follows_from_the_scores(judged):
    result, _ = judged
    table = pq.read_table(result.folder / "scores.parquet").to_pydict()
    truth = [int(label == "fake") for label in table["label"]]
    called = [int(verdict == "fake") for verdict in table["verdict"]]
    at = {name: estimate.value for name, estimate in result.metrics.items()}
    assert at["f1"] == pytest.approx(reference.f1_score(truth, called))
    assert at["precision"] == pytest.approx(reference.precision_score(truth, called))
    assert at["recall"] == pytest.approx(reference.recall_score(truth, called))
    assert at["accuracy"] == pytest.approx(reference.accuracy_score(truth, called))
    assert at["auroc"] == pytest.approx(reference.roc_auc_score(truth, table["score"]))
    assert at["loss"] == pytest.approx(reference.log_loss(truth, table["score"]))
    assert len(table["id"]) == 400
    assert set(table["split"]) == {"test"}


def test_intervals_hold_their_values(judged):
    figures = judged[0].figures
    for kind in (figures.threshold, figures.argmax, figures.threshold_free):
        for figure in kind.values():
            assert figure.low <= figure.value <= figure.high
            assert figure.low < figure.high


def test_the_network_has_learnt_something(judged):
    assert judged[0].metrics["auroc"].low > 0.6


def test_report_stands_alone_and_says_where_its_figures_come_from(judged):
    result, data = judged
    page = Path(result.folder, "report.html").read_text()
    assert not re.findall(
        r"""(?:src|href)\s*=\s*["'](?!#|data:)|<link|@import|url\((?!#)""", page
    )  # nothing is fetched
    for origin in (data.hash, result.detector.hash, result.detector.recipe_hash):
        assert origin in page
    assert value_text(result.metrics["f1"]) in page
    assert str(result.metrics["f1"].value) in page  # for sorting and CSV, in full
    assert "asli evaluate" in page
    assert f"{data.path} --split test" in page
    assert page.count("<svg") == 8
    assert json.loads(Path(result.folder, "metrics.json").read_text()) == result.to_dict()


def test_opening_test_is_recorded_and_printed(judged):
    result, data = judged
    assert result.test_opened == Openings(times=1, recipes=1)
    (line,) = DataFolder.open(data.path).ledger()
    assert line["images"] == 400
    assert line["detector_hash"] == result.detector.hash


def test_other_parts_are_not_recorded_and_said_to_flatter(finished, sample, tmp_path):
    before = len(sample.ledger())
    result = evaluate(finished.path, sample, split="validation", out=tmp_path / "report")
    assert len(sample.ledger()) == before
    page = (tmp_path / "report/report.html").read_text()
    assert "may have chosen the detector" in page
    assert result.data.split == "validation"


def test_what_cannot_be_judged_is_refused(finished, sample, tmp_path):
    with pytest.raises(DetectorError):
        evaluate(tmp_path, sample)
    shutil.copytree(finished.detector, tmp_path / "alone")
    with pytest.raises(DataError, match="--out"):
        report_folder(tmp_path / "alone", sample, "validation")


def test_a_run_without_its_measurements_is_judged_without_their_figures(finished, sample, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished.path, run)
    (run / "metrics.jsonl").unlink()
    folder = report_folder(run, sample, "validation")
    assert folder == run / f"evaluation/{sample.name}-validation"
    evaluate(run, sample, split="validation", out=folder)
    page = (folder / "report.html").read_text()
    assert 'id="training"' not in page


def test_a_run_that_one_happens_to_stand_in_is_not_the_detectors(finished, sample, tmp_path, monkeypatch):
    shutil.copytree(finished.detector, tmp_path / "elsewhere" / "copy")
    monkeypatch.chdir(finished.path)
    with pytest.raises(DataError, match="lies in no run folder"):
        report_folder(tmp_path / "elsewhere" / "copy", sample, "validation")


def test_groups_priors_and_rates_follow_from_the_scores(judged):
    result, _ = judged
    table = pq.read_table(result.folder / "scores.parquet").to_pandas()
    fake, called = table.label == "fake", table.verdict == "fake"
    groups = result.by_group
    assert sum(group.real + group.fake for group in result.groups("category")) == 400
    for group in result.groups("category"):
        inside = table.category == group.name
        assert group.figures["false_negative_rate"].value == pytest.approx((~called)[inside & fake].mean())
        expected = reference.roc_auc_score(fake[inside], table.score[inside])
        assert group.figures["auroc"].value == pytest.approx(expected)
    eligible = [group for group in result.groups("category") if group.real >= groups.enough]
    if eligible:
        worst = max(group.figures["false_positive_rate"].value for group in eligible)
        assert groups.worst["false_positive_rate"].figure.value == worst
    recall, alarm = called[fake].mean(), called[~fake].mean()
    for line in result.prevalences:
        bayes = line.prevalence * recall / (line.prevalence * recall + (1 - line.prevalence) * alarm)
        assert line.ppv.value == pytest.approx(bayes)
    false, true, _ = reference.roc_curve(fake, table.score, drop_intermediate=False)
    for line in result.tpr_at_fpr:
        assert line.tpr.value == pytest.approx(true[false <= line.fpr + 1e-12].max())
    assert result.always_fake.f1 == pytest.approx(reference.f1_score(fake, fake | True))


def test_figures_without_cross_split_duplicates_are_those_of_the_other_images(finished, duplicated, tmp_path):
    rows = duplicated.rows("test")
    result = evaluate(finished.path, duplicated, out=tmp_path / "report")
    table = pq.read_table(tmp_path / "report/scores.parquet").to_pandas()
    table = table[~duplicated.cross_split_duplicate[rows]]
    without = result.without_cross_split_duplicates
    assert result.data.cross_split_duplicates == 16 == len(rows) - len(table)
    assert without.images == len(table)
    expected = reference.f1_score(table.label == "fake", table.verdict == "fake")
    assert without.figures["f1"].value == pytest.approx(expected)
    assert "duplicate in another official split" in (tmp_path / "report/report.html").read_text()


def test_twenty_thousand_images_fit_in_memory(rng):
    import tracemalloc

    import numpy as np

    from asli.evaluation.measure import measure
    from asli.metrics.metric import LabeledScores

    labels = rng.integers(0, 2, 20_000).astype(np.int8)
    scores = 1 / (1 + np.exp(-rng.normal(2.0 * (2 * labels - 1), 1.5)))
    tracemalloc.start()
    measure(LabeledScores.of(labels, scores), (0.5, 0.5), {})
    assert tracemalloc.get_traced_memory()[1] < 400e6
    tracemalloc.stop()


@pytest.mark.slow
def test_judging_on_images_seen_in_training_is_said_everywhere(finished, judged, tmp_path, caplog):
    """The bundled sample is part of what the default detector was trained on."""
    result, data = judged
    assert result.seen_in_training == 0
    assert evaluate(finished.path, data, split="train", out=tmp_path / "train").seen_in_training == 2000
    caplog.clear()
    assert evaluate("default", data, out=tmp_path / "report").seen_in_training == 400
    assert "400 of 400 images of the test part were training images" in caplog.text
    assert "400 of 400 images were seen" in (tmp_path / "report" / "report.html").read_text()
    assert "400 of its images were training images" in (tmp_path / "report" / "model_card.md").read_text()
    caplog.clear()
    evaluate(finished.path, data, out=tmp_path / "against", against=["default"])
    assert "400 of 400 images of the test part were training images" in caplog.text


@pytest.mark.slow
def test_a_damaged_list_of_training_images_is_one_line(finished, judged, tmp_path):
    shutil.copytree(finished.detector, tmp_path / "copy")
    (tmp_path / "copy" / "training_images.npy").write_bytes(b"no array")
    with pytest.raises(DetectorError, match="training_images.npy is damaged"):
        evaluate(tmp_path / "copy", judged[1], out=tmp_path / "report")
    (tmp_path / "copy" / "training_images.npy").unlink()
    assert evaluate(tmp_path / "copy", judged[1], out=tmp_path / "report").seen_in_training is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "text"), [("report.html", "<p>mine</p>"), ("metrics.json", '{"mine": 1}')])
def test_a_report_is_written_over_nothing_but_a_report(finished, judged, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(AsliError, match="give another --out"):
        evaluate(finished.path, judged[1], out=tmp_path)
    assert (tmp_path / name).read_text() == text
    (tmp_path / name).unlink()
    for _ in range(2):
        evaluate(finished.path, judged[1], split="validation", out=tmp_path)


def test_a_detector_object_gives_the_same_result_and_nothing_is_written_without_out(finished, judged, tmp_path):
    result, data = judged
    before = {path: path.stat().st_mtime_ns for path in finished.path.rglob("*")}
    openings = len(data.ledger())
    again = evaluate(Detector.load(finished.path), data)
    assert {path: path.stat().st_mtime_ns for path in finished.path.rglob("*")} == before
    assert len(data.ledger()) == openings + 1
    assert again.folder is None
    for name in ("figures", "calibration", "tpr_at_fpr", "by_group", "mistakes", "curves", "detector"):
        assert getattr(again, name) == getattr(result, name), name
    report = again.save(tmp_path / "report")
    assert report == tmp_path / "report" / "report.html"
    assert {path.name for path in report.parent.iterdir()} == {path.name for path in result.folder.iterdir()}
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "metrics.json").write_text('{"mine": 1}')
    with pytest.raises(DataError, match="asli did not write it"):
        again.save(tmp_path / "taken")


def test_groups_as_a_table(judged):
    result, _ = judged
    table = result.groups("category")
    frame = table.to_pandas()
    assert list(frame.category) == [group.name for group in table]
    assert frame.auroc_low.tolist() == [group.figures["auroc"].low for group in table]
    assert table.to_arrow().num_rows == len(table) == len(table.to_dict())
    name = table[0].name
    assert table[name] is table[0]
    assert name in repr(table)
    assert f"<td>{name}</td>" in table._repr_html_()
    with pytest.raises(DataError, match="no groups by 'camera'; there are generator, source, category, size, format"):
        result.groups("camera")


def test_a_result_can_be_read_at_a_glance(judged):
    result, _ = judged
    text, page = repr(result), result._repr_html_()
    for name, estimate in result.metrics.items():
        assert f"{name.replace('_', ' '):<20} {estimate}" in text
        assert str(estimate) in page
    assert "400 images (200 real, 200 fake)" in text


def test_metrics_json_follows_its_schema(finished, judged, tmp_path):
    result, data = judged
    validator = jsonschema.Draft202012Validator(json_schema("metrics"))
    validator.validate(result.to_dict())
    table = {line["id"]: 0.5 for line in data.table(["id"], data.rows("validation")[9:]).to_pylist()}
    full = evaluate(table, data, split="validation", against=[finished.path])
    validator.validate(json.loads(json.dumps(full.to_dict())))
    assert full.unscored.missing == 9
    swept = evaluate(finished.path, data, split="validation", robustness=8)
    validator.validate(swept.to_dict())
    assert swept.robustness.images == 8
    for wrong in (
        {"version": 2},
        {"threshold": "0.5"},
        {"more": 1},
        {"figures": {**result.to_dict()["figures"], "x": {}}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**result.to_dict(), **wrong})


@pytest.mark.slow
def test_the_command_prints_what_metrics_json_holds(finished, sample, tmp_path):
    command = ("evaluate", finished.path, sample.path, "--split", "validation", "--out", tmp_path / "out")
    done = run_asli(*command, "--robustness", "8", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed == json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert printed["robustness"]["images"] == 8
    jsonschema.validate(printed, json_schema("metrics"))
    former = run_asli(*command, "--robustness", "--robustness-images", "8")
    assert former.returncode == 0, former.stderr
    figure = printed["figures"]["threshold_free"]["auroc"]
    assert f"auroc                {figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]" in former.stdout
    assert "47 of 47 levels were scored before" in former.stderr
    assert "--robustness-images" not in run_asli("evaluate", "--help").stdout
