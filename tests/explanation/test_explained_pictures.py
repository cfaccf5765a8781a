"""What `asli explain` writes: drawn maps, their words, and one line for what it refuses."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asli.detector.predict import predict
from asli.detector.prediction import DomainCheck, Prediction
from asli.errors import DetectorError
from asli.explanation import explain as module
from asli.explanation import picture
from asli.explanation.explain import explain
from asli.explanation.map_check_result import MapAndRandom, MapCheck
from asli.explanation.page import check_text, reasons_of, title_of
from asli.explanation.view import View
from asli.messages import catalog
from tests.conftest import run_asli
from tests.explanation.conftest import plain
from tests.schemas import require_schema


@pytest.mark.slow
@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_command_draws_maps_and_says_the_same_score(finished, pictures, tmp_path, method):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    same_name = tmp_path / "other" / pictures[0].name
    same_name.parent.mkdir()
    same_name.write_bytes(pictures[1].read_bytes())
    given = [pictures[0], broken, same_name]
    done = run_asli(
        *["explain", *given, "--detector", finished.path, "--out", "maps", "--method", method, "--check"],
        *["--feature-maps", "--json"],
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "asli: 1 of 3 images could not be scored; each is named above"
    result = require_schema("explain", done.stdout)
    assert result == json.loads((tmp_path / "maps/explain.json").read_text())
    scores = [image["score"] for image in predict(given, finished.path).to_dict()["images"]]
    found = [image["score"] for image in result["images"]]
    assert [score is None for score in found] == [False, True, False]
    assert [s for s in found if s] == pytest.approx([s for s in scores if s], abs=1e-5)
    assert result["images"][1]["explanation"] is None
    drawn = [image["explanation"]["picture"] for image in result["images"][::2]]
    assert drawn == [f"maps/{pictures[0].stem}.explained.png", f"maps/{pictures[0].stem}~2.explained.png"]
    for name in drawn:
        assert np.asarray(Image.open(tmp_path / name).convert("RGB")).std() > 10
    page = (tmp_path / "maps/explain.html").read_text()
    assert page.count("data:image/png;base64,") == 2  # feature maps of each read picture
    failed = sum(not one["explanation"]["check"]["holds"] for one in result["images"][::2])
    assert page.count("data:image/jpeg;base64,") == 6 + failed  # a warning is drawn in each language
    assert page.count(f'alt="{pictures[0].name}: what moves its score"') == 2
    assert page.count(f'alt="{pictures[0].name}: yang menggerakkan skornya"') == failed
    assert "Could not be scored" in page
    checked = result["images"][0]["explanation"]["check"]
    assert checked["orders"] == 40
    assert (checked["likeness_to_random"] is None) == (method == "occlusion")


def test_wrong_layer_is_refused_before_anything_is_scored(finished, pictures, tmp_path):
    done = run_asli("explain", pictures[0], "--detector", finished.path, "--layer", "layer9", cwd=tmp_path)
    assert done.returncode == 1
    assert "layer2 (16 x 16), layer3 (8 x 8)" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are not UTF-8")
def test_any_name_is_drawn_and_no_map_overwrites_another(finished, pictures, tmp_path):
    data = pictures[0].read_bytes()
    given = [b"it costs $5 or $6.jpg", b"caf\xe9.jpg", b"a.jpg", b"a.png", b"a~2.jpg", b"A.webp"]
    paths = [tmp_path / os.fsdecode(name) for name in given]
    for path in paths:
        path.write_bytes(data)
    result = explain(paths, finished.path, out=tmp_path / "maps", method="occlusion").to_dict()
    assert result == json.loads((tmp_path / "maps/explain.json").read_text())
    assert result["images"][1]["path"].endswith("caf\\xe9.jpg")
    drawn = [Path(image["explanation"]["picture"]) for image in result["images"]]
    assert [path.name.removesuffix(".explained.png") for path in drawn] == [
        *("it costs $5 or $6", "caf\\xe9", "a", "a~2", "a~2~2", "A~3")
    ]
    assert all(path.exists() for path in drawn)


def test_a_long_name_is_shortened_and_a_file_that_goes_meanwhile_costs_nothing(
    finished, pictures, tmp_path, monkeypatch
):
    long = tmp_path / f"{'ä' * 120}.jpg"
    long.write_bytes(pictures[0].read_bytes())
    examine_all = module.examine_all

    def and_remove(*arguments, **options):
        done = examine_all(*arguments, **options)
        long.unlink()
        return done

    monkeypatch.setattr(module, "examine_all", and_remove)
    (image,) = explain([long], finished.path, out=tmp_path / "out").to_dict()["images"]
    drawn = Path(image["explanation"]["picture"])
    assert drawn.name == f"{'ä' * 75}.explained.png"
    assert drawn.is_file()
    assert json.loads((tmp_path / "out" / "explain.json").read_text())["images"] == [image]


def test_a_large_view_is_drawn_small(monkeypatch):
    monkeypatch.setattr(picture, "SIDE", 20)
    view = View(np.zeros((50, 70, 3), np.uint8), [(0, 0), (18, 38)], plain(32, "tiles"))
    original = np.zeros((60, 80, 3), np.uint8)
    figure = picture.draw(original, view, np.zeros((50, 70)), ["title", "caption"], failed=False, language="en")
    assert [axes.images[0].get_array().shape[:2] for axes in figure.axes[:3]] == [(15, 20), (13, 18), (13, 18)]


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("failed", [True, False])
def test_the_warning_of_a_failed_check_lies_across_the_map(failed, language):
    view = View(np.zeros((32, 32, 3), np.uint8), [(0, 0)], plain(32))
    figure = picture.draw(view.pixels, view, np.ones((32, 32)), ["title"], failed=failed, language=language)
    texts = [text.get_text() for text in figure.axes[2].texts]
    assert texts == [catalog(language)["explain.warning"]] * failed


@pytest.mark.parametrize(("side", "size"), [(32, 448), (600, 600), (2000, 900)])
def test_the_panels_of_a_page_show_pixels_of_small_pictures_and_shrink_large_ones(side, size):
    view = View(np.full((side, side, 3), 90, np.uint8), [(0, 0)], plain(side))
    heat = np.zeros((side, side))
    heat[:, side // 2 :] = 1.0
    passed, failed = (picture.draw_panels(view.pixels, view, heat, failed=failed) for failed in (False, True))
    images = [Image.open(io.BytesIO(data)) for data in (passed.picture, passed.view, passed.map)]
    assert [image.size for image in images] == [(size, size)] * 3
    left, right = (np.asarray(images[2])[size // 2, column].astype(int) for column in (size // 4, 3 * size // 4))
    assert left == pytest.approx([90 * 0.85 + 255 * 0.15] * 3, abs=3)
    assert right[0] > right[2] + 50  # orange
    warned = {language: np.asarray(Image.open(io.BytesIO(data))) for language, data in failed.map.items()}
    assert set(warned) == {"en", "id"}
    for pixels in warned.values():
        assert pixels.shape == (size, size, 3)
        red = (pixels[..., 0] > 150) & (pixels[..., 1] < 60) & (pixels[..., 2] < 80)
        assert 0.05 < red.mean() < 0.5


@pytest.mark.parametrize("brightness", [0, 90, 255])
def test_what_no_window_looks_at_is_striped_on_any_ground(brightness):
    view = View(np.full((300, 300, 3), brightness, np.uint8), [(0, 0)], plain(300))
    heat = np.zeros((300, 300))
    heat[:, 200:] = np.nan
    pixels = picture.overlay(view, heat).astype(int)
    seen, unseen = pixels[:, :200], pixels[:, 200:]
    assert np.ptp(seen) == 0
    assert np.ptp(unseen) >= 99
    share = float((unseen[..., 0] != brightness).mean())
    assert share == pytest.approx(0.25, abs=0.02)
    figure = picture.draw(view.pixels, view, heat, ["title"], failed=False, language="en")
    gray = figure.axes[2].images[0].get_array()
    assert np.ptp(gray[:, 200:]) >= 99


def test_the_title_has_the_reason_and_no_score_outside_the_domain():
    reasons, domain = ("outside domain: too large",), DomainCheck(False, "too large")
    outside = Prediction(path="a.jpg", reasons=reasons, verdict="unsure", score=0.998, domain=domain)
    assert str(title_of(outside, "a.jpg")) == "a.jpg: unsure, no score"
    assert str(reasons_of(outside)[0]) == "Reason: outside domain: too large"
    inside = Prediction(path="a.jpg", verdict="fake", score=0.998, domain=DomainCheck(True))
    assert title_of(inside, "a.jpg").text("id") == "a.jpg: palsu, P(palsu) 0,9980"


@pytest.mark.parametrize(
    ("beats", "alike", "words"),
    [
        (1.0, 0.1, "Check passed"),
        (0.5, 0.1, "only 20 of 40"),
        (1.0, 0.9, "random weights"),
        (0.5, 0.9, "only 20 of 40"),
    ],
)
def test_the_result_of_the_check_is_told_in_words(beats, alike, words):
    level, holds = MapAndRandom(map=0.0, random=0.0), beats >= 0.95 and alike < 0.5
    result = MapCheck(
        deletion=level,
        insertion=level,
        orders=40,
        beats=beats,
        needed=0.95,
        holds=holds,
        likeness_to_random=alike,
    )
    assert words in str(check_text(result, 0.5))
    assert ("Do not read" in str(check_text(result, 0.5))) != holds


def test_feature_maps_of_a_network_without_any_are_refused_before_anything_is_drawn(
    finished, pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr("asli.explanation.explain.layers_of", lambda *_: {})
    with pytest.raises(DetectorError, match="--feature-maps"):
        explain(pictures[:1], finished.path, out=tmp_path / "maps", method="occlusion", feature_maps=True)
    assert not (tmp_path / "maps").exists()
