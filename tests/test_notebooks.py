"""The notebooks run from the first cell to the last, at smoke size on the bundled sample, without a network."""

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.conftest import forked

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def cells(path: Path, kind: str) -> list[str]:
    found = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_it_is_kept_without_output_and_with_indonesian_beside_english(path):
    found = json.loads(path.read_text())["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in found)
    for text in cells(path, "markdown"):
        assert "*" in text or "/" in text, text


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_it_runs_in_an_empty_folder(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    (tmp_path / "bin").mkdir()
    forked().script(tmp_path / "bin/asli")
    torchrun = tmp_path / "bin/torchrun"
    torchrun.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m torch.distributed.run "$@"\n')
    torchrun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("WANDB_MODE", "offline")
    work = tmp_path / "work"
    work.mkdir()
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(work)}})
    client.execute()
    assert {page.name for page in work.rglob("*.html")} >= {"report.html", "explain.html"}
    for run in ("resnet18", "resnet152"):
        assert (work / "runs" / run / "detector" / "detector.json").is_file()
    assert list(work.glob("runs/resnet18/wandb/offline-run-*"))
