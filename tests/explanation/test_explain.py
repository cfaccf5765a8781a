"""Maps of where a score comes from: exact where they can be, checked where they cannot."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from asli.detector.base import Detector
from asli.detector.classifier import Classifier
from asli.errors import DetectorError
from asli.explanation.explain import explain
from asli.explanation.gradcam import as_maps, choose, enlarged, gradcam, layers
from asli.explanation.map_check import calls, check, likeness
from asli.explanation.maps import Abandoned, MapMaker
from asli.explanation.occlusion import occlusion
from asli.explanation.view import View
from asli.models.networks import create_network
from asli.transforms.preprocessing import Preprocessing
from tests.explanation.conftest import plain


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


def test_the_check_of_a_photograph_computes_228_windows_whatever_the_number_of_its_cells(rng):
    preprocessing = Preprocessing(224, "bicubic", (0.5,) * 3, (0.5,) * 3, "grid", crops=4, short_side=1024)
    for height, width in ((750, 1000), (1100, 1500)):  # 42 and 36 cells in the windows
        view = View.of(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), preprocessing)
        asked = []

        def log_odds(fitted, asked=asked):
            asked.append(sum(map(len, fitted)))
            return np.array([windows.mean() - 127 for windows in fitted])

        found = check(view, rng.normal(size=view.pixels.shape[:2]), log_odds)
        assert (len(asked), sum(asked)) == (calls(view), 228)
        assert found.orders == 26
        assert found.deletion.random == found.insertion.random


def test_likeness_leaves_out_what_no_window_looks_at(rng):
    view = View.of(rng.integers(0, 256, (64, 400, 3), dtype=np.uint8), plain(16, "tiles"))
    assert (view.by_cell(view.seen.astype(float)) == 0).mean() > 0.3
    own, other = (np.where(view.seen, rng.normal(1, 0.1, size=view.seen.shape), np.nan) for _ in range(2))
    assert abs(likeness(view, own, [other])) < 0.6
