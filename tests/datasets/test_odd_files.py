"""Odd files beside and around images: hidden folders, side files, names of other systems."""

import json
import os
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asli.datasets.archived import open_source
from asli.datasets.build import open_folders
from asli.datasets.folder import DataFolder
from asli.datasets.layouts import LabelNames
from asli.datasets.portable import encoding_of_file, lines_of, portable, resolve
from asli.datasets.sources import Folder
from asli.datasets.survey import understand
from asli.errors import DataError
from tests.datasets.pictures import labels, picture, put, tarred, tree, zipped

# Endings


def test_images_count_whatever_their_names_end_in(tmp_path):
    names = ("a.jpg", "b.jfif", "c.jpe", "d.mpo", "e", "f.jpg_large", "g.jpg?name=large", "h.hif", "i.php", "j.JPG~")
    root = tree(tmp_path, *(f"{label}/{name}" for label in ("real", "ai") for name in names))
    put(root / "real/notes.txt", "no image")
    put(root / "real/raw.dng", b"II*\0" + bytes(60))
    os.mkfifo(root / "real/pipe")
    found = understand(root)
    assert len(found.listing.entries) == 2 * len(names)
    assert found.listing.extra == ["real/notes.txt", "real/pipe", "real/raw.dng"]
    inside = zipped(tmp_path / "x/x.zip", {f"{label}/{name}": picture(3) for label in ("real", "ai") for name in names})
    assert len(understand(inside).listing.entries) == 2 * len(names)


# Hidden and system folders


HIDDEN = (
    *("real/.ipynb_checkpoints/0.jpg", "real/.thumbnails/1.jpg", "ai/@eaDir/2.jpg/THUMB.jpg", "ai/$RECYCLE.BIN/x.jpg"),
    *(".git/y.jpg", "real/._a.jpg", "__MACOSX/real/b.jpg", "ai/Thumbnails/b.jpg", "real/#recycle/c.jpg"),
)


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_hidden_and_system_folders_are_left_out_and_counted(tmp_path, form):
    names = ("real/a.jpg", "ai/b.jpg", *HIDDEN)
    files = {name: picture(seed) for seed, name in enumerate(names)}
    if form == "folder":
        path = tree(tmp_path / "set", *names)
    else:
        path = (zipped if form == "zip" else tarred)(tmp_path / f"set.{form}", files)
    found = understand(path)
    assert labels(found) == {"real/a.jpg": "real", "ai/b.jpg": "fake"}
    assert found.source.left_out.hidden.total() == len(HIDDEN)
    assert "9 hidden or system files not searched" in found.describe()
    assert "--include-hidden" in found.describe()
    (tmp_path / "out").mkdir()
    data = open_folders(path, tmp_path / "out/data")
    assert sum(data.info["hidden"].values()) == len(HIDDEN)
    assert "hidden or system files" in DataFolder.open(data.path).describe()
    if form == "folder":
        (path / ".git/y.jpg").unlink()
        (path / "__MACOSX/real/b.jpg").unlink()
        assert len(understand(path, include_hidden=True).listing.entries) == 2 + len(HIDDEN) - 2


def test_a_hidden_folder_that_is_given_itself_is_read(tmp_path):
    tree(tmp_path / ".cache", "real/a.jpg", "fake/b.jpg")
    assert len(understand(tmp_path / ".cache").listing.entries) == 2


# Side files


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("notes.csv", "Größe,b\n1,2\n".encode("latin-1"), None),
        ("list.csv", "file\tx\n".encode("utf-16"), None),
        ("log.jsonl", b"{'a': 1}\n", "log.jsonl is no JSON"),
        ("real/cache.parquet", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("cache.parquet", b"PAR1 no", "cannot be read as a table"),
        ("objects.csv", b"file,class\nbox.obj,chair\n", None),
        ("meta.json", b"[{", "cannot be read as a table"),
        ("logo.png", picture(9, "PNG"), "lies above the folders"),
        ("old.7z", b"7z\xbc\xaf\x27\x1c", "7z x old.7z"),
    ],
)
def test_a_file_beside_the_images_never_rejects_them(tmp_path, name, content, reason):
    put(tree(tmp_path / "set", "real/a.jpg", "fake/b.jpg") / name, content)
    found = understand(tmp_path / "set")
    assert labels(found) == {"real/a.jpg": "real", "fake/b.jpg": "fake"}
    if reason is None:
        assert found.listing.extra == [name]
    else:
        assert any(reason in ignored for ignored in found.listing.ignored)
        data = open_folders(tmp_path / "set", tmp_path / "out")
        assert data.info["problems"]["ignored"] == 1
        assert reason in (tmp_path / "out/problems.txt").read_text()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_beside_the_images_are_named_and_never_waited_for(tmp_path):
    root = tree(tmp_path / "set", "real/a.jpg", "fake/b.jpg")
    for name in ("p.csv", "p.json", "p.parquet", "p.bin"):
        os.mkfifo(root / name)
    found = understand(root)
    assert labels(found) == {"real/a.jpg": "real", "fake/b.jpg": "fake"}
    named = [reason for reason in found.listing.ignored if "a pipe, which may never end" in reason]
    assert [reason.split()[0] for reason in named] == ["p.csv", "p.json", "p.parquet"]
    (tmp_path / "archives").mkdir()
    zipped(tmp_path / "archives/a.zip", {"real/a.jpg": picture(1), "fake/b.jpg": picture(2)})
    os.mkfifo(tmp_path / "archives/b.tar")
    assert "b.tar cannot be read: a pipe" in understand(tmp_path / "archives").listing.ignored[0]


@pytest.mark.parametrize("name", ["aaa.parquet", "zzz.parquet"])
def test_a_table_without_images_beside_the_one_that_has_them(tmp_path, name):
    pq.write_table(pa.table({"a": [1]}), tmp_path / name)
    put(tmp_path / "mmm.parquet", b"version https://git-lfs.github.com/spec/v1\n")
    pq.write_table(pa.table({"image": [picture(1), picture(2)], "label": ["real", "fake"]}), tmp_path / "p.parquet")
    found = understand(tmp_path)
    assert sorted(labels(found).values()) == ["fake", "real"]
    assert len(found.listing.ignored) == 2


def test_bad_rows_are_named_and_the_others_used(tmp_path):
    tree(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    put(
        tmp_path / "t.csv",
        "path,label\na.jpg,real\nb.jpg,fake,too,many\nb.jpg,fake\n,real\nc.jpg,\na.jpg,real\nd.jpg,real\nd.jpg,fake\n",
    )
    found = understand(tmp_path / "t.csv")
    assert labels(found) == {"a.jpg": "real", "b.jpg": "fake"}
    text = " ".join(found.listing.ignored)
    for words in ("have no label (first: c.jpg)", "repeat an image (first: a.jpg)", "contradict", "2 rows: "):
        assert words in text
    put(tmp_path / "t.jsonl", '{"path": "a.jpg", "label": "real"}\n{"path": \n{"path": "b.jpg", "label": "fake"}\n')
    (tmp_path / "t.csv").unlink()
    found = understand(tmp_path)
    assert labels(found) == {"a.jpg": "real", "b.jpg": "fake"}
    assert "line 2 of t.jsonl" in found.listing.ignored[0]


def test_errors_name_the_columns_there_are(tmp_path):
    tree(tmp_path, "a.jpg")
    put(tmp_path / "t.csv", "picture,kind\na.jpg,real\n")
    with pytest.raises(DataError, match="it has 'picture', 'kind'"):
        understand(tmp_path / "t.csv")
    pq.write_table(pa.table({"image": [picture(1)], "kind": ["real"]}), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"no column of labels .* it has image, kind"):
        understand(tmp_path / "p.parquet")


def test_where_no_folder_says_a_label_the_error_names_what_the_tables_lack(tmp_path):
    tree(tmp_path / "set", "images/a.jpg", "images/b.jpg")
    for text, words in (
        ("image_name,kind\na.jpg,real\n", "labels.csv has no column of labels; it has 'image_name', 'kind'"),
        ("image,label\nx.jpg,real\n", r"labels.csv names no image that is there \(first: x.jpg\)"),
    ):
        put(tmp_path / "set/labels.csv", text)
        with pytest.raises(DataError, match=f"cannot tell the label of .*; tables beside the images .* {words}"):
            understand(tmp_path / "set")


@pytest.mark.parametrize(
    "text",
    ["sep=;\nimage;label\na.jpg;real\nb.jpg;fake\n", "# made by us\n# v2\nimg,generated\na.JPG,False\nb.JPG,True\n"],
)
def test_lines_above_the_header_and_endings_in_capitals(tmp_path, text):
    tree(tmp_path / "set", "images/a.jpg", "images/b.jpg")
    put(tmp_path / "set/labels.csv", text)
    assert labels(understand(tmp_path / "set")) == {"images/a.jpg": "real", "images/b.jpg": "fake"}


# Names of other systems


def test_backslashes_in_archives_tables_and_lists(tmp_path):
    path = zipped(tmp_path / "w.zip", {"real\\a.jpg": picture(1), "fake\\b.jpg": picture(2), "real\\": b""})
    assert labels(understand(path)) == {"real/a.jpg": "real", "fake/b.jpg": "fake"}
    tree(tmp_path / "set", "real/a.jpg", "fake/é.jpg")
    decomposed = unicodedata.normalize("NFD", "fake\\é.jpg")
    table = f"path,label\r\n.\\real\\a.jpg,real\r\n{decomposed},fake\r\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        put(tmp_path / "set/t.csv", table.encode(encoding))
        assert labels(understand(tmp_path / "set/t.csv")) == {"real/a.jpg": "real", "fake/é.jpg": "fake"}
    put(tmp_path / "set/t.csv", "path;label;note\r\nC:\\Users\\me\\set\\real\\a.jpg;real;Größe\r\n".encode("latin-1"))
    with (tmp_path / "set/t.csv").open("ab") as stream:
        stream.write("D:\\other\\fake\\é.jpg;fake;\r\n".encode("latin-1"))
    assert labels(understand(tmp_path / "set/t.csv")) == {"real/a.jpg": "real", "fake/é.jpg": "fake"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32"])
def test_lists_in_every_encoding(tmp_path, encoding):
    path = put(tmp_path / "list.txt", "real/a.jpg\r\nfake\\ü.jpg\r\n".encode(encoding))
    names = [name.removeprefix("\ufeff") for name in lines_of(lambda: path.open("rb"))]
    assert names == ["real/a.jpg", "fake\\ü.jpg"]


def test_encodings_of_tables(tmp_path):
    for encoding, expected in (("latin-1", "cp1252"), ("utf-8", "utf-8"), ("utf-16", "utf-16")):
        path = put(tmp_path / "t.csv", ("x" * 10_000 + "ä").encode(encoding))
        assert encoding_of_file(lambda path=path: path.open("rb")) == expected


def test_names_are_resolved_in_order(tmp_path):
    there = {"a\\b.jpg", "a/b.jpg", "images/c.jpg", "images/d.png", "e/f.jpg"}
    assert portable(".\\a\\b.jpg") == "a/b.jpg"
    assert resolve("a\\b.jpg", there.__contains__) == "a\\b.jpg"  # as it is comes first
    assert resolve("c.jpg", there.__contains__) == "images/c.jpg"
    assert resolve("d", there.__contains__) == "images/d.png"
    assert resolve("C:\\x\\e\\f.jpg", there.__contains__) == "e/f.jpg"
    assert resolve("gone.jpg", there.__contains__) is None


# Which folder names the label


@pytest.mark.parametrize("outer", ["photo", "human", "ai", "real_vs_fake", "AI images"])
def test_the_inner_folder_counts_where_the_outer_one_holds_both(tmp_path, outer):
    found = understand(tree(tmp_path, f"{outer}/real/a.jpg", f"{outer}/fake/b.jpg"))
    assert {name.split("/")[1]: label for name, label in labels(found).items()} == {"real": "real", "fake": "fake"}


def test_two_subjects_are_no_generators(tmp_path):
    names = [f"{subject}/{label}/a.jpg" for subject in ("human", "nature", "cats") for label in ("real", "fake")]
    found = understand(tree(tmp_path, *names))
    assert {(e.label, e.generator) for e in found.listing.entries} == {("real", None), ("fake", None)}
    both = tree(tmp_path / "x", "photo/real/a.jpg", "photo/fake/a.jpg", "ai/real/a.jpg", "ai/fake/a.jpg")
    assert labels(understand(both))["ai/real/a.jpg"] == "real"


def test_folders_below_the_label_are_generators_and_sources(tmp_path):
    names = ("fake/midjourney/1.jpg", "fake/sdxl/1.jpg", "fake/faces/1.jpg", "real/faces/1.jpg", "real/coco/1.jpg")
    found = understand(tree(tmp_path, *names, "fake/2024/1.jpg"))
    assert {e.id: (e.generator, e.source) for e in found.listing.entries} == {
        "fake/midjourney/1.jpg": ("midjourney", None),
        "fake/sdxl/1.jpg": ("sdxl", None),
        "fake/faces/1.jpg": (None, None),
        "fake/2024/1.jpg": (None, None),
        "real/faces/1.jpg": (None, None),
        "real/coco/1.jpg": (None, "coco"),
    }


def test_folders_that_disagree_name_the_flag_that_settles_it(tmp_path):
    root = tree(tmp_path, "ai/photo/a.jpg", "ai/generated/a.jpg", "real/photo/a.jpg", "real/b/a.jpg")
    with pytest.raises(DataError, match="--label-depth N"):
        understand(root)
    found = understand(root, labels=LabelNames(depth=1))
    assert labels(found)["ai/photo/a.jpg"] == "fake"
    plain = tree(tmp_path / "x", "ai/photo/a.jpg", "ai/painting/a.jpg", "real/photo/a.jpg")
    assert labels(understand(plain))["ai/photo/a.jpg"] == "fake"


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ("Real images", "AI images"),
        ("camera_photos", "my-ai-art"),
        ("RealPhotos2024", "AIImages"),
        ("originals", "deepfakes"),
        ("photographs", "full_synthetic"),
    ],
)
def test_words_inside_names_are_proposed(tmp_path, real, fake):
    found = understand(tree(tmp_path, f"{real}/a.jpg", f"{fake}/b.jpg"))
    assert labels(found) == {f"{real}/a.jpg": "real", f"{fake}/b.jpg": "fake"}
    if real == "Real images":
        assert "using 'Real images' as real (matched 'real'); if that is wrong: --real-label NAME" in found.describe()


@pytest.mark.parametrize(
    "name", ["not_ai", "non-fake", "NotReal", "fake photos", "real_or_fake", "semi-synthetic", "rainy"]
)
def test_negations_and_words_of_both_labels_are_refused(tmp_path, name):
    assert LabelNames().meaning(name) is None
    with pytest.raises(DataError, match=f"cannot tell the label of the images in {name}/"):
        understand(tree(tmp_path, f"{name}/a.jpg", "fake/b.jpg"))


def test_a_layout_of_another_package(tmp_path, monkeypatch):
    from importlib.metadata import EntryPoint, entry_points

    from asli import plugins
    from asli.datasets.layouts import Entry, Listing, layout_registry

    def read(found):
        said = next((name for name in found.names if name == "lab.json"), None)
        if said is None:
            return None
        known = json.loads(found.source.read(said))
        return Listing([Entry(name, name, known[name]) for name in found.images])

    monkeypatch.setattr(EntryPoint, "load", lambda self: read)
    own = EntryPoint("lab", "lab:read", "asli.layouts")
    monkeypatch.setattr(plugins, "entry_points", lambda group: (own,) if group == own.group else entry_points())
    layout_registry.registered.cache_clear()
    try:
        tree(tmp_path, "x.jpg", "y.jpg")
        put(tmp_path / "lab.json", json.dumps({"x.jpg": "real", "y.jpg": "fake"}))
        found = understand(tmp_path)
        assert (found.layout, labels(found)) == ("lab", {"x.jpg": "real", "y.jpg": "fake"})
        assert understand(tmp_path, layout="lab").layout == "lab"
    finally:
        layout_registry.registered.cache_clear()


def test_the_order_of_a_walk_needs_one_folder_at_a_time(tmp_path):
    tree(tmp_path, *(f"real/{n}.jpg" for n in range(3)), ".git/a/b/c.jpg")
    folder = Folder(tmp_path)
    assert list(folder.walk()) == ["real/0.jpg", "real/1.jpg", "real/2.jpg"]
    assert folder.left_out.hidden == {".git/": 1}
    assert open_source(tmp_path).names() == list(folder.walk())
