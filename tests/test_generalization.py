"""Leaving whole groups out: no picture of a left-out group trains, and an interrupted call resumes."""

import json
import shutil

import numpy as np
import pytest

from asli.datasets.build import open_folders
from asli.errors import RecipeError
from asli.evaluation.left_out import figures_of_group, over_groups
from asli.generalization import dealt, generalize
from tests.photographs import shared_folder, write_pack
from tests.schemas import require_schema


def test_groups_are_dealt_whole_to_folds_of_similar_size():
    groups = np.array(["a"] * 9 + ["b"] * 5 + ["c"] * 4 + ["d"] * 1 + [""] * 7)
    assert dealt(groups, 2) == [{"a", "d"}, {"b", "c"}] or dealt(groups, 2) == [{"a"}, {"b", "c", "d"}]


def test_figures_are_means_over_folds_and_the_worst_is_named():
    real, fake = np.linspace(0, 0.5, 100), np.linspace(0.4, 1, 100)
    good = figures_of_group("good", 100, [(real, fake), (real, fake + 1)], [0.45, None])
    assert good.auroc == pytest.approx((1 - np.mean(real[:, None] > fake) + 1) / 2, abs=1e-3)
    assert good.false_alarms == pytest.approx((real >= 0.45).mean())
    bad = figures_of_group("bad", 100, [(fake, real)], [None])
    found = over_groups([good, bad])
    assert found["auroc"].worst_group == "bad"
    assert found["auroc"].low <= found["auroc"].mean <= found["auroc"].high
    assert found["false_alarms"].groups == 1


def test_other_recipes_are_refused(sample, tmp_path):
    with pytest.raises(RecipeError, match="photos"):
        generalize("smoke", sample, tmp_path)


@pytest.mark.slow
def test_generators_are_left_out_with_sources_and_folds_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ASLI_TRUNKS", str(tmp_path / "trunks"))
    monkeypatch.setenv("ASLI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "trunks").mkdir()
    shutil.copyfile(
        shared_folder("weights", "tf_efficientnet_lite0.safetensors"), tmp_path / "trunks/lite0.safetensors"
    )
    data = open_folders(write_pack(tmp_path / "mine", 24), tmp_path / "data")
    lines = ["id,group"]
    for number, (name, label) in enumerate(zip(data.table(["id"])["id"].to_pylist(), data.labels, strict=True)):
        lines.append(f"{name},{('camera', 'family')[label]} {number % 3}")
    (tmp_path / "groups.csv").write_text("\n".join(lines))
    how = {"least": 3, "settings": ["data.crops=1", "augment.views=0"], "group_file": tmp_path / "groups.csv"}
    result = generalize("photos", data, tmp_path / "out", **how)
    written = json.loads((tmp_path / "out/generalize.json").read_text())
    assert written == result.to_dict()
    require_schema("generalize", written)
    assert {group.group for group in result.groups} == {"family 0", "family 1", "family 2"}
    closed = data.labels[data.rows("test")] == 1  # the test part is not used
    assert closed.any()
    assert [sum(group.n for group in found) for found in (result.groups, result.floors.metadata.groups)] == [
        24 - closed.sum()
    ] * 2
    assert all(0 <= group.auroc <= 1 for group in result.groups)
    folds = sorted((tmp_path / "out").glob("folds-*/*.json"))
    folds[0].unlink()
    before = folds[1].stat().st_mtime_ns
    assert generalize("photos", data, tmp_path / "out", **how).to_dict() == written
    assert folds[1].stat().st_mtime_ns == before
