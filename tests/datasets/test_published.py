"""Every public data set that opens without flags, in miniature, in exactly its published form."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asli.datasets.build import open_folders
from asli.datasets.layouts import LabelNames
from asli.datasets.survey import understand
from asli.errors import DataError
from tests.datasets.pictures import picture, put, tarred, tree, zipped


def rows(found, *fields):
    return {entry.id: tuple(getattr(entry, field) for field in fields) for entry in found.listing.entries}


def classes(column, *names):
    """Return the metadata that Hugging Face's `datasets` writes for a ClassLabel."""
    feature = {"names": list(names), "_type": "ClassLabel"}
    return {b"huggingface": json.dumps({"info": {"features": {column: feature}}}).encode()}


def test_community_forensics_evaluation_set(tmp_path):
    records = [
        {
            "image_name": f"{n}.png",
            "format": "PNG",
            "resolution": [24, 16],
            "mode": "RGB",
            "image_data": picture(n, "PNG"),
            "model_name": f"org/model-{n}" if n % 2 else "",
            "real_source": "" if n % 2 else "COCO",
            "subset": "Systematic",
            "split": "Systematic",
            "label": n % 2,
        }
        for n in range(4)
    ]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "eval.parquet")
    for path in (tmp_path, tmp_path / "eval.parquet"):
        found = understand(path)
        assert found.layout == "parquet"
        assert rows(found, "label", "generator", "source", "split") == {
            "eval.parquet/00000000": ("real", None, "COCO", None),
            "eval.parquet/00000001": ("fake", "org/model-1", "Systematic", None),
            "eval.parquet/00000002": ("real", None, "COCO", None),
            "eval.parquet/00000003": ("fake", "org/model-3", "Systematic", None),
        }
    data = open_folders(tmp_path, tmp_path / "out", labels=LabelNames(fake=("0",)))  # a user may say otherwise
    assert data.labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("ending", [".jpg", ""])
def test_ntire_2026(tmp_path, ending):
    for shard in (0, 1):
        lines = "".join(
            f"{n},{shard}{n:04},{n % 2}\n" if not ending else f"{n},{shard}{n:04}.jpg,{n % 2}\n" for n in range(4)
        )
        put(tmp_path / f"shard_{shard}/labels.csv", f",image_name,label\n{lines}")
        for n in range(4):
            put(tmp_path / f"shard_{shard}/images/{shard}{n:04}.jpg", picture(10 * shard + n))
    both = understand(tmp_path)
    assert both.layout == "ntire"
    assert rows(both, "label")["shard_1/images/10001.jpg"] == ("fake",)
    assert [len(rows(both, "label")), len(both.listing.missing), len(both.listing.extra)] == [8, 0, 0]
    for path in (tmp_path / "shard_0", tmp_path / "shard_0/labels.csv"):
        found = understand(path)
        assert found.layout == "ntire"
        assert rows(found, "label") == {f"images/0000{n}.jpg": ("fake" if n % 2 else "real",) for n in range(4)}


def test_mnw_and_synthbuster_have_fakes_only(tmp_path):
    mnw = tree(tmp_path / "mnw", "AI_Images/flux-pro/a.jpg", "AI_Images/Nova Canvas/b.jpg")
    found = understand(mnw)
    assert found.layout == "generators"
    assert rows(found, "label", "generator") == {
        "AI_Images/flux-pro/a.jpg": ("fake", "flux-pro"),
        "AI_Images/Nova Canvas/b.jpg": ("fake", "Nova Canvas"),
    }
    buster = tree(
        tmp_path / "synthbuster",
        *("dalle2/a.png", "dalle3/a.png", "firefly/a.png", "glide/a.png", "midjourney-v5/a.png"),
        *("stable-diffusion-1-3/a.png", "stable-diffusion-2/a.png", "stable-diffusion-xl/a.png"),
        kind="PNG",
    )
    found = understand(buster)
    assert {entry.generator for entry in found.listing.entries} == {path.name for path in buster.iterdir()}
    data = open_folders(buster, tmp_path / "out")
    assert data.labels.tolist() == [1] * 8


def test_one_label_needs_a_layout_or_a_flag(tmp_path):
    tree(tmp_path / "set", "fake/one/a.jpg", "fake/two/b.jpg")
    with pytest.raises(DataError, match="has fake images only .* --fake"):
        understand(tmp_path / "set")
    found = understand(None, fake=[tmp_path / "set/fake"])
    assert rows(found, "label", "generator") == {
        "fake/one/a.jpg": ("fake", "one"),
        "fake/two/b.jpg": ("fake", "two"),
    }


def test_raid_as_folders_and_as_parquet(tmp_path):
    tree(tmp_path / "tree", "real/a.png", "gen_0/a.png", "gen_1/a.png")
    assert rows(understand(tmp_path / "tree"), "label", "generator") == {
        "real/a.png": ("real", None),
        "gen_0/a.png": ("fake", "gen_0"),
        "gen_1/a.png": ("fake", "gen_1"),
    }
    table = pa.table({"image": [picture(n) for n in range(3)], "label": [2, 0, 1]})
    path = tmp_path / "raid.parquet"
    pq.write_table(table.replace_schema_metadata(classes("label", "gen_0", "gen_1", "real")), path)
    found = [(entry.label, entry.generator) for entry in understand(path).listing.entries]
    assert found == [("real", None), ("fake", "gen_0"), ("fake", "gen_1")]


@pytest.mark.parametrize("form", ["folders", "parquet"])
def test_three_labels_are_refused_with_the_flags_that_settle_it(tmp_path, form):
    if form == "folders":
        path = tree(tmp_path / "set", "real/a.png", "full_synthetic/a.png", "tampered/a.png", "tampered/b.png")
    else:
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        images = pa.array([{"bytes": picture(n), "path": None} for n in range(4)], kind)
        masks = pa.array([None, None, {"bytes": picture(9), "path": None}, None], kind)
        table = pa.table({"mask": masks, "image": images, "label": [0, 2, 1, 1], "generator": ["", "sd", "x", "x"]})
        path = tmp_path / "test-00000-of-00001.parquet"
        names = classes("label", "real", "tampered", "full_synthetic")
        pq.write_table(table.replace_schema_metadata(names), path)
    with pytest.raises(DataError, match=r"--fake-label tampered .* --drop tampered.* 2"):
        understand(path)
    dropped = understand(path, labels=LabelNames(drop=("tampered",)))
    assert dropped.listing.dropped == {"tampered": 2}
    assert sorted(entry.label for entry in dropped.listing.entries) == ["fake", "real"]
    assert "dropped as asked: 'tampered' 2" in dropped.describe()
    kept = understand(path, labels=LabelNames(fake=("tampered",)))
    assert sorted(entry.label for entry in kept.listing.entries) == ["fake", "fake", "fake", "real"]


def test_wildrf_platforms_are_sources(tmp_path):
    platforms = ("reddit", "twitter", "facebook")
    tree(tmp_path / "in", *(f"test/{name}/{label}/a.jpg" for name in platforms for label in ("0_real", "1_fake")))
    found = understand(tmp_path / "in")
    assert set(rows(found, "label", "source", "generator", "split").values()) == {
        (label, name, None, "test") for name in platforms for label in ("real", "fake")
    }


@pytest.mark.parametrize("form", ["one", "by generator", "bare"])
def test_aigibench_zips_as_downloaded(tmp_path, form):
    files = {
        f"{maker}/{label}/{n}.png": picture(10 * n + len(maker), "PNG")
        for maker in ("ProGAN", "FLUX1-dev")
        for label in ("0_real", "1_fake")
        for n in range(2)
    }
    if form == "one":
        zipped(tmp_path / "in/test.zip", {f"test/{name}": content for name, content in files.items()})
    else:
        for maker in ("ProGAN", "FLUX1-dev"):
            cut = len(maker) + 1 if form == "bare" else 0
            own = {name[cut:]: content for name, content in files.items() if name.startswith(maker)}
            zipped(tmp_path / f"in/test/{maker}.zip", own)
    put(tmp_path / "in/README.md", "AIGIBench")
    found = understand(tmp_path / "in")
    assert found.layout == "forensynths"
    assert rows(found, "label", "generator", "split") == {
        f"test/{name}": ("fake", name.split("/")[0], "test") if "1_fake" in name else ("real", None, "test")
        for name in files
    }


def test_openfake_keeps_model_prompt_and_date(tmp_path):
    table = pa.table(
        {
            "image": [picture(n) for n in range(3)],
            "prompt": ["a cat", "a dog", "a bird"],
            "label": ["real", "fake", "fake"],
            "model": ["laion", "flux.1-dev", "sdxl"],
            "type": ["real", "base", "lora"],
            "release_date": [None, "2024-08-01", "2023-07"],
        }
    )
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data/train-00000-of-00001.parquet")
    found = understand(tmp_path)
    assert [(e.label, e.generator, e.source, e.prompt, e.date, e.split) for e in found.listing.entries] == [
        ("real", None, "laion", "a cat", None, "train"),
        ("fake", "flux.1-dev", None, "a dog", "2024-08-01", "train"),
        ("fake", "sdxl", None, "a bird", "2023-07", "train"),
    ]
    data = open_folders(tmp_path, tmp_path / "out")
    shown = data.describe()
    for line in ("generators: flux.1-dev 1, sdxl 1", "sources: laion 1", "2023-07 to 2024-08-01", "prompts: 3 images"):
        assert line in shown


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_webdataset_shards_with_json(tmp_path, mode):
    for shard in range(2):
        files = {}
        for n in range(4):
            key = f"{shard}{n:04}"
            said = {"label": "fake" if n % 2 else "real", "model_name": "sdxl" if n % 2 else None, "caption": f"c{n}"}
            files |= {f"{key}.jpg": picture(10 * shard + n), f"{key}.json": json.dumps(said).encode()}
        tarred(tmp_path / f"train-{shard:06}.tar{'.gz' if ':' in mode else ''}", files, mode)
    found = understand(tmp_path)
    assert found.layout == "webdataset"
    assert rows(found, "label", "generator", "prompt", "split")["train-000001/10001.jpg"] == (
        "fake",
        "sdxl",
        "c1",
        "train",
    )
    assert (len(found.listing.entries), found.listing.extra) == (8, [])
    data = open_folders(tmp_path, tmp_path / "out")
    assert len(data) == 8
    assert data.info["problems"]["unreadable"] == 0
    one = understand(next(tmp_path.glob("train-000000.tar*")))
    assert rows(one, "label", "split")["00001.jpg"] == ("fake", "train")


def test_webdataset_shards_with_classes(tmp_path):
    files = {}
    for n in range(4):
        files |= {f"{n:04}.png": picture(n, "PNG"), f"{n:04}.cls": str(n % 2).encode()}
    path = tarred(tmp_path / "shards/test-000000.tar", files)
    with pytest.raises(DataError, match="--fake-label 1"):
        understand(path)
    assert set(rows(understand(path, labels=LabelNames(fake=("1",))), "label", "split").values()) == {
        ("real", "test"),
        ("fake", "test"),
    }
    put(tmp_path / "shards/classnames.txt", "fake\nreal\n")
    assert rows(understand(path), "label")["0000.png"] == ("fake",)


def test_gas_station_shards_with_an_index(tmp_path):
    for shard in (1, 2):
        files = {f"images/{shard}-{n}.png": picture(10 * shard + n, "PNG") for n in range(2)}
        tarred(tmp_path / f"archives/2026W19/images_{shard}.tar.gz", files, "w:gz")
    index = {
        "archive_filename": ["images_1.tar.gz", "images_1.tar.gz", "images_2.tar.gz", "images_2.tar.gz"],
        "file_path_in_archive": ["images/1-0.png", "images/1-1.png", "images/2-0.png", "images/gone.png"],
        "model_name": ["acme/flux", "acme/flux", "acme/sdxl", "acme/sdxl"],
        "prompt": ["a", "b", "c", "d"],
    }
    (tmp_path / "data_2026W19").mkdir()
    pq.write_table(pa.table(index), tmp_path / "data_2026W19/shard.parquet")
    found = understand(tmp_path)
    assert found.layout == "gas-station"
    assert set(rows(found, "label", "generator", "prompt").values()) == {
        ("fake", "acme/flux", "a"),
        ("fake", "acme/flux", "b"),
        ("fake", "acme/sdxl", "c"),
    }
    assert found.listing.missing
    assert len(open_folders(tmp_path, tmp_path / "out")) == 3


def test_labels_of_numbers_are_told_by_generators(tmp_path):
    lines = "file,label,model\n" + "".join(f"{n}.jpg,{n % 2},{'sdxl' if n % 2 == 0 else ''}\n" for n in range(4))
    tree(tmp_path, *(f"{n}.jpg" for n in range(4)))
    put(tmp_path / "table.csv", lines)
    found = understand(tmp_path)
    assert rows(found, "label")["0.jpg"] == ("fake",)
    assert any("label 0 is fake" in note for note in found.listing.notes)
    put(tmp_path / "table.csv", lines.replace("sdxl", ""))
    with pytest.raises(DataError, match="--fake-label 1"):
        understand(tmp_path)
    put(tmp_path / "table.csv", lines.replace("label", "is_real"))
    assert rows(understand(tmp_path), "label")["1.jpg"] == ("real",)
