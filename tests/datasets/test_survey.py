import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from asli.datasets.build import open_folders
from asli.datasets.cache import open_data
from asli.datasets.division import Division
from asli.datasets.folder import DataFolder
from asli.datasets.layouts import LabelNames
from asli.datasets.splits import Shares
from asli.datasets.survey import recognize, understand
from asli.errors import DataError
from asli.sample import sample_archive


@pytest.fixture(scope="module")
def images():
    """Real images of CIFAKE: label -> bytes of each."""
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        return {
            label: [archive.read(n) for n in [n for n in names if f"train/{label}" in n][:40]]
            for label in ("REAL", "FAKE")
        }


def rows(names, layout=None, **labels):
    found = recognize(names, [], LabelNames(**labels), layout)
    return found[0], {(e.id, e.label, e.split, e.category, e.generator) for e in found[1].entries}


def test_forensynths_keeps_generator_class_and_the_class_named_train():
    layout, found = rows(
        ["progan/train/0_real/a.png", "progan/cat/1_fake/b.png", "biggan/1_fake/c.png", "biggan/0_real/d.png"]
    )
    assert layout == "forensynths"
    assert found == {
        ("progan/train/0_real/a.png", "real", None, "train", None),
        ("progan/cat/1_fake/b.png", "fake", None, "cat", "progan"),
        ("biggan/1_fake/c.png", "fake", None, None, "biggan"),
        ("biggan/0_real/d.png", "real", None, None, None),
    }


def test_genimage_val_is_test_and_without_generator_two_layouts_disagree():
    layout, found = rows(["ADM/x/train/ai/a.PNG", "ADM/x/val/nature/b.JPEG", "BigGAN/y/val/ai/c.png"])
    assert layout == "genimage"
    assert found == {
        ("ADM/x/train/ai/a.PNG", "fake", "train", None, "ADM"),
        ("ADM/x/val/nature/b.JPEG", "real", "test", None, None),
        ("BigGAN/y/val/ai/c.png", "fake", "test", None, "BigGAN"),
    }
    bare = ["train/ai/a.png", "val/nature/b.png"]
    with pytest.raises(DataError, match="--layout genimage or --layout imagefolder"):
        rows(bare)
    assert {row[2] for row in rows(bare, "genimage")[1]} == {"train", "test"}
    assert {row[2] for row in rows(bare, "imagefolder")[1]} == {"train", "validation"}


def test_community_forensics_keeps_generators_and_a_class_is_a_category():
    layout, found = rows(["root/sdxl/real/a.png", "root/sdxl/fake/b.png", "root/flux/fake/c.png"])
    assert layout == "community-forensics"
    assert {row[1:] for row in found} == {
        ("real", None, None, None),
        ("fake", None, None, "sdxl"),
        ("fake", None, None, "flux"),
    }
    assert {row[1:] for row in rows(["cat/real/a.png", "dog/fake/b.png"])[1]} == {
        ("real", None, "cat", None),
        ("fake", None, "dog", None),
    }


def test_numbers_are_refused_until_one_is_said():
    with pytest.raises(DataError, match="--fake-label 1"):
        rows(["0/a.png", "1/b.png"])
    assert {row[:2] for row in rows(["0/a.png", "1/b.png"], fake=("0",))[1]} == {
        ("0/a.png", "fake"),
        ("1/b.png", "real"),
    }
    with pytest.raises(DataError, match="give it once"):
        LabelNames(("x",), ("X",))


def test_genimage_with_an_empty_file_is_opened_and_the_file_named(images, tmp_path):
    for split, count in (("train", 20), ("val", 5)):
        for label, said in (("FAKE", "ai"), ("REAL", "nature")):
            folder = tmp_path / "in/sd14" / split / said
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f"{i}.jpg").write_bytes(images[label][i + (20 if split == "val" else 0)])
    (tmp_path / "in/sd14/train/ai/0.jpg").write_bytes(b"")
    data = open_folders(tmp_path / "in", tmp_path / "out")
    assert data.info["counts"]["test"] == {"real": 5, "fake": 5}
    assert data.info["problems"]["unreadable"] == 1
    assert "sd14/train/ai/0.jpg: empty file (0 bytes)" in (tmp_path / "out/problems.txt").read_text()


def test_hub_parquet_gives_the_same_pixels_as_files(images, tmp_path):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    features = b'{"info": {"features": {"label": {"names": ["FAKE", "REAL"], "_type": "ClassLabel"}}}}'
    data = [*images["FAKE"], *images["REAL"]]
    table = pa.table(
        {"image": pa.array([{"bytes": b, "path": None} for b in data], kind), "label": [0] * 40 + [1] * 40}
    )
    (tmp_path / "in/data").mkdir(parents=True)
    path = tmp_path / "in/data/test-00000-of-00001.parquet"
    pq.write_table(table.replace_schema_metadata({b"huggingface": features}), path, row_group_size=30)
    found = understand(tmp_path / "in")
    assert [e.label for e in found.listing.entries] == ["fake"] * 40 + ["real"] * 40
    assert {e.split for e in found.listing.entries} == {"test"}
    assert [found.source.read(e.name) for e in found.listing.entries] == data
    pq.write_table(table, path)
    with pytest.raises(DataError, match="--fake-label 1"):
        understand(tmp_path / "in")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
def test_tables_keep_generators_and_name_what_is_missing(images, tmp_path, ending):
    import csv
    import json

    records = [
        {"filename": "a.jpg", "label": "ai", "generator": "sdxl", "split": "val"},
        {"filename": "b.jpg", "label": "real", "generator": "camera", "split": "train"},
        {"filename": "gone.jpg", "label": "real", "generator": "", "split": "train"},
    ]
    (tmp_path / "a.jpg").write_bytes(images["FAKE"][0])
    (tmp_path / "b.jpg").write_bytes(images["REAL"][0])
    path = tmp_path / f"list.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif ending == "csv":
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, records[0])
            writer.writeheader()
            writer.writerows(records)
    else:
        path.write_text(json.dumps(records) if ending == "json" else "\n".join(map(json.dumps, records)))
    listing = understand(path).listing
    assert {(e.id, e.label, e.split, e.generator) for e in listing.entries} == {
        ("a.jpg", "fake", "validation", "sdxl"),
        ("b.jpg", "real", "train", None),
    }
    assert listing.missing == ["gone.jpg"]


def test_a_pair_of_folders_says_the_labels(images, tmp_path):
    for label, name in (("REAL", "mine"), ("FAKE", "theirs")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").write_bytes(images[label][0])
    found = understand(None, real=[tmp_path / "mine"], fake=[tmp_path / "theirs"], generator="flux")
    assert [(e.id, e.label, e.generator) for e in found.listing.entries] == [
        ("fake/x.jpg", "fake", "flux"),
        ("real/x.jpg", "real", None),
    ]
    one = understand(None, real=[tmp_path / "mine"])  # the flag declares that it has one label
    assert {e.label for e in one.listing.entries} == {"real"}
    with pytest.raises(DataError, match="give --real or --fake"):
        understand(None)
    for real, fake in ((tmp_path, tmp_path / "mine"), (tmp_path / "mine", tmp_path / "mine")):
        with pytest.raises(DataError, match="is given too"):
            understand(None, real=[real], fake=[fake])


def test_json_that_is_no_table_does_not_stand_in_the_way(images, tmp_path):
    for label in ("REAL", "FAKE"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "x.jpg").write_bytes(images[label][0])
    (tmp_path / "classes.json").write_text('["REAL", "FAKE"]')
    (tmp_path / "data.json").write_text('{"made": "by someone"}')
    found = understand(tmp_path)
    assert (found.layout, len(found.listing.entries)) == ("imagefolder", 2)
    assert len(open_data(tmp_path)) == 2


def test_raw_images_are_kept_once_for_each_way_to_split_them(images, tmp_path):
    for label in ("REAL", "FAKE"):
        for generator, number in (("sd", 0), ("sd", 1), ("flux", 2), ("flux", 3)):
            folder = tmp_path / "set" / generator / label
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.jpg").write_bytes(images[label][number])
    usual = open_data(tmp_path / "set")
    held = open_data(tmp_path / "set", division=Division(holdout=("generator=flux",)))
    shares = Shares(0.25, 0.25, 0.25, 0.25)
    even = open_data(tmp_path / "set", fractions=shares)
    assert len({usual.path, held.path, even.path}) == 3
    fakes = held.table(["generator", "label", "split"]).to_pylist()
    assert {line["split"] == "test" for line in fakes if line["generator"] == "flux"} == {True}
    assert open_data(tmp_path / "set", fractions=shares).path == even.path
    with pytest.raises(DataError, match="another split cannot change it"):
        open_data(even.path, fractions=shares)


@pytest.mark.shared
def test_the_wild_archive_is_opened_by_its_manifest(shared):
    found = understand(shared / "data/wild/wild_dev.zip")
    assert found.layout == "table"
    assert len(found.listing.entries) == 538
    assert len({e.generator for e in found.listing.entries} - {None}) == 9


def test_pair_of_unequal_photos_becomes_a_folder_whose_pixels_can_be_read(tmp_path, rng):
    for label, count in (("mine", 12), ("theirs", 14)):
        (tmp_path / label).mkdir()
        for number in range(count):
            shape = (40 + number, 60, 3)
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / label / f"{number}.png")
    data = open_folders(None, tmp_path / "data", real=[tmp_path / "mine"], fake=[tmp_path / "theirs"])
    assert (data.labels == 0).sum() == 12
    again = DataFolder.open(data.path)
    rows = np.arange(len(again))
    for row, size in zip(rows, again.pixels.sizes(rows), strict=True):
        assert again.pixels.image(row).shape[:2] == tuple(size)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", b'{"path": "a.jpg", "label": "real"}\n{"path": \n'),
        ("t.csv", b"path,label\na.jpg,real\n\xff\xfe.jpg,fake\n"),
        ("t.json", b'[{"path": "a.jpg", "label": "real"}, '),
        ("t.parquet", b"PAR1 but not really PAR1"),
    ],
)
def test_damaged_table_gives_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        understand(tmp_path / name)


@pytest.mark.slow
@pytest.mark.shared
def test_wild_photographs_are_read_through_their_manifest(shared, tmp_path):
    data = open_folders(shared / "data" / "wild" / "wild_dev.zip", tmp_path / "wild")
    assert (len(data), int(data.labels.sum())) == (538, 269)
    generators = set(data.table(["generator"])["generator"].to_pylist()) - {None}
    assert len(generators) == 9
    assert data.info["packed"] is None
    rows = data.rows("train")[:4]
    shapes = [data.pixels.image(row).shape[:2] for row in rows]
    assert np.array_equal(data.pixels.sizes(rows), shapes)
