import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from asli.datasets.build import open_folders
from asli.datasets.pixels import FilePixels
from asli.detector.base import Detector
from asli.detector.scoring import Scores, score_split
from asli.errors import DataError
from asli.evaluation import robustness
from asli.evaluation.evaluate import evaluate
from asli.evaluation.further import CorruptionLevel, LevelMetrics
from asli.evaluation.sections.robustness_section import corruption_text, headline, robustness_sections
from asli.metrics.classification import score_of_logits
from asli.metrics.intervals import proportion
from asli.transforms.corruptions import blur
from asli.transforms.ladder import LADDER, corrupted
from tests.compare import differences
from tests.conftest import run_asli

CPU = torch.device("cpu")
SHORT = tuple(corruption for corruption in LADDER if corruption.name in ("JPEG", "noise", "crop", "smaller input"))


@pytest.fixture(scope="module")
def detector(finished):
    return Detector.load(finished.path)


@pytest.fixture(scope="module")
def scores(detector, sample):
    return score_split(detector, sample, "validation", CPU)


def swept(detector, data, scores, folder, **options):
    return robustness.sweep(detector, data, scores, folder, CPU, images=60, **{"ladder": SHORT, **options})


@pytest.fixture(scope="module")
def undisturbed(detector, sample, scores, tmp_path_factory):
    return swept(detector, sample, scores, tmp_path_factory.mktemp("sweep"))


@pytest.mark.slow
def test_figures_follow_from_scores_of_corrupted_images_one_by_one(undisturbed, detector, sample, scores):
    rows = robustness.drawn_rows(sample, scores.rows, 60, 0)
    labels, runtime = sample.labels[rows], detector.runtime(CPU)
    (line,) = (x for x in undisturbed.levels if (x.corruption, x.level) == ("noise", 10.0))
    noise = next(c for c in LADDER if c.name == "noise")
    images = [corrupted(sample.images[row], noise, 10.0, seed=0, row=int(row)) for row in rows]
    score = score_of_logits(runtime.logits([detector.preprocessing.to_input(image) for image in images]))
    called = score >= detector.card.thresholds.high
    assert line.false_positive_rate.value == pytest.approx(called[labels == 0].mean())
    assert line.false_negative_rate.value == pytest.approx((~called[labels == 1]).mean())
    assert line.auroc.value == pytest.approx((score[labels == 1][:, None] > score[labels == 0]).mean())
    whole = scores.score[np.searchsorted(scores.rows, rows)]
    clean = undisturbed.clean.false_positive_rate.value
    assert clean == pytest.approx((whole[labels == 0] >= detector.card.thresholds.high).mean())


@pytest.mark.slow
def test_mean_f1_weighs_kinds_alike_and_clean_as_much_as_all_of_them(undisturbed):
    kinds = {}
    for line in undisturbed.levels:
        kinds.setdefault(line.corruption, []).append(line.f1.value)
    corrupted_f1 = np.mean([np.mean(values) for values in kinds.values()])
    found = undisturbed.f1
    assert len({len(values) for values in kinds.values()}) > 1  # else any weighing would do
    assert found["corrupted"].value == pytest.approx(corrupted_f1)
    assert found["clean"].value == pytest.approx(undisturbed.clean.f1.value)
    assert found["mean"].value == pytest.approx((corrupted_f1 + found["clean"].value) / 2)
    for figure in found.values():
        assert 0 < figure.low < figure.value < figure.high < 1


@pytest.mark.slow
def test_the_worst_is_the_worst(undisturbed):
    levels, worst = undisturbed.levels, undisturbed.worst
    assert len(levels) == sum(len(corruption.levels) for corruption in SHORT)
    for key in ("false_positive_rate", "false_negative_rate"):
        assert getattr(levels[worst[key]], key).value == max(getattr(line, key).value for line in levels)
    assert levels[worst["auroc"]].auroc.value == min(line.auroc.value for line in levels)
    for line in (undisturbed.clean, *levels):
        for key in ("false_positive_rate", "false_negative_rate", "auroc"):
            assert getattr(line, key).low <= getattr(line, key).value <= getattr(line, key).high


def test_strong_blur_of_a_detector_that_reads_sharpness_is_seen(detector, sample, scores, tmp_path):
    """A sweep that forgot to corrupt would show no change at all."""
    result = swept(detector, sample, scores, tmp_path, ladder=[c for c in LADDER if c.name in ("blur", "brighter")])
    clean = result.clean.auroc.value
    assert max(abs(line.auroc.value - clean) for line in result.levels) > 0.05


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_to_the_same_result(detector, sample, scores, undisturbed, tmp_path, monkeypatch):
    real, calls = robustness.corrupted, []

    def failing(*arguments, **options):
        calls.append(arguments[1].name)
        if len(calls) > 60 * 4 + 17:
            raise RuntimeError("the power went")
        return real(*arguments, **options)

    monkeypatch.setattr(robustness, "corrupted", failing)
    with pytest.raises(RuntimeError):
        swept(detector, sample, scores, tmp_path)
    (kept,) = tmp_path.iterdir()
    assert len(list(kept.glob("*.npy"))) == 4
    victim = kept / "JPEG-75.npy"
    victim.write_bytes(victim.read_bytes()[:-9])  # a damaged file is scored again
    monkeypatch.setattr(robustness, "corrupted", lambda *a, **o: calls.append("again") or real(*a, **o))
    assert swept(detector, sample, scores, tmp_path) == undisturbed
    assert calls.count("again") == 60 * (len(undisturbed.levels) - 3)
    monkeypatch.setattr(robustness, "corrupted", None)  # a finished one is only read
    assert swept(detector, sample, scores, tmp_path) == undisturbed


def test_anything_that_bears_on_the_result_starts_afresh(detector, sample, scores, tmp_path, monkeypatch):
    one = [c for c in LADDER if c.name == "crop"]
    swept(detector, sample, scores, tmp_path, ladder=one)
    swept(detector, sample, scores, tmp_path, ladder=one, seed=1)
    monkeypatch.setattr(robustness, "VERSION", 2)
    swept(detector, sample, scores, tmp_path, ladder=one)
    monkeypatch.setattr(detector, "hash", "another")
    swept(detector, sample, scores, tmp_path, ladder=one)
    assert len(list(tmp_path.iterdir())) == 4


def test_draw_is_even_and_takes_one_of_each_group_of_duplicates(sample, scores, duplicated):
    rows = robustness.drawn_rows(sample, scores.rows, 100, 0)
    assert np.bincount(sample.labels[rows]).tolist() == [50, 50]
    assert set(rows) <= set(scores.rows)
    assert len(set(rows)) == 100
    assert not np.array_equal(rows, robustness.drawn_rows(sample, scores.rows, 100, 1))
    everything = robustness.drawn_rows(sample, scores.rows, 10**6, 0)
    assert np.array_equal(everything, scores.rows)
    test = duplicated.rows("test")
    some = robustness.drawn_rows(duplicated, test, 10**6, 0)
    assert len(np.unique(duplicated.groups(some))) == len(some) == len(test) - 16
    real = scores.rows[sample.labels[scores.rows] == 0]
    with pytest.raises(DataError, match="each label"):
        robustness.drawn_rows(sample, real, 100, 0)


def test_photographs_of_many_sizes(detector, tmp_path, rng):
    for number in range(24):
        label = ("real", "fake")[number % 2]
        (tmp_path / "files" / label).mkdir(parents=True, exist_ok=True)
        height, width = rng.integers(50, 90, 2)
        coarse = Image.fromarray(rng.integers(0, 256, (height, width, 3) if number % 2 else (4, 5, 3), np.uint8))
        coarse.resize((int(width), int(height))).save(tmp_path / "files" / label / f"{number}.png")
    data = open_folders(tmp_path / "files", tmp_path / "data")
    assert isinstance(data.pixels, FilePixels)
    rows = np.arange(24)
    logits = detector.runtime(CPU).logits(data.pixels.fitted(rows, detector.preprocessing))
    scores = Scores(rows, score_of_logits(logits), logits)
    blurs = [c for c in LADDER if c.name in ("blur", "screenshot")]
    result = swept(detector, data, scores, tmp_path / "sweep", ladder=blurs)
    assert result.images == 24
    changed = robustness.CorruptedPixels(data.pixels, blurs[0], 1.0, 0).fitted(rows[:3], detector.preprocessing)
    for row, windows in zip(rows[:3], changed, strict=True):
        expected = detector.preprocessing.to_input(blur(data.pixels.image(int(row)), 1.0))
        np.testing.assert_array_equal(windows, expected)


@pytest.mark.slow
def test_section_shows_every_figure_and_names_the_worst(undisturbed):
    section, every = robustness_sections(undisturbed)
    (table,) = every.tables
    assert len(table.rows) == 1 + len(undisturbed.levels)
    assert all(len(row) == len(table.columns) for row in table.rows)
    worst = undisturbed.levels[undisturbed.worst["false_positive_rate"]]
    lines = [str(line) for line in section.headline]
    (most,) = (line for line in lines if line.startswith("Photographs are called fake most often after"))
    assert str(corruption_text(worst.corruption, worst.level)) in most
    assert sum(f"worst of {len(undisturbed.levels)} corruptions" in line for line in lines) == 1
    assert "most photographs called fake" in table.marked[1 + undisturbed.worst["false_positive_rate"]]
    assert any(line.startswith("Not measured: screenshots; several changes one after another") for line in lines)
    shared = next(number for number, line in enumerate(lines) if "as when a picture is shared" in line)
    assert all(line.startswith("After ") for line in lines[shared + 1 : shared + 4])
    assert not lines[shared + 4].startswith("After ")  # SHORT has no screenshot


def level(corruption, level, alarms, missed):
    rates = {"false_positive_rate": proportion(alarms, 200), "false_negative_rate": proportion(missed, 200)}
    rest = dict.fromkeys(("unsure", "f1", "auroc"), proportion(150, 200))
    return CorruptionLevel(corruption=corruption, axis="", level=level, **rates, **rest)


def told(levels):
    clean = LevelMetrics(
        **{key: level("", 0.0, 10, 20).metric(key) for key in ("unsure", "f1", "auroc")},
        false_positive_rate=proportion(10, 200),
        false_negative_rate=proportion(20, 200),
    )
    part = robustness.Robustness(
        ladder=1, seed=0, detector="", data="", rows="", codecs={}, images=400, real=200, fake=200, of=400,
        threshold=0.5, low=0.5, clean=clean, levels=tuple(levels),
        f1=dict.fromkeys(("clean", "corrupted", "mean"), proportion(150, 200)),
        worst=dict.fromkeys(("false_positive_rate", "false_negative_rate", "auroc"), 0),
    )  # fmt: skip
    return [str(line).replace("\u00a0", " ") for line in headline(part)]


def test_findings_name_what_happens_to_shared_pictures_with_counts_and_what_was_not_measured():
    lines = told(
        [
            level("smaller input", 0.9, 10, 26),
            level("smaller input", 0.75, 2, 140),
            level("crop", 0.95, 60, 20),
            level("screenshot", 1.25, 9, 21),
            level("blur", 2.0, 100, 20),
        ]
    )
    assert (
        "Changes as when a picture is shared, at the mildest level measured. Unchanged: 5.0 % (10 of 200) of"
        " photographs called fake, 10.0 % (20 of 200) of AI-generated images missed."
    ) in lines
    assert (
        "After shrinking to 0.9 of the size: 5.0 % (10 of 200) of photographs called fake,"
        " 13.0 % (26 of 200) of AI-generated images missed."
        " Clearly more errors only after shrinking to 0.75 of the size."
    ) in lines
    assert (
        "After cropping to 0.95 of the side: 30.0 % (60 of 200) of photographs called fake,"
        " 10.0 % (20 of 200) of AI-generated images missed. Clearly more errors."
    ) in lines
    (screenshot,) = (line for line in lines if line.startswith("After a screenshot at zoom 1.25"))
    assert screenshot.endswith("No measured level of this change clearly raises errors.")
    assert (
        "Clearly more errors than on unchanged pictures after 3 of 5 corruptions. The first level of each:"
        " shrinking to 0.75 of the size; cropping to 0.95 of the side; blur of 2 px."
    ) in lines
    (unmeasured,) = (line for line in lines if line.startswith("Not measured"))
    assert unmeasured.startswith("Not measured: JPEG compression; several changes one after another")
    lines = told([level("blur", 0.5, 11, 20)])
    assert "Clearly more errors than on unchanged pictures after none of 1 corruptions." in lines
    (unmeasured,) = (line for line in lines if line.startswith("Not measured"))
    assert unmeasured.startswith("Not measured: shrinking; cropping; screenshots; JPEG compression; ")


def test_every_corruption_has_words_in_every_language():
    for kind in LADDER:
        told = corruption_text(kind.name, kind.levels[-1])
        assert robustness.level_text(kind.levels[-1]).replace(".", ",") in told.text("id")
        assert told.text("id") != told.text("en")


@pytest.mark.slow
def test_a_command_killed_in_the_middle_goes_on_and_the_ledger_counts_commands(finished, tmp_path):
    from asli.sample import open_sample

    data = open_sample(tmp_path / "data")

    words = ("evaluate", finished.path, data.path, "--robustness", 8, "--out", tmp_path / "killed", "--threads", 1)
    command = [sys.executable, "-m", "asli", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while len(list((tmp_path / "killed").glob("robustness/*/*.npy"))) < 5:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "killed/metrics.json").exists()
    ages = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("robustness/*/*.npy")}
    again = run_asli(*words)
    assert again.returncode == 0, again.stderr
    assert re.search(r"robustness: \d+ of 47 levels were scored before", again.stderr)
    assert all(path.stat().st_mtime_ns == age for path, age in ages.items())
    clean = evaluate(finished.path, data, out=tmp_path / "clean", robustness=8, threads=1)
    resumed = json.loads(Path(tmp_path / "killed/metrics.json").read_text())["robustness"]
    assert differences(resumed, json.loads(json.dumps(clean.robustness.to_dict()))) == []
    assert "Robustness" in (tmp_path / "killed/report.html").read_text()
    assert len(data.ledger()) == 3  # each command opened the test part once, corrupted or not
