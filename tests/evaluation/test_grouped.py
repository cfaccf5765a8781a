"""Intervals of an evaluation resample groups where images of a group belong together."""

import pytest

from asli.datasets.build import open_folders
from asli.evaluation.evaluate import evaluate
from tests.datasets.pictures import picture, put


@pytest.fixture
def cameras(tmp_path):
    """Eight cameras of ten photographs, each camera with one score, and eighty fakes; all of them test."""
    lines, scores = ["path,label,split,source"], ["filename,score"]
    for n in range(160):
        put(tmp_path / f"set/{n:03}.png", picture(n, "PNG"))
        lines.append(f"{n:03}.png,{'fake' if n >= 80 else 'real'},test,{f'camera-{n // 10}' if n < 80 else ''}")
        scores.append(f"{n:03}.png,{0.9 if n >= 80 or n // 10 < 2 else 0.1}")
    put(tmp_path / "set/table.csv", "\n".join(lines) + "\n")
    put(tmp_path / "groups.csv", "id,group\n" + "".join(f"{n:03}.png,{n // 10}\n" for n in range(80)))
    return open_folders(tmp_path / "set", tmp_path / "data"), put(tmp_path / "scores.csv", "\n".join(scores) + "\n")


@pytest.mark.slow
def test_intervals_are_wider_where_groups_are_resampled(cameras, tmp_path):
    data, scores = cameras

    def measure(name, **how):
        result = evaluate(scores, data, out=tmp_path / name, **how)
        return result, result.to_dict()["figures"]["threshold"]["false_positive_rate"]

    plain, alone = measure("plain")
    by_source, grouped = measure("source", group_by="source")
    by_file, listed = measure("file", group_file=tmp_path / "groups.csv")
    assert alone["value"] == grouped["value"] == listed["value"] == pytest.approx(0.25)
    assert grouped["high"] - grouped["low"] > 1.5 * (alone["high"] - alone["low"])
    assert (listed["low"], listed["high"]) == (grouped["low"], grouped["high"])
    assert plain.to_dict()["data"]["grouped_by"] is None
    assert by_source.to_dict()["data"]["grouped_by"] == "source, 8 groups"
    assert by_file.to_dict()["data"]["grouped_by"] == "groups.csv, 8 groups"
    assert plain.to_dict()["data"]["duplicates"] == by_source.to_dict()["data"]["duplicates"] == 0
    assert [line["name"] for line in plain.to_dict()["by_group"]["source"]] == [f"camera-{n}" for n in range(8)]
