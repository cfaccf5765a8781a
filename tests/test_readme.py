"""The README's commands are true: short ones run, long ones are at least understood, links lead somewhere."""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from asli.cli import app
from asli.sample import sample_archive

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_short_commands_run_in_order(page, tmp_path):
    commands = [line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    if not commands and not blocks(page, "python"):
        assert not blocks(page, "bash"), "use console for commands that run and sh for long ones"
        return
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        (tmp_path / "photo.jpg").write_bytes(archive.read(next(n for n in archive.namelist() if "test/REAL" in n)))
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "asli"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m asli "$@"\n')
    script.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    for block in blocks(page, "python"):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_long_commands_are_understood(page):
    makefile = (ROOT / "Makefile").read_text()
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["asli"]:
                how = {"exit_on_error": False, "print_error": False}
                _, everywhere, _ = app.meta.parse_args(words[1:], **how)  # takes flags of every command away
                app.parse_args(everywhere.args, **how)
            elif words[:1] == ["make"]:
                assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"], ids=lambda p: p.name
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
