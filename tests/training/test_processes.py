"""Two processes started by torchrun, exchanging over gloo, train what one process trains."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file

from asli.errors import RecipeError
from asli.pipeline import train
from asli.training.processes import Processes
from tests.training.in_float64 import train_in_float64
from tests.training.runs import fingerprint, wait_for_update

SETTINGS = [
    *("data.sample=150", "loop.epochs=3", "loop.max_updates=12", "loop.micro_batch=8", "loop.accumulation=4"),
    *("loop.evaluate_every=6", "loop.checkpoint_every=5", "loop.ema=0.9", "augment.crop=random-resized"),
    *("optim.name=sgd", "optim.lr=0.005"),  # AdamW divides by the gradient's size and so enlarges rounding errors
]
GONE_WITHIN = 45.0
"""Seconds in which the loss of a process ends the others: torchrun's own limit is 30."""


def torchrun(sample, out, *extra) -> subprocess.Popen:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    options = [item for setting in SETTINGS for item in ("--set", setting)]
    asli = ["-m", "asli", "train", "smoke", "--data", sample.path, "--out", out, "--threads", 1, "--resume", *options]
    return subprocess.Popen([*command, *map(str, [*asli, *extra])], stderr=subprocess.PIPE, text=True)


def workers(launcher) -> dict[int, psutil.Process]:
    children = psutil.Process(launcher.pid).children()
    return {int(child.environ()["RANK"]): child for child in children if "RANK" in child.environ()}


@pytest.fixture(scope="module")
def one(sample, tmp_path_factory):
    return train("smoke", sample, tmp_path_factory.mktemp("one") / "run", settings=SETTINGS)


@pytest.fixture(scope="module")
def two(sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("two") / "run"
    launcher = torchrun(sample, out)
    _, errors = launcher.communicate(timeout=500)
    assert launcher.returncode == 0, errors
    assert errors.count("resnet20, 269,202 parameters") == 1  # the first process alone logs
    assert "2 processes" in errors
    return out


@pytest.mark.slow
def test_losses_and_weights_are_one_processs_up_to_the_order_of_sums(one, two):
    from asli.run import Run

    ours, theirs = Run.open(two).read_metrics(), one.read_metrics()
    assert [(line["kind"], line["update"]) for line in ours] == [(line["kind"], line["update"]) for line in theirs]
    for a, b in zip(ours, theirs, strict=True):
        if a["update"] <= 3:  # float32's rounding grows tenfold an update; the next test compares all in float64
            assert a["loss"] == pytest.approx(b["loss"], rel=1e-4), a["update"]
    assert ours[0]["loss"] == theirs[0]["loss"]  # before the first step nothing differs but where it was computed
    for name in ("model", "ema"):
        x, y = (load_file(run / f"checkpoints/step-000005/{name}.safetensors") for run in (two, one.path))
        for key, value in x.items():
            assert value.shape == y[key].shape
            if key.endswith("num_batches_tracked"):
                assert value == y[key]
            else:  # BatchNorm's running statistics among them
                assert (value - y[key]).abs().max() <= 1e-3 * y[key].abs().max() + 1e-5, key


@pytest.mark.slow
def test_in_float64_two_processes_equal_one_to_the_end(sample, tmp_path):
    """Over two epochs, each with a last update of one micro-batch; a lost or doubled part would be off by far more."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, "-m", "tests.training.in_float64", str(sample.path), str(tmp_path / "two")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    train_in_float64(sample.path, tmp_path / "one")
    ours, theirs = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("two", "one")
    )
    assert len(ours) == 8
    for a, b in zip(ours, theirs, strict=True):
        assert a.pop("kind") == b.pop("kind")
        assert a == pytest.approx(b, rel=1e-9)
    for name in ("model", "ema", "optimizer"):
        x, y = (load_file(tmp_path / run / f"checkpoints/step-000008/{name}.safetensors") for run in ("two", "one"))
        assert x.keys() == y.keys()
        for key, value in x.items():
            assert (value - y[key]).abs().max() <= 1e-9 * y[key].abs().max(), key


@pytest.mark.slow
def test_killed_and_resumed_two_processes_end_with_the_same_bits(sample, tmp_path, two):
    out = tmp_path / "run"
    launcher = torchrun(sample, out, "--recovery-minutes", "0.001")
    wait_for_update(out, 7, launcher)
    victims = workers(launcher)
    victims[1].kill()
    start = time.monotonic()
    launcher.wait(timeout=120)
    assert time.monotonic() - start < GONE_WITHIN
    assert launcher.returncode != 0
    assert not any(victim.is_running() and victim.status() != psutil.STATUS_ZOMBIE for victim in victims.values())
    launcher = torchrun(sample, out)
    _, errors = launcher.communicate(timeout=500)
    assert launcher.returncode == 0, errors
    assert "resuming after update" in errors
    assert fingerprint(out) == fingerprint(two)


@pytest.mark.slow
def test_sigterm_on_the_second_saves_and_stops_all_and_one_process_goes_on(sample, tmp_path, one, caplog):
    out = tmp_path / "run"
    launcher = torchrun(sample, out, "--recovery-minutes", "600")
    wait_for_update(out, 6, launcher)
    os.kill(workers(launcher)[1].pid, signal.SIGTERM)
    _, errors = launcher.communicate(timeout=120)
    assert launcher.returncode != 0
    assert "go on with --resume" in errors
    assert list(out.glob("checkpoints/recovery/step-*/optimizer.safetensors")) or list(out.glob("checkpoints/step-*"))
    train("smoke", sample, out, settings=SETTINGS, resume=True)
    assert "processes 2 -> 1" in caplog.text
    assert len((out / "metrics.jsonl").read_text().splitlines()) == len(one.read_metrics())


@pytest.mark.slow
def test_an_error_of_all_processes_is_one_line(sample, tmp_path):
    launcher = torchrun(sample, tmp_path / "run", "--resume-from", tmp_path / "nowhere")
    _, errors = launcher.communicate(timeout=120)
    assert launcher.returncode != 0
    (line,) = [line for line in errors.splitlines() if line.startswith("asli:")]
    assert "nowhere is no run folder" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("size", "accumulation", "fits"), [(3, 4, "start 1 or 2 or 4"), (4, 6, "1 or 2 or 3 or 6")])
def test_a_number_of_processes_that_cannot_share_an_update_is_refused(size, accumulation, fits):
    with pytest.raises(RecipeError, match=fits):
        Processes(0, size).require_share(accumulation)
    Processes(0, 2).require_share(accumulation)
