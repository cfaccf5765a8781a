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
    opened = Detector.load("default")
    assert list(opened.members) == ["thumbnail", "photo"]
    assert "MIT" in opened.members["thumbnail"].card.license
    for member in opened.members.values():
        sizes = {path.name: path.stat().st_size for path in member.folder.iterdir()}
        assert sizes.pop("training_images.npy", 0) < 2**20  # no verdict needs it
        assert sum(sizes.values()) < 20 * 2**20
        card = (member.folder / "README.md").read_text()
        assert card == member.model_card()
        assert "| photographs, with the rule |" in card or member is opened.members["photo"]
    thumbnail, photo = (opened.members[name].card for name in ("thumbnail", "photo"))
    assert thumbnail.recipe_hash == load_recipe("robust", ["loop.select_by=f1"]).hash()
    assert thumbnail.trained_on.name == "cifake"
    assert thumbnail.thresholds.target == 0.01
    assert photo.thresholds.target == 0.1
    assert photo.thresholds.groups.by == "source"
    graph = find_detector("default") / "members" / "thumbnail" / "model.onnx"
    assert b"site-packages" not in graph.read_bytes()


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


@pytest.mark.slow
def test_a_photograph_gets_an_answer_and_a_small_picture_none(tmp_path):
    photograph = Image.fromarray(load_sample_images().images[0])
    photograph.save(tmp_path / "china.jpg", quality=92)
    photograph.resize((150, 100)).save(tmp_path / "small.jpg")
    done = run_asli("predict", tmp_path / "china.jpg", tmp_path / "small.jpg")
    assert done.returncode == 0
    large, small = done.stdout.splitlines()
    assert "china.jpg: real (photo)" in large
    assert "small.jpg: unsure" in small
    assert "supported are images of 200 px or more a side; give the original, larger picture" in small
    assert "P(fake)" not in small


@pytest.mark.slow
def test_it_is_not_written_into(sample):
    done = run_asli("domain-study", "default", sample.path, "--card")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    with pytest.raises(DetectorError, match="name a member"):
        export_onnx("default")
    with pytest.raises(DetectorError, match="not yours to change"):
        export_onnx(find_detector("default") / "members" / "thumbnail")


@pytest.mark.slow
def test_a_folder_called_default_is_meant_by_its_path(finished, sample, tmp_path):
    shutil.copytree(finished.detector, tmp_path / "default")
    done = run_asli(
        *("evaluate", "./default", sample.path, "--split", "validation", "--out", "report", "--json"), cwd=tmp_path
    )
    assert json.loads(done.stdout)["detector"]["hash"] == Detector.load(finished.detector).hash
