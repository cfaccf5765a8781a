import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile

import pytest

from asli.cli import app
from asli.recipe import Recipe
from asli.sample import sample_archive
from tests.conftest import forked, run_asli


def commands(parent=app, *chain):
    """Yield every command with the words that call it."""
    for name, command in parent.resolved_commands().items():
        if not name.startswith("-"):
            yield (*chain, name), command
            yield from commands(command, *chain, name)


def test_help_names_every_command_with_a_line_under_a_heading():
    done = run_asli("--help")
    assert done.returncode == 0
    assert "─ Commands ─" not in done.stdout  # where cyclopts puts what has no heading
    for (command, *below), _ in commands():
        if not below:
            (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"│ {command} ")]
            assert len(line.strip("│ ").split(None, 1)[1]) > 20


@pytest.mark.parametrize(("chain", "command"), [pytest.param(*found, id="-".join(found[0])) for found in commands()])
def test_every_command_shows_examples_that_it_understands(chain, command):
    head, *lines = command.help_epilogue.splitlines()
    assert head in ("Example:", "Examples:")
    for line in lines:
        name, *tokens = shlex.split(line)
        assert name == "asli"
        assert tokens[: len(chain)] == list(chain)
        app.parse_args(tokens, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    "command",
    [
        *("data open a b", "audit a", "train fast --data a --out b", "evaluate detector a"),
        *("calibrate detector a --out b", "combine one two --data a --out b"),
    ],
)
def test_every_command_that_reads_images_takes_the_flags_of_data_open(command):
    flags = (
        "--layout imagefolder --real-label x --fake-label y --drop z --label-depth 1 --generator g --include-hidden"
        " --split-by date --holdout generator=flux* --fractions 60% 20% 10% 10%"
    )
    _, bound, _ = app.parse_args(f"{command} {flags}", exit_on_error=False, print_error=False)
    opening = bound.arguments["opening"]
    assert (opening.real_label, opening.drop, opening.label_depth) == (["x"], ["z"], 1)
    assert (opening.holdout, opening.fractions) == (["generator=flux*"], (0.6, 0.2, 0.1, 0.1))


def test_the_help_of_train_lists_every_recipe_key(monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    text = run_asli("train", "--help").stdout
    count = 0
    for section, settings in dataclasses.asdict(Recipe()).items():
        for key, default in settings.items():
            (line,) = [line for line in text.splitlines() if line.startswith(f"│ {section}.{key} ")]
            assert f"[default: {json.dumps(default)}]" in line
            assert len(line.split(None, 2)[2].split("[")[0]) > 15
            count += 1
    assert count > 40
    assert "[choices: f1, loss, auroc]" in text


def test_quiet_prints_results_and_no_notes(tmp_path):
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        for name in [n for n in archive.namelist() if n.startswith("train/")][::40]:
            archive.extract(name, tmp_path)
    loud = run_asli("data", "open", "train", "a", cwd=tmp_path)
    quiet = run_asli("data", "open", "train", "b", "--quiet", cwd=tmp_path)
    assert quiet.returncode == loud.returncode == 0
    assert quiet.stdout == loud.stdout.replace("in a", "in b")
    notes = [line for line in loud.stderr.splitlines() if not line.startswith("warning: ")]
    assert notes
    assert not set(notes) & set(quiet.stderr.splitlines())
    assert "nowhere does not exist" in run_asli("data", "open", "nowhere", "c", "--quiet", cwd=tmp_path).stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["asli", "pre"], "predict"),
        (["asli", "data", "o"], "open"),
        (["asli", "train", "--recov"], "--recovery-minutes"),
    ],
)
def test_a_shell_completes_commands_and_flags(words, expected):
    script = run_asli("completion", "bash").stdout
    ask = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _asli; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected]


def test_completion_is_installed_where_the_shell_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    done = run_asli("completion", "bash", "--install")
    assert done.returncode == 0, done.stderr
    (script,) = [
        path for path in tmp_path.rglob("*") if path.is_file() and "complete -F _asli asli" in path.read_text()
    ]
    assert str(script) in done.stdout


@pytest.mark.parametrize("command", [["--help"], ["train", "--help"], ["data", "cifake", "--help"], ["recipes"]])
def test_nothing_heavy_is_imported_before_a_command_runs(command):
    code = (
        "import sys\nfrom asli.cli import main\n"
        f"try: main({command!r})\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'numpy', 'pyarrow', 'matplotlib', 'sklearn', 'PIL'} & set(sys.modules)\n"
        "print(heavy, file=sys.stderr); sys.exit(len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["train"], 2, "asli: RECIPE is missing (see asli train --help)"),
        (["scan", "x"], 2, "asli: --out is missing (see asli scan --help)"),
        (["scan", "x", "-o"], 2, "requires an argument"),
        (["trian"], 2, "trian"),
        (["train", "smoke", "--data", "nowhere", "--out", "run"], 1, "nowhere does not exist"),
        (["train", "papr", "--data", "nowhere", "--out", "run"], 1, "no recipe named 'papr'"),
        (["data", "cifake", "out", "--from", "nowhere"], 1, "nowhere does not exist"),
        (["evaluate", "nowhere", "nowhere"], 1, "nowhere"),
        (["predict", "x.jpg", "--detector", "nowhere"], 1, "nowhere is no detector"),
        (["predict", "x.jpg", "--device", "abacus", "--detector", "d"], 2, "abacus"),
        (["train", "demo", "--data", "d", "--out", "run", "--threads", "0"], 2, "--threads"),
        (["audit", "d", "--seed", "-1"], 2, "--seed"),
        (["audit", "d", "--equalize", "copy", "--strict"], 2, "--equalize writes a copy"),
    ],
)
def test_wrong_input_gives_one_line_and_the_right_status(arguments, status, words, tmp_path):
    done = run_asli(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_file_where_a_folder_must_be_gives_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    done = run_asli("data", "sample", "notes.txt", cwd=tmp_path)
    assert done.returncode == 1
    assert "notes.txt" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "notes.txt").read_text() == "x"


def test_recipes_can_be_listed_and_printed():
    assert "paper" in run_asli("recipes").stdout
    assert 'name = "resnet152"' in run_asli("recipes", "paper").stdout
    assert run_asli("recipes", "nope").returncode == 1


def test_predict_prints_lines_or_json_and_fails_when_a_picture_could_not_be_scored(finished, tmp_path):
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.startswith("test/FAKE"))
        (tmp_path / "a.jpg").write_bytes(archive.read(name))
    done = run_asli("predict", "a.jpg", "--detector", finished.path, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("a.jpg: ")
    assert "P(fake)" in done.stdout
    done = run_asli("predict", "a.jpg", "b.jpg", "--detector", finished.path, "--json", cwd=tmp_path)
    assert done.returncode == 1
    images = json.loads(done.stdout)["images"]
    assert images[0]["error"] is None
    assert "No such file" in images[1]["error"]
    assert done.stderr.splitlines()[-1] == "asli: 1 of 2 images could not be scored; each is named above"


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_pipe_nobody_writes_to_and_a_device_without_end_are_one_line_each(finished, tmp_path, command):
    os.mkfifo(tmp_path / "pipe.jpg")
    done = run_asli(command, "pipe.jpg", "/dev/zero", "--detector", finished.path, cwd=tmp_path)
    assert done.returncode == 1
    assert "pipe.jpg: cannot be read: a pipe, which may never end; save its content to a file first\n" in done.stdout
    assert "/dev/zero: cannot be read: a device, which may never end" in done.stdout


def test_two_folders_of_which_one_says_what_they_hold(tmp_path):
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        for label, folder in (("REAL", "dogs"), ("FAKE", "cats")):  # their names say nothing, or the wrong thing
            (tmp_path / folder).mkdir()
            for name in [n for n in archive.namelist() if n.startswith(f"train/{label}")][:30]:
                (tmp_path / folder / name.rsplit("/", 1)[1]).write_bytes(archive.read(name))
    done = run_asli("data", "open", "out", "--real", "dogs", "--fake", "cats", "--generator", "sd", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "60 images: 30 real (0), 30 fake (1, positive)" in done.stdout
    assert "generators: sd 30" in done.stderr
    done = run_asli("data", "open", "a", "b", "--real", "dogs", "--fake", "cats", cwd=tmp_path)
    assert done.returncode == 2
    assert "give one path only" in done.stderr


@pytest.mark.slow
def test_whole_way_on_ones_own_folder(tmp_path):
    """A newcomer's folders, one of them with a broken picture: open, train, evaluate."""
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            split, label, base = name.split("/")
            if split == "train":
                folder = tmp_path / "mine" / {"REAL": "photos/camera", "FAKE": "pictures/AI"}[label]
                folder.mkdir(parents=True, exist_ok=True)
                (folder / base).write_bytes(archive.read(name))
    (tmp_path / "mine/photos/camera/broken.jpg").write_bytes(b"")
    done = run_asli("data", "open", "mine", "data", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 unreadable" in done.stdout
    done = run_asli("train", "smoke", "--data", "data", "--out", "run", "--threads", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run_asli("evaluate", "run", "data", "--json", "--threads", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["data"]["images"] == 200
    assert result["unreadable"] == 1


@pytest.mark.slow
def test_public_names_stay_what_they_are_once_used():
    code = (
        "import asli, importlib, pkgutil\n"
        "for part in pkgutil.walk_packages(asli.__path__, 'asli.'):\n"
        "    if part.name != 'asli.__main__': importlib.import_module(part.name)\n"
        "from types import ModuleType\n"
        "print([name for name in asli.__all__ if isinstance(getattr(asli, name), ModuleType)])"
    )
    done = subprocess.run(forked().command("-c", code), capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
