import csv
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics as reference

from asli.errors import DataError
from asli.evaluation.evaluate import evaluate
from asli.evaluation.external import join, read_scores
from asli.evaluation.parts import Unscored
from tests.conftest import run_asli


def write(path, rows, header=("filename", "score")):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


@pytest.fixture
def given(sample, rng):
    """Scores of an imagined other detector for every image of the validation part, by id."""
    rows = sample.rows("validation")
    ids, labels = sample.table(["id"], rows)["id"].to_pylist(), sample.labels[rows]
    return dict(zip(ids, np.clip(0.5 + 0.2 * (2 * labels - 1) + rng.normal(0, 0.2, len(rows)), 0, 1), strict=True))


def test_a_foreign_detector_is_judged_like_ones_own(given, sample, tmp_path):
    path = write(tmp_path / "theirs.csv", [(f"./{name}", score) for name, score in given.items()])
    result = evaluate(path, sample, split="validation", out=tmp_path / "report", threshold=0.6)
    rows = sample.rows("validation")
    labels, scores = sample.labels[rows], np.array(list(given.values()))
    at = result.metrics
    assert at["f1"].value == pytest.approx(reference.f1_score(labels, scores >= 0.6))
    assert at["balanced_accuracy"].value == pytest.approx(reference.balanced_accuracy_score(labels, scores >= 0.6))
    assert at["auroc"].value == pytest.approx(reference.roc_auc_score(labels, scores))
    assert at["average_precision"].value == pytest.approx(reference.average_precision_score(labels, scores))
    assert at["brier"].value == pytest.approx(reference.brier_score_loss(labels, scores))
    assert result.unscored == Unscored(missing=0, missing_names=(), extra=0, extra_names=(), elsewhere=0)
    page = (tmp_path / "report/report.html").read_text()
    assert "theirs.csv on sample, validation split" in page
    assert "was given" in page
    assert "calibration images" not in page
    assert not (tmp_path / "report/model_card.md").exists()


def test_a_certain_and_wrong_score_leaves_the_loss_undefined(given, sample, tmp_path):
    rows = sample.rows("validation")
    fake = sample.table(["id"], rows[sample.labels[rows] == 1])["id"][0].as_py()
    path = write(tmp_path / "s.csv", {**given, fake: 0.0}.items())
    result = evaluate(path, sample, split="validation", out=tmp_path / "report")
    assert result.threshold == 0.5
    assert result.metrics["loss"].value is None
    assert result.metrics["brier"].value > 0


def test_our_own_scores_and_parquet_are_read_too(given, sample, tmp_path):
    pq.write_table(pa.table({"id": list(given), "score": list(given.values())}), tmp_path / "s.parquet")
    write(tmp_path / "s.csv", given.items(), header=("Image", " Score"))
    (tmp_path / "s.json").write_text(json.dumps([{"path": k, "score": v} for k, v in given.items()]))
    tables = [read_scores(tmp_path / name) for name in ("s.parquet", "s.csv", "s.json")]
    assert tables[0] == tables[1] == tables[2] == given


def test_names_match_by_their_ends_and_ambiguous_ones_are_refused(given, sample):
    joined = join({f"/somewhere/data/{name}": score for name, score in given.items()}, sample, "validation", "s.csv")
    assert joined.scores.score.tolist() == list(given.values())
    ids = sample.table(["id"])["id"].to_pylist()
    bases = [Path(name).name for name in ids]
    twice = next(base for base in bases if bases.count(base) > 1)
    with pytest.raises(DataError, match=r"s.csv is ambiguous: .* may be .*REAL.* or .*FAKE|.*FAKE.* or .*REAL"):
        join({twice: 0.5}, sample, "validation", "s.csv")
    once = next(name for name in given if bases.count(Path(name).name) == 1)
    assert len(join({Path(once).name: 0.5}, sample, "validation", "s.csv").scores.rows) == 1


def test_what_is_missing_or_extra_is_counted_and_named(given, sample, tmp_path):
    names = list(given)
    other = sample.table(["id"], sample.rows("test"))["id"][0].as_py()
    rows = [(name, given[name]) for name in names[5:]] + [("nowhere/x.jpg", 0.5), (other, 0.5)]
    result = evaluate(write(tmp_path / "s.csv", rows), sample, split="validation", out=tmp_path / "report")
    assert result.data.images == len(names) - 5
    assert result.unscored.missing == 5
    assert set(result.unscored.missing_names) == set(names[:5])
    assert (result.unscored.extra, result.unscored.elsewhere) == (1, 1)
    listed = (tmp_path / "report/unscored.txt").read_text().splitlines()
    assert sorted(listed) == sorted([f"no score: {name}" for name in names[:5]] + ["no image: nowhere/x.jpg"])
    page = (tmp_path / "report/report.html").read_text()
    assert f"5 of {len(names)} images have no score" in page


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        ([("a", 1.5)], ("filename", "score"), "the score '1.5'"),
        ([("a", "nan")], ("filename", "score"), "the score 'nan'"),
        ([("a", "high")], ("filename", "score"), "the score 'high'"),
        ([("a", 0.1), ("a", 0.2)], ("filename", "score"), "scores a twice"),
        ([("a", 0.1)], ("filename", "p"), "lacks a column 'score'"),
        ([("a", 0.1)], ("picture", "score"), "lacks a column 'filename'"),
        ([("", 0.1)], ("filename", "score"), "row 1 of"),
        ([("a", 0.1, 2)], ("filename", "score"), "3 fields"),
    ],
)
def test_damaged_score_files_are_refused_with_one_line(rows, header, words, tmp_path):
    with pytest.raises(DataError, match=words) as caught:
        read_scores(write(tmp_path / "s.csv", rows, header))
    assert "\n" not in str(caught.value)


def test_rows_without_a_score_and_ids_that_only_count_are_passed_over(given, sample, tmp_path):
    names = list(given)
    rows = [(number, name, given[name] if number else "") for number, name in enumerate(names)]
    expected = {name: given[name] for name in names[1:]}
    assert read_scores(write(tmp_path / "s.csv", rows, ("id", "filename", "score"))) == pytest.approx(expected)
    columns = dict(zip(("id", "filename", "score"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table({**columns, "score": [None, *columns["score"][1:]]}), tmp_path / "s.parquet")
    assert read_scores(tmp_path / "s.parquet") == expected
    assert join(expected, sample, "validation", "s.csv").missing == [names[0]]


def test_scores_of_other_images_are_refused(sample, tmp_path):
    with pytest.raises(DataError, match="no score for any image"):
        join({"x.jpg": 0.5}, sample, "validation", "s.csv")
    same = sample.table(["id"], sample.rows("validation"))["id"][0].as_py()
    with pytest.raises(DataError, match="twice, as"):
        join({same: 0.5, f"data/{same}": 0.5}, sample, "validation", "s.csv")
    with pytest.raises(DataError, match="does not exist"):
        evaluate(tmp_path / "none.csv", sample, split="validation", out=tmp_path / "r")


def test_one_label_alone_gives_what_is_defined(given, sample, tmp_path):
    kept = sample.table(["id", "label"], sample.rows("validation")).to_pylist()
    fakes = [(line["id"], given[line["id"]]) for line in kept if line["label"] == "fake"]
    result = evaluate(write(tmp_path / "s.csv", fakes), sample, split="validation", out=tmp_path / "report")
    at = result.metrics
    assert at["recall"].value == pytest.approx(np.mean([score >= 0.5 for _, score in fakes]))
    for name in ("f1", "precision", "balanced_accuracy", "false_positive_rate"):
        assert at[name].value is None
    assert result.metrics["auroc"].value is None
    assert result.tpr_at_fpr == ()
    page = (tmp_path / "report/report.html").read_text()
    assert "All images are AI-generated" in page
    assert not math.isnan(result.metrics["brier"].value)


def test_what_needs_both_labels_is_refused_before_anything_is_scored(given, sample, tmp_path, monkeypatch):
    rows = sample.rows("validation")
    monkeypatch.setattr(type(sample), "rows", lambda self, split: rows[self.labels[rows] == 1])
    path = write(tmp_path / "s.csv", given.items())
    with pytest.raises(DataError, match="one label only"):
        evaluate(path, sample, split="validation", out=tmp_path / "report", against=[path])
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_from_the_command_line(given, sample, tmp_path):
    write(tmp_path / "s.csv", given.items())
    arguments = ("evaluate", "s.csv", sample.path, "--split", "validation")
    done = run_asli(*arguments, "--out", "r", "--prevalence", "1%", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fake from 0.5000" in done.stdout
    assert [line["prevalence"] for line in json.loads((tmp_path / "r/metrics.json").read_text())["prevalences"]] == [
        0.01
    ]
    former = run_asli(*arguments, "--out", "f", "--prior", "2%", "--json", cwd=tmp_path)
    assert [line["prevalence"] for line in json.loads(former.stdout)["prevalences"]] == [0.02]
    done = run_asli(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "--out" in done.stderr
