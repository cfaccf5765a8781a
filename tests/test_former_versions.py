"""What asli 0.1.0 wrote (`version_0_1_0/README.md`) still opens, resumes and gives the same numbers."""

import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from asli import DataFolder, Detector, evaluate, load_recipe, open_folders, train
from asli.errors import DataError
from asli.evaluation.result import present_figures
from asli.run import Run
from tests.compare import SAME, differences

KEPT = Path(__file__).parent / "version_0_1_0" / "written.tar.xz"


@pytest.fixture
def former(tmp_path, monkeypatch):
    """Unpack what 0.1.0 wrote into the current folder."""
    with tarfile.open(KEPT) as archive:
        archive.extractall(tmp_path, filter="data")
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        archive.extractall(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(path):
    return json.loads(Path(path).read_text())


def test_recipes_have_their_hashes(former):
    hashes = read("recipes/hashes.json")
    assert {name: load_recipe(f"recipes/{name}.toml").hash() for name in hashes} == hashes
    recipe = load_recipe("recipe.toml")
    assert recipe.hash() == read("finished/detector/detector.json")["card"]["recipe_hash"]
    assert (recipe.loop.ema, recipe.augment.color, recipe.data.crop_mode) == (0.9, 0.1, "center-crop")
    assert recipe.data.drop_cross_split_duplicates


def test_a_data_folder_opens_and_is_the_one_made_today(former):
    old, new = DataFolder.open("data"), open_folders("images.zip", "new")
    rows = np.arange(len(old))
    assert old.info["version"] == 1
    assert old.hash == new.hash == read("interrupted/data.json")["hash"]
    assert np.array_equal(old.groups(rows), new.groups(rows))
    assert np.array_equal(old.cross_split_duplicate, new.cross_split_duplicate)
    assert old.cross_split_duplicate.sum() == 2
    assert np.array_equal(old.images, new.images)
    younger = ("source", "prompt", "date")
    columns = [name for name in pq.read_schema("new/manifest.parquet").names if name not in younger]
    assert old.table(columns).equals(new.table(columns))
    assert old.table(["source"])["source"].null_count == len(old)
    assert [line["split"] for line in old.ledger()] == ["test"]


def test_a_data_folder_newer_than_asli_is_refused(former):
    Path("data/data.json").write_text(json.dumps({**read("data/data.json"), "version": 99}))
    with pytest.raises(DataError, match="has version 99, this asli reads 1 and 2; update asli"):
        DataFolder.open("data")


def test_a_detector_has_its_hash_and_its_scores(former):
    detector = Detector.load("finished")
    saved = read("finished/evaluation/data-test/metrics.json")["detector"]
    assert (detector.hash, detector.kind) == (saved["hash"], "classifier")
    assert detector.card.license == "not stated"
    images = read("predict.json")["images"]
    found = detector.predict([image["path"] for image in images])
    assert [p.score for p in found] == pytest.approx([image["score"] for image in images], abs=SAME)
    assert [p.domain.inside for p in found] == [image["domain"]["inside"] for image in images]
    table = pq.read_table("scan.parquet").to_pydict()
    found = detector.predict(table["path"])
    assert [p.score for p in found] == pytest.approx(table["score"], abs=SAME)
    logits = np.stack([table["logit_real"], table["logit_fake"]], axis=1)
    assert detector.logits(table["path"]) == pytest.approx(logits, abs=SAME)


def test_the_bundled_detector_gives_the_scores_of_0_1_0(former):
    saved, detector = read("predict-default.json"), Detector.load("thumbnail")
    assert detector.hash == saved["detector"]["hash"]
    images = saved["images"]
    found = detector.predict([image["path"] for image in images])
    assert [p.score for p in found] == pytest.approx([image["score"] for image in images], abs=SAME)


@pytest.mark.slow
def test_an_interrupted_run_resumes_to_the_weights_of_0_1_0(former):
    assert (former / "interrupted/checkpoints/recovery/step-000005/optimiser.safetensors").exists()
    resumed, finished = train("recipe.toml", "data", "interrupted", resume=True), Run.open(Path("finished"))
    assert differences(resumed.read_metrics(), finished.read_metrics()) == []
    ours, theirs = (load_file(run.detector / "model.safetensors") for run in (resumed, finished))
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        assert ours[name] == pytest.approx(values, abs=SAME), name
    one, two = (Detector.load(run.path).card for run in (resumed, finished))
    assert one.temperature == pytest.approx(two.temperature, rel=1e-3)
    assert one.thresholds.high == pytest.approx(two.thresholds.high, abs=1e-3)


@pytest.mark.slow
def test_evaluations_and_score_tables_are_read(former):
    data, saved = DataFolder.open("data"), read("finished/evaluation/data-test/metrics.json")
    figures = present_figures(saved["figures"])
    given = evaluate("finished/evaluation/data-test/scores.parquet", data, threshold=saved["threshold"])
    again = evaluate("finished", data, out="finished/evaluation/data-test")
    for result in (given, again):
        for name in ("f1", "accuracy", "auroc", "average_precision", "loss", "brier"):
            kind = "threshold" if name in figures["threshold"] else "threshold_free"
            assert result.metrics[name].value == pytest.approx(figures[kind][name]["value"], abs=SAME), name
    assert read("finished/evaluation/data-test/metrics.json")["version"] > saved["version"]
    scanned = evaluate("scan.csv", data, threshold=saved["threshold"])
    assert scanned.metrics["auroc"].value == pytest.approx(figures["threshold_free"]["auroc"]["value"], abs=SAME)


@pytest.mark.slow
def test_an_evaluation_of_0_1_0_joins_the_wandb_run_of_a_later_one(former, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    evaluate("finished", "data", split="validation", out="finished/evaluation/data-validation", track=["wandb"])
    (file,) = Path("finished").glob("wandb/offline-run-*/*.wandb")
    assert b"evaluation/test/auroc" in file.read_bytes()
    assert b"evaluation/validation/auroc" in file.read_bytes()
