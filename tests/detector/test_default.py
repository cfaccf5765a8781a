"""The detector in the package: it answers right after installation, and says what it is."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from asli.detector.base import Detector
from asli.detector.locate import find_detector
from asli.detector.predict import predict
from asli.errors import DetectorError
from asli.exporting.onnx import export_onnx
from asli.recipe import load_recipe
from asli.sample import golden_images
from tests.conftest import run_asli


def test_it_is_small_and_says_what_it_was_made_of_and_by_which_recipe():
    folder = find_detector("default")
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sizes.pop("training_images.npy") < 2**20  # no verdict needs it
    assert sum(sizes.values()) < 12 * 2**20
    opened = Detector.load("default")
    assert opened.card.recipe_hash == load_recipe("robust", ["loop.select_by=f1"]).hash()
    assert opened.card.trained_on["name"] == "cifake"
    assert opened.card.thresholds.target == 0.01
    assert b"site-packages" not in (folder / "model.onnx").read_bytes()
    assert "MIT" in opened.card.license
    card = (folder / "README.md").read_text()
    assert card == opened.model_card()
    assert "| photographs, with the rule |" in card


def test_it_is_what_predict_takes_and_both_runtimes_agree(files):
    done = run_asli("predict", *files, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["detector"]["hash"] == Detector.load("default").hash
    found = [image["score"] for image in result["images"]]
    by_torch = [image["score"] for image in predict(files, runtime="torch", threads=1).to_dict()["images"]]
    assert np.abs(np.array(found) - by_torch).max() < 1e-5
    # It saw these in training, so this says that it works, not how well.
    right = [
        image["verdict"] == name.split("/")[1].lower()
        for (name, _), image in zip(golden_images(), result["images"], strict=True)
        if image["verdict"] != "unsure"
    ]
    assert len(right) > 50
    assert np.mean(right) > 0.9


def test_a_photograph_of_another_kind_is_outside_what_it_knows(tmp_path):
    Image.fromarray(load_sample_images().images[0]).save(tmp_path / "china.jpg", quality=92)
    done = run_asli("predict", tmp_path / "china.jpg")
    assert done.returncode == 0
    assert "unsure" in done.stdout
    assert "supported are images of 32 px a side" in done.stdout


def test_it_is_not_written_into(sample):
    done = run_asli("domain-study", "default", sample.path, "--card")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    with pytest.raises(DetectorError, match="not yours to change"):
        export_onnx("default")


def test_a_folder_called_default_is_meant_by_its_path(finished, sample, tmp_path):
    shutil.copytree(finished.detector, tmp_path / "default")
    done = run_asli(
        *("evaluate", "./default", sample.path, "--split", "validation", "--out", "report", "--json"), cwd=tmp_path
    )
    assert json.loads(done.stdout)["detector"]["hash"] == Detector.load(finished.detector).hash
