"""Adopted networks against transformers' own pipeline, which is opened here from the author's folder."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from asli.adopting.adopt import adopt
from asli.adopting.golden import golden_pictures
from asli.adopting.opened import Choices, set_out
from asli.adopting.prove import TOLERANCE, prove
from asli.adopting.source import find
from asli.errors import DetectorError
from tests.adopting import networks

PICTURES = 50
QUICK = ("vit", "convnext", "mobilevit")


def pipeline_scores(folder, fake="artificial", **options):
    from transformers import AutoImageProcessor, pipeline

    processor = AutoImageProcessor.from_pretrained(folder, **options)
    pipe = pipeline("image-classification", model=str(folder), image_processor=processor)
    scores = []
    for picture in golden_pictures(PICTURES):
        found = {one["label"]: one["score"] for one in pipe(Image.open(io.BytesIO(picture.data)), top_k=10)}
        scores.append(sum(score for label, score in found.items() if label in np.atleast_1d(fake)))
    return np.array(scores)


def our_scores(detector):
    found = detector.predict([picture.data for picture in golden_pictures(PICTURES)])
    return np.array([prediction.score for prediction in found])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in networks.NETWORKS]
)
def test_an_adopted_network_gives_the_pipelines_scores(name, tmp_path):
    folder = networks.save(name, tmp_path / "author")
    detector = adopt(folder, tmp_path / "detector", onnx=False)
    theirs = pipeline_scores(folder)
    assert np.ptp(theirs) > 0.02, "scores that are all alike would prove nothing"
    assert np.abs(our_scores(detector) - theirs).max() < TOLERANCE
    assert "fast, torchvision" in detector.origin.processor


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnext", "mobilevit"])
def test_the_slow_image_processor_is_matched_where_it_is_asked_for(name, tmp_path):
    folder = networks.save(name, tmp_path / "author")
    detector = adopt(folder, tmp_path / "detector", processor="slow", onnx=False)
    assert np.abs(our_scores(detector) - pipeline_scores(folder, backend="pil")).max() < TOLERANCE
    assert "slow, Pillow" in detector.origin.processor


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "percent"), [("border", 0.9), ("squash", 1.0), ("center", 0.875)])
def test_timm_networks_in_transformers_wrapper(mode, percent, tmp_path):
    folder = networks.save_timm_wrapper(tmp_path / "author", mode, percent)
    detector = adopt(folder, tmp_path / "detector", onnx=False)
    theirs = pipeline_scores(folder)
    assert np.ptp(theirs) > 0.02
    assert np.abs(our_scores(detector) - theirs).max() < TOLERANCE


@pytest.mark.slow
def test_several_fake_labels_are_summed(tmp_path):
    labels = {0: "midjourney", 1: "real", 2: "stable diffusion"}
    folder = networks.save("vit", tmp_path / "author", labels)
    with pytest.raises(DetectorError, match="'midjourney' does not tell whether it means real or fake"):
        adopt(folder, tmp_path / "detector", onnx=False)
    detector = adopt(folder, tmp_path / "detector", fake_labels=[labels[0], labels[2]], onnx=False)
    theirs = pipeline_scores(folder, [labels[0], labels[2]])
    assert np.abs(our_scores(detector) - theirs).max() < TOLERANCE
    assert detector.about()["labels"] == "fake: midjourney + stable diffusion; real: real (softmax)"


@pytest.mark.slow
@pytest.mark.parametrize("meaning", ["fake", "real"])
def test_a_head_with_one_output(meaning, tmp_path):
    folder = networks.save("resnet", tmp_path / "author", {0: "LABEL_0"})
    with pytest.raises(DetectorError, match="'LABEL_0' does not tell"):
        adopt(folder, tmp_path / "detector", onnx=False)
    detector = adopt(folder, tmp_path / "detector", onnx=False, **{f"{meaning}_labels": ["LABEL_0"]})
    theirs = pipeline_scores(folder, "LABEL_0")
    assert np.ptp(theirs) > 0.02
    assert np.abs(our_scores(detector) - (theirs if meaning == "fake" else 1 - theirs)).max() < TOLERANCE


@pytest.mark.slow
def test_labels_are_mapped_by_name_whatever_their_order(tmp_path):
    folder = networks.save("vit", tmp_path / "author", {0: "AI-generated", 1: "Real photo"})
    detector = adopt(folder, tmp_path / "detector", onnx=False)
    assert np.abs(our_scores(detector) - pipeline_scores(folder, "AI-generated")).max() < TOLERANCE


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"interpolation": "nearest"}, "the network's input, at channel"),
        ({"size": 40}, "the network's input is 48 x 48 px there and 40 x 40 px here"),
        ({"mean": (0.9, 0.1, 0.5)}, "the network's input, at channel"),
        ({"fitting": "shortest-edge"}, "the network's input, at channel"),
    ],
)
def test_a_wrong_translation_is_refused_and_the_first_difference_named(change, first, tmp_path):
    folder = networks.save("deit", tmp_path / "author")
    detector = adopt(folder, tmp_path / "detector", onnx=False)
    (tmp_path / "files").mkdir()
    opened = set_out(find(str(folder), None), tmp_path / "files", Choices())

    class Anything:
        def logits(self, fitted):
            return np.zeros((len(fitted), 2))

    detector.preprocessing = dataclasses.replace(detector.preprocessing, **change)
    runtime = Anything() if "size" in change else detector.runtime("cpu", "torch")
    with pytest.raises(DetectorError, match=r"golden picture .* nothing was adopted") as caught:
        prove(detector, runtime, opened.reference, golden_pictures(), bgr=False)
    assert first in str(caught.value)


def test_golden_pictures_are_of_many_kinds_and_the_same_every_time():
    first, second = golden_pictures(), golden_pictures()
    assert [one.data for one in first] == [one.data for one in second]
    opened = [Image.open(io.BytesIO(one.data)) for one in first]
    assert {image.mode for image in opened} >= {"RGB", "L", "P", "CMYK", "1"}
    assert {image.format for image in opened} == {"JPEG", "PNG", "WEBP"}
    assert any(image.getexif().get(0x0112) == 6 for image in opened)
    assert max(max(image.size) / min(image.size) for image in opened) >= 4
    assert min(min(image.size) for image in opened) <= 32
