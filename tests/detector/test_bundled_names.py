"""The names of detectors in the package: `default`, `photo` and `photo-large`, the last without its trunk."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from asli.detector.base import Detector
from asli.detector.locate import find_detector
from asli.errors import DetectorError, WeightsError
from asli.exporting.onnx import export_onnx
from tests.conftest import run_asli


@pytest.fixture
def picture(rng, tmp_path):
    """Noise: it is asked whether an answer comes, not which."""
    path = tmp_path / "picture.png"
    Image.fromarray(rng.integers(0, 256, (300, 260, 3), dtype=np.uint8)).save(path)
    return path


def test_photo_is_the_member_of_the_default(picture):
    members = Detector.load("default").members
    assert Detector.load("photo").hash == members["photo"].hash
    done = run_asli("predict", picture, "--detector", "photo", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["detector"]["hash"] == members["photo"].hash
    by_default = json.loads(run_asli("predict", picture, "--json").stdout)
    assert found["images"][0]["score"] == pytest.approx(by_default["images"][0]["score"], abs=1e-6)


def test_photo_large_says_what_it_is_and_which_command_brings_its_trunk(picture, tmp_path, monkeypatch):
    monkeypatch.setenv("ASLI_TRUNKS", str(tmp_path / "none"))
    opened = Detector.load("photo-large")
    assert opened.trunk["name"] == "clip-b16"
    assert sum(file.stat().st_size for file in find_detector("photo-large").iterdir()) < 2**18
    assert opened.card.thresholds.groups.by == "source"
    with pytest.raises(WeightsError, match="asli trunk fetch clip-b16"):
        opened.predict(picture)
    done = run_asli("predict", picture, "--detector", "photo-large", ASLI_TRUNKS=str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "asli trunk fetch clip-b16" in done.stderr
    shown = run_asli("info", "photo-large", ASLI_TRUNKS=str(tmp_path / "none"))
    assert shown.returncode == 0, shown.stderr


def test_another_file_is_refused_as_its_trunk(picture, tmp_path, monkeypatch):
    monkeypatch.setenv("ASLI_TRUNKS", str(tmp_path))
    (tmp_path / "clip-b16.safetensors").write_bytes(b"other weights")
    with pytest.raises(WeightsError, match="is not the trunk"):
        Detector.load("photo-large").predict(picture)


@pytest.mark.parametrize("name", ["photo", "photo-large"])
def test_none_is_written_into(name):
    with pytest.raises(DetectorError, match="not yours to change"):
        export_onnx(name)


def test_a_folder_of_such_a_name_is_meant_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(find_detector("photo-large"), tmp_path / "photo")
    assert Detector.load("./photo").hash == Detector.load("photo-large").hash != Detector.load("photo").hash
