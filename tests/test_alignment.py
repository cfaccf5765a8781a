"""Aligned fakes: the same window, size and tables as the photograph's; only the autoencoder tells them apart."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from asli.alignment import align, reconstructed
from asli.datasets.build import open_folders
from asli.datasets.folder import DataFolder
from asli.errors import DataError, MissingExtraError, WeightsError
from asli.models.autoencoders import UPSAMPLINGS, SmallAutoencoder, from_hub, taef2
from tests.conftest import run_asli
from tests.photographs import shared_folder, write_pack


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_pack(tmp_path_factory.mktemp("photographs"), 6)
    return open_folders(folder, tmp_path_factory.mktemp("data") / "data")


def psnr(one, two):
    return 10 * np.log10(255**2 / np.mean((np.asarray(one, float) - np.asarray(two, float)) ** 2))


@pytest.mark.slow
def test_pairs_share_size_tables_and_group(data, tmp_path):
    encoder = shared_folder("weights", "taef2_encoder.safetensors")
    done = align(data, tmp_path / "pairs", str(encoder), side=256)
    assert done.pairs == 6
    for real in sorted((tmp_path / "pairs/real").iterdir()):
        one, two = Image.open(real), Image.open(tmp_path / "pairs/fake" / real.name)
        assert one.size == two.size == (256, 256)
        assert one.quantization == two.quantization
        assert 24 < psnr(one, two) < 50
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "pairs").rglob("*.jpg")}
    align(data, tmp_path / "pairs", str(encoder), side=256)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    done = run_asli(
        *("data", "open", tmp_path / "pairs", tmp_path / "opened", "--group-file", tmp_path / "pairs/groups.csv")
    )
    assert done.returncode == 0, done.stderr
    parts = {}
    for row in DataFolder.open(tmp_path / "opened").table(["id", "split"]).to_pylist():
        parts.setdefault(row["id"].split("/")[-1], set()).add(row["split"])
    assert all(len(found) == 1 for found in parts.values())
    with (tmp_path / "pairs/manifest.csv").open() as stream:
        assert {row["generator"] for row in csv.DictReader(stream)} == {"", "aligned: taef2_encoder"}


@pytest.mark.slow
def test_by_the_command_builtin_pairs_resume_with_the_same_settings_only(data, tmp_path):
    out = tmp_path / "pairs"
    command = ("align", data.path, out, "--autoencoder", "builtin", "--updates", "2", "--side", "96")
    done = run_asli(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"6 pairs in {out}\n")
    with (out / "manifest.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows] == ["real", "fake"] * 6
    fakes = {row["generator"] for row in rows if row["label"] == "fake"}
    assert fakes <= {f"aligned: small autoencoder ({upsampling})" for upsampling in UPSAMPLINGS}
    lost = sorted((out / "fake").iterdir())[0]
    before = np.asarray(Image.open(lost))
    lost.unlink()
    assert run_asli(*command).returncode == 0
    assert np.abs(np.asarray(Image.open(lost)).astype(int) - before).max() <= 2
    other = run_asli(*command, "--blend", "0.25")
    assert (other.returncode, other.stderr) == (
        1,
        f"asli: {out} holds other pairs: blend was 0.5, not 0.25; give another folder\n",
    )


def test_more_of_the_original_is_nearer_to_it(data):
    model = taef2(shared_folder("weights", "taef2_encoder.safetensors"))
    window = data.pixels.image(int(np.flatnonzero(data.labels == 0)[0]))[:128, :128]
    assert psnr(reconstructed(window, model, 0.9), window) > psnr(reconstructed(window, model, 0.0), window) + 10


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_small_autoencoders_keep_the_size(upsampling):
    assert SmallAutoencoder(upsampling)(torch.zeros(1, 3, 64, 96)).shape == (1, 3, 64, 96)


@pytest.mark.slow
def test_builtin_ones_learn_the_photographs(data, tmp_path):
    errors = []
    for updates in (1, 30):
        place = tmp_path / str(updates)
        align(data, place, "builtin", updates=updates, side=128, blend=0)
        pairs = [(file, place / "fake" / file.name) for file in (place / "real").iterdir()]
        errors.append(np.mean([psnr(Image.open(one), Image.open(two)) for one, two in pairs]))
    assert errors[1] > errors[0] + 1


def test_what_cannot_be_had_is_one_line(data, tmp_path):
    with pytest.raises(DataError, match="blend"):
        align(data, tmp_path / "x", "builtin", blend=1.0)
    with pytest.raises(WeightsError, match="must be named"):
        align(data, tmp_path / "x", str(tmp_path / "none.safetensors"))
    try:
        import diffusers  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match=r"asli\[align\]"):
            from_hub("owner/name")
