"""Screenshots and drawings are held back, photographs are not."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

from asli.cli.common import prediction_text
from asli.datasets.images import Facts, decode
from asli.detector.base import Detector
from asli.detector.classifier import Classifier, as_classifier
from asli.detector.combine import combine
from asli.detector.domain import LARGEST, Domain
from asli.detector.drawn import drawn_statistics, why_drawn
from asli.sample import golden_images
from asli.transforms.preprocessing import Preprocessing
from tests.photographs import write_pack

SEEN = Preprocessing(224, "bicubic", (0.5,) * 3, (0.5,) * 3, "grid", crops=4, short_side=1024)
PHOTOGRAPHS = Domain(("JPEG", "PNG"), (256, 1200), (40, 100), ()).for_crops(1024)


def page():
    image = Image.new("RGB", (900, 700), "white")
    draw = ImageDraw.Draw(image)
    for line in range(14):
        draw.text((20, 50 * line), "light camera river window report market " * 3, "black", ImageFont.load_default())
    draw.rectangle((600, 100, 860, 400), fill="#3366cc")
    return image


def share_of_alike_neighbors(window):
    """Return the share of neighboring pixels none of whose channels differs by more than one level."""
    levels = window.astype(int)
    steps = [np.abs(levels[1:] - levels[:-1]), np.abs(levels[:, 1:] - levels[:, :-1])]
    return np.mean(np.concatenate([(step <= 1).all(axis=2).ravel() for step in steps]))


def as_jpeg(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return np.asarray(Image.open(stream).convert("RGB"))


@pytest.mark.parametrize("saved", [np.asarray, as_jpeg])
def test_a_page_of_text_is_outside_and_two_photographs_are_not(saved):
    facts = Facts(format="JPEG", width=900, height=700)
    seen = SEEN.to_input(saved(page()))
    flat = np.mean([share_of_alike_neighbors(window) for window in seen])
    pictures = [SEEN.to_input(picture) for picture in load_sample_images().images]
    drawn, *photographs = PHOTOGRAPHS.why_all_outside([facts] * (1 + len(pictures)), [seen, *pictures])
    assert drawn == f"looks like a screenshot or drawing ({flat:.0%} of it flat); give the photograph itself"
    assert photographs == [None, None]


def test_the_domain_of_crops_has_a_smallest_and_may_have_no_largest_picture():
    assert PHOTOGRAPHS.sizes == (256, LARGEST)
    assert replace(PHOTOGRAPHS, sizes=(100, 900)).for_crops(1024).sizes == (200, 900)
    assert "256 px or more" in PHOTOGRAPHS.describe()
    small = PHOTOGRAPHS.why_file_outside(Facts(format="JPEG", width=150, height=300))
    assert small == "150 x 300 pixels; supported are images of 256 px or more a side; give the original, larger picture"


def test_real_photographs_of_many_sources_are_inside(tmp_path):
    folder = write_pack(tmp_path, 24)
    seen = [SEEN.to_input(decode(file.read_bytes())[0]) for file in sorted((folder / "real").iterdir())]
    held = [why_drawn(values) for values in drawn_statistics(seen)]
    assert sum(reason is not None for reason in held) <= 1  # one of each of 24 sources


def test_a_family_gives_thumbnails_to_one_member_photographs_to_the_other_and_holds_pages_back(tmp_path):
    thumbnails = as_classifier(Detector.load("thumbnail", runtime="torch"), "a test")
    seen = replace(thumbnails.preprocessing, crop_mode="grid", crops=4, short_side=64, pooling="top")
    # Its scores mean nothing: a stand-in with crops like those of a detector of photographs.
    stand_in = Classifier(thumbnails.network, seen, replace(thumbnails.card, domain=PHOTOGRAPHS))
    stand_in.save(tmp_path / "photo")
    combine([thumbnails, stand_in], tmp_path / "family", names=["thumbnails", "photo"])
    opened = Detector.load(tmp_path / "family")
    _, thumbnail = golden_images()[0]
    photograph = load_sample_images().images[0]
    small = np.asarray(Image.fromarray(photograph).resize((250, 170)))
    screenshot = np.asarray(page().crop((250, 60, 900, 700)))
    found = opened.predict([thumbnail, photograph, screenshot, small])
    assert [p.member for p in found][:2] == ["thumbnails", "photo"]
    assert found[1].domain.inside
    assert [p.verdict for p in found][2:] == ["unsure", "unsure"]
    flat = np.mean([share_of_alike_neighbors(window) for window in seen.to_input(screenshot)])
    looks = f"looks like a screenshot or drawing ({flat:.0%} of it flat)"
    assert found[2].reasons == (f"outside domain: {looks}; give the photograph itself",)
    assert found[3].reasons == (
        "outside domain: 250 x 170 pixels; supported are images of 256 px or more a side;"
        " give the original, larger picture",
    )
    alone = Detector.load(tmp_path / "photo", runtime="torch").predict(screenshot)
    assert found[2].to_dict()["score"] == pytest.approx(alone.score, abs=1e-6)
    assert "P(fake)" not in prediction_text(found[2])
