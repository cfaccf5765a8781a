"""The documentation's commands work: short ones run and print what is shown, long ones parse, links have a target."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from asli.cli import app
from asli.sample import sample_archive
from tests.conftest import forked

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.id.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "benchmarks/README.md"]

SERVER = "http://127.0.0.1:8000"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def steps(page: Path) -> list[tuple[str, list[str] | None]]:
    """Return what a page runs, in its order: commands with the output shown for each, and Python blocks with None."""
    found: list[tuple[str, list[str] | None]] = []
    for language, block in re.findall(
        r"^```(console|python)\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL
    ):
        if language == "python":
            found.append((block, None))
            continue
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def assert_printed(shown: list[str], printed: str) -> None:
    """Require the shown lines in the output, in their order; digits may differ, and `...` stands for any lines."""
    lines, at, free = [masked(line) for line in printed.splitlines()], 0, False
    for line in shown:
        if line == "...":
            free = True
            continue
        assert masked(line) in lines[at : None if free else at + 1], f"not printed: {line}\n{printed}"
        at, free = lines.index(masked(line), at) + 1, False


def masked(line: str) -> str:
    return re.sub(r"[\d.,]+", "#", line).rstrip()


def leaves_nothing(step: str) -> bool:
    """Return whether a command writes no file: other steps find the same folder with it and without it."""
    return step.startswith(("asli predict ", "asli recipes"))


def ways(page: Path) -> list[tuple[str, ...]]:
    """Return for each step the steps that made the folder as it is afterwards."""
    found: list[tuple[str, ...]] = []
    for step, _ in steps(page):
        before = found[-1] if found else ()
        found.append(before if leaves_nothing(step) else (*before, step))
    return found


Kept: TypeAlias = dict[tuple[str, ...], tuple[Path, str]]
"""Of steps that several pages begin with: the folder after them, and what the last one printed."""

SHARED = {way for way, pages in Counter(way for page in PAGES for way in set(ways(page))).items() if way and pages > 1}


@pytest.fixture(scope="module")
def kept() -> Kept:
    return {}


@contextmanager
def served() -> Iterator[None]:
    """Run the server that a page's Python asks; no other test takes its port."""
    with subprocess.Popen([sys.executable, "-m", "asli", "serve"], stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 300
            while process.poll() is None and time.monotonic() < until:
                try:
                    assert httpx.get(f"{SERVER}/health").status_code == 200
                    break
                except httpx.TransportError:
                    time.sleep(0.5)
            yield
        finally:
            process.terminate()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the pictures that the pages use: photo.jpg, fake.jpg, and 60 of each label in my-images."""
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        for label, single in (("REAL", "photo.jpg"), ("FAKE", "fake.jpg")):
            images = [n for n in archive.namelist() if n.startswith(f"test/{label}/") and not n.endswith("/")]
            (tmp_path / single).write_bytes(archive.read(images[0]))
            (tmp_path / "my-images" / label.lower()).mkdir(parents=True)
            for image in images[:60]:
                (tmp_path / "my-images" / label.lower() / image.rsplit("/", 1)[1]).write_bytes(archive.read(image))
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "asli"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m asli "$@"\n')
    script.chmod(0o755)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if steps(page)], ids=name)
def test_short_commands_run_in_order_and_print_what_is_shown(page, place, kept):
    if name(page) != "README.md":  # there, each command is started as a user starts it
        forked().script(place / "bin/asli")
    environment = {**os.environ, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    with served() if any(SERVER in block for block in blocks(page, "python")) else nullcontext():
        run_steps(page, place, environment, kept)


def run_steps(page: Path, place: Path, environment: dict[str, str], kept: Kept) -> None:
    """Run a page's steps; those that an earlier page began with as well are copied from there."""
    begun = [way for way in ways(page) if way in kept]
    if begun:
        shutil.copytree(kept[begun[-1]][0], place, dirs_exist_ok=True)
    for way, (step, shown) in zip(ways(page), steps(page), strict=True):
        if way in begun and not leaves_nothing(step):
            assert_printed(shown or [], kept[way][1])
            continue
        command = forked().command("-c", step) if shown is None else step
        done = subprocess.run(
            command,
            shell=shown is not None,
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert done.returncode == 0, f"{step}\n{done.stderr}"
        assert_printed(shown or [], done.stdout)
        if way in SHARED and way not in kept:
            copy = place.parent / f"{place.name}-{len(way)}"
            shutil.copytree(place, copy, ignore=shutil.ignore_patterns("bin"))
            kept[way] = copy, done.stdout


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_name_their_language(page):
    assert not blocks(page, "bash"), "use console for commands that run and sh for long ones"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_long_commands_are_understood(page):
    makefile = (ROOT / "Makefile").read_text()
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["asli"]:
                how = {"exit_on_error": False, "print_error": False}
                _, everywhere, _ = app.meta.parse_args(words[1:], **how)  # takes flags of every command away
                app.parse_args(everywhere.args, **how)
            elif words[:1] == ["make"]:
                assert re.search(rf"^{words[1]}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize("page", LINKED, ids=name)
def test_links_have_a_target(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
