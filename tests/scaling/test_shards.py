"""Independent processes, killed and run again; what a shard number may be; what merging refuses."""

import multiprocessing
import os
import shutil
import signal
import threading
import time

import pyarrow.parquet as pq
import pytest

from asli.errors import DataError, RunError
from asli.scaling.input_sources import Sources, shard_of
from asli.scaling.merging import merge_parts
from asli.scaling.shard import Shard, find_shard
from asli.scaling.sharded import scan_parts
from tests.conftest import run_asli
from tests.scaling.conftest import DETECTOR, tarred
from tests.scaling.test_sharded import base, differing, rows_of


def be_asli(arguments, environment, words, first=None):
    """Do in this process what `asli` does with these arguments; write its messages to a file.

    `first`, a folder and a pattern: a thread kills this process as soon as such a file is there.
    """
    if first is not None:
        threading.Thread(target=die_behind, args=first, daemon=True).start()
    os.dup2(os.open(words, os.O_WRONLY | os.O_CREAT), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ.update(environment)
    from asli.cli import main

    main(arguments)


def die_behind(folder, pattern):
    """Kill this process once a file is there: another process may not run in time on busy CPUs."""
    while not any(folder.glob(pattern)):
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def processes():
    """Processes forked from one that has imported what they need: eleven new interpreters would take a minute."""
    context = multiprocessing.get_context("forkserver")
    libraries = ["onnxruntime", "pandas", "fsspec.core"]
    context.set_forkserver_preload(["asli.cli.scanning", "asli.scaling.sharded", *libraries, __name__])
    return context


@pytest.mark.slow
def test_eight_processes_three_of_them_killed_and_run_again(processes, many_shards, many_rows, tmp_path):
    """With the numbers of a Slurm array for seven of them and of a Kubernetes job for one."""
    paths, out = [*map(str, sorted(many_shards.iterdir()))], tmp_path / "parts"

    def start(number, first=None):
        if number == 8:
            environment, options = {"JOB_COMPLETION_INDEX": "7"}, ["--shard", "/8"]
        else:
            environment, options = (
                {"SLURM_ARRAY_TASK_ID": str(number + 4), "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "8"},
                [],
            )
        command = ["scan", *paths, "-o", f"{out}/", "--detector", DETECTOR, "--part-rows", "50", "--threads", "1"]
        words = tmp_path / f"{number}.txt"
        process = processes.Process(target=be_asli, args=(command + options, environment, words, first))
        process.start()
        return process

    def end(process, number):
        process.join(timeout=300)
        assert process.exitcode == 0, (tmp_path / f"{number}.txt").read_text()

    counts = {n: sum(shard_of(unit.name, 8) == n - 1 for unit in Sources(paths, shards=8).units()) for n in range(1, 9)}
    victims = sorted(counts, key=lambda n: -counts[n])[:3]
    for number in victims:
        process = start(number, (out, f"part-{number:05d}-of-*"))
        process.join(timeout=120)
        assert process.exitcode == -signal.SIGKILL
    others = {number: start(number) for number in range(1, 9) if number not in victims}
    for number, process in others.items():
        end(process, number)
    with pytest.raises(RunError, match="is not finished|lacks"):
        merge_parts(out)
    for number, process in {number: start(number) for number in victims}.items():
        end(process, number)
        assert "resuming behind" in (tmp_path / f"{number}.txt").read_text()
    done = run_asli("scan", "merge", out, "-o", tmp_path / "all.parquet")
    assert done.returncode == 0, done.stderr
    assert differing(rows_of(tmp_path / "all.parquet", base), many_rows) == []


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
