import io
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asli.datasets.sources import Folder
from asli.errors import DataError
from asli.scanning import name_list as listing_module
from asli.scanning.inputs import Inputs, Places
from asli.scanning.name_list import write_listing


def ids_of(*paths):
    inputs = Inputs([Path(path) for path in paths])
    items = list(inputs.items())
    places = Places(inputs.places)
    return [places.ids(item) for item in items], inputs, items, places


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.jpg")):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


def test_walk_has_the_order_of_sorted_names_and_does_not_follow_links_to_folders(tmp_path):
    for name in ("a.jpg", "a/x.jpg", "a-b/x.jpg", "a b/y/z.jpg", "é.jpg", "Z.jpg", "a/x/y.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "other.jpg").symlink_to(tmp_path / "a.jpg")
    names = Folder(tmp_path).names()
    assert names == sorted(names)
    expected = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert set(names) == {name for name in expected if not name.startswith("link/")}
    assert "other.jpg" in names


def test_a_folder_gives_its_images_and_those_of_archives_and_parquet_files_in_it(pictures, tmp_path):
    first = sorted(pictures.rglob("*.jpg"))[0]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.JPG").write_bytes(first.read_bytes())
    (tmp_path / "notes.txt").write_text("no list: lists are only read where they are given")
    (tmp_path / "plain").touch()
    zipped(pictures / "one", tmp_path / "sub/a.zip")
    rows = pa.table({"image": [{"bytes": first.read_bytes(), "path": "x.jpg"}] * 3})
    pq.write_table(rows, tmp_path / "c.parquet")
    pq.write_table(pa.table({"score": [0.5]}), tmp_path / "scores.parquet")
    ids, inputs, items, places = ids_of(tmp_path)
    entries = sorted(p.name for p in (pictures / "one").iterdir())
    assert [id for id, _ in ids] == [
        "c.parquet/00000000",
        "c.parquet/00000001",
        "c.parquet/00000002",
        *(f"sub/a.zip/{name}" for name in entries),
        "sub/b.JPG",
    ]
    assert all(path == f"{tmp_path.as_posix()}/{id}" for id, path in ids)
    assert inputs.skipped == {".txt": 1, "no ending": 1, ".parquet": 1}
    assert places.read(items[-1]) == places.read(items[0]) == first.read_bytes()


def test_several_paths_have_distinct_ids(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    zipped(pictures / "one", tmp_path / "a.zip")
    zipped(pictures / "one", tmp_path / "b.zip")
    ids, *_ = ids_of("a.zip", "b.zip")
    assert len({id for id, _ in ids}) == len(ids) == 12
    assert ids[0][0] == ids[0][1]
    assert ids[0][0].startswith("a.zip/")
    alone, *_ = ids_of("a.zip")
    assert "a.zip/" + alone[0][0] == alone[0][1] == ids[0][0]


def test_lists_are_relative_to_their_folder_and_name_files_in_any_order(pictures, tmp_path):
    files = sorted(pictures.rglob("*.jpg"))
    (tmp_path / "near.jpg").write_bytes(files[0].read_bytes())
    (tmp_path / "list.txt").write_text(f"﻿./near.jpg\r\n\n{files[3]}\ngone.jpg\n", encoding="utf-8")
    ids, _, items, places = ids_of(tmp_path / "list.txt")
    assert ids == [
        ("near.jpg", f"{tmp_path}/near.jpg"),
        (str(files[3]), str(files[3])),
        ("gone.jpg", f"{tmp_path}/gone.jpg"),
    ]
    assert places.read(items[0]) == files[0].read_bytes()
    assert places.read(items[1]) == files[3].read_bytes()
    with pytest.raises(OSError, match="No such file"):
        places.read(items[2])


def test_names_that_are_no_utf8_are_read_and_shown_escaped(pictures, tmp_path):
    data = next(pictures.rglob("*.jpg")).read_bytes()
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(data)
    inputs = Inputs([tmp_path])
    found = write_listing(inputs, tmp_path / "listing")
    (item,) = found.items()
    places = Places(found.places)
    assert places.read(item) == data
    assert places.ids(item)[0] == r"caf\xe9.jpg"


@pytest.mark.parametrize("start", [0, 1, 9, 10, 11, 29, 30, 31, 37])
def test_a_listing_goes_on_anywhere(tmp_path, monkeypatch, start):
    monkeypatch.setattr(listing_module, "GROUP", 10)
    for number in range(37):
        (tmp_path / f"{number:03d}.jpg").touch()
    found = write_listing(Inputs([tmp_path]), tmp_path / "listing")
    assert found.count == 37
    assert [item.name for item in found.items(start)] == [f"{number:03d}.jpg" for number in range(start, 37)]


def test_the_digest_tells_other_images_and_changed_archives(pictures, tmp_path):
    def digest():
        return write_listing(Inputs([tmp_path / "in"]), tmp_path / "listing").digest

    (tmp_path / "in").mkdir()
    zipped(pictures / "one", tmp_path / "in/a.zip")
    first = digest()
    assert digest() == first
    os.utime(tmp_path / "in/a.zip", (1, 1))
    second = digest()
    (tmp_path / "in/new.jpg").touch()
    assert len({first, second, digest()}) == 3


def test_wrong_paths_are_refused_before_anything_is_read(pictures, tmp_path):
    for paths, words in (
        ([pictures, tmp_path / "gone"], "does not exist"),
        ([pictures, pictures / "one" / ".."], "given twice"),
        ([pictures, pictures / "one"], "lies in"),
    ):
        with pytest.raises(DataError, match=words):
            Inputs(paths)
    (tmp_path / "bad.zip").write_bytes(b"PK no")
    with pytest.raises(DataError, match="not a readable zip"):
        list(Inputs([tmp_path / "bad.zip"]).items())
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="no column of images"):
        list(Inputs([tmp_path / "x.parquet"]).items())


def test_unsafe_entries_are_counted(pictures, tmp_path):
    stream = io.BytesIO(next(pictures.rglob("*.jpg")).read_bytes())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../evil.jpg", stream.getvalue())
        archive.writestr("good.jpg", stream.getvalue())
        archive.writestr("readme.md", "x")
        archive.writestr("__MACOSX/._good.jpg", "of macOS, no image")
    ids, inputs, *_ = ids_of(tmp_path / "a.zip")
    assert [id for id, _ in ids] == ["good.jpg"]
    assert inputs.unsafe == 1
    assert inputs.skipped == {".md": 1}
    assert inputs.hidden == {"__MACOSX/": 1}
