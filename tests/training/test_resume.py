"""Runs that were stopped or killed go on to the same bits; a run is not overwritten, nor shared by two processes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from asli.errors import Interrupted, RunError
from asli.pipeline import train
from asli.recipe import load_recipe
from asli.run import Run
from asli.training.callbacks import ProgressBar
from tests.training.runs import FULL, fingerprint, wait_for_update

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(sample, tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    train("smoke", sample, path, settings=FULL)
    return fingerprint(path)


def test_resume_is_bit_exact_wherever_it_was_stopped(sample, tmp_path, undisturbed, monkeypatch):
    """In one process: an error after every few updates, recovery by the recipe's checkpoints and by time."""
    original, stops = ProgressBar.on_update, iter([2, 5, 6, 9, 13])
    stop = next(stops)

    def breaking(self, *, update, **measured):
        original(self, update=update, **measured)
        if update == stop:
            raise MemoryError("the machine went away")

    monkeypatch.setattr(ProgressBar, "on_update", breaking)
    for minutes in (10, 0, 10, 0, 10):
        with pytest.raises(MemoryError):
            train("smoke", sample, tmp_path / "run", settings=FULL, resume=True, recovery_minutes=minutes)
        stop = next(stops, None)
    train("smoke", sample, tmp_path / "run", settings=FULL, resume=True)
    assert fingerprint(tmp_path / "run") == undisturbed
    assert not (tmp_path / "run/checkpoints/recovery").exists()


def test_a_resumed_run_keeps_its_number_of_threads(sample, tmp_path, undisturbed, monkeypatch):
    def breaking(self, **measured):
        if measured["update"] == 6:
            raise MemoryError("the machine went away")

    with monkeypatch.context() as patched:
        patched.setattr(ProgressBar, "on_update", breaking)
        with pytest.raises(MemoryError):
            train("smoke", sample, tmp_path / "run", settings=FULL)  # in one thread, as all tests
    torch.set_num_threads(2)
    try:
        train("smoke", sample, tmp_path / "run", settings=FULL, resume=True)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(1)
    assert fingerprint(tmp_path / "run") == undisturbed


def start(sample, out, *extra) -> subprocess.Popen:
    options = [item for setting in FULL for item in ("--set", setting)]
    command = [
        sys.executable,
        "-m",
        "asli",
        "train",
        "smoke",
        "--data",
        sample.path,
        "--out",
        out,
        "--resume",
        "--threads",
        "1",
    ]
    return subprocess.Popen([*map(str, command), *options, *extra], stderr=subprocess.PIPE, text=True)


def test_killed_three_times_it_ends_with_the_same_bits(sample, tmp_path, undisturbed):
    out, chance = tmp_path / "run", random.Random()
    for earliest in (1, 5, 9):
        process = start(sample, out, "--recovery-minutes", "0.001")
        wait_for_update(out, earliest, process)
        time.sleep(chance.uniform(0, 0.5))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = start(sample, out)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "resuming after update" in errors
    assert fingerprint(out) == undisturbed


def test_ctrl_c_saves_and_leaves_with_130(sample, tmp_path, undisturbed):
    out = tmp_path / "run"
    process = start(sample, out)
    wait_for_update(out, 2, process)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "go on with --resume" in errors.splitlines()[-1]
    assert list(out.glob("checkpoints/recovery/step-*")) or list(out.glob("checkpoints/step-*"))
    train("smoke", sample, out, settings=FULL, resume=True)
    assert fingerprint(out) == undisturbed


def test_resume_refuses_another_recipe_and_names_the_setting(sample, finished):
    with pytest.raises(RunError, match="loop.epochs is 2 there and 3 here"):
        train(
            "demo",
            sample,
            finished.path,
            settings=["loop.epochs=3", "loop.evaluate_every=40", "loop.checkpoint_every=60"],
            resume=True,
        )


def test_existing_run_is_not_overwritten(sample, finished):
    before = (finished.path / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="--resume or give another --out"):
        train("demo", sample, finished.path)
    assert (finished.path / "metrics.jsonl").read_bytes() == before


def test_a_call_cut_while_it_made_the_folder_can_be_repeated(tmp_path):
    recipe, folder = load_recipe("smoke"), tmp_path / "run"
    folder.mkdir()
    (folder / "data.json").write_text("{}")
    (folder / ".environment.json.x.part").touch()
    assert Run.open(Run.create(folder, recipe, {"hash": "h"}, {}).path).recipe == recipe


def test_second_process_on_a_run_is_refused(sample, tmp_path):
    out = tmp_path / "run"
    process = start(sample, out)
    wait_for_update(out, 1, process)
    with pytest.raises(RunError, match="another process"):
        train("smoke", sample, out, settings=FULL, resume=True)
    process.kill()
    process.communicate()


def test_resume_on_another_set_up_warns(sample, tmp_path, caplog):
    settings = [*FULL, "loop.max_updates=5"]
    train("smoke", sample, tmp_path / "run", settings=settings)
    state = tmp_path / "run/checkpoints/step-000004/state.json"
    content = json.loads(state.read_text())
    state.write_text(json.dumps({**content, "machine": {**content["machine"], "torch": "2.0"}}))
    shutil.rmtree(tmp_path / "run/checkpoints/step-000005")
    with caplog.at_level("WARNING", logger="asli"):
        train("smoke", sample, tmp_path / "run", settings=settings, resume=True)
    assert "torch 2.0 -> " in caplog.text


def test_interrupted_is_an_error_with_its_own_status():
    assert Interrupted("x").exit_status == 130
