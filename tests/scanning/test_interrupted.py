"""Scans that are killed, stopped or begun twice: no row is lost or doubled."""

import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from asli.errors import Interrupted, RunError
from asli.sample import sample_archive
from asli.scanning import reading, score_table
from asli.scanning.part_files import Parts
from asli.scanning.scan import scan
from tests.compare import differences
from tests.conftest import run_asli
from tests.scanning.test_inputs import zipped


def start(paths, detector, out):
    """Begin the real command in a process of its own, with a part every tenth of a second."""
    code = "import asli.scanning.part_files as p, sys\np.SECONDS = 0.1\nfrom asli.cli import main\nmain(sys.argv[1:])"
    arguments = ["scan", *map(str, paths), "--detector", str(detector), "-o", str(out)]
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True)


def stop(process, parts, seconds, number):
    """Wait until the process has written a part of its own, then some seconds; send it a signal."""
    before, deadline = len(list(parts.glob("[0-9]*.parquet"))), time.monotonic() + 120
    while len(list(parts.glob("[0-9]*.parquet"))) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(number)
    _, words = process.communicate(timeout=60)
    return process.returncode, words


@pytest.mark.slow
def test_killed_three_times_and_interrupted_it_has_the_rows_of_an_undisturbed_one(tmp_path):
    chance = random.Random(7)
    with sample_archive() as archive:
        whole = run_asli("scan", archive, "--detector", "thumbnail", "-o", tmp_path / "whole.parquet")
        assert whole.returncode == 0, whole.stderr
        out, parts = tmp_path / "cut.parquet", tmp_path / "cut.parquet.parts"
        rows = [0]
        for _ in range(3):
            status, words = stop(start([archive], "thumbnail", out), parts, chance.random() / 6, signal.SIGKILL)
            assert status == -signal.SIGKILL, words
            assert not out.exists()
            rows.append(sum(pq.read_metadata(part).num_rows for part in parts.glob("[0-9]*.parquet")))
        assert rows == sorted(set(rows)), "each call goes on from the one before"
        status, words = stop(start([archive], "thumbnail", out), parts, 0, signal.SIGINT)
        assert status == 130
        assert "the same command goes on from there" in words
        assert "resuming: " in words
        assert run_asli("scan", archive, "--detector", "thumbnail", "-o", out).returncode == 0
    assert not parts.exists()
    tables = [pq.read_table(path) for path in (out, tmp_path / "whole.parquet")]
    assert tables[0].schema == tables[1].schema
    # Where it was cut decides which images share a batch.
    assert differences(*(table.drop(("logit_real", "logit_fake")).to_pylist() for table in tables)) == []
    assert differences(*(table.select(("logit_real", "logit_fake")).to_pylist() for table in tables), 1e-4) == []
    assert pq.read_metadata(out).num_rows == 3300


def test_slow_images_are_kept_as_they_come_and_hinder_no_stopping(finished, tmp_path, monkeypatch):
    """Two of a batch's eight shares are read, then a signal comes while the third takes its time."""
    monkeypatch.setattr(reading, "SLOW", 0)
    monkeypatch.setattr(reading, "POLL", 0.1)
    read, seen = reading.read_image, []

    def slowly(item, *others):
        seen.append(item)
        time.sleep(0 if len(seen) <= 64 else 0.3)
        if len(seen) == 66:
            os.kill(os.getpid(), signal.SIGINT)
        return read(item, *others)

    monkeypatch.setattr(reading, "read_image", slowly)
    out = tmp_path / "scores.parquet"
    with sample_archive() as archive, pytest.raises(Interrupted, match="stopped after 64 of 3,300"):
        scan([archive], out, finished.path, threads=1)
    assert len(seen) < 80
    (part,) = (tmp_path / "scores.parquet.parts").glob("[0-9]*.parquet")
    assert pq.read_metadata(part).num_rows == 64


def test_only_one_process_writes_a_table(finished, pictures, tmp_path):
    out = tmp_path / "scores.parquet"
    with Parts(out).locked(), pytest.raises(RunError, match="another process"):
        scan([pictures], out, finished.path)
    assert scan([pictures], out, finished.path).images == 12


@pytest.fixture
def interrupted(monkeypatch):
    """Makes a scan stop after two batches of four images, as Ctrl-C does."""

    def begin(*arguments, **options):
        with monkeypatch.context() as patched:
            original = score_table.score_batch
            calls = []

            def press(*a, **k):
                calls.append(None)
                if len(calls) == 2:
                    os.kill(os.getpid(), signal.SIGINT)
                return original(*a, **k)

            patched.setattr(score_table, "score_batch", press)
            with pytest.raises(Interrupted, match="stopped after 8 of 12 images"):
                scan(*arguments, batch_size=4, **options)

    return begin


def test_an_interrupted_scan_goes_on_with_the_images_of_its_beginning(
    finished, pictures, tmp_path, interrupted, caplog
):
    folder, out = tmp_path / "in", tmp_path / "scores.parquet"
    shutil.copytree(pictures, folder)
    names = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*.jpg"))]
    interrupted([folder], out, finished.path)
    with pytest.raises(RunError, match="interrupted scan with other force_domain"):
        scan([folder], out, finished.path, force_domain=True)
    shutil.copytree(pictures, tmp_path / "elsewhere")
    with pytest.raises(RunError, match="interrupted scan with other paths"):
        scan([tmp_path / "elsewhere"], out, finished.path)
    shutil.copy(folder / names[0], folder / "0-new.jpg")
    (folder / names[-1]).unlink()
    (folder / names[0]).unlink()  # scored before
    with caplog.at_level(logging.INFO, "asli"):
        result = scan([folder], out, finished.path)
    assert "resuming: 8 of 12" in caplog.text
    assert "the folders hold 11 images now, 12 when this scan began" in caplog.text
    rows = pq.read_table(out).to_pylist()
    assert [row["id"] for row in rows] == names
    assert [row["id"] for row in rows if row["error"]] == [names[-1]]
    assert result.done_before == 8


def test_an_interrupted_scan_of_an_archive_that_changed_is_refused(finished, pictures, tmp_path, interrupted):
    archive, out = zipped(pictures, tmp_path / "a.zip"), tmp_path / "scores.parquet"
    interrupted([archive], out, finished.path)
    os.utime(archive, (1, 1))
    with pytest.raises(RunError, match="other archives"):
        scan([archive], out, finished.path)
    next((tmp_path / "scores.parquet.parts").glob("[0-9]*.parquet")).rename(
        tmp_path / "scores.parquet.parts" / "000000000004-000000000008.parquet"
    )
    with pytest.raises(RunError, match="other archives"):
        scan([archive], out, finished.path)


def test_an_interrupted_scan_of_a_folder_whose_name_is_not_utf8_goes_on(finished, pictures, tmp_path, monkeypatch):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(pictures, folder)

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(score_table, "write", cut)
        with pytest.raises(KeyboardInterrupt):
            scan([folder], tmp_path / "scores.csv", finished.path)
    assert scan([folder], tmp_path / "scores.csv", finished.path).done_before == 12
