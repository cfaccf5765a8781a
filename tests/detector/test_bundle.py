"""A detector's folder: pushed to the hub and fetched again, and what is said when it is damaged."""

import json
import shutil

import pytest

from asli.detector.base import Detector
from asli.detector.predict import predict
from asli.errors import DetectorError
from tests.compare import SAME, differences
from tests.conftest import run_asli
from tests.detector.conftest import scores
from tests.detector.upload_hub import UploadHub, upload_hub


@pytest.mark.slow
def test_pushed_detector_is_the_same_by_its_name_on_the_hub(exported, files, tmp_path):
    with upload_hub(tmp_path / "cache") as hub:
        done = run_asli("push", exported, "owner/mine", "--private", **hub)
        assert done.returncode == 0, done.stderr
        name = f"hub:owner/mine@{UploadHub.commit}"
        assert name in done.stdout
        assert UploadHub.made[0]["name"] == "mine"
        assert set(UploadHub.files) == {p.name for p in exported.iterdir()}
        assert all(UploadHub.files[p.name] == p.read_bytes() for p in exported.iterdir())
        fetched = run_asli("predict", files[0], "--detector", name, "--json", **hub)
        assert fetched.returncode == 0, fetched.stderr
        assert scores(json.loads(fetched.stdout)) == pytest.approx(scores(predict(files[:1], exported)), abs=SAME)
        offline = run_asli("predict", files[0], "--detector", name, "--json", **{**hub, "HF_HUB_OFFLINE": "1"})
        assert offline.returncode == 0, offline.stderr
        assert differences(json.loads(offline.stdout), json.loads(fetched.stdout)) == []
        refused = run_asli("push", exported, "owner/mine", **{**hub, "HF_TOKEN": "hf_reader"})
        assert refused.returncode == 1
        assert refused.stderr.strip().endswith("set HF_TOKEN to a token that may write there")
        missing = run_asli("predict", files[0], "--detector", "hub:owner/other", **hub)
        assert missing.stderr.startswith("asli: the hub has no model 'owner/other'")
        del UploadHub.files["detector.json"]
        shutil.rmtree(tmp_path / "cache")
        foreign = run_asli("predict", files[0], "--detector", name, **hub)
        assert "is no detector of asli" in foreign.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.safetensors", lambda data: data[:100], "not the file detector.json describes"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("config.json", None, "damaged or foreign"),
        ("config.json", lambda data: b"[]", "damaged or foreign"),
        ("detector.json", lambda data: b"\xff\xfe", "damaged or foreign"),
        ("detector.json", lambda data: b"[1]", "damaged or foreign"),
        ("detector.json", lambda data: data.replace(b'"version": 2', b'"version": "one"', 1), "damaged or foreign"),
        ("detector.json", lambda data: data.replace(b'"version": 2', b'"version": 3', 1), "update asli"),
        ("detector.json", lambda data: data.replace(b'"bilinear"', b'"bilinear", "zoom": 2', 1), "damaged or foreign"),
    ],
)
def test_every_kind_of_damage_has_its_line(exported, tmp_path, name, content, words):
    shutil.copytree(exported, tmp_path / "d")
    file = tmp_path / "d" / name
    if content is None:
        file.unlink()
    else:
        before = file.read_bytes()
        file.write_bytes(content(before))
        assert file.read_bytes() != before
    with pytest.raises(DetectorError, match=words) as caught:
        Detector.load(tmp_path / "d")
    assert "\n" not in str(caught.value)


def test_unknown_network_is_refused_when_it_is_asked_for(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "d")
    config = (tmp_path / "d/config.json").read_text()
    (tmp_path / "d/config.json").write_text(config.replace("cifar_resnet20", "of_tomorrow", 1))
    with pytest.raises(DetectorError, match="no network named 'of_tomorrow'"):
        Detector.load(tmp_path / "d").runtime("cpu", "torch")
