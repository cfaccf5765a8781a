"""What asli 0.1.0 wrote still opens: data folders, checkpoints, detectors."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from asli.datasets.folder import DataFolder
from asli.datasets.manifest import FORMER_NAMES
from asli.detector.base import Detector
from asli.errors import Interrupted
from asli.files import sha256_of_file
from asli.pipeline import train
from asli.sample import open_sample
from asli.training.callbacks import ProgressBar
from asli.training.checkpoint import FORMER_NAMES as FORMER_FILES

NEW = ("source", "prompt", "date")
SETTINGS = ["loop.epochs=1", "loop.max_updates=6", "loop.ema=0.9", "loop.evaluate_every=3", "loop.checkpoint_every=3"]


def as_version_1(folder):
    """Turn a data folder into one that version 0.1.0 would have written."""
    table = pq.read_table(folder / "manifest.parquet").drop_columns(list(NEW))
    table = table.rename_columns([FORMER_NAMES.get(name, name) for name in table.column_names])
    pq.write_table(table, folder / "manifest.parquet")
    info = json.loads((folder / "data.json").read_text())
    info |= {"version": 1, "manifest_sha256": sha256_of_file(folder / "manifest.parquet")}
    (folder / "data.json").write_text(json.dumps(info))


def test_a_data_folder_of_version_1_opens_and_is_the_same(sample, tmp_path):
    data = open_sample(tmp_path / "data")
    as_version_1(data.path)
    old = DataFolder.open(data.path)
    rows = np.arange(len(sample))
    assert old.hash == sample.hash
    assert np.array_equal(old.groups(rows), sample.groups(rows))
    assert np.array_equal(old.cross_split_duplicate, sample.cross_split_duplicate)
    assert old.table(["quantization"]).equals(sample.table(["quantization"]))
    assert old.table(["source"])["source"].null_count == len(sample)


def test_a_folder_of_one_newer_than_asli_is_refused(sample, tmp_path):
    from asli.errors import DataError

    data = open_sample(tmp_path / "data")
    info = json.loads((data.path / "data.json").read_text())
    (data.path / "data.json").write_text(json.dumps({**info, "version": 99}))
    with pytest.raises(DataError, match="has version 99, this asli reads 1 and 2; update asli"):
        DataFolder.open(data.path)


@pytest.mark.slow
def test_a_run_that_0_1_0_left_goes_on_with_the_same_bits(sample, tmp_path, monkeypatch):
    whole = train("smoke", sample, tmp_path / "whole", settings=SETTINGS)
    original = ProgressBar.on_update

    def stopping(self, *, update, **measured):
        original(self, update=update, **measured)
        if update == 5:
            raise Interrupted("now")

    monkeypatch.setattr(ProgressBar, "on_update", stopping)
    with pytest.raises(Interrupted):
        train("smoke", sample, tmp_path / "cut", settings=SETTINGS)
    monkeypatch.setattr(ProgressBar, "on_update", original)
    renamed = 0
    for present, former in FORMER_FILES.items():
        for file in (tmp_path / "cut/checkpoints").rglob(f"{present}.safetensors"):
            file.rename(file.with_name(f"{former}.safetensors"))
            renamed += 1
    assert renamed >= 2
    recipe = tmp_path / "cut/recipe.toml"
    text = recipe.read_text()
    for present, former in {"ema": "average", "crop_mode": "window", "color": "colour"}.items():
        text = text.replace(f"\n{present} = ", f"\n{former} = ")
    recipe.write_text(text)
    resumed = train("smoke", sample, tmp_path / "cut", settings=SETTINGS, resume=True)
    for name in ("detector/model.safetensors", "metrics.jsonl"):
        assert sha256_of_file(whole.path / name) == sha256_of_file(resumed.path / name)


def test_a_detector_of_version_1_has_its_hash_and_score(finished, sample, tmp_path):
    from asli.detector.store import identity

    shutil.copytree(finished.detector, tmp_path / "old")
    info = json.loads((tmp_path / "old/detector.json").read_text())
    del info["kind"]
    info["version"] = 1
    info["preprocessing"]["window"] = info["preprocessing"].pop("crop_mode")
    info["card"]["licence"] = info["card"].pop("license")
    (tmp_path / "old/detector.json").write_text(json.dumps(info))
    old, new = Detector.load(tmp_path / "old"), Detector.load(finished.detector)
    assert old.hash == identity(info)
    assert (old.card, old.preparation, old.kind) == (new.card, new.preparation, "classifier")
    images = sample.images[:5]
    assert old.logits(images) == pytest.approx(new.logits(images))
