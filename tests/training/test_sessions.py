"""Sessions of a limited length: stop after a time, keep few checkpoints, start from a run that is only read."""

import os
import shutil

import pytest

from asli.errors import DataError, RunError, TimeUp
from asli.pipeline import train
from asli.progress import seconds_of
from asli.recipe import load_recipe
from asli.run import Run
from tests.conftest import run_asli
from tests.training.runs import FULL, fingerprint

SETTINGS = [*FULL, "loop.checkpoint_every=3"]


@pytest.fixture(scope="module")
def undisturbed(sample, tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    train("smoke", sample, path, settings=SETTINGS)
    return fingerprint(path)


@pytest.mark.parametrize(
    ("text", "seconds"), [("11h", 39600), ("11h30m", 41400), ("45m", 2700), ("90s", 90), ("0.5h", 1800)]
)
def test_lengths_of_time(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "11", "h", "1d", "m5"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(ValueError, match="write it like 11h"):
        seconds_of(text)


@pytest.mark.slow
def test_stop_after_saves_leaves_with_4_and_goes_on_from_a_read_only_copy(sample, tmp_path, undisturbed):
    options = [item for setting in SETTINGS for item in ("--set", setting)]
    command = ["train", "smoke", "--data", sample.path, "--threads", 1, *options]
    done = run_asli(*command, "--out", tmp_path / "first", "--stop-after", "0s")
    assert done.returncode == 4, done.stderr
    assert "time is up: stopped after update 1 of 14" in done.stderr.splitlines()[-1]
    first = tmp_path / "input"
    (tmp_path / "first").rename(first)
    for item in [*first.rglob("*"), first]:
        item.chmod(0o555 if item.is_dir() else 0o444)
    before = {str(p.relative_to(first)): p.read_bytes() for p in first.rglob("*") if p.is_file()}
    run = train("smoke", sample, tmp_path / "second", settings=SETTINGS, resume_from=first)
    assert fingerprint(run.path) == undisturbed
    assert {str(p.relative_to(first)): p.read_bytes() for p in first.rglob("*") if p.is_file()} == before
    assert os.access(run.path / "metrics.jsonl", os.W_OK)
    for item in [first, *first.rglob("*")]:
        item.chmod(0o755)


def test_a_second_call_goes_on_in_the_new_folder(sample, tmp_path):
    with pytest.raises(TimeUp):
        train("smoke", sample, tmp_path / "first", settings=SETTINGS, stop_after=0)
    with pytest.raises(TimeUp):
        train("smoke", sample, tmp_path / "second", settings=SETTINGS, resume_from=tmp_path / "first", stop_after=0)
    shutil.rmtree(tmp_path / "first")
    with pytest.raises(TimeUp, match="after update 3 of 14"):
        train("smoke", sample, tmp_path / "second", settings=SETTINGS, resume_from=tmp_path / "first", stop_after=0)


def test_resume_from_refuses_another_recipe_and_a_folder_that_is_no_run(sample, tmp_path):
    with pytest.raises(TimeUp):
        train("smoke", sample, tmp_path / "first", settings=SETTINGS, stop_after=0)
    other = [*SETTINGS, "loop.seed=7"]
    with pytest.raises(RunError, match=r"loop.seed is 42 there and 7 here"):
        train("smoke", sample, tmp_path / "second", settings=other, resume_from=tmp_path / "first")
    with pytest.raises(RunError, match="is no run folder"):
        train("smoke", sample, tmp_path / "second", settings=SETTINGS, resume_from=tmp_path / "absent")
    assert not (tmp_path / "second").exists()


@pytest.mark.slow
def test_few_checkpoints_are_kept_and_the_best(sample, tmp_path, undisturbed):
    run = train("smoke", sample, tmp_path / "run", settings=SETTINGS, keep_last=1)
    kept = sorted(path.name for path in run.checkpoints.glob("step-*"))
    named = {(run.checkpoints / name).read_text().strip() for name in ("last", "best")}
    assert kept == sorted(named)
    assert fingerprint(run.path).items() <= undisturbed.items()


def test_links_and_what_a_resume_does_not_need_stay_behind(tmp_path):
    first = Run.create(tmp_path / "first", load_recipe("smoke"), {"hash": "h"}, {})
    for name in ("wandb/offline-run-1-abc", "evaluation/test", "checkpoints/step-000003", "checkpoints/step-000006"):
        (first.path / name).mkdir(parents=True)
    for step in ("step-000003", "step-000006"):
        (first.checkpoints / step / "optimizer.safetensors").touch()
    (first.path / "wandb/latest-run").symlink_to("gone")
    first.copy_to(tmp_path / "second")
    kept = {str(path.relative_to(tmp_path / "second")) for path in (tmp_path / "second").rglob("*") if path.is_dir()}
    assert kept == {"wandb", "wandb/offline-run-1-abc", "checkpoints", "checkpoints/step-000006"}
    with pytest.raises(RunError, match="exists and is no run"):
        first.copy_to(tmp_path / "second")


def test_what_a_linear_head_has_no_use_for_is_refused(sample, tmp_path):
    with pytest.raises(DataError, match="no use for --track, --stop-after, --resume-from"):
        train("photos", sample, tmp_path / "run", trackers=["wandb"], stop_after=9, resume_from=tmp_path)
    assert not (tmp_path / "run").exists()
