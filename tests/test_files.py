import errno
import hashlib
import json
import os
import re
import resource
import subprocess
from pathlib import Path

import pytest

from asli.errors import WriteError
from asli.files import keeping, no_room, read_regular, replacing, sha256_of_json, sha256_of_json_array, write_text
from asli.sample import golden_images
from tests.conftest import forked


def test_an_arrays_hash_is_that_of_the_whole_without_holding_it():
    values = [["a/\u00e9.jpg", "real", None, 1], ["b", "fake", "x y", 2.5], []]
    for part in (values, values[:1], []):
        assert sha256_of_json_array(iter(part)) == sha256_of_json(part)
    assert sha256_of_json({"b": 1, "a": 2}) == sha256_of_json({"a": 2, "b": 1})


def test_hash_is_that_of_canonical_json():
    text = json.dumps({"a": [1, 2]}, sort_keys=True, separators=(",", ":"))
    assert sha256_of_json({"a": [1, 2]}) == hashlib.sha256(text.encode()).hexdigest()


def asli(*arguments, size, cwd):
    """Run the command with its files kept below a size: writing more fails as on a full disk."""
    return subprocess.run(
        forked().command(*arguments),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        check=False,
    )


@pytest.fixture
def pictures(tmp_path):
    for number, (_, data) in enumerate(golden_images()[:24]):
        path = tmp_path / "set" / ("real" if number % 2 else "fake") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "set"


def test_a_full_disk_keeps_what_was_there_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "x.json"
    write_text(path, "before")
    with (
        pytest.raises(WriteError, match=r"x.json could not be written: No space left on device; the run is safe"),
        keeping("the run is safe"),
        replacing(path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "before"
    assert [item.name for item in tmp_path.iterdir()] == ["x.json"]
    with pytest.raises(FileNotFoundError), replacing(path):  # another error stays what it is
        (tmp_path / "missing").read_bytes()


def test_what_libraries_say_of_a_full_disk_is_understood():
    assert no_room(OSError("Error writing bytes to file. Detail: [errno 28] No space left on device"))
    assert no_room(Exception("Error while serializing: I/O error: File too large (os error 27)"))
    assert no_room(OSError("1105920 requested and 199872 written"))  # numpy's
    assert no_room(ValueError("28 images")) is None
    assert no_room(PermissionError(errno.EACCES, "x")) is None


@pytest.mark.slow
def test_training_on_a_full_disk_is_resumed_from_its_last_checkpoint(sample, tmp_path):
    settings = ["--set", "loop.max_updates=4", "loop.checkpoint_every=2", "loop.evaluate_every=2"]
    command = ("train", "smoke", "--data", sample.path, "--out", "run", *settings)
    done = asli(*command, size=100_000, cwd=tmp_path)
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("asli: ")]
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert line.startswith("asli: run/checkpoints/step-")
    assert line.endswith("File too large; run is safe up to its last checkpoint; make room and go on with --resume")
    assert not list((tmp_path / "run/checkpoints").glob(".*.part"))
    assert asli(*command, "--resume", size=10**9, cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_scan_and_data_on_a_full_disk_go_on_when_repeated(pictures, tmp_path):
    for command, size, words in (
        (("data", "open", "set", "made"), 20_000, "what was read is safe; make room and repeat the command"),
        (("scan", "set", "-o", "o.parquet"), 2_000, "what was scored before is safe; make room, and the same command"),
    ):
        done = asli(*command, size=size, cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert re.search(f"could not be written: .*; {words}", done.stderr)
        assert asli(*command, size=10**9, cwd=tmp_path).returncode == 0


def test_pipes_devices_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(OSError, match="a pipe, which may never end"):
        read_regular(tmp_path / "pipe.jpg")
    with pytest.raises(OSError, match="a device, which may never end"):
        read_regular(Path("/dev/zero"))
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    (tmp_path / "x").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    assert read_regular(tmp_path / "link") == b"content"


def test_too_large_files_are_refused_before_they_are_read(tmp_path):
    with (tmp_path / "x").open("wb") as stream:
        stream.truncate(1_000_000_001)  # takes no room
    with pytest.raises(OSError, match="1,000,000,001 bytes, more than 1,000,000,000"):
        read_regular(tmp_path / "x")
