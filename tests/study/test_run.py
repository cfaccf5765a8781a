"""The study for real, on the bundled sample."""

import json
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asli.errors import DataError, Interrupted
from asli.study.paper.budgets import BUDGETS
from asli.study.paper.grid import cells
from asli.study.paper.run_study import open_study, run_study
from asli.study.sweep import runner
from asli.study.sweep.cells import chosen
from asli.study.sweep.plan import describe, plan
from asli.study.sweep.runner import run_cells, scores
from tests.conftest import run_asli

KNOWN = cells(BUDGETS["smoke"])
SOME = [
    *("schedule-*", "running-*", "*-cifar_resnet20", "*-cifar_resnet56", "network-*"),
    *("warmup-none", "accumulation-large-batch", "crop-padded", "train-upper"),
]
"""Every kind of cell, and all that tables and figures are drawn from, without the two depths between.

The others differ from these by their depth or one setting; `test_paper.py` requires a valid recipe for each cell.
"""


def quick(sample, out: Path):
    return open_study("smoke", sample, out, device="cpu", threads=1).sweep


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Most of the smoke budget."""
    out = tmp_path_factory.mktemp("study")
    written, results = run_study(open_study("smoke", None, out, device="cpu", threads=1), only=SOME)
    return out, written, results


@pytest.mark.slow
def test_smoke_budget_gives_every_table_and_figure(smoke):
    out, written, results = smoke
    assert {result["status"] for result in results} == {"done", "unavailable"}
    page = written.read_text()
    for number in range(2, 8):
        assert f"### Table {number}" in page
        assert (out / "tables" / f"table{number}.csv").exists()
    for number in range(1, 12):  # figure 12 needs pretrained weights, which the sample has not
        assert (out / "figures" / f"figure{number}.svg").stat().st_size > 1000
        assert (out / "figures" / f"figure{number}.png").stat().st_size > 1000
    assert page.count("Not drawn:") <= 1
    assert "## What changed since the last version, and why" in page
    assert page.index("## Answers") < page.index("## What is not comparable") < page.index("### Table 2")
    assert "not run: weights unavailable" in page
    html = (out / "study.html").read_text()
    assert html.count("<svg") >= 12
    assert str(Path.home()) not in page
    assert str(out) not in page + (out / "results.json").read_text()


@pytest.mark.slow
def test_a_published_study_shows_its_figures_and_holds_its_results(smoke, tmp_path):
    out, _, results = smoke
    tool = Path(__file__).parents[2] / "tools/publish_study.py"
    subprocess.run([sys.executable, tool, out, tmp_path], check=True)
    subprocess.run([sys.executable, tool, out, tmp_path], check=True)  # again, in place of what is there
    shown = re.findall(r"!\[[^]]*\]\((.*?)\)", (tmp_path / "study.md").read_text())
    assert len(shown) >= 12
    assert all((tmp_path / path).is_file() for path in shown)
    kept = json.loads((tmp_path / "study/results.json").read_text())
    assert [result["cell"] for result in kept] == [cell.name for cell in KNOWN]
    assert sum(result["status"] == "done" for result in kept) == sum(r["status"] == "done" for r in results) > 10
    assert all("figures" in result for result in kept if result["status"] == "done")
    assert (tmp_path / "study/tables/table7.csv").is_file()


@pytest.mark.slow
def test_results_hold_raw_losses_gradients_mistakes_and_times(smoke):
    _, _, results = smoke
    for result in (r for r in results if r["status"] == "done"):
        scaled = result["figures"]["threshold_free"]["loss"]["value"]
        if abs(result["temperature"] - 1) > 0.2:
            # Little trained, logits are small and the two are close; the same number would agree to float32.
            assert result["raw_loss"] != pytest.approx(scaled, rel=1e-5)
        assert {"start", "end"} == set(result["gradients"])
        assert len(result["mistakes"]) == 6
        assert result["seconds"]["process"] > 0
        assert result["scored"] == BUDGETS["smoke"].parts


@pytest.mark.slow
def test_any_selection_ends_with_a_page(tmp_path):
    """Here one plain cell: no finished cell of the schedule, of figures 5 to 12, or of most tables."""
    study = open_study("smoke", None, tmp_path, device="cpu", threads=1)
    written, results = run_study(study, only=["plain-scratch-cifar_resnet20"])
    page = written.read_text()
    assert [result["status"] for result in results] == ["done"]
    assert "Not drawn: schedule-linear: not run: not run yet" in page
    assert "**Not finished**" in page
    assert (tmp_path / "figures/figure11.svg").exists()
    again, nothing = run_study(study, report_only=True)
    assert nothing == []
    assert again.read_text() == page


@pytest.mark.slow
def test_runs_are_tracked(sample, tmp_path):
    study = open_study("smoke", sample, tmp_path, device="cpu", threads=1, trackers=["tensorboard"]).sweep
    (cell,) = chosen(KNOWN, ["clip-none"])
    (result,) = run_cells(study, [cell], 1)
    assert result["status"] == "done"
    assert list((tmp_path / "runs").rglob("events.out.tfevents.*"))


@pytest.mark.slow
def test_test_part_is_opened_once_a_run(smoke):
    out, _, results = smoke
    done = [result for result in results if result["status"] == "done"]
    ledger = (out / "cifake-sample/ledger.jsonl").read_text().splitlines()
    assert len(ledger) == len(done)
    assert {json.loads(line)["images"] for line in ledger} == {120}


@pytest.mark.slow
def test_cell_deleted_and_run_again_gives_identical_scores_and_others_are_skipped(smoke, monkeypatch):
    out, _, _ = smoke
    study = open_study("smoke", None, out, device="cpu", threads=1).sweep
    cell = next(c for c in KNOWN if c.name == "warmup-none")
    path = study.result_file(cell, 1)
    before = json.loads(path.read_text())
    path.unlink()
    shutil.rmtree(study.run_folder(cell, 1))
    trained = []
    real = runner.train
    monkeypatch.setattr(runner, "train", lambda *a, **k: (trained.append(a[2].name), real(*a, **k))[1])
    run_cells(study, chosen(KNOWN, SOME), 1)
    assert trained == ["warmup-none-seed1"]
    assert scores(json.loads(path.read_text())) == scores(before)


@pytest.mark.slow
def test_failed_cell_is_reported_and_the_rest_goes_on(sample, tmp_path, monkeypatch, caplog):
    real = runner.train

    def breaks(recipe, data, out, **how):
        if "warmup" in out.name:
            raise RuntimeError("out of memory")
        return real(recipe, data, out, **how)

    monkeypatch.setattr(runner, "train", breaks)
    study = quick(sample, tmp_path)
    with caplog.at_level(logging.WARNING, "asli"):
        results = run_cells(study, chosen(KNOWN, ["warmup-none", "clip-none"]), 1)
    assert [result["status"] for result in results] == ["failed", "done"]
    assert "RuntimeError: out of memory" in caplog.text
    monkeypatch.setattr(runner, "train", real)
    again = run_cells(study, chosen(KNOWN, ["warmup-none", "clip-none"]), 1)
    assert [result["status"] for result in again] == ["done", "done"]


@pytest.mark.slow
def test_interrupted_study_goes_on_and_ends_alike(sample, tmp_path, monkeypatch):
    study, other = quick(sample, tmp_path / "cut"), quick(sample, tmp_path / "whole")
    (cell,) = chosen(KNOWN, ["clip-none"])
    real = runner.evaluate

    def cut(*arguments, **how):
        raise Interrupted("stopped")

    monkeypatch.setattr(runner, "evaluate", cut)
    with pytest.raises(Interrupted):
        run_cells(study, [cell], 1)
    assert not study.result_file(cell, 1).exists()
    monkeypatch.setattr(runner, "evaluate", real)
    (resumed,), (whole,) = run_cells(study, [cell], 1), run_cells(other, [cell], 1)
    assert scores(resumed) == scores(whole)


def test_run_of_another_process_is_left_to_it(sample, tmp_path):
    from filelock import FileLock

    study = quick(sample, tmp_path)
    (cell,) = chosen(KNOWN, ["clip-none"])
    (tmp_path / "locks").mkdir()
    with FileLock(tmp_path / "locks/clip-none-seed1.lock"):
        (result,) = run_cells(study, [cell], 1)
    assert result["status"] == "busy"


def test_plan_names_cells_time_and_what_cannot_be_run(sample, tmp_path):
    study = quick(sample, tmp_path)
    planned = plan(study, chosen(KNOWN, ["residual-*-cifar_resnet20"]), 2)
    by_name = {item.cell.name: item for item in planned}
    runs = by_name["residual-scratch-cifar_resnet20"]
    assert runs.runs == 2
    assert runs.seconds > 0
    assert "96 images x 2" in runs.says
    assert by_name["residual-pretrained-cifar_resnet20"].seconds is None
    text = describe(planned, study)
    assert "weights unavailable" in text
    assert "2 runs to do" in text


def test_parts_are_sampled_evenly_and_alike(sample, tmp_path):
    study = quick(sample, tmp_path)
    rows = study.data.rows("test")
    assert len(rows) == BUDGETS["smoke"].parts["test"]
    assert study.data.labels[rows].mean() == 0.5
    assert set(rows) <= set(sample.rows("test"))
    assert study.data.hash != sample.hash


@pytest.mark.slow
def test_wrong_calls_are_refused(tmp_path):
    with pytest.raises(DataError, match="needs --data"):
        open_study("cpu", None, tmp_path / "x")
    done = run_asli("study", "paper", "--budget", "smoke", "--only", "tabel7", "--out", "o", cwd=tmp_path)
    assert done.returncode == 1
    assert "no cell named 'tabel7'" in done.stderr
    assert "Traceback" not in done.stderr
    done = run_asli("study", "paper", "--weights", "nowhere", "--out", "p", cwd=tmp_path)
    assert done.returncode == 1
    assert "nowhere is no folder" in done.stderr
