import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sklearn import metrics as reference

from asli.data.folder import DataFolder
from asli.errors import AsliError, DataError, DetectorError
from asli.evaluation.evaluate import evaluate
from asli.sample import open_sample


@pytest.fixture(scope="module")
def judged(finished, tmp_path_factory):
    data = open_sample(tmp_path_factory.mktemp("judged") / "sample")
    return evaluate(finished.path, data), data


def test_every_figure_follows_from_the_scores(judged):
    result, _ = judged
    table = pq.read_table(f"{result['folder']}/scores.parquet").to_pydict()
    truth = [int(label == "fake") for label in table["label"]]
    called = [int(verdict == "fake") for verdict in table["verdict"]]
    at = {name: figure["value"] for name, figure in result["figures"]["threshold"].items()}
    assert at["f1"] == pytest.approx(reference.f1_score(truth, called))
    assert at["precision"] == pytest.approx(reference.precision_score(truth, called))
    assert at["recall"] == pytest.approx(reference.recall_score(truth, called))
    assert at["accuracy"] == pytest.approx(reference.accuracy_score(truth, called))
    ranking = result["figures"]["ranking"]
    assert ranking["auroc"]["value"] == pytest.approx(reference.roc_auc_score(truth, table["score"]))
    assert ranking["loss"]["value"] == pytest.approx(reference.log_loss(truth, table["score"]))
    assert len(table["id"]) == 400
    assert set(table["split"]) == {"test"}


def test_intervals_hold_their_values(judged):
    for kind in judged[0]["figures"].values():
        for figure in kind.values():
            assert figure["low"] <= figure["value"] <= figure["high"]
            assert figure["low"] < figure["high"]


def test_the_network_has_learnt_something(judged):
    assert judged[0]["figures"]["ranking"]["auroc"]["low"] > 0.6


def test_report_stands_alone_and_says_where_its_figures_come_from(judged):
    result, data = judged
    page = Path(result["folder"], "report.html").read_text()
    assert not re.findall(
        r"""(?:src|href)\s*=\s*["'](?!#|data:)|<link|@import|url\((?!#)""", page
    )  # nothing is fetched
    for origin in (data.hash, result["detector"]["hash"], result["detector"]["recipe_hash"]):
        assert origin in page
    assert f"{result['figures']['threshold']['f1']['value']:.4f}" in page
    assert page.count("<svg") == 8
    assert json.loads(Path(result["folder"], "metrics.json").read_text()) == {
        k: v for k, v in result.items() if k != "folder"
    }


def test_opening_test_is_recorded_and_printed(judged):
    result, data = judged
    assert result["test_opened"] == {"times": 1, "recipes": 1}
    (line,) = DataFolder.open(data.path).ledger()
    assert line["images"] == 400
    assert line["detector_hash"] == result["detector"]["hash"]


def test_other_parts_are_not_recorded_and_said_to_flatter(finished, sample, tmp_path):
    before = len(sample.ledger())
    result = evaluate(finished.path, sample, split="validation", out=tmp_path / "report")
    assert len(sample.ledger()) == before
    page = (tmp_path / "report/report.html").read_text()
    assert "may have chosen the detector" in page
    assert result["data"]["split"] == "validation"


def test_what_cannot_be_judged_is_refused(finished, sample, tmp_path):
    with pytest.raises(DetectorError):
        evaluate(tmp_path, sample)
    shutil.copytree(finished.detector, tmp_path / "alone")
    with pytest.raises(DataError, match="--out"):
        evaluate(tmp_path / "alone", sample, split="validation")


def test_a_run_without_its_measurements_is_judged_without_their_figures(finished, sample, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished.path, run)
    (run / "metrics.jsonl").unlink()
    result = evaluate(run, sample, split="validation")
    assert result["folder"] == str(run / f"evaluation/{sample.name}-validation")
    page = (run / f"evaluation/{sample.name}-validation/report.html").read_text()
    assert 'id="training"' not in page


def test_a_run_that_one_happens_to_stand_in_is_not_the_detectors(finished, sample, tmp_path, monkeypatch):
    shutil.copytree(finished.detector, tmp_path / "elsewhere" / "copy")
    monkeypatch.chdir(finished.path)
    with pytest.raises(DataError, match="lies in no run folder"):
        evaluate(tmp_path / "elsewhere" / "copy", sample, split="validation")


def test_groups_priors_and_rates_follow_from_the_scores(judged):
    result, _ = judged
    table = pq.read_table(f"{result['folder']}/scores.parquet").to_pandas()
    fake, called = table.label == "fake", table.verdict == "fake"
    groups = result["groups"]
    assert sum(line["real"] + line["fake"] for line in groups["category"]) == 400
    for line in groups["category"]:
        inside = table.category == line["name"]
        assert line["figures"]["miss_rate"]["value"] == pytest.approx((~called)[inside & fake].mean())
        expected = reference.roc_auc_score(fake[inside], table.score[inside])
        assert line["figures"]["auroc"]["value"] == pytest.approx(expected)
    eligible = [line for line in groups["category"] if line["real"] >= groups["enough"]]
    if eligible:
        worst = max(line["figures"]["false_positive_rate"]["value"] for line in eligible)
        assert groups["worst"]["false_positive_rate"]["figure"]["value"] == worst
    recall, alarm = called[fake].mean(), called[~fake].mean()
    for line in result["priors"]:
        bayes = line["prior"] * recall / (line["prior"] * recall + (1 - line["prior"]) * alarm)
        assert line["ppv"]["value"] == pytest.approx(bayes)
    false, true, _ = reference.roc_curve(fake, table.score, drop_intermediate=False)
    for line in result["tpr_at_fpr"]:
        assert line["tpr"]["value"] == pytest.approx(true[false <= line["fpr"] + 1e-12].max())
    assert result["always_fake"]["f1"] == pytest.approx(reference.f1_score(fake, fake | True))


def test_figures_without_crossing_duplicates_are_those_of_the_other_images(finished, duplicated, tmp_path):
    rows = duplicated.rows("test")
    result = evaluate(finished.path, duplicated, out=tmp_path / "report")
    table = pq.read_table(tmp_path / "report/scores.parquet").to_pandas()
    table = table[~duplicated.crosses_split[rows]]
    without = result["without_crossing_twins"]
    assert result["data"]["crossing"] == 16 == len(rows) - len(table)
    assert without["images"] == len(table)
    expected = reference.f1_score(table.label == "fake", table.verdict == "fake")
    assert without["figures"]["f1"]["value"] == pytest.approx(expected)
    assert "twin in another official split" in (tmp_path / "report/report.html").read_text()


def test_twenty_thousand_images_fit_in_memory(rng):
    import tracemalloc

    import numpy as np

    from asli.evaluation.figures import calibration_of, figures_at, ranking
    from asli.metrics.classification import losses_of_scores

    labels = rng.integers(0, 2, 20_000).astype(np.int8)
    scores = 1 / (1 + np.exp(-rng.normal(2.0 * (2 * labels - 1), 1.5)))
    groups = np.arange(20_000)
    tracemalloc.start()
    figures_at(labels, scores, 0.5, groups)
    ranking(labels, scores, losses_of_scores(labels, scores), groups)
    calibration_of(labels, scores, groups)
    assert tracemalloc.get_traced_memory()[1] < 400e6
    tracemalloc.stop()


def test_judging_on_images_seen_in_training_is_said_everywhere(finished, judged, tmp_path, caplog):
    """The bundled sample is part of what the default detector was trained on."""
    result, data = judged
    assert result["seen_in_training"] == 0
    assert evaluate(finished.path, data, split="train", out=tmp_path / "train")["seen_in_training"] == 2000
    caplog.clear()
    assert evaluate("default", data, out=tmp_path / "report")["seen_in_training"] == 400
    assert "400 of 400 images of the test part were seen in the training" in caplog.text
    assert "400 of 400 images were seen" in (tmp_path / "report" / "report.html").read_text()
    assert "400 of its images were seen in training" in (tmp_path / "report" / "model_card.md").read_text()
    caplog.clear()
    evaluate(finished.path, data, out=tmp_path / "against", against=["default"])
    assert "400 of 400 images of the test part were seen in the training" in caplog.text


def test_a_damaged_list_of_training_images_is_one_line(finished, judged, tmp_path):
    shutil.copytree(finished.detector, tmp_path / "copy")
    (tmp_path / "copy" / "training_images.npy").write_bytes(b"no array")
    with pytest.raises(DetectorError, match="training_images.npy is damaged"):
        evaluate(tmp_path / "copy", judged[1], out=tmp_path / "report")
    (tmp_path / "copy" / "training_images.npy").unlink()
    assert evaluate(tmp_path / "copy", judged[1], out=tmp_path / "report")["seen_in_training"] is None


@pytest.mark.parametrize(("name", "text"), [("report.html", "<p>mine</p>"), ("metrics.json", '{"mine": 1}')])
def test_a_report_is_written_over_nothing_but_a_report(finished, judged, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(AsliError, match="give another --out"):
        evaluate(finished.path, judged[1], out=tmp_path)
    assert (tmp_path / name).read_text() == text
    (tmp_path / name).unlink()
    for _ in range(2):
        evaluate(finished.path, judged[1], split="validation", out=tmp_path)
