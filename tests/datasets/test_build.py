import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from asli.datasets import build as ingest_module
from asli.datasets.archived import Archives
from asli.datasets.build import ingest, open_cifake, open_folders
from asli.datasets.cifake import cifake
from asli.datasets.folder import DataFolder
from asli.errors import DataError
from asli.sample import open_sample, sample_archive


def jpeg(rng, size=(32, 32)) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(stream, "JPEG", quality=75)
    return stream.getvalue()


@pytest.fixture
def tree(tmp_path, rng):
    """Forty images in two labels, with one exact duplicate across splits and every kind of trouble."""
    root = tmp_path / "tree"
    for split, count in (("train", 15), ("test", 5)):
        for label in ("real", "fake"):
            (root / split / label).mkdir(parents=True)
            for number in range(count):
                (root / split / label / f"{number:02d}.jpg").write_bytes(jpeg(rng))
    (root / "test/fake/00.jpg").write_bytes((root / "train/fake/00.jpg").read_bytes())
    return root


def test_the_sample_is_stratified_and_without_duplicates(sample):
    assert sample.info["counts"] == {
        "train": {"real": 1000, "fake": 1000},
        "validation": {"real": 150, "fake": 150},
        "calibration": {"real": 300, "fake": 300},
        "test": {"real": 200, "fake": 200},
    }
    table = sample.table(["category", "split", "duplicate_group", "generator", "label"])
    strata = {(line["category"], line["split"], line["label"]) for line in table.to_pylist()}
    assert len(strata) == 80
    assert table["duplicate_group"].null_count == len(table)
    assert set(sample.table(["generator"], np.flatnonzero(sample.labels))["generator"].to_pylist()) == {
        "stable-diffusion-1.4"
    }


def test_packed_pixels_are_the_decoded_files(sample):
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        for row in (0, 1500, 3299):
            identity = sample.table(["id"], np.array([row]))["id"][0].as_py()
            expected = np.asarray(Image.open(io.BytesIO(archive.read(identity))).convert("RGB"))
            assert np.array_equal(sample.images[row], expected)


def test_the_same_source_gives_the_same_content_hash(sample, tmp_path):
    with sample_archive() as path:
        zipfile.ZipFile(path).extractall(tmp_path / "tree")
        again = ingest(tmp_path / "tree", tmp_path / "out", partial(cifake, complete=False), "cifake")
    assert again.hash == sample.hash


def test_duplicates_across_splits_are_found(tree, tmp_path):
    data = open_folders(str(tree), str(tmp_path / "out"))
    table = data.table(["id", "duplicate_group", "cross_split_duplicate"]).to_pylist()
    duplicates = {line["id"] for line in table if line["duplicate_group"] is not None}
    assert duplicates == {"train/fake/00.jpg", "test/fake/00.jpg"}
    assert {line["id"] for line in table if line["cross_split_duplicate"]} == duplicates
    groups = data.groups(np.arange(len(data)))
    assert len(np.unique(groups)) == len(data) - 1
    assert "1 identical pairs" in data.describe()


def test_every_trouble_is_counted_and_named_and_nothing_else_is_lost(tree, tmp_path, rng):
    good = (tree / "train/real/00.jpg").read_bytes()
    (tree / "train/real/00.jpg").write_bytes(good[:200])
    (tree / "train/fake/01.jpg").write_bytes(b"")
    (tree / "train/fake/02.jpg").write_bytes(b"<html>")
    (tree / "notes.txt").write_text("hello")
    data = open_folders(tree, tmp_path / "out")
    assert data.info["problems"] == {"unreadable": 3, "missing": 0, "extra": 1, "unsafe": 0, "ignored": 0}
    named = (tmp_path / "out/problems.txt").read_text()
    assert "train/fake/01.jpg: empty file (0 bytes)" in named
    assert "train/fake/02.jpg: not an image" in named
    assert "train/real/00.jpg: cannot be decoded" in named
    assert "extra\tnotes.txt" in named
    assert len(data) == 40
    assert data.readable.sum() == 37
    used = np.concatenate([data.rows(split) for split in data.info["counts"]])
    assert len(used) == 37
    assert data.readable[used].all()


def test_images_of_several_sizes_are_kept_undecoded(tree, tmp_path, rng):
    (tree / "train/real/00.jpg").write_bytes(jpeg(rng, (40, 32)))
    data = open_folders(tree, tmp_path / "out")
    assert data.info["packed"] is None
    with pytest.raises(DataError, match="several sizes"):
        data.images.shape


def test_cut_after_some_chunks_it_goes_on_with_the_same_result(sample, tmp_path, monkeypatch):
    seen, original = [], Archives.read

    def failing(self, name):
        seen.append(name)
        if len(seen) == 2500:
            raise KeyboardInterrupt
        return original(self, name)

    monkeypatch.setattr(Archives, "read", failing)
    with pytest.raises(KeyboardInterrupt):
        open_sample(tmp_path / "out")
    with pytest.raises(DataError, match="an interrupted one"):
        DataFolder.open(tmp_path / "out")
    parts = (tmp_path / "out/.parts").glob("*.parquet")
    finished_before = {name for part in parts for name in pq.read_table(part)["id"].to_pylist()}
    seen.clear()
    monkeypatch.setattr(Archives, "read", lambda self, name: (seen.append(name), original(self, name))[1])
    again = open_sample(tmp_path / "out")
    assert 0 < len(finished_before) < len(again)
    assert len(seen) == len(again) - len(finished_before)
    assert not finished_before & set(seen)
    assert again.hash == sample.hash
    assert np.array_equal(again.images, sample.images)
    assert not (tmp_path / "out/.parts").exists()


def test_killed_ingest_goes_on(sample, tmp_path):
    code = "import sys; from pathlib import Path; from asli.sample import open_sample; open_sample(Path(sys.argv[1]))"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "out")])
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob(".parts/*.parquet")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert open_sample(tmp_path / "out").hash == sample.hash


@pytest.mark.parametrize("written", ["images.npy", "manifest.parquet", "problems.txt"])
def test_killed_after_reading_it_goes_on(sample, tmp_path, written):
    code = f"""
import contextlib, os, signal, sys
from pathlib import Path
from asli.datasets import build as ingest, chunks
from asli.sample import open_sample

def kill(folder):
    (folder / ".images.npy.x.part").touch()
    os.kill(os.getpid(), signal.SIGKILL)

@contextlib.contextmanager
def replaced(path):
    with replacing(path) as temporary:
        yield temporary
    if path.name == "{written}":
        kill(path.parent)

def write(path, value):
    if path.name == "data.json":  # problems.txt, of which the sample has none, comes just before
        kill(path.parent)
    write_json(path, value)

replacing, ingest.replacing, chunks.replacing = ingest.replacing, replaced, replaced
write_json, ingest.write_json = ingest.write_json, write
open_sample(Path(sys.argv[1]))
"""
    out = tmp_path / "out"
    assert subprocess.run([sys.executable, "-c", code, str(out)], check=False).returncode == -signal.SIGKILL
    assert (out / "images.npy").exists()
    again = open_sample(out)
    assert again.hash == sample.hash
    assert np.array_equal(again.images, sample.images)
    assert {item.name for item in out.iterdir()} == {".lock", "data.json", "images.npy", "manifest.parquet"}


def test_nothing_of_a_cut_call_gets_into_a_folder_of_other_images(tree, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(ingest_module, "sha256_of_file", lambda path: 1 / 0)  # of the manifest, last of all
    with pytest.raises(ZeroDivisionError):
        open_folders(tree, tmp_path / "out")
    monkeypatch.undo()
    (tree / "train/real/00.jpg").write_bytes(jpeg(rng, (40, 32)))  # no common size: not packed
    assert open_folders(tree, tmp_path / "out").info["packed"] is None
    assert not (tmp_path / "out/images.npy").exists()


def test_changed_files_are_not_taken_for_the_ones_that_were_read(tree, tmp_path, rng):
    data = open_folders(tree, tmp_path / "out")
    assert open_folders(tree, tmp_path / "out").hash == data.hash
    (tree / "train/real/00.jpg").write_bytes(jpeg(rng, (32, 32)))
    with pytest.raises(DataError, match="have changed since"):
        open_folders(tree, tmp_path / "out")


def test_images_that_were_moved_are_read_from_their_new_place(tree, tmp_path, rng):
    (tree / "train/real/00.jpg").write_bytes(jpeg(rng, (40, 32)))
    before = open_folders(tree, tmp_path / "out")
    first = before.pixels.image(0)
    tree.rename(tmp_path / "moved")
    again = open_folders(tmp_path / "moved", tmp_path / "out")
    assert again.hash == before.hash
    assert np.array_equal(DataFolder.open(tmp_path / "out").pixels.image(0), first)


def test_names_that_are_not_utf8_are_left_out_and_named(tree, tmp_path):
    name = os.fsencode(tree / "train/real") + b"/caf\xe9.jpg"
    try:
        Path(os.fsdecode(name)).write_bytes((tree / "train/real/00.jpg").read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    data = open_folders(tree, tmp_path / "out")
    assert data.info["problems"]["unsafe"] == 1
    assert r"unsafe	train/real/caf\xe9.jpg" in (tmp_path / "out/problems.txt").read_text()
    assert "caf" not in " ".join(data.table(["id"])["id"].to_pylist())


def test_a_finished_folder_is_kept_and_another_one_is_not_overwritten(sample, tree):
    assert open_sample(sample.path).hash == sample.hash
    with pytest.raises(DataError, match="something else"):
        open_folders(tree, sample.path)


def test_a_folder_with_other_things_is_not_written_into(tree, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    with pytest.raises(DataError, match="not empty"):
        open_folders(tree, tmp_path / "mine")


def test_damaged_data_folder_is_refused(tree, tmp_path):
    data = open_folders(tree, tmp_path / "out")
    manifest = tmp_path / "out/manifest.parquet"
    table = pq.read_table(manifest)
    pq.write_table(table.slice(1), manifest)
    with pytest.raises(DataError, match="not the one data.json describes"):
        DataFolder.open(tmp_path / "out")
    info = json.loads((tmp_path / "out/data.json").read_text())
    (tmp_path / "out/data.json").write_text(json.dumps({**info, "version": 99}))
    with pytest.raises(DataError, match="update asli"):
        DataFolder.open(tmp_path / "out")
    assert data.hash


def test_opening_test_is_recorded(tree, tmp_path):
    data = open_folders(tree, tmp_path / "out")
    assert data.ledger() == []
    data.record_opening(split="test", recipe_hash="r", detector_hash="d", images=10)
    (line,) = data.ledger()
    assert (line["split"], line["recipe_hash"], line["detector_hash"], line["images"]) == ("test", "r", "d", 10)


@pytest.mark.slow
@pytest.mark.shared
def test_the_whole_of_cifake(shared: Path, tmp_path):
    from asli.datasets.cifake import DATA_HASH

    data = open_cifake(shared / "data" / "cifake", tmp_path / "cifake")
    sizes = {split: sum(labels.values()) for split, labels in data.info["counts"].items()}
    assert sizes == {"train": 90_000, "validation": 5_000, "calibration": 5_000, "test": 20_000}
    assert data.info["problems"] == {"unreadable": 0, "missing": 0, "extra": 0, "unsafe": 0, "ignored": 0}
    _, sizes = np.unique(data.groups(np.arange(len(data))), return_counts=True)
    assert int((sizes * (sizes - 1) // 2).sum()) == 1336
    assert data.hash == DATA_HASH
