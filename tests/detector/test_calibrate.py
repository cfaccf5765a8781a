import shutil

import numpy as np
import pytest

from asli.detector.base import Detector
from asli.detector.calibrate import calibrate, fit_thresholds
from asli.detector.classifier import Classifier
from asli.detector.scoring import score_split
from asli.errors import DataError, DetectorError
from asli.evaluation.evaluate import evaluate
from asli.exporting.int8 import export_int8
from asli.files import read_json
from asli.metrics.classification import log_losses
from asli.metrics.thresholds import Policy
from asli.models.device import pick_device
from tests.conftest import run_asli

CPU = pick_device("cpu")


@pytest.fixture(scope="module")
def promised(finished, sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("promised") / "detector"
    return calibrate(finished.detector, sample, out, Policy(name="target-fpr", target=0.05, band=True)), out


def test_new_thresholds_are_saved_with_all_they_rest_on(promised, finished, sample):
    _, out = promised
    opened, before = Detector.load(out), Detector.load(finished.detector)
    thresholds = opened.card.thresholds
    scores = score_split(opened, sample, "calibration", CPU)
    labels = sample.labels[scores.rows]
    groups = sample.groups(scores.rows)
    assert (thresholds.policy, thresholds.target, thresholds.confidence) == ("target-fpr", 0.05, 0.95)
    assert thresholds.calibration_hash == sample.hash
    assert thresholds.n == len(labels)
    assert thresholds.real == len(np.unique(groups[labels == 0]))
    assert thresholds.errors == {
        "real_called_fake": int((scores.score[labels == 0] >= thresholds.high).sum()),
        "fake_called_real": int((scores.score[labels == 1] < thresholds.low).sum()),
        "unsure": int(((scores.score >= thresholds.low) & (scores.score < thresholds.high)).sum()),
    }
    assert thresholds.errors["real_called_fake"] <= 0.05 * thresholds.real
    assert thresholds.low < thresholds.high
    assert opened.hash != before.hash
    assert opened.card.recipe_hash == before.card.recipe_hash
    card = (out / "README.md").read_text()
    assert "at most 5 % of photographs called fake" in card


def test_temperature_multiplies_and_lowers_the_loss(finished, sample):
    opened = Detector.load(finished.detector)
    logits = score_split(opened, sample, "calibration", CPU).logits
    rows = sample.rows("calibration")
    labels = sample.labels[rows]
    again, _ = fit_thresholds(logits, sample, rows, Policy())
    assert again == pytest.approx(1.0, abs=0.01)  # it was calibrated on these images before
    overconfident, thresholds = fit_thresholds(logits * 3, sample, rows, Policy(name="argmax"))
    assert overconfident == pytest.approx(3 * again, rel=1e-3)
    assert log_losses(labels, logits * 3 / overconfident).mean() < log_losses(labels, logits * 3).mean()
    assert thresholds.high == 0.5


def test_unsure_band_reaches_the_report_and_the_card(promised, sample, tmp_path):
    _, out = promised
    result = evaluate(out, sample, split="validation", out=tmp_path / "report")
    unsure = result.verdicts["real"]["unsure"].value
    assert unsure > 0
    assert result.metrics["false_positive_rate"] == result.verdicts["real"]["fake"]
    page, card = (tmp_path / "report/report.html").read_text(), (tmp_path / "report/model_card.md").read_text()
    assert "promise at most 0.05 of photographs called fake and at most as many fakes called real" in page
    assert f"{result.metrics['f1'].value:.4f}" in card
    assert f"{result.prevalences[2].ppv.value:.4f}" in card
    assert Detector.load(out).hash == result.detector.hash  # judging a detector does not change it


def test_only_the_calibration_part_may_set_thresholds(finished, sample, tmp_path):
    for split in ("test", "validation", "train"):
        with pytest.raises(DataError, match=f"never on '{split}'"):
            calibrate(finished.detector, sample, tmp_path / "d", split=split)
    assert not (tmp_path / "d").exists()


def test_a_promise_that_cannot_be_kept_is_not_made(finished, sample, tmp_path):
    policy = Policy(name="target-fpr", target=0.001)
    with pytest.raises(DataError, match="takes 2,995 independent real calibration images"):
        calibrate(finished.detector, sample, tmp_path / "d", policy)
    assert not (tmp_path / "d").exists()


def test_nothing_is_overwritten(promised, finished, sample):
    with pytest.raises(DetectorError, match="exists"):
        calibrate(finished.detector, sample, promised[1])


@pytest.mark.slow
def test_from_the_command_line(finished, sample, tmp_path):
    arguments = ("calibrate", finished.path, sample.path, "--out", "d")
    done = run_asli(*arguments, "--target-fpr", "5%", "--license", "CC0-1.0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "promised: at most 5 % of photographs called fake" in done.stdout
    assert "| license | CC0-1.0 |" in (tmp_path / "d/README.md").read_text()
    saved = read_json(tmp_path / "d/detector.json")["card"]["thresholds"]
    assert (saved["target"], saved["low"]) == (0.05, saved["high"])
    for further, status, words in (
        (("--target-fpr", "0.1%"), 1, "2,995"),
        (("--split", "test"), 1, "never on 'test'"),
        (("--policy", "argmax", "--target-fpr", "1%"), 1, "goes with"),
        (("--target-fpr", "often"), 2, "often"),
    ):
        done = run_asli("calibrate", finished.path, sample.path, "--out", "e", *further, cwd=tmp_path)
        assert done.returncode == status
        assert words in done.stderr
        assert len([line for line in done.stderr.splitlines() if line.startswith("asli: ")]) == 1
        assert "Traceback" not in done.stderr


def test_images_seen_in_training_calibrate_nothing(finished, sample, tmp_path, caplog):
    known = tmp_path / "known"
    shutil.copytree(finished.detector, known)
    rows = sample.rows("calibration")
    seen = sample.keys(np.concatenate([rows[:50], sample.rows("validation")[:7]]))
    np.save(known / "training_images.npy", seen)
    made = calibrate(known, sample, tmp_path / "some")
    assert made.card.thresholds.n == len(rows) - 50
    assert "50 of 600 calibration images were seen" in caplog.text
    assert "7 of 300 images of the validation part were training images" in caplog.text
    assert np.array_equal(Detector.load(tmp_path / "some").training_images, np.unique(seen))
    ignorant = Classifier(made.network, made.preprocessing, made.card)
    ignorant.save(tmp_path / "some")  # in the place of one that knew
    assert Detector.load(tmp_path / "some").training_images is None
    with pytest.raises(DataError, match="trained on all 600 calibration images"):
        calibrate("thumbnail", sample, tmp_path / "all")
    with pytest.raises(DataError, match="trained on all 600 calibration images"):
        export_int8("thumbnail", sample, tmp_path / "all")
    assert not (tmp_path / "all").exists()
