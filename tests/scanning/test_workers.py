"""Scans by several processes: the rows of one process, whatever happens to the others."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pyarrow.parquet as pq
import pytest
import torch

from asli.detector.base import Detector
from asli.errors import DetectorError, RunError
from asli.sample import sample_archive
from asli.scanning import scan as scanning
from asli.scanning.inputs import Item, Place
from asli.scanning.scan import scan
from asli.scanning.workers import Worker, WorkerJob, suits
from tests.compare import differences
from tests.conftest import run_asli
from tests.scanning.test_inputs import zipped

COLUMNS = ("logit_real", "logit_fake")
FEW = [sys.executable, "-c", "import asli.scanning.part_files as p\np.SECONDS = 0.1\nfrom asli.cli import main\nmain()"]


def command(archive, out, *more):
    arguments = ["scan", str(archive), "--detector", "thumbnail", "--workers", "2", "-o", str(out), *more]
    return subprocess.Popen([*FEW, *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True)


def others(process) -> list[psutil.Process]:
    """Wait for the processes that another one starts."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := psutil.Process(process.pid).children():
            return found
        time.sleep(0.01)
    raise AssertionError("it started none")


def require_same_rows(found, expected) -> None:
    tables = [pq.read_table(path) for path in (found, expected)]
    assert tables[0].schema == tables[1].schema
    assert differences(*(table.drop(COLUMNS).to_pylist() for table in tables)) == []
    assert differences(*(table.select(COLUMNS).to_pylist() for table in tables), 1e-4) == []


@pytest.fixture(scope="module")
def archive():
    with sample_archive() as path:
        yield path


@pytest.fixture(scope="module")
def whole(archive, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "scores.parquet"
    assert scan(archive, out, "thumbnail", workers=1).images == 3300
    return out


@pytest.fixture
def own_threads():
    """Give torch back the threads of this process: its bits depend on them."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_rows_are_those_of_one_process(archive, whole, tmp_path):
    result = scan(archive, tmp_path / "scores.parquet", "thumbnail", workers=2)
    assert result.images == 3300
    require_same_rows(tmp_path / "scores.parquet", whole)


def test_every_kind_of_input_and_unreadable_files_too(pictures, tmp_path):
    (tmp_path / "in").mkdir()
    zipped(pictures, tmp_path / "in" / "a.zip")
    for number, file in enumerate(sorted(pictures.rglob("*.jpg"))):
        (tmp_path / "in" / f"{number:02d}.jpg").write_bytes(file.read_bytes()[: None if number % 3 else 400])
    (tmp_path / "in" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "list.txt").write_text("in/01.jpg\nmissing.jpg\n")
    given = [tmp_path / "in", tmp_path / "list.txt"]
    made = [tmp_path / f"{count}.parquet" for count in (1, 2, 3)]
    results = [scan(given, out, batch_size=4, workers=count) for count, out in enumerate(made, 1)]
    assert results[0].unreadable.count >= 5
    for result, out in zip(results[1:], made[1:], strict=True):
        assert result.unreadable == results[0].unreadable
        require_same_rows(out, made[0])


def test_many_small_files_are_scored_by_as_many_processes_as_threads(pictures, tmp_path, monkeypatch, own_threads):
    asked, original = [], scanning.side_by_side
    monkeypatch.setattr(scanning, "side_by_side", lambda job, count: asked.append((count, job)) or original(job, count))
    scan(pictures, tmp_path / "few.parquet", "thumbnail", threads=2)
    monkeypatch.setattr(scanning, "MANY", 12)
    scan(pictures, tmp_path / "one.parquet", "thumbnail", threads=1)
    scan(pictures, tmp_path / "torch.parquet", "thumbnail", threads=2, runtime="torch")
    assert asked == []
    scan(pictures, tmp_path / "many.parquet", "thumbnail", threads=2)
    ((count, job),) = asked
    assert (count, job.threads) == (2, 1)
    require_same_rows(tmp_path / "many.parquet", tmp_path / "one.parquet")


def test_what_was_asked_of_the_detector_holds_in_every_process(pictures, finished, tmp_path, own_threads):
    assert suits(Detector.load("thumbnail"))
    assert suits(Detector.load("default"))
    assert not suits(Detector.load("thumbnail", runtime="torch"))
    assert not suits(Detector.load(finished.path)), "it was never exported"
    scan(pictures, tmp_path / "scores.parquet", Detector.load("thumbnail", runtime="torch"), workers=2)
    header = pq.read_schema(tmp_path / "scores.parquet").metadata[b"asli.scan"]
    assert b'"TorchRuntime"' in header
    saved = Detector.load(finished.path)
    with pytest.raises(DetectorError, match="was not saved"):
        scan(pictures, tmp_path / "other.parquet", saved.recalibrated(2.0, saved.card), workers=2)


def test_another_detector_in_its_place_is_refused(pictures):
    detector = Detector.load("thumbnail")
    job = WorkerJob.of(detector, [Place("files", str(pictures), "", "")], threads=1, force_domain=False)
    worker = Worker(replace(job, hash="that of another"))
    with pytest.raises(DetectorError, match="was changed while it was in use"):
        worker.score([Item(0, "one/any.jpg")])
    worker.close()
    with pytest.raises(RunError, match="ended with status 0"):
        worker.score([Item(0, "one/any.jpg")])


def test_a_process_that_is_killed_ends_the_scan_and_the_same_command_goes_on(archive, whole, tmp_path):
    out = tmp_path / "scores.parquet"
    process = command(archive, out)
    others(process)[0].kill()
    _, words = process.communicate(timeout=60)
    assert process.returncode == 1, words
    assert "a process of this scan ended with status -9" in words
    assert "Traceback" not in words
    again = command(archive, out)
    _, words = again.communicate(timeout=120)
    assert again.returncode == 0, words
    require_same_rows(out, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_keeps_what_was_scored(number, archive, whole, tmp_path):
    out, parts = tmp_path / "scores.parquet", tmp_path / "scores.parquet.parts"
    process = command(archive, out)
    found = others(process)
    while not list(parts.glob("[0-9]*.parquet")):
        time.sleep(0.01)
        assert process.poll() is None
    for one in (*found, process):  # as a terminal and a service manager do
        one.send_signal(number)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130, words
    assert "the same command goes on from there" in words
    assert "Traceback" not in words
    assert run_asli("scan", archive, "--detector", "thumbnail", "-o", out).returncode == 0  # in one process
    require_same_rows(out, whole)


def test_no_process_outlives_a_killed_scan(archive, tmp_path):
    process = command(archive, tmp_path / "scores.parquet")
    found = others(process)
    process.kill()
    process.communicate(timeout=60)
    gone, alive = psutil.wait_procs(found, timeout=30)
    assert gone
    assert not alive


def test_a_script_needs_no_main_guard_and_modules_beside_the_pictures_are_not_run(pictures, tmp_path):
    """The folder a user is in holds other people's files."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('this is not numpy')")
    (tmp_path / "script").mkdir()
    script = tmp_path / "script" / "scan.py"
    script.write_text(
        f"import asli.scanning.scan as s\nprint(s.scan({str(pictures)!r}, 'scores.parquet', workers=2).images)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "12\n"
