"""Independent processes, killed and run again; what a shard number may be; what merging refuses."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from asli.errors import DataError, RunError
from asli.scaling.input_sources import Sources, shard_of
from asli.scaling.merging import merge_parts
from asli.scaling.shard import Shard, find_shard
from asli.scaling.sharded import scan_parts
from tests.conftest import run_asli
from tests.scaling.conftest import DETECTOR, ENGINES, tarred
from tests.scaling.test_sharded import base, differing, rows_of


def start(paths, out, *options):
    command = [
        sys.executable,
        "-m",
        "asli",
        "scan",
        *map(str, paths),
        "-o",
        f"{out}/",
        "--detector",
        DETECTOR,
        *options,
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


@pytest.mark.slow
@pytest.mark.skipif(not ENGINES, reason="set ASLI_REQUIRE_ENGINES=1: it starts eleven processes")
def test_eight_processes_three_of_them_killed_and_run_again(shards, local_rows, tmp_path):
    """With the numbers of a Slurm array for seven of them and of a Kubernetes job for one."""
    paths, out = sorted(shards.iterdir()), tmp_path / "parts"

    def run(number):
        if number == 8:
            environment, options = {"JOB_COMPLETION_INDEX": "7"}, ["--shard", "/8"]
        else:
            environment, options = (
                {"SLURM_ARRAY_TASK_ID": str(number + 4), "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "8"},
                [],
            )
        os.environ.update(environment)
        try:
            return start(paths, out, "--part-rows", "50", "--threads", "1", *options)
        finally:
            for name in environment:
                del os.environ[name]

    def written(number):
        return len(list(out.glob(f"part-{number:05d}-of-*")))

    counts = {
        n: sum(shard_of(unit.name, 8) == n - 1 for unit in Sources([*map(str, paths)], shards=8).units())
        for n in range(1, 9)
    }
    victims = sorted(counts, key=lambda n: -counts[n])[:3]
    for number in victims:
        process = run(number)
        deadline = time.monotonic() + 120
        while not written(number) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    others = [run(number) for number in range(1, 9) if number not in victims]
    for process in others:
        _, words = process.communicate(timeout=300)
        assert process.returncode == 0, words
    with pytest.raises(RunError, match="is not finished|lacks"):
        merge_parts(out)
    again = [run(number) for number in victims]
    said = [process.communicate(timeout=300)[1] for process in again]
    assert [process.returncode for process in again] == [0, 0, 0], said
    assert sum("resuming behind" in words for words in said) == 3
    done = run_asli("scan", "merge", out, "-o", tmp_path / "all.parquet")
    assert done.returncode == 0, done.stderr
    assert differing(rows_of(tmp_path / "all.parquet", base), local_rows) == []


def test_workers_take_every_unit_once_and_once_scores_duplicates_once(shards, local_rows, tmp_path):
    for file in sorted(shards.iterdir())[:3]:
        shutil.copy(file, tmp_path / file.name)
        shutil.copy(file, tmp_path / f"copy-{file.name}")
    done = run_asli(
        "scan",
        *sorted(tmp_path.iterdir()),
        "-o",
        f"{tmp_path}/parts/",
        "--detector",
        DETECTOR,
        "--workers",
        "2",
        "--once",
    )
    assert done.returncode == 0, done.stderr
    merged = merge_parts(tmp_path / "parts", tmp_path / "all.parquet")
    assert merged.shards == 2
    rows = pq.read_table(tmp_path / "all.parquet").to_pylist()
    for copies in (False, True):
        found = {base(row["id"]): row for row in rows if ("copy-" in row["id"]) == copies}
        assert differing(found, {name: local_rows[name] for name in found}) == []
        assert len(found) == merged.images // 2


def test_merging_refuses_what_is_not_whole(thumbnails, tmp_path):
    names, out = list(thumbnails), tmp_path / "parts"
    paths = [tmp_path / "a.tar", tmp_path / "b.tar"]
    for path, some in zip(paths, (names[:12], names[12:24]), strict=True):
        path.write_bytes(tarred({name: thumbnails[name] for name in some}))
    for shard in ("1/2", "2/2"):
        scan_parts(paths, out, DETECTOR, shard=shard, part_rows=4, batch_size=4)
    parts = sorted(out.glob("*.parquet"))
    good = {part: part.read_bytes() for part in parts}
    assert merge_parts(out).parts == len(parts)

    def refused(words):
        with pytest.raises(RunError, match=words):
            merge_parts(out)
        for part, data in good.items():
            part.write_bytes(data)

    longest = max(("part-00001-of", "part-00002-of"), key=lambda name: sum(name in part.name for part in parts))
    chain = [part for part in parts if longest in part.name]
    chain[1].unlink()
    refused("lacks a part")
    chain[-1].unlink()
    refused("is not finished")
    chain[1].write_bytes(chain[0].read_bytes())
    refused("was renamed")
    next(part for part in parts if longest not in part.name).unlink()
    refused("lacks|not finished")
    ids = [id for part in parts for id in pq.read_table(part)["id"].to_pylist()]
    (tmp_path / "same.txt").write_text("\n".join(reversed(ids)))
    assert merge_parts(out, ids=tmp_path / "same.txt").compared == 24
    (tmp_path / "ids.txt").write_text("\n".join([*ids[1:], "gone.jpg"]))
    with pytest.raises(RunError, match="has an id that is not in"):
        merge_parts(out, ids=tmp_path / "ids.txt")
    (tmp_path / "twice.txt").write_text("a.jpg\na.jpg\n")
    scan_parts(tmp_path / "twice.txt", tmp_path / "twice", DETECTOR)
    with pytest.raises(RunError, match="1 doubled ids, such as a.jpg"):
        merge_parts(tmp_path / "twice")
    with pytest.raises(RunError, match="other detector"):
        scan_parts(paths, out, "photo", shard="1/2")


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        (None, {}, Shard(1, 1)),
        ("3/8", {"SLURM_ARRAY_TASK_ID": "0"}, Shard(3, 8)),
        (None, {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "8"}, Shard(1, 8)),
        (None, {"SLURM_ARRAY_TASK_ID": "8", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "8"}, Shard(8, 8)),
        (
            None,
            {
                "SLURM_ARRAY_TASK_ID": "14",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "2",
                "SLURM_ARRAY_TASK_COUNT": "3",
            },
            Shard(3, 3),
        ),
        ("/8", {"JOB_COMPLETION_INDEX": "7"}, Shard(8, 8)),
    ],
)
def test_shards_count_from_one_wherever_the_environment_begins(given, environment, expected):
    assert find_shard(given, environment) == expected


@pytest.mark.parametrize(
    ("given", "environment", "words"),
    [
        (None, {"JOB_COMPLETION_INDEX": "7"}, "states no number"),
        ("0/8", {}, "count from 1"),
        ("9/8", {}, "count from 1"),
        ("/8", {}, "no array job"),
        ("three", {}, "write it as 3/8"),
        ("/8", {"JOB_COMPLETION_INDEX": "8"}, "does not exist"),
    ],
)
def test_wrong_shards_are_refused(given, environment, words):
    with pytest.raises(DataError, match=words):
        find_shard(given, environment)
