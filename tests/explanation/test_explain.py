"""Maps of where a score comes from: exact where they can be, checked where they cannot."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from asli.detector.base import Detector
from asli.detector.classifier import Classifier
from asli.detector.predict import predict
from asli.detector.prediction import DomainCheck, Prediction
from asli.errors import DetectorError
from asli.explanation import explain as module
from asli.explanation import picture
from asli.explanation.explain import explain
from asli.explanation.gradcam import as_maps, choose, enlarged, gradcam, layers
from asli.explanation.map_check import check, likeness
from asli.explanation.map_check_result import MapAndRandom, MapCheck
from asli.explanation.maps import Abandoned, MapMaker
from asli.explanation.occlusion import occlusion
from asli.explanation.page import check_text, reasons_of, title_of
from asli.explanation.view import View
from asli.messages import catalog
from asli.models.networks import create_network
from asli.sample import golden_images
from asli.transforms.preprocessing import Preprocessing
from tests.conftest import run_asli
from tests.schemas import require_schema


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, (_, data) in list(enumerate(golden_images()))[::12]:
        (folder / f"{number:02}.jpg").write_bytes(data)
    return sorted(folder.iterdir())


def plain(size, window="resize"):
    return Preprocessing(size, "bilinear", (0.5,) * 3, (0.5,) * 3, window)


def brightness_of(part):
    """Return a detector's log-odds that rest on the brightness of one place of the view alone."""
    return lambda fitted: np.array([float(windows[0][part].mean()) / 10 - 5 for windows in fitted])


TOP_LEFT = np.s_[0:8, 0:8]


@pytest.mark.slow
def test_the_last_map_of_a_pooled_network_adds_up_to_the_log_odds(finished, pictures, tmp_path):
    bias = Detector.load(finished.path).network.module.linear.bias.detach().numpy()
    result = explain(pictures, finished.path, out=tmp_path).to_dict()
    for image in result["images"]:
        found = image["explanation"]
        assert (found["layer"], found["map_size"]) == ("layer3", 8)
        total = np.sum(found["cells"]) + bias[1] - bias[0]
        assert total == pytest.approx(found["log_odds"], abs=1e-4)
        assert 1 / (1 + np.exp(-found["log_odds"])) == pytest.approx(image["score"], abs=1e-5)


def test_gradcam_is_the_papers_formula_on_a_network_worked_by_hand(rng):
    head = nn.Linear(4 * 16, 2)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), head).eval()
    inputs = torch.from_numpy(rng.normal(size=(2, 3, 8, 8)).astype(np.float32))
    maps = network[1](network[0](inputs)).detach().numpy()
    slope = (head.weight[1] - head.weight[0]).detach().numpy().reshape(4, 4, 4)
    expected = np.einsum("c,nchw->nhw", slope.mean(axis=(1, 2)), maps)
    assert gradcam(network, inputs, "1") == pytest.approx(expected, abs=1e-5)
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("name", "size", "last", "side"),
    [
        ("resnet18", 32, "layer2", 4),  # its last stage has a map of 1 x 1 there
        ("resnet18", 224, "layer4", 7),
        ("resnet50", 32, "layer2", 4),  # layer3 begins on maps of that size, inside its first block
        ("vgg11", 32, "features.14", 4),
        ("densenet121", 64, "features.transition3.conv", 4),
        ("compact_resnet8x32", 32, "layer3", 4),
        ("cifar_resnet20", 32, "layer3", 8),
        ("mobilenetv3_small_050", 64, "blocks.3", 4),
    ],
)
def test_layer_is_the_last_with_a_map_worth_looking_at(name, size, last, side):
    found = layers(create_network(name, size=size).module, size)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert (choose(found, None), found[choose(found, None)]) == (last, side)
    with pytest.raises(DetectorError, match="no layer 'nonsense'"):
        choose(found, "nonsense")


@pytest.mark.parametrize(
    ("name", "last", "side"),
    [
        ("pit_ti_224", "transformers.1", 14),  # its last maps reach no head: that reads the class token
        ("vit_tiny_patch16_224", "blocks.10", 14),  # likewise its last block
        ("cait_xxs24_224", "blocks", 14),
        ("swin_tiny_patch4_window7_224", "norm", 7),  # channels last
        ("mixer_s32_224", "norm", 7),  # no class token: all tokens are averaged
        ("twins_pcpvt_small", "norm", 7),
        ("convnext_atto", "norm_pre", 7),
    ],
)
def test_networks_of_tokens_are_explained_by_late_places_that_reach_the_head(name, last, side):
    module = create_network(name, size=224, seed=1).module.eval()
    found = layers(module, 224)
    assert (choose(found, None), found[choose(found, None)]) == (last, side)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # a fresh head may be all zeros
        for part in module.modules():
            if isinstance(part, nn.Linear) and part.out_features == 2:
                part.weight.normal_(generator=generator)
    noise = torch.randn(2, 3, 224, 224, generator=generator)
    one, two = gradcam(module, noise, last)
    assert one.shape == (side, side)
    assert np.ptp(one) > 0
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] < 0.9


def test_a_place_of_a_token_is_where_it_lies_in_the_picture():
    module = create_network("vit_tiny_patch16_224", size=224, seed=1).module.eval()
    pictures = torch.zeros(2, 3, 224, 224)
    pictures[1, :, 16 * 3 : 16 * 4, 16 * 9 : 16 * 10] = 2.0
    kept = []
    handle = module.patch_embed.register_forward_hook(lambda _, __, out: kept.append(as_maps(out)))
    module(pictures)
    handle.remove()
    changed = (kept[0][1] - kept[0][0]).abs().sum(dim=0)
    assert np.unravel_index(int(changed.argmax()), (14, 14)) == (3, 9)
    with_class = torch.cat([torch.full((2, 1, 192), 9.0), kept[0].flatten(2).transpose(1, 2)], dim=1)
    assert torch.equal(as_maps(with_class), kept[0])


@pytest.mark.parametrize("name", ["hiera_tiny_224", "xcit_nano_12_p16_224"])
def test_tokens_in_an_order_of_their_own_and_mere_codes_of_positions_are_refused(name):
    """Of a fresh XCiT the maps of any two pictures are the same: its code of positions outweighs them."""
    with pytest.raises(DetectorError, match="occlusion"):
        choose(layers(create_network(name, size=224, seed=1).module, 224), None)


def test_a_network_without_maps_is_refused_with_the_way_out():
    with pytest.raises(DetectorError, match="occlusion"):
        choose(layers(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), 4), None)


def test_enlarging_keeps_the_sum_inside(rng):
    maps = np.zeros((1, 8, 8))
    maps[0, 3:5, 3:5] = rng.normal(size=(2, 2))
    assert enlarged(maps, 64).sum() == pytest.approx(maps.sum())


def test_mirror_images_are_explained_as_one_picture(rng):
    view = View.of(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), plain(32, "mirrored"))
    maps = rng.normal(size=(1, 32, 32))
    both = np.concatenate([maps, maps[:, :, ::-1]])  # a network blind to left and right
    assert view.fitted().shape == (2, 32, 32, 3)
    assert view.joined(both, np.zeros(2)) == pytest.approx(maps[0])


def test_tiles_add_up_and_gaps_between_them_are_left_open(rng):
    view = View.of(rng.integers(0, 256, (40, 200, 3), dtype=np.uint8), plain(32, "tiles"))
    windows = view.fitted()
    assert len(windows) == len(view.corners) == 8  # two rows of four, the most along a side
    heat = view.joined(rng.normal(size=(8, 32, 32)), np.zeros(8))
    assert np.isnan(heat).any()
    assert np.isnan(heat).sum() == (~view.seen).sum()
    ones = view.joined(np.ones((8, 32, 32)), np.zeros(8))
    assert np.nansum(ones) == pytest.approx(32 * 32)  # of the mean of eight windows
    assert view.by_cell(ones).sum() == pytest.approx(32 * 32)


def test_a_square_in_the_middle_is_all_that_is_shown(rng):
    pixels = rng.integers(0, 256, (60, 100, 3), dtype=np.uint8)
    view = View.of(pixels, plain(32, "center-crop"))
    assert np.array_equal(view.pixels, pixels[14:46, 34:66])
    assert np.array_equal(view.fitted(), plain(32, "center-crop").to_input(pixels))


def test_occlusion_finds_the_only_place_that_counts():
    pixels = np.full((32, 32, 3), 60, dtype=np.uint8)
    pixels[TOP_LEFT] = 200
    view = View.of(pixels, plain(32))
    heat = occlusion(view, brightness_of(TOP_LEFT))
    cells = view.by_cell(heat)
    assert np.unravel_index(cells.argmax(), cells.shape) in [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert cells[:2, :2].sum() > 0.4 * cells.sum()
    assert not cells[3:].any()
    assert not cells[:, 3:].any()


def test_a_window_that_recurs_goes_through_once_and_a_map_nobody_waits_for_is_given_up(rng):
    """Three windows a side at rest in the picture; only some of them see a part that is covered."""
    preprocessing = Preprocessing(32, "bilinear", (0.5,) * 3, (0.5,) * 3, "grid", crops=9, pooling="trimmed")
    thumbnails = Detector.load("thumbnail")
    detector = Classifier(thumbnails.network, preprocessing, thumbnails.card)
    view = View.of(rng.integers(0, 256, (160, 160, 3), dtype=np.uint8), preprocessing)
    maker, engine = MapMaker(detector, "occlusion"), detector.engine
    expected = occlusion(view, maker.log_odds)
    passed = []
    whole = engine.logits
    detector.engine.logits = lambda fitted: (passed.extend(len(windows) for windows in fitted), whole(fitted))[1]
    found, _ = maker.make(view)
    assert np.nan_to_num(found.heat) == pytest.approx(np.nan_to_num(expected), abs=1e-6)
    assert 9 < sum(passed) < 0.3 * 9 * 82
    passed.clear()
    asked = []

    def leave(share, _):
        asked.append(share)
        if len(asked) == 3:
            raise Abandoned

    with pytest.raises(Abandoned):
        maker.make(view, leave)
    assert 9 <= sum(passed) < 40


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_the_work_is_told_in_even_steps_and_reversed_orders_cost_nothing(method, pictures):
    detector = Detector.load("thumbnail")
    view = View.of(np.asarray(Image.open(pictures[0]).convert("RGB")), detector.preprocessing)
    passed, told = [], []
    whole = detector.engine.logits
    detector.engine.logits = lambda fitted: (passed.extend(fitted), whole(fitted))[1]
    found, _ = MapMaker(detector, method, check=True).make(view, lambda share, map_: told.append((share, map_)))
    shares = [share for share, _ in told]
    assert shares == pytest.approx(np.arange(len(told)) / len(told))
    assert told[-1][1] is found
    states = 82 * 7  # of 41 orders, removed and put back
    assert len(passed) < (0.6 if method == "grad-cam" else 0.8) * states


@pytest.mark.parametrize("label", [1, -1])
def test_a_true_map_holds_and_a_false_one_does_not(rng, label):
    pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    pixels[TOP_LEFT] = 120 + 60 * label
    pixels[16:, 16:] = 50 - 40 * label
    view = View.of(pixels, plain(32))

    def log_odds(fitted):
        return np.array([(windows[0][TOP_LEFT].mean() - windows[0][16:, 16:].mean()) / 20 for windows in fitted])

    true = np.zeros((32, 32))
    true[TOP_LEFT] = true[16:, 16:] = label
    found = check(view, true, log_odds)
    assert found.holds
    assert found.beats >= 0.95
    assert found.deletion.map < found.deletion.random
    assert found.insertion.map > found.insertion.random
    assert not check(view, -true, log_odds).holds
    assert likeness(view, true, [true, true]) == pytest.approx(1)
    assert likeness(view, true, [-true]) == pytest.approx(-1)
    assert likeness(view, np.zeros((32, 32)), [true]) == 0


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
    assert page.count("data:image/png;base64,") == 4  # a map and feature maps of each that could be read
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


def test_likeness_leaves_out_what_no_window_looks_at(rng):
    view = View.of(rng.integers(0, 256, (64, 400, 3), dtype=np.uint8), plain(16, "tiles"))
    assert (view.by_cell(view.seen.astype(float)) == 0).mean() > 0.3
    own, other = (np.where(view.seen, rng.normal(1, 0.1, size=view.seen.shape), np.nan) for _ in range(2))
    assert abs(likeness(view, own, [other])) < 0.6
