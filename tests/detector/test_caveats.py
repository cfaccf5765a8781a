"""What a detector made of too little says, at every entry point, and the warnings on the way there."""

import dataclasses
import io
import json
import logging
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from asli.auditing.quick import quick_check
from asli.datasets.build import open_folders
from asli.detector.base import Detector
from asli.detector.calibrate import calibrate, fit_thresholds
from asli.detector.card import Thresholds
from asli.detector.classifier import Classifier
from asli.detector.predict import predict
from asli.detector.prediction import decide
from asli.evaluation.evaluate import evaluate
from asli.messages.reasons import reason_text
from asli.metrics.calibration import TEMPERATURES
from asli.metrics.constant import against_constant
from asli.metrics.thresholds import Policy
from asli.pipeline import train
from asli.scanning.scan import scan
from tests.conftest import run_asli

UNSURE = "not shown to beat a constant answer: AUROC"
NOT_CALIBRATED = "not calibrated: 12 real and 12 fake calibration images set the thresholds, 100 of each are needed"


def logits_of(scores):
    return np.stack([np.zeros(len(scores)), scores], axis=1)


@pytest.fixture(scope="module")
def guessing(finished, sample, tmp_path_factory):
    """A detector whose thresholds come from 12 images of each label, of which its scores show nothing."""
    detector = Detector.load(finished.path)
    rows = few(sample)
    temperature, thresholds = fit_thresholds(logits_of(np.tile([-1.0, 1.0], 12)), sample, rows, Policy())
    assert temperature > 1
    card = dataclasses.replace(detector.card, thresholds=thresholds)
    made = Classifier(detector.network, detector.preprocessing, card, detector.training_images)
    made.save(tmp_path_factory.mktemp("guessing") / "detector")
    return made


def few(sample, each=12):
    rows = sample.rows("calibration")
    return np.concatenate([rows[sample.labels[rows] == code][:each] for code in (0, 1)])


def test_every_verdict_is_unsure_with_the_reason(guessing, files, tmp_path):
    (image, *_) = predict(files[:1], guessing.folder, force_domain=True).to_dict()["images"]
    assert image["verdict"] == "unsure"
    assert image["reasons"][0].startswith(UNSURE)
    assert image["reasons"][1] == NOT_CALIBRATED
    done = run_asli("predict", files[0], "--detector", guessing.folder)
    assert "unsure" in done.stdout
    assert NOT_CALIBRATED in done.stdout
    described = json.loads(run_asli("predict", files[0], "--detector", guessing.folder, "--json").stdout)["detector"]
    assert described["caveats"] == image["reasons"]


def test_a_scan_says_it_once_for_all_images(guessing, files, tmp_path):
    result = scan([files[0].parent], tmp_path / "s.parquet", guessing.folder, html=tmp_path / "page.html")
    assert result.verdicts == {"real": 0, "unsure": 100, "fake": 0}
    assert result.detector.caveats[1] == NOT_CALIBRATED
    assert result.outside_domain.count < 10  # the detector's caveats are no reasons of the images
    assert not any(reason.startswith("not ") for reason in result.outside_domain.reasons)
    table = pq.read_table(tmp_path / "s.parquet")
    assert all(NOT_CALIBRATED in reasons for reasons in table["reasons"].to_pylist())
    csv = scan([files[0].parent], tmp_path / "s.csv", guessing.folder)
    assert csv.outside_domain == result.outside_domain
    assert f"The detector is {NOT_CALIBRATED}." in (tmp_path / "page.html").read_text()
    done = run_asli("scan", files[0], "-o", tmp_path / "one.parquet", "--detector", guessing.folder)
    assert f"the detector is {NOT_CALIBRATED}" in done.stdout


def test_the_server_says_it(guessing, files):
    from fastapi.testclient import TestClient

    from asli.serving.app import create_app

    app = create_app(guessing, max_bytes=10**7, max_images=4)
    with TestClient(app) as client:
        sent = {"images": ("a.jpg", io.BytesIO(files[0].read_bytes()))}
        answered = client.post("/v1/predict", files=sent).json()
        assert answered["images"][0]["verdict"] == "unsure"
        assert NOT_CALIBRATED in answered["images"][0]["reasons"]
        assert NOT_CALIBRATED in client.get("/v1/detector").json()["caveats"]


def test_report_and_card_say_it(guessing, sample, tmp_path):
    result = evaluate(guessing.folder, sample, split="validation", out=tmp_path / "report")
    assert result.verdicts["real"]["unsure"].value == 1.0
    scores = pq.read_table(tmp_path / "report/scores.parquet")
    assert set(scores["verdict"].to_pylist()) == {"unsure"}
    page, card = (tmp_path / "report/report.html").read_text(), (guessing.folder / "README.md").read_text()
    for text in (page, card):
        assert UNSURE in text
        assert NOT_CALIBRATED in text
    assert "Caution: the detector was not shown to beat a constant answer" in page
    assert "Caution: the detector is not calibrated: 12 photographs and 12 AI pictures set its thresholds" in page
    assert "every verdict is `unsure` until a calibration shows otherwise" in card


def test_a_calibration_shows_otherwise(guessing, sample, files, tmp_path):
    made = calibrate(guessing.folder, sample, tmp_path / "calibrated")
    assert made.card.thresholds.caveats == []
    assert made.card.thresholds.evidence.auroc.low > 0.5
    verdicts = {image["verdict"] for image in predict(files, tmp_path / "calibrated").to_dict()["images"]}
    assert {"real", "fake"} <= verdicts
    assert "warning" not in (tmp_path / "calibrated/README.md").read_text()


def test_detectors_of_older_versions_are_taken_as_they_are(finished):
    thresholds = dataclasses.replace(Detector.load(finished.path).card.thresholds, evidence=None, real=None, fake=None)
    assert thresholds.caveats == []
    assert thresholds.decided == (thresholds.low, thresholds.high)
    assert Detector.load("default").card.thresholds.caveats == []


def test_scores_that_rank_at_random_do_not_beat_a_constant_and_good_ones_do(rng):
    labels, alone = np.repeat([0, 1], 30).astype(np.int8), np.arange(60)
    noise = rng.normal(size=60)
    nothing = against_constant(labels, logits_of(noise), alone)
    assert nothing["auroc"].low < 0.5
    good = against_constant(labels, logits_of(noise + 2 * (2 * labels - 1)), alone)
    assert good["auroc"].low > 0.5
    assert good["loss_gain"].low > 0
    assert good["loss_gain"].high < np.log(2)
    # A share of fakes other than in training is no reason to say that scores show nothing.
    uneven = np.repeat([0, 1], [300, 30]).astype(np.int8)
    moved = against_constant(uneven, logits_of(rng.normal(size=330) + 2 * (2 * uneven - 1)), np.arange(330))
    assert moved["loss_gain"].low > 0


def test_warns_of_a_temperature_at_its_bound_and_of_few_images(sample, caplog):
    with caplog.at_level(logging.WARNING, logger="asli"):
        temperature, _ = fit_thresholds(logits_of(np.tile([-100.0, 100.0], 12)), sample, few(sample), Policy())
    assert temperature == pytest.approx(TEMPERATURES[1], rel=0.01)
    assert f"temperature {temperature:.4f} is at its bound (0.05 to 20)" in caplog.text
    assert "rest on 12 real and 12 fake images; from fewer than 30 of each" in caplog.text
    assert NOT_CALIBRATED in caplog.text
    caplog.clear()
    labels = sample.labels[few(sample, 150)]
    scores = np.random.default_rng(0).normal(size=300) + (2 * labels - 1)
    with caplog.at_level(logging.WARNING, logger="asli"):
        fit_thresholds(logits_of(scores), sample, few(sample, 150), Policy())
    assert caplog.text == ""


@pytest.fixture(scope="module")
def uneven(sample, tmp_path_factory):
    """Sixty real images, JPEG, and thirty fake ones, PNG."""
    root = tmp_path_factory.mktemp("uneven")
    for code, label, ending, count in ((0, "real", "jpg", 60), (1, "fake", "png", 30)):
        (root / "in" / label).mkdir(parents=True)
        for row in [row for row in sample.rows("train") if sample.labels[row] == code][:count]:
            Image.fromarray(sample.images[row]).save(root / "in" / label / f"{row}.{ending}")
    return root


def test_warns_of_few_updates_and_uneven_labels(uneven, caplog, tmp_path):
    data = open_folders(uneven / "in", tmp_path / "data")
    settings = ["loop.epochs=1", "model.name=compact_resnet8x32"]
    with caplog.at_level(logging.WARNING, logger="asli"):
        train("demo", data, tmp_path / "run", settings=settings, device="cpu")
    assert "training images are uneven: 30 real, 15 fake" in caplog.text
    found = re.search(
        r"only (\d+) updates?: a network hardly learns in fewer than 100; .* loop\.epochs=(\d+)", caplog.text
    )
    assert int(found[1]) * int(found[2]) >= 100 > int(found[1])


def test_data_open_warns_that_labels_are_readable_from_the_files(uneven, sample, tmp_path):
    done = run_asli("data", "open", uneven / "in", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert "labels are readable from the files' format, size and metadata alone" in line
    assert "AUROC 1.000" in line
    assert line.endswith(f"more: asli audit {tmp_path / 'data'}")
    assert quick_check(sample) is None


def test_fractions_from_the_command_line(uneven, tmp_path):
    done = run_asli("data", "open", uneven / "in", "data", "--fractions", "60%", "10%", "0.2", "10%", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "calibration        18   12 real + 6 fake" in done.stdout
    done = run_asli("data", "open", uneven / "in", "data", cwd=tmp_path)
    assert done.returncode == 1
    assert "other --fractions" in done.stderr
    done = run_asli("data", "open", uneven / "in", "d", "--fractions", "60%", "10%", "20%", "20%", cwd=tmp_path)
    assert (done.returncode, "sum to 1.1, not to 1" in done.stderr) == (1, True)


@pytest.mark.parametrize(("wrong", "weak"), [(19, False), (20, True)])
def test_a_verdict_that_many_of_the_other_label_got_is_called_weak_evidence(wrong, weak):
    thresholds = Thresholds(
        low=0.4,
        high=0.8,
        policy="target-fpr",
        n=200,
        calibration_hash="",
        real=100,
        fake=100,
        errors={"real_called_fake": 0, "fake_called_real": wrong, "unsure": 50},
    )
    _, said = decide(thresholds, 0.1, None, force_domain=False)
    assert said == ((f"weak evidence: {wrong} of 100 fake calibration images were called real, too",) if weak else ())
    for score in (0.5, 0.9):
        assert decide(thresholds, score, None, force_domain=False)[1] == ()
    assert decide(thresholds, 0.1, "too large", force_domain=True)[1] == ("outside domain: too large",)
    if weak:
        assert reason_text(said[0]).text("id") == "bukti lemah: 20 dari 100 gambar AI juga disebut asli"
