"""`asli train photos`: a head on cached features of a frozen trunk, calibrated out of fold."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression

from asli.datasets.build import open_folders
from asli.detector.base import Detector
from asli.detector.classifier import as_classifier
from asli.detector.heads import origin_of, trunk_network
from asli.detector.linked import linked_weights
from asli.detector.locate import find_detector
from asli.errors import DetectorError, RecipeError, WeightsError
from asli.exporting import onnx
from asli.exporting.onnx import export_onnx
from asli.files import sha256_of_file
from asli.head_training import available
from asli.models.trunks import trunk_tensors
from asli.pipeline import train
from asli.recipe import load_recipe
from asli.training.logistic import balanced_weights, fit_head
from asli.transforms.chain import degraded
from tests.photographs import shared_folder, write_pack


def test_the_head_is_that_of_scikit_learn(rng):
    labels = rng.integers(0, 2, 120)
    features = (rng.normal(size=(120, 6)) + labels[:, None] * [1, 0, 0.5, 0, 0, 0]).astype(np.float32) * [
        1,
        9,
        3,
        1,
        5,
        1,
    ]
    weights = balanced_weights(labels, rng.integers(0, 3, 120))
    mean = weights @ features / weights.sum()
    spread = np.sqrt(weights @ (features - mean) ** 2 / weights.sum())
    standard = (features - mean) / spread / np.sqrt(6)
    other = LogisticRegression(C=1 / 0.5, tol=1e-10, max_iter=5000).fit(standard, labels, sample_weight=weights)
    head = fit_head(features.astype(np.float32), labels, weights, 0.5)
    expected = other.decision_function(standard)
    assert expit(head.log_odds(features)) == pytest.approx(expit(expected), abs=2e-3)


def test_consistency_takes_the_minimum_of_its_loss_and_removes_what_differs_between_views(rng):
    labels = np.repeat([0, 1], 100)
    features = rng.normal(size=(200, 4)).astype(np.float32)
    features[:, 0] += 2 * labels
    features[:, 1] += labels
    differences = np.zeros((50, 4), np.float32)
    differences[:, 0] = rng.normal(size=50)
    weights, scale = np.ones(200), features.std(axis=0) * 2

    def loss(head):
        odds = head.log_odds(features)
        moved = differences.astype(np.float64) @ head.weight
        fit = (
            np.logaddexp(0, np.where(labels == 1, -odds, odds)).mean()
            + 0.1 / 2 * np.square(head.weight * scale).sum() / 200
        )
        return fit + 30 / 2 * np.square(moved).mean()

    plain = fit_head(features, labels, weights, 0.1)
    even = fit_head(features, labels, weights, 0.1, differences, 30.0)
    assert abs(even.weight[0]) < 0.1 * abs(plain.weight[0])
    assert even.weight[1] > plain.weight[1] / 2
    for number in range(4):
        for step in (-0.01, 0.01):
            moved = even.weight.copy()
            moved[number] += step
            assert loss(dataclasses.replace(even, weight=moved)) > loss(even)


def test_consistency_without_views_is_an_error():
    with pytest.raises(RecipeError, match=r"set augment\.views"):
        available(load_recipe("photos", ["augment.views=0", "augment.consistency=0.1"]))


def test_labels_count_the_same_and_groups_by_the_root_of_their_size():
    labels = np.array([0] * 10 + [1] * 4)
    groups = np.array(["a"] * 9 + ["b"] + ["c"] * 4)
    weights = balanced_weights(labels, groups)
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 1].sum()) == pytest.approx(7)
    assert weights[:9].sum() / weights[9] == pytest.approx(3)
    assert balanced_weights(labels, groups, 1.0)[:9].sum() == pytest.approx(balanced_weights(labels, groups, 1.0)[9])


def test_a_degraded_view_is_a_function_of_view_and_content(rng):
    pixels = rng.integers(0, 256, (260, 300, 3), dtype=np.uint8)
    assert degraded(pixels, view=0, key=1) is pixels
    assert np.array_equal(degraded(pixels, view=2, key=5), degraded(pixels, view=2, key=5))
    shapes = {degraded(pixels, view=view, key=5).shape[:2] for view in range(1, 9)}
    assert len(shapes) > 2
    assert min(min(shape) for shape in shapes) >= 224


def test_a_recipe_for_another_network_is_refused():
    with pytest.raises(RecipeError, match="frozen trunk"):
        available(load_recipe("photos", ["model.name=resnet18"]))


def test_without_a_trunk_the_one_in_the_package_takes_its_place(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("ASLI_TRUNKS", str(tmp_path))
    for asked in ("clip-b16-blocks", "lite0-stages"):
        assert available(load_recipe("photos", [f"model.name={asked}"])).model.name == "clip-b16-early"
    assert "asli trunk fetch clip-b16; clip-b16-early takes its place" in caplog.text
    assert available(load_recipe("photos", ["model.name=clip-b16-early"])).model.name == "clip-b16-early"
    network, digest = trunk_network("clip-b16-early", half=True)
    assert digest == sha256_of_file(find_detector("photo") / "model.safetensors")
    assert "of the detector 'photo'" in origin_of("clip-b16-early", digest)
    photo = as_classifier(Detector.load("photo", runtime="torch"), "a test").network
    tensors, others = trunk_tensors(network), trunk_tensors(photo)
    assert len(tensors) > 80
    assert all(torch.equal(tensors[name], others[name]) for name in others)


@pytest.mark.slow
def test_photo_is_small_and_saved_again_it_is_the_same(tmp_path):
    photo = as_classifier(Detector.load("photo", runtime="torch"), "a test")
    photo.save(tmp_path / "again")
    assert sum(file.stat().st_size for file in (tmp_path / "again").iterdir()) <= 20e6
    again = Detector.load(tmp_path / "again", runtime="torch")
    picture = np.asarray(load_sample_images().images[0])[:300, :300]
    assert again.logits([picture]).tolist() == photo.logits([picture]).tolist()


def test_photo_answers_by_onnx_from_the_weights_that_it_shares_with_torch(tmp_path):
    picture = np.asarray(load_sample_images().images[1])
    scores = [Detector.load("photo", runtime=kind).predict(picture).score for kind in ("onnx", "torch")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    shutil.copytree(find_detector("photo"), tmp_path / "photo")
    weights = tmp_path / "photo/model.safetensors"
    folder, shapes = tmp_path / "photo", {"network.blocks.0.attn.qkv.weight.codes": [2304, 768]}
    assert linked_weights(folder, shapes)["network.blocks.0.attn.qkv.weight.codes"].shape == (2304, 768)
    with pytest.raises(WeightsError, match=r"blocks.0.attn.qkv.weight.codes is damaged"):
        linked_weights(folder, {name: [768, 768] for name in shapes})
    with pytest.raises(DetectorError, match="lacks blocks.9"):
        linked_weights(folder, {"network.blocks.9": [1]})
    weights.write_bytes(b"nothing")
    with pytest.raises(DetectorError, match="damaged or foreign"):
        linked_weights(folder, shapes)


@pytest.mark.slow
def test_the_whole_onnx_form_of_photo_has_its_codes_and_its_scores(tmp_path, monkeypatch):
    shutil.copytree(find_detector("photo"), tmp_path / "photo")
    write, made = onnx.write_graph, tmp_path / "made.onnx"

    def write_once(detector, path):
        """Both forms begin with the same graph, which takes most of their time."""
        if not made.exists():
            write(detector, made)
        shutil.copyfile(made, path)

    monkeypatch.setattr(onnx, "write_graph", write_once)
    monkeypatch.setattr(onnx, "FEW", 2)
    export_onnx(tmp_path / "photo")
    whole = (tmp_path / "photo/model.onnx").stat().st_size
    assert 40e6 < whole < 60e6  # 8 bits a weight, not 32
    picture = np.asarray(load_sample_images().images[1])
    scores = [Detector.load(name, runtime="onnx").predict(picture).score for name in (tmp_path / "photo", "photo")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    export_onnx(tmp_path / "photo", linked=True)
    assert (tmp_path / "photo/model.onnx").stat().st_size < 100e3
    linked = Detector.load(tmp_path / "photo", runtime="onnx").predict(picture).score
    assert linked == pytest.approx(scores[1], abs=1e-6)


def test_pictures_of_ones_own_become_a_detector(tmp_path, monkeypatch):
    monkeypatch.setenv("ASLI_TRUNKS", str(tmp_path / "trunks"))
    monkeypatch.setenv("ASLI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "trunks").mkdir()
    shutil.copyfile(
        shared_folder("weights", "tf_efficientnet_lite0.safetensors"), tmp_path / "trunks/lite0.safetensors"
    )
    data = open_folders(write_pack(tmp_path / "mine", 15), tmp_path / "data")
    quick = ["model.name=lite0-stages", "data.crops=1", "augment.views=1"]
    run = train("photos", data, tmp_path / "run", settings=quick, folds=3)
    opened = Detector.load(run.path, runtime="torch")
    assert opened.name == "lite0-stages"
    assert opened.card.thresholds.folds == 3
    assert opened.card.thresholds.not_calibrated
    row = int(data.rows("test")[0])
    assert 0 <= opened.predict(data.pixels.image(row)).score <= 1
    again = train("photos", data, tmp_path / "again", settings=quick, folds=3)
    assert Detector.load(again.path).hash == opened.hash  # from the cache, to the bit
    assert len(list((tmp_path / "cache/features").iterdir())) == 2
