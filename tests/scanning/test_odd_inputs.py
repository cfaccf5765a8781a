"""A scan and a data folder share one rule for which files are images, folders searched and archives read."""

import os
from pathlib import Path

import pytest

from asli.errors import DataError
from asli.scanning.inputs import Inputs, Places
from tests.conftest import run_asli
from tests.datasets.pictures import encrypted, picture, put, tarred, tree, zipped


def ids_of(*paths, **how):
    inputs = Inputs([Path(path) for path in paths], **how)
    items = list(inputs.items())
    places = Places(inputs.places)
    assert all(places.read(item) for item in items)
    return [places.ids(item)[0] for item in items], inputs


def test_the_same_files_as_in_a_data_folder(tmp_path):
    names = ("a.jpg", "b.jfif", "c.jpe", "d.mpo", "e", "f.jpg_large", "g.jpg?name=large", "h.hif", "i.php")
    hidden = (".git/x.jpg", "real/.thumbnails/a.jpg", "@eaDir/a.jpg/T.jpg", "$RECYCLE.BIN/a.jpg", "real/._a.jpg")
    root = tree(tmp_path, *(f"real/{name}" for name in names), *hidden)
    put(root / "notes.txt", "no image")
    os.mkfifo(root / "pipe")
    ids, inputs = ids_of(root)
    assert ids == sorted(f"real/{name}" for name in names)
    assert inputs.hidden.total() == len(hidden)
    assert inputs.skipped == {".txt": 1, "no ending": 1}
    assert len(ids_of(root, include_hidden=True)[0]) == len(names) + len(hidden)
    assert len(ids_of(zipped(tmp_path / "set/x.zip", {name: picture() for name in (*names, *hidden)}))[0]) == len(names)


@pytest.mark.parametrize(("ending", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz")])
def test_tar_archives_given_and_in_a_folder(tmp_path, ending, mode):
    path = tarred(tmp_path / f"in/set.{ending}", {"./a/1.jpg": picture(1), "a/2.jpg": picture(2)}, mode)
    assert ids_of(path)[0] == ["a/1.jpg", "a/2.jpg"]
    assert ids_of(tmp_path / "in")[0] == [f"set.{ending}/a/1.jpg", f"set.{ending}/a/2.jpg"]


def test_archives_that_cannot_be_read_are_no_pictures(tmp_path):
    put(tmp_path / "in/x.7z", b"7z\xbc\xaf\x27\x1c")
    put(tmp_path / "in/y.zip", b"PK no")
    encrypted(zipped(tmp_path / "in/z.zip", {"a.jpg": picture()}))
    zipped(tmp_path / "in/outer.zip", {"inner.zip": b"PK"})
    tree(tmp_path / "in", "a.jpg")
    ids, inputs = ids_of(tmp_path / "in")
    assert ids == ["a.jpg"]
    text = " ".join(inputs.ignored)
    for words in (
        "7z x x.7z",
        "y.zip is not a readable zip",
        "1 entries need a password",
        "holds the archive inner.zip",
    ):
        assert words in text
    for name in ("x.7z", "y.zip", "z.zip", "outer.zip"):
        with pytest.raises(DataError):
            ids_of(tmp_path / "in" / name)


def test_lists_of_other_systems(tmp_path):
    tree(tmp_path, "real/a.jpg", "fake/b.jpg")
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        put(tmp_path / "list.txt", "real\\a.jpg\r\n.\\fake\\b.jpg\r\n".encode(encoding))
        assert ids_of(tmp_path / "list.txt")[0] == ["real/a.jpg", "fake/b.jpg"]


@pytest.mark.slow
def test_an_empty_result_never_exits_with_0(tmp_path):
    files = {f"{n}.jpg": picture(n) for n in range(60)}
    encrypted(zipped(tmp_path / "secret.zip", files))
    done = run_asli("scan", tmp_path / "secret.zip", "-o", tmp_path / "s.csv")
    assert done.returncode == 1
    assert "no image in" in done.stderr
    assert "60 entries need a password" in done.stderr
    for n in range(3):
        put(tmp_path / f"bad/{n}.jpg", b"<html>")
    done = run_asli("scan", tmp_path / "bad", "-o", tmp_path / "b.csv")
    assert done.returncode == 1
    assert "none of the 3 images could be scored" in done.stderr
    assert len((tmp_path / "b.csv").read_text().splitlines()) == 4  # each with its reason


@pytest.mark.slow
def test_commands_take_the_flags_of_data_open(tmp_path):
    root = tree(tmp_path / "set", "real/a.jpg", "tampered/b.jpg", ".x/real/c.jpg")
    done = run_asli("data", "open", root, "--dry-run")
    assert done.returncode == 1
    assert "--drop tampered" in done.stderr
    done = run_asli("data", "open", root, "--drop", "tampered", "--dry-run")
    assert done.returncode == 1
    assert "has real images only" in done.stderr
    done = run_asli("data", "open", root, "--fake-label", "tampered", "--include-hidden", "--dry-run")
    assert done.returncode == 0
    assert "2 real + 1 fake" in done.stdout
    done = run_asli("data", "open", root, tmp_path / "data", "--fake-label", "tampered")
    assert done.returncode == 0
    assert "1 hidden or system files not searched" in done.stdout
    done = run_asli("data", "open", tmp_path / "fakes", "--fake", root / "tampered")
    assert done.returncode == 0
    done = run_asli("audit", tmp_path / "fakes")
    assert done.returncode == 1
    assert "only fake images; an audit compares real with fake ones" in done.stderr
