import contextlib
import zipfile

import pytest

from asli.datasets.archived import Archives, open_source
from asli.errors import DataError


def archive(path, **entries):
    with zipfile.ZipFile(path, "w") as out:
        for name, data in entries.items():
            out.writestr(name, data)
    return path


def test_folder_and_archives_give_the_same_names_and_bytes(tmp_path):
    (tmp_path / "tree/real").mkdir(parents=True)
    (tmp_path / "tree/real/a.jpg").write_bytes(b"1")
    (tmp_path / "zips").mkdir()
    archive(tmp_path / "zips/x.zip", **{"real/a.jpg": b"1"})
    archive(tmp_path / "zips/y.zip", **{"fake/b.jpg": b"2"})
    tree, zips = open_source(tmp_path / "tree"), open_source(tmp_path / "zips")
    assert tree.names() == ["real/a.jpg"]
    assert zips.names() == ["fake/b.jpg", "real/a.jpg"]
    assert tree.read("real/a.jpg") == zips.read("real/a.jpg") == b"1"


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "real/../../evil.jpg", "C:/evil.jpg", "..\\evil.jpg"])
def test_entries_that_leave_their_folder_are_named_and_never_read(tmp_path, name):
    source = Archives([archive(tmp_path / "x.zip", **{name: b"x", "real/a.jpg": b"1"})])
    assert source.names() == ["real/a.jpg"]
    assert len(source.left_out.unsafe) == 1


def test_a_broken_archive_is_refused(tmp_path):
    (tmp_path / "c.zip").write_bytes(b"PK not really")
    with pytest.raises(DataError, match="not a readable zip"):
        open_source(tmp_path / "c.zip")
    with pytest.raises(DataError, match="does not exist"):
        open_source(tmp_path / "nowhere")


def test_damaged_entry_is_an_os_error(tmp_path):
    path = archive(tmp_path / "x.zip", **{"real/a.jpg": b"hello hello hello"})
    data = bytearray(path.read_bytes())
    data[data.index(b"hello")] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match="CRC"):
        open_source(path).read("real/a.jpg")


def test_a_damaged_entry_is_an_unreadable_file_whatever_zipfile_raises(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("a.jpg", bytes(range(256)) * 20)
    whole, start = path.read_bytes(), 30 + len("a.jpg")  # after the entry's header: its deflated bytes
    refused = 0
    for bit in range(8 * 40):
        bad = bytearray(whole)
        bad[start + bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        with contextlib.suppress(OSError):
            Archives([path]).read("a.jpg")
            continue
        refused += 1
    assert refused > 300
