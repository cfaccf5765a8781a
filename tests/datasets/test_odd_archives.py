"""Odd archives: damaged, cut, encrypted, in one another, or with entries of one name."""

import zipfile

import pyarrow as pa
import pytest

from asli.datasets.archives import open_archive
from asli.datasets.build import open_folders
from asli.datasets.folder import DataFolder
from asli.datasets.survey import understand
from asli.errors import DataError
from tests.datasets.pictures import PAIR, encrypted, labels, picture, put, tarred, tree, zipped


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_costs_that_entry_at_most(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):  # noqa: PT031
        for twice in ("README.md", "real/a.jpg"):
            for seed in (1, 2):
                archive.writestr(twice, picture(seed) if twice.endswith("jpg") else str(seed))
        archive.writestr("fake/b.jpg", picture(3))
    found = understand(tmp_path / "x.zip")
    assert labels(found) == {"real/a.jpg": "real", "fake/b.jpg": "fake"}
    assert found.source.read("real/a.jpg") == picture(2)  # as unzip leaves it
    assert sum("real/a.jpg is there twice" in reason for reason in found.listing.ignored) == 1


def test_entries_of_one_name_in_several_archives_are_kept_apart(tmp_path):
    zipped(tmp_path / "a.zip", {"real/1.jpg": picture(1), "fake/1.jpg": picture(2), "README.md": b"x"})
    zipped(tmp_path / "b.zip", {"real/1.jpg": picture(3), "fake/1.jpg": picture(4), "README.md": b"x"})
    found = understand(tmp_path)
    assert sorted(labels(found)) == ["a/fake/1.jpg", "a/real/1.jpg", "b/fake/1.jpg", "b/real/1.jpg"]
    assert found.source.read("b/real/1.jpg") == picture(3)
    data = open_folders(tmp_path, tmp_path / "../data")
    assert len(DataFolder.open(data.path).pixels.map(lambda row, image: image.shape, data.rows("train"))) == 4


def test_archives_of_each_label_in_a_folder(tmp_path):
    zipped(tmp_path / "real.zip", {"1.jpg": picture(1)})
    tarred(tmp_path / "fake.tar", {"1.jpg": picture(2)})
    assert labels(understand(tmp_path)) == {"real/1.jpg": "real", "fake/1.jpg": "fake"}


def test_one_damaged_archive_does_not_reject_the_others(tmp_path):
    zipped(tmp_path / "good.zip", PAIR)
    put(tmp_path / "bad.zip", b"PK no")
    found = understand(tmp_path)
    assert labels(found) == {"real/a.jpg": "real", "fake/b.jpg": "fake"}
    assert "bad.zip is not a readable zip" in found.listing.ignored[0]


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "tar.zst"])
def test_tar_archives_are_read(tmp_path, ending):
    kind = {"tar": "", "tar.gz": "gz", "tgz": "gz", "tar.bz2": "bz2", "tar.xz": "xz", "tar.zst": ""}[ending]
    path = tarred(
        tmp_path / f"set.{ending}", {"./real/a.jpg": PAIR["real/a.jpg"], "fake/b.jpg": PAIR["fake/b.jpg"]}, f"w:{kind}"
    )
    if ending == "tar.zst":
        path.write_bytes(pa.Codec("zstd").compress(path.read_bytes(), asbytes=True))
    found = understand(path)
    assert labels(found) == {"real/a.jpg": "real", "fake/b.jpg": "fake"}
    data = open_folders(path, tmp_path / "out")
    assert data.readable.all()
    assert open_folders(path, tmp_path / "out").hash == data.hash


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_cut_tar_archive_gives_what_comes_before(tmp_path, mode):
    files = {f"{label}/{n}.jpg": picture(n) for n in range(40) for label in ("real", "fake")}
    path = tarred(tmp_path / "set.tar", files, mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    archive = open_archive(path)
    readable = 0
    for name in archive.entries:
        try:
            assert archive.read(name) == files[name]
            readable += 1
        except OSError:
            pass
    assert 20 < readable < 80
    assert archive.left_out.ignored


@pytest.mark.parametrize("damage", ["cut between two entries", "a damaged header"])
def test_a_tar_archive_that_tarfile_takes_for_whole_is_named(tmp_path, damage):
    import tarfile

    files = {f"{label}/{n}.jpg": picture(n) for n in range(4) for label in ("fake", "real")}
    path = tarred(tmp_path / "set.tar", files, "w")
    with tarfile.open(path) as archive:
        start = archive.getmember("real/2.jpg").offset
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:start] if damage.startswith("cut") else content[:start] + b"x" + content[start + 1 :])
    archive = open_archive(path)
    assert len(archive.entries) == 5
    assert archive.left_out.ignored == ["set.tar: cut or damaged behind 5 entries; what follows is not read"]
    assert understand(path).listing.ignored == archive.left_out.ignored
    whole = tarred(tmp_path / "whole.tar", files, "w")
    assert open_archive(whole).left_out.ignored == []


def test_a_one_sided_refusal_names_what_could_not_be_read(tmp_path):
    path = tarred(
        tmp_path / "set.tar", {"real/a.jpg": picture(1), "real/b.jpg": picture(2), "fake/a.jpg": picture(3)}, "w"
    )
    import tarfile

    with tarfile.open(path) as archive:
        start = archive.getmember("fake/a.jpg").offset
    path.write_bytes(path.read_bytes()[:start])
    with pytest.raises(DataError, match="real images only.*not read: set.tar: cut or damaged behind 2 entries"):
        understand(path)


def test_json_that_is_nested_without_end_is_left_aside(tmp_path):
    tree(tmp_path, *PAIR)
    put(tmp_path / "deep.json", "[" * 100_000)
    put(tmp_path / "deep.jsonl", '{"file_name": "x", "a": ' + "[" * 100_000)
    found = understand(tmp_path)
    assert len(found.listing.entries) == 2


def test_tar_entries_that_leave_their_folder_or_are_links(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        put(tmp_path / "a.jpg", picture(1))
        archive.add(tmp_path / "a.jpg", "real/a.jpg")
        archive.add(tmp_path / "a.jpg", "../evil.jpg")
        for name, kind in (("fake/hard.jpg", tarfile.LNKTYPE), ("fake/soft.jpg", tarfile.SYMTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "real/a.jpg"
            archive.addfile(entry)
    archive = open_archive(tmp_path / "x.tar")
    assert archive.left_out.unsafe == ["../evil.jpg"]
    assert set(archive.entries) == {"real/a.jpg", "fake/hard.jpg"}
    assert archive.read("fake/hard.jpg") == picture(1)
    assert "soft.jpg is no regular file" in archive.left_out.ignored[0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.7z", b"7z\xbc\xaf\x27\x1c", "7z archive, which asli does not read; unpack it first: 7z x x.7z"),
        ("x.rar", b"Rar!\x1a\x07\x01", "RAR archive, .* unrar x x.rar"),
        ("x.zip.001", b"PK\3\4", "one part of an archive; unpack it first: 7z x x.zip.001"),
        ("x.bin", b"\0\1\2\3", "no folder, archive, table or Parquet file"),
        ("x.zip", b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        ("x.tar.gz", b"\x1f\x8b no", "not a readable tar|no images found"),
    ],
)
def test_archives_that_cannot_be_read_say_what_to_do(tmp_path, name, content, words):
    put(tmp_path / name, content)
    with pytest.raises(DataError, match=words):
        understand(tmp_path / name)


def test_archives_in_an_archive_are_named(tmp_path):
    inner = zipped(tmp_path / "inner.zip", PAIR)
    with pytest.raises(DataError, match="holds the archive inner.zip; unpack both first"):
        understand(zipped(tmp_path / "outer.zip", {"inner.zip": inner.read_bytes()}))


def test_an_archive_beside_loose_images_is_named_and_not_opened(tmp_path):
    zipped(tree(tmp_path / "set", "real/a.jpg", "fake/b.jpg") / "download.zip", PAIR)
    found = understand(tmp_path / "set")
    assert len(found.listing.entries) == 2
    assert "download.zip: an archive beside images is not opened" in found.listing.ignored[0]


def test_an_encrypted_archive_gives_one_reason_and_no_data_folder(tmp_path):
    files = {f"{'real' if n % 2 else 'fake'}/{n}.jpg": picture(n) for n in range(60)}
    path = encrypted(zipped(tmp_path / "secret.zip", files))
    with pytest.raises(DataError, match="60 entries need a password; unpack it first: 7z x secret.zip"):
        open_folders(path, tmp_path / "out")
    assert not (tmp_path / "out/data.json").exists()


@pytest.mark.parametrize(("method", "why"), [(9, "are compressed by deflate64"), (99, "need a password")])
def test_entries_packed_in_a_way_that_is_not_read_give_one_reason(tmp_path, method, why):
    content = bytearray(zipped(tmp_path / "x.zip", PAIR).read_bytes())
    for mark, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = content.find(mark)
        while at >= 0:
            content[at + place] = method
            at = content.find(mark, at + 4)
    with pytest.raises(DataError, match=f"2 entries {why}.*; unpack it first: 7z x x.zip"):
        understand(put(tmp_path / "x.zip", bytes(content)))


@pytest.mark.parametrize("lost", [("real", "fake"), ("fake",)])
def test_a_label_of_which_nothing_can_be_decoded_makes_no_data_folder(tmp_path, lost):
    root = tree(tmp_path / "set", *(f"{label}/{n}.jpg" for label in ("real", "fake") for n in range(3)))
    for label in lost:
        for path in (root / label).iterdir():
            path.write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"none of the .* could be decoded \(first: (fake|real)/0.jpg"):
        open_folders(root, tmp_path / "out")
    assert not (tmp_path / "out/data.json").exists()
    tree(root, *(f"{label}/{n}.jpg" for label in lost for n in range(3)))
    assert len(open_folders(root, tmp_path / "out")) == 6  # the folder can be used for the next call
