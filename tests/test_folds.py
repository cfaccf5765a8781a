"""Cross-validation on the bundled sample: who trains on what, what thresholds rest on, and resuming by fold."""

from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from asli.cross_validation import out_of_fold
from asli.datasets.build import open_folders
from asli.datasets.folds import fold_of
from asli.datasets.splits import Shares
from asli.detector.base import Detector
from asli.detector.calibrate import calibrate
from asli.detector.runtimes import TorchRuntime, logits_of_rows
from asli.errors import DataError, RunError
from asli.evaluation.evaluate import evaluate
from asli.metrics.classification import score_of_logits
from asli.metrics.thresholds import Policy, choose
from asli.pipeline import train
from asli.run import Run
from asli.training.loop import Training
from tests.conftest import run_asli

SETTINGS = ["loop.epochs=3", "loop.micro_batch=16", "loop.accumulation=1", "model.name=compact_resnet8x32"]


@pytest.fixture(scope="module")
def small(sample, tmp_path_factory):
    """Forty real and forty fake images, two of them copies of another, all of them to be dealt out."""
    root = tmp_path_factory.mktemp("small")
    for code, label in enumerate(("real", "fake")):
        rows = [row for row in sample.rows("train") if sample.labels[row] == code][:39]
        (root / "in" / label).mkdir(parents=True)
        for number, row in enumerate([*rows, rows[0]]):
            Image.fromarray(sample.images[row]).save(root / "in" / label / f"{number:02}.png")
    return open_folders(root / "in", root / "data", fractions=Shares(1.0, 0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def folded(small, tmp_path_factory):
    return train("demo", small, tmp_path_factory.mktemp("folded") / "run", settings=SETTINGS, folds=4, device="cpu")


def test_folds_are_even_and_duplicates_stay_together(small):
    rows = small.rows("train")
    fold = fold_of(small, rows, 4)
    counts = Counter(zip(small.labels[rows].tolist(), fold.tolist(), strict=True))
    assert set(counts.values()) <= {9, 10, 11}
    groups = small.groups(rows)
    assert len(np.unique(groups)) == 78
    for group in groups:
        assert len(set(fold[groups == group])) == 1
    assert np.array_equal(fold, fold_of(small, rows, 4))
    with pytest.raises(DataError, match="at least 50 independent real images"):
        fold_of(small, rows, 50)


@pytest.mark.parametrize(("generators", "together"), [(6, True), (3, False)])
def test_generators_are_held_out_whole_where_there_are_enough(sample, tmp_path, generators, together):
    rows = sample.rows("train")
    for code, label in enumerate(("real", "fake")):
        for number, row in enumerate([row for row in rows if sample.labels[row] == code][:36]):
            folder = tmp_path / "in" / f"gen{number % generators}" / ("0_real" if label == "real" else "1_fake")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sample.images[row]).save(folder / f"{number}.png")
    data = open_folders(tmp_path / "in", tmp_path / "data", fractions=Shares(1.0, 0.0, 0.0, 0.0))
    mine = data.rows("train")
    names = data.table(["generator"], mine)["generator"].to_pylist()
    fold = fold_of(data, mine, 4)
    found = {}
    for name, label, number in zip(names, data.labels[mine], fold, strict=True):
        if label == 1:
            found.setdefault(name, set()).add(int(number))
    assert len(found) == generators
    assert all((len(folds) == 1) == together for folds in found.values())


def test_every_image_is_scored_by_a_network_that_did_not_see_it(small, tmp_path):
    rows = small.rows("train")
    fold = fold_of(small, rows, 4)
    seen = []

    def fit_and_score(place, training, held):
        seen.append((set(training), set(held)))
        return np.stack([np.zeros(len(held)), held.astype(float)], axis=1)

    logits = out_of_fold(tmp_path, small, rows, fold, fit_and_score)
    assert np.array_equal(logits[:, 1], rows)
    assert all(not training & held and training | held == set(rows) for training, held in seen)
    assert len(seen) == 4
    out_of_fold(tmp_path, small, rows, fold, fit_and_score)
    assert len(seen) == 4  # what is there is not made again


def test_the_detector_says_that_its_thresholds_come_from_other_networks(folded, small):
    detector = Detector.load(folded.path)
    thresholds, rows = detector.card.thresholds, small.rows("train")
    table = pq.read_table(folded.folds / "scores.parquet")
    assert table["id"].to_pylist() == small.table(["id"], rows)["id"].to_pylist()
    logits = np.stack([table[name].to_numpy() for name in ("logit_real", "logit_fake")], axis=1)
    scores = score_of_logits(logits / detector.card.temperature)
    assert np.allclose(scores, table["score"].to_numpy())
    assert (thresholds.folds, thresholds.n, thresholds.real, thresholds.fake) == (4, 80, 39, 39)
    assert thresholds.high == choose(Policy(), small.labels[rows], scores, small.groups(rows)).high
    # The network in the bundle was trained on every image: its own scores are other ones.
    runtime = TorchRuntime(detector.network.module, detector.preprocessing, "cpu")
    own = np.concatenate(list(logits_of_rows(runtime, small.pixels, rows, detector.preprocessing)))
    assert np.abs(score_of_logits(own) - scores).max() > 0.01
    assert set(small.keys(rows)) == set(detector.training_images)
    (name,) = detector.card.figures
    assert name.endswith("out of fold (4 folds)")
    card = (folded.detector / "README.md").read_text()
    assert "out-of-fold scores of 4 other networks" in card
    assert "**warning** | not calibrated: 39 real and 39 fake images scored out of fold set the thresholds" in card
    assert not list(folded.path.glob("folds/*/checkpoints"))
    assert len(list(folded.path.glob("folds/*/metrics.jsonl"))) == 4


@pytest.mark.slow
def test_the_run_is_judged_like_any_other(folded, small, tmp_path):
    result = evaluate(folded.path, small, split="train", out=tmp_path / "report")
    assert result.seen_in_training == 80
    page = (tmp_path / "report/report.html").read_text()
    assert "come from 80 images scored out of fold by other networks" in page
    assert "not calibrated: 39 photographs and 39 AI pictures set its thresholds" in page
    assert "not calibrated: 39 real and 39 fake images scored out of fold" in page
    # Anyone can judge the out-of-fold scores themselves.
    again = evaluate(folded.folds / "scores.parquet", small, split="train", out=tmp_path / "scores")
    (kept,) = Detector.load(folded.path).card.figures.values()
    assert again.metrics["auroc"].value == pytest.approx(kept["auroc"].value)


def test_another_policy_takes_the_out_of_fold_scores(folded, small, tmp_path, caplog):
    made = calibrate(folded.path, small, tmp_path / "argmax", Policy(name="argmax"), device="cpu")
    before = Detector.load(folded.path).card
    assert (made.card.thresholds.folds, made.card.thresholds.n, made.card.thresholds.high) == (4, 80, 0.5)
    assert made.card.temperature == pytest.approx(before.temperature, rel=1e-3)
    assert "seen in this detector's training" not in caplog.text
    with pytest.raises(DataError, match="independent real calibration images"):
        calibrate(folded.path, small, tmp_path / "promise", Policy(name="target-fpr"), device="cpu")


def test_cut_in_the_third_fold_it_ends_with_the_same_bits(folded, small, tmp_path, monkeypatch):
    original, updates = Training.one_update, 0

    def breaking(self):
        nonlocal updates
        original(self)
        updates += 1
        if updates == 28:
            raise MemoryError("the machine went away")

    with monkeypatch.context() as patched:
        patched.setattr(Training, "one_update", breaking)
        with pytest.raises(MemoryError):
            train("demo", small, tmp_path / "run", settings=SETTINGS, folds=4, device="cpu", recovery_minutes=0)
    assert len(list((tmp_path / "run/folds").glob("fold-*.parquet"))) == 2
    train("demo", small, tmp_path / "run", settings=SETTINGS, folds=4, device="cpu", resume=True)
    for name in ("detector/model.safetensors", "detector/detector.json", "folds/fold-3.parquet"):
        assert (tmp_path / "run" / name).read_bytes() == (folded.path / name).read_bytes(), name
    with pytest.raises(RunError, match="--folds 4, not 5"):
        train("demo", small, tmp_path / "run", settings=SETTINGS, folds=5, device="cpu", resume=True)


def test_folds_need_no_validation_part_and_one_is_refused(small, tmp_path):
    with pytest.raises(DataError, match="no readable image in its validation part"):
        train("demo", small, tmp_path / "run", settings=SETTINGS)
    with pytest.raises(DataError, match="2 or more"):
        train("demo", small, tmp_path / "run", settings=SETTINGS, folds=1)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_from_the_command_line(small, tmp_path):
    settings = [item for setting in [*SETTINGS, "loop.epochs=1"] for item in ("--set", setting)]
    done = run_asli("train", "demo", "--data", small.path, "--out", "run", "--folds", 2, *settings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fold 2 of 2: held-out loss" in done.stderr
    assert "temperature and thresholds come from out-of-fold scores of 2 other networks" in done.stderr
    assert Run.open(tmp_path / "run").recipe.loop.select == "last"
