"""CIFAKE from Kaggle and from the Hugging Face hub: the real clients, real servers on localhost, the real command."""

import base64
import hashlib
import io
import json
import zipfile
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from asli.datasets.cifake import CATEGORIES
from asli.datasets.fetch import KAGGLE_HANDLE
from asli.datasets.folder import DataFolder
from asli.sample import sample_archive
from tests.conftest import run_asli
from tests.datasets.servers import Hub, Kaggle, Shop, serving

TRAIN, TEST = "train-00000-of-00001.parquet", "test-00000-of-00001.parquet"
COMMITS = {"main": "a" * 40, "a" * 40: "a" * 40, "v1": "b" * 40, "b" * 40: "b" * 40}


@pytest.fixture(scope="module")
def tree():
    """A small CIFAKE: bytes by name, 2,900 real images under train and 400 under the first names of test."""
    files, numbers = {}, Counter()
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            split, folder, base = name.split("/")
            if split == "test":
                suffix = base[base.index(" ") :] if " " in base else ".jpg"
                number = numbers[folder, suffix]
                numbers[folder, suffix] += 1
                base = f"{number:04d}{suffix}" if folder == "REAL" else f"{number}{suffix}"
            files[f"{'test' if split == 'test' else 'train'}/{folder}/{base}"] = archive.read(name)
    assert len(files) == 3300
    return files


@pytest.fixture(scope="module")
def archive(tree):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as out:
        for name, data in tree.items():
            out.writestr(name, data)
    return stream.getvalue()


def category_of(base):
    return CATEGORIES[int(base.split("(")[1].split(")")[0]) - 1 if "(" in base else 0]


def check_against(folder, tree, original):
    """Compare a data folder with the files it was made of, decoded here; `original` gives a row's file name."""
    table = folder.table(["id", "label", "split", "category", "generator", "sha256"])
    seen = set()
    for row, line in enumerate(table.to_pylist()):
        name = original(line["id"])
        split, label, base = name.split("/")
        data = tree[name]
        assert line["label"] == label.lower()
        assert folder.labels[row] == (label == "FAKE")
        assert (line["split"] == "test") == (split == "test")
        assert line["category"] == category_of(base)
        assert line["generator"] == ("stable-diffusion-1.4" if label == "FAKE" else None)
        assert line["sha256"] == hashlib.sha256(data).hexdigest()
        assert np.array_equal(folder.images[row], np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        seen.add(name)
    assert seen == set(tree)
    # of so few images, more than 5% go to validation and calibration: 100 of each label
    sums = {split: sum(by_label.values()) for split, by_label in folder.info["counts"].items()}
    assert sums == {"train": 2500, "validation": 200, "calibration": 200, "test": 400}
    assert folder.readable.all()


def kaggle(address, tmp_path, out):
    """Run the command with Kaggle's client in its local mode, http://localhost, which a proxy brings to our port."""
    return run_asli(
        *("data", "cifake", out),
        cwd=tmp_path,
        KAGGLE_API_ENVIRONMENT="LOCALHOST",
        http_proxy=address,
        no_proxy="",
        KAGGLEHUB_CACHE=str(tmp_path / "cache"),
        HOME=str(tmp_path),
    )


def one_line(done, *words):
    """Hold that a command failed with one line that says this."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("asli: ")
    for word in words:
        assert word in line
    assert done.stdout == ""


@pytest.mark.slow
def test_kaggle_broken_download_goes_on_and_makes_the_right_data_folder(tree, archive, tmp_path):
    shop = Shop({"archive.zip": archive})
    shop.breaks = [("archive.zip", 2_500_000)]
    with serving(Kaggle, shop) as address:
        one_line(kaggle(address, tmp_path, "out"), "connection broke", "run the same command again", "--from PATH")
        assert not (tmp_path / "out").exists()
        (partial,) = (tmp_path / "cache").rglob("*.archive")
        kept = partial.stat().st_size
        assert kept >= 1 << 20
        done = kaggle(address, tmp_path, "out")
        assert done.returncode == 0, done.stderr
        assert shop.asked("GET", "archive.zip") == [0, 0, kept]  # the second is only asked for its headers
        folder = DataFolder.open(tmp_path / "out")
        assert done.stdout.startswith("3,300 images: 1,650 real (0), 1,650 fake (1, positive)")
        assert "116,700 missing" in done.stdout  # of CIFAKE's 120,000 names
        assert "this is NOT the complete, unaltered CIFAKE (train 2,900, test 400 images)" in done.stdout
        assert folder.info["source"].endswith(f"{KAGGLE_HANDLE}/versions/3")
        assert folder.info["problems"] == {"unreadable": 0, "missing": 116_700, "extra": 0, "unsafe": 0, "ignored": 0}
        check_against(folder, tree, lambda name: name)
        # What was fetched is not fetched again.
        again = kaggle(address, tmp_path, "other")
        assert again.returncode == 0
        assert len(shop.asked("GET", "archive.zip")) == 3
    assert DataFolder.open(tmp_path / "other").hash == folder.hash


@pytest.mark.slow
def test_kaggle_altered_content_is_refused(archive, tmp_path):
    at = len(archive) // 2
    shop = Shop({"archive.zip": archive[:at] + bytes([archive[at] ^ 1]) + archive[at + 1 :]})
    true = hashlib.md5(archive).digest()
    with serving(Kaggle, shop, sent_md5=base64.b64encode(true).decode()) as address:
        one_line(kaggle(address, tmp_path, "out"), "did not give", "MD5 checksum", "try again")
        assert not (tmp_path / "out").exists()
        assert not list((tmp_path / "cache").rglob("*.archive"))  # what is damaged is not gone on with


@pytest.fixture(scope="module")
def mirror(tree):
    """The same images as two Parquet files of a hub data set, as Hugging Face's `datasets` writes them.

    A column that is not ours makes the first larger than the 10 MiB that the hub's client reads at a time.
    """
    rng, files = np.random.default_rng(1), {"README.md": b"# mirror\n"}
    features = {"image": {"_type": "Image"}, "label": {"names": ["FAKE", "REAL"], "_type": "ClassLabel"}}
    for split in ("train", "test"):
        names = [name for name in tree if name.startswith(split)]
        rng.shuffle(names)
        table = pa.table(
            {
                "image": [{"bytes": tree[name], "path": name.rpartition("/")[2]} for name in names],
                "label": pa.array([["FAKE", "REAL"].index(name.split("/")[1]) for name in names], pa.int64()),
                "embedding": [rng.bytes(4096) for _ in names],
            }
        ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        stream = io.BytesIO()
        pq.write_table(table, stream, row_group_size=100)
        files[f"data/{split}-00000-of-00001.parquet"] = stream.getvalue()
        files[f"names-{split}"] = "\n".join(names).encode()
    return files


def hub(address, tmp_path, out, revision=""):
    return run_asli(
        *("data", "cifake", out, "--hub", f"owner/mirror{revision}"),
        cwd=tmp_path,
        HF_ENDPOINT=address,
        HF_HUB_OFFLINE="0",
        HF_HOME=str(tmp_path / "cache"),
        HF_HUB_DISABLE_PROGRESS_BARS="1",
    )


@pytest.mark.slow
def test_hub_broken_download_goes_on_and_makes_the_right_data_folder(tree, mirror, tmp_path):
    names = {split: mirror[f"names-{split}"].decode().split("\n") for split in ("train", "test")}
    shop = Shop({name: data for name, data in mirror.items() if not name.startswith("names")})
    shop.breaks = [(TRAIN, 11_000_000)]
    with serving(Hub, shop, revisions=COMMITS) as address:
        done = hub(address, tmp_path, "out")
        assert done.returncode == 0, done.stderr
        asked = shop.asked("GET", TRAIN)
        assert asked == [0, 10 << 20]  # the client goes on by itself
        assert f"revision {'a' * 40}; 2 of 2 files have the SHA-256 the hub records" in done.stderr
        assert "\n  real (0) <- 'REAL' (1,650)\n" in done.stderr
        assert done.stdout.startswith("3,300 images: 1,650 real (0), 1,650 fake (1, positive)")
        folder = DataFolder.open(tmp_path / "out")
        assert folder.info["source"] == f"owner/mirror@{'a' * 40}"

        def original(name):
            file, _, row = name.rpartition("/")
            return names["train" if "train" in file else "test"][int(row)]

        check_against(folder, tree, original)

        pinned = hub(address, tmp_path, "pinned", "@v1")
        assert pinned.returncode == 0
        assert DataFolder.open(tmp_path / "pinned").info["source"] == f"owner/mirror@{'b' * 40}"
        assert len(shop.asked("GET", TRAIN)) == 2  # the cache knows content, not commits

        (blob,) = {p.resolve() for p in (tmp_path / "cache").rglob("train-*.parquet")}
        data = blob.read_bytes()
        blob.write_bytes(data[:1000] + bytes([data[1000] ^ 1]) + data[1001:])
        one_line(hub(address, tmp_path, "third"), "does not have the checksum the hub records", f"delete {blob}")
        blob.write_bytes(data[:-1])
        one_line(hub(address, tmp_path, "third"), f"{len(data) - 1:,} bytes, the hub says {len(data):,}")
        assert not (tmp_path / "third").exists()


@pytest.mark.slow
def test_hub_that_fails_for_good_keeps_whole_files(mirror, tmp_path):
    shop = Shop({name: data for name, data in mirror.items() if not name.startswith("names")})
    shop.breaks = [(TRAIN, 0)] * 8  # the client gives up after five tries without a byte
    with serving(Hub, shop, revisions=COMMITS) as address:
        one_line(hub(address, tmp_path, "out"), "cannot be fetched", "whole files that arrived are kept")
        assert shop.asked("GET", TEST) == [0]
        assert len(shop.asked("GET", TRAIN)) == 6
        shop.breaks = []
        done = hub(address, tmp_path, "out")
        assert done.returncode == 0, done.stderr
        assert shop.asked("GET", TEST) == [0]
        assert len(DataFolder.open(tmp_path / "out")) == 3300
