import json
import os
import re
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from asli import files
from asli.detector.base import Detector
from asli.detector.predict import predict
from asli.errors import AsliError, DataError, RunError
from asli.scanning import scan as module
from asli.scanning.inputs import Inputs, Places
from asli.scanning.scan import scan
from tests.compare import SAME, differences
from tests.conftest import run_asli
from tests.scanning.test_inputs import zipped
from tests.schemas import require_schema


def hf_parquet(files, path):
    rows = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    pq.write_table(pa.table({"image": rows}), path, row_group_size=5)
    return path


def test_every_door_gives_predicts_scores_and_verdicts(finished, pictures, tmp_path):
    files = sorted(pictures.rglob("*.jpg"))
    (tmp_path / "list.txt").write_text("".join(f"{file}\n" for file in files))
    expected = predict(files, finished.path).to_dict()["images"]
    doors = {
        "folder": [pictures],
        "zip": [zipped(pictures, tmp_path / "a.zip")],
        "list": [tmp_path / "list.txt"],
        "parquet": [hf_parquet(files, tmp_path / "data.parquet")],
        "files": files,
        "one": files[:1],
    }
    for name, paths in doors.items():
        result = scan(paths, tmp_path / f"{name}.scores.parquet", finished.path)
        rows = pq.read_table(tmp_path / f"{name}.scores.parquet").to_pylist()
        assert len(rows) == result.images == (1 if name == "one" else 12)
        for row, image in zip(rows, expected, strict=name != "one"):
            assert abs(row["score"] - image["score"]) < SAME
            assert (row["verdict"], row["reasons"], row["error"]) == (image["verdict"], image["reasons"], None)
            assert row["score"] == pytest.approx(1 / (1 + np.exp(row["logit_real"] - row["logit_fake"])), abs=1e-12)
            assert (row["format"], row["width"], row["quality"]) == ("JPEG", 32, 75)
            assert row["bytes"] > 0
            assert re.fullmatch("[0-9a-f]{64}", row["sha256"])
    assert [row["path"] for row in pq.read_table(tmp_path / "folder.scores.parquet").to_pylist()] == [
        str(file) for file in files
    ]


@pytest.fixture
def troubled(pictures, tmp_path):
    """Two good images among everything that can be wrong with a file."""
    folder = tmp_path / "troubled"
    folder.mkdir()
    good = sorted(pictures.rglob("*.jpg"))[:2]
    (folder / "a.jpg").write_bytes(good[0].read_bytes())
    (folder / "b-empty.png").touch()
    (folder / "c-cut.jpg").write_bytes(good[0].read_bytes()[:400])
    (folder / "d-text.webp").write_text("no picture")
    Image.new("1", (1, 3_200_000)).save(folder / "e-narrow.png")
    (folder / "f-link.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "g.zip").write_bytes(b"PK no archive")
    with zipfile.ZipFile(folder / "h.zip", "w") as archive:
        archive.writestr("x.jpg", good[1].read_bytes())
        archive.writestr("y.jpg", b"hello hello hello")
    data = bytearray((folder / "h.zip").read_bytes())
    data[data.index(b"hello")] ^= 1
    (folder / "h.zip").write_bytes(data)
    table = pa.table({"image": pa.array([{"bytes": None, "path": "x"}, {"bytes": good[1].read_bytes(), "path": "y"}])})
    pq.write_table(table, folder / "i.parquet")
    os.mkfifo(folder / "j-pipe.jpg")
    with zipfile.ZipFile(folder / "k.zip", "w") as archive:
        archive.writestr("\u00e9.jpg", good[1].read_bytes())
    (folder / "k.zip").write_bytes((folder / "k.zip").read_bytes().replace("\u00e9".encode(), b"\xff\xff"))
    with zipfile.ZipFile(folder / "l.zip", "w") as archive:
        archive.writestr(".", b"a name of no parts")
    return folder


def test_an_unreadable_file_is_a_row_with_its_reason(finished, troubled, tmp_path, caplog):
    out = tmp_path / "scores.parquet"
    result = scan([troubled], out, finished.path, html=tmp_path / "page.html")
    rows = {row["id"]: row for row in pq.read_table(out).to_pylist()}
    errors = {id: row["error"] for id, row in rows.items() if row["error"]}
    assert list(rows) == sorted(rows)
    assert {id: error[:26] for id, error in errors.items()} == {
        "b-empty.png": "empty file (0 bytes)",
        "c-cut.jpg": errors["c-cut.jpg"][:26],
        "d-text.webp": "not an image of a kind tha",
        "e-narrow.png": "1 x 3200000 pixels: too na",
        "f-link.jpg": "cannot be read: No such fi",
        "h.zip/y.jpg": "cannot be read: Bad CRC-32",
        "i.parquet/00000000": "cannot be read: the row ho",
        "j-pipe.jpg": "cannot be read: a pipe, wh",
    }
    assert "cannot be decoded" in errors["c-cut.jpg"]
    for id in errors:
        assert rows[id]["score"] is rows[id]["logit_real"] is rows[id]["verdict"] is rows[id]["width"] is None
    assert rows["h.zip/x.jpg"]["score"] == pytest.approx(rows["i.parquet/00000001"]["score"], abs=SAME)
    assert result.unreadable.count == sum(result.unreadable.reasons.values()) == 8
    # An archive that cannot be opened is no picture: it is named apart.
    assert [reason.split(" is ")[0].rpartition("/")[2] for reason in result.ignored] == ["g.zip", "k.zip"]
    assert sum(result.verdicts.values()) == 3
    page = (tmp_path / "page.html").read_text()
    assert all(id in page for id in errors)
    assert page.count('"data:image/') - 2 == 3  # thumbnails of what could be read; the script names the kind twice
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)|https?:""", page)  # nothing is fetched
    counts = [int(count) for count in re.search(r'class="sum">([\d +]+) = 11 images', page)[1].split(" + ")]
    assert sum(counts) == 11
    assert counts[-1] == 8  # unreadable
    (told,) = predict([troubled / "e-narrow.png"], finished.path).to_dict()["images"]
    assert told["error"] == errors["e-narrow.png"]


def test_a_file_that_vanishes_meanwhile_is_a_row_with_its_reason(finished, pictures, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    shutil.copytree(pictures, folder)
    gone = sorted(folder.rglob("*.jpg"))[5]
    write = module.write_listing

    def and_remove(*arguments):
        found = write(*arguments)
        gone.unlink()
        return found

    monkeypatch.setattr(module, "write_listing", and_remove)
    scan([folder], tmp_path / "scores.parquet", finished.path)
    rows = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert len(rows) == 12
    (row,) = [row for row in rows if row["error"]]
    assert row["path"] == str(gone)
    assert row["error"] == "cannot be read: No such file or directory"


def test_the_domain_is_predicts(finished, pictures, tmp_path):
    big = tmp_path / "big.png"
    Image.open(next(pictures.rglob("*.jpg"))).resize((640, 480)).save(big)
    for force in (False, True):
        (told,) = predict([big], finished.path, force_domain=force).to_dict()["images"]
        result = scan([big], tmp_path / f"{force}.parquet", finished.path, force_domain=force)
        (row,) = pq.read_table(tmp_path / f"{force}.parquet").to_pylist()
        assert (row["verdict"], row["reasons"]) == (told["verdict"], told["reasons"])
        assert row["reasons"][0].startswith("outside domain")
        assert result.outside_domain.count == 1
        assert result.detector.force_domain == (force or None)
    assert pq.read_table(tmp_path / "False.parquet")["verdict"].to_pylist() == ["unsure"]
    assert pq.read_table(tmp_path / "True.parquet")["verdict"].to_pylist() != ["unsure"]


def test_a_finished_table_is_kept(finished, pictures, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(pictures, folder)
    for ending in ("parquet", "csv"):
        out = tmp_path / f"scores.{ending}"
        first = scan([folder], out, finished.path)
        bytes_ = out.read_bytes()
        again = scan([folder], out, finished.path)
        assert again.images_per_second is None
        assert again.done_before == again.images == first.images == 12
        assert again.verdicts == first.verdicts
        with pytest.raises(RunError, match="force_domain"):
            scan([folder], out, finished.path, force_domain=True)
        with pytest.raises(RunError, match="finished scan with other inputs"):
            scan([folder / "one"], out, finished.path)
        assert out.read_bytes() == bytes_
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"x": [1]}), foreign)
    with pytest.raises(RunError, match="no scan wrote it"):
        scan([folder], foreign, finished.path)
    assert not list(tmp_path.glob("*.parts"))


def test_csv_says_the_same(finished, troubled, tmp_path):
    scan([troubled], tmp_path / "a.parquet", finished.path)
    scan([troubled], tmp_path / "a.csv", finished.path)
    expected = pq.read_table(tmp_path / "a.parquet")
    options = pyarrow.csv.ConvertOptions(
        column_types={f.name: pa.string() if f.name == "reasons" else f.type for f in expected.schema},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    found = pyarrow.csv.read_csv(tmp_path / "a.csv", convert_options=options)
    reasons = ["; ".join(value) for value in expected["reasons"].to_pylist()]
    position = expected.schema.get_field_index("reasons")
    expected = expected.set_column(position, "reasons", pa.array(reasons)).replace_schema_metadata()
    assert found.schema == expected.schema
    logits = ("logit_real", "logit_fake")
    assert differences(found.drop(logits).to_pylist(), expected.drop(logits).to_pylist()) == []
    assert differences(found.select(logits).to_pylist(), expected.select(logits).to_pylist(), 1e-4) == []
    assert not list(tmp_path.glob("*.parts"))


def test_unsure_images_have_thumbnails_in_the_page(finished, pictures, tmp_path):
    detector = Detector.load(finished.path)
    wide = replace(detector.card.thresholds, low=0.0, high=1.0)
    detector.card = replace(detector.card, thresholds=wide)
    detector.save(tmp_path / "unsure")
    result = scan([pictures], tmp_path / "s.parquet", tmp_path / "unsure", html=tmp_path / "page.html")
    assert result.verdicts == {"real": 0, "unsure": 12, "fake": 0}
    page = (tmp_path / "page.html").read_text()
    data = json.loads(re.search(r'id="gallery-data">(.*?)</script>', page)[1])
    assert data["middle"] == 0.5
    unsure = [row for row in data["list"]["rows"] if data["list"]["categories"][row[3]] == "unsure"]
    assert len(unsure) == 12 - result.outside_domain.count >= 6
    assert all(row[-1].startswith("data:image/") for row in unsure)


@pytest.mark.slow
def test_the_command_prints_a_summary_or_json_and_one_line_for_what_is_wrong(finished, pictures, troubled, tmp_path):
    done = run_asli("scan", pictures, troubled, "--detector", finished.path, "-o", "s.csv", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = require_schema("scan", done.stdout)
    assert (result["images"], result["unreadable"]["count"]) == (23, 8)
    done = run_asli("scan", pictures, troubled, "--detector", finished.path, "-o", "s.csv", cwd=tmp_path)
    assert "s.csv is finished: 23 images" in done.stdout
    assert "unreadable 8" in done.stdout
    (tmp_path / "none").mkdir()
    for paths, out, words in (
        (["none"], "s.parquet", "no image in none"),
        (["nowhere"], "s.parquet", "nowhere does not exist"),
        ([str(pictures)], "s.txt", "must end in .parquet or .csv"),
    ):
        done = run_asli("scan", *paths, "--detector", finished.path, "-o", out, cwd=tmp_path)
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / out).exists()
        assert not list(tmp_path.glob("*.parts"))


@pytest.mark.slow
def test_a_fake_or_an_unreadable_image_sets_the_status_where_asked_for(finished, pictures, tmp_path):
    detector = Detector.load(finished.path)
    detector.card = replace(detector.card, thresholds=replace(detector.card.thresholds, low=0.0, high=0.0))
    detector.save(tmp_path / "all-fake")
    shutil.copytree(pictures, tmp_path / "some")
    (tmp_path / "some/empty.png").touch()
    # status, of the twelve images and of these with an unreadable one
    expected = {
        "scan": {"": (0, 0), "error": (0, 1), "fake": (3, 3)},
        "predict": {"": (0, 1), "error": (0, 1), "fake": (3, 3)},
    }
    for command, cases in expected.items():
        for wanted, statuses in cases.items():
            for folder, status in zip((pictures, tmp_path / "some"), statuses, strict=True):
                options = ["--fail-on", wanted] if wanted else []
                out = ["-o", f"{folder.name}.csv", "--batch-size", "4"] if command == "scan" else []
                done = run_asli(command, folder, "--detector", "all-fake", *out, *options, cwd=tmp_path)
                assert (done.returncode, command, wanted) == (status, command, wanted), done.stderr
                assert ("were called fake" in done.stderr) == (status == 3)
                assert ("could not be scored" in done.stderr) == (status == 1)
    assert (tmp_path / "some.csv").exists()
    done = run_asli("scan", pictures, "-o", "parts/", "--fail-on", "fake", cwd=tmp_path)
    assert (done.returncode, "asli scan merge" in done.stderr) == (1, True)


def test_errors_are_asli_errors(finished, tmp_path):
    with pytest.raises(AsliError):
        scan([tmp_path], tmp_path / "x.json", finished.path)
    with pytest.raises(DataError):
        scan([tmp_path], tmp_path / "x.parquet", finished.path)


def test_places_that_are_gone_give_errors_not_crashes(pictures, tmp_path):
    archive = zipped(pictures, tmp_path / "a.zip")
    inputs = Inputs([archive])
    items = list(inputs.items())
    archive.unlink()
    with pytest.raises(OSError, match="No such file"):
        Places(inputs.places).read(items[0])


@pytest.mark.parametrize("name", ["scores.csv", "scores.csv.json", "scores.csv.parts", "notes.html"])
def test_the_page_takes_the_place_of_nothing_else(finished, pictures, tmp_path, name):
    (tmp_path / "notes.html").write_text("mine")
    with pytest.raises(AsliError, match="give another --html"):
        scan([pictures], tmp_path / "scores.csv", finished.path, html=tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.html"]
    assert (tmp_path / "notes.html").read_text() == "mine"


def test_the_page_of_an_earlier_scan_is_replaced(finished, pictures, tmp_path):
    page = tmp_path / "page.html"
    for name in ("a.csv", "b.csv"):
        scan([pictures], tmp_path / name, finished.path, html=page)
    assert "<title>Scan of 12 images" in page.read_text()


@pytest.mark.slow
def test_any_names_are_scanned_and_printed_on_one_line(finished, pictures, tmp_path):
    data = next(pictures.rglob("*.jpg")).read_bytes()
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "two\nlines, \x1b[31mred.jpg").write_bytes(data)
    (folder / "empty\nfile.jpg").touch()
    with zipfile.ZipFile(folder / os.fsdecode(b"\xe9.zip"), "w") as archive:
        archive.writestr("x.jpg", data)
    for out in (tmp_path / "scores.csv", tmp_path / "scores.parquet"):
        result = scan([folder], out, finished.path)
        assert (result.images, result.unreadable.count) == (3, 1)
        assert scan([folder], out, finished.path).images_per_second is None
    ids = pq.read_table(out)["id"].to_pylist()
    assert ids == ["empty\nfile.jpg", "two\nlines, \x1b[31mred.jpg", r"\xe9.zip/x.jpg"]
    assert pq.read_table(out)["path"][2].as_py() == rf"{tmp_path}/caf\xe9/\xe9.zip/x.jpg"
    done = run_asli("predict", *folder.iterdir(), "--detector", finished.path)
    assert len(done.stdout.splitlines()) == 3, done.stdout
    assert r"two\nlines, \x1b[31mred.jpg: " in done.stdout
    with pytest.raises(AsliError, match="not UTF-8"):
        scan([folder], tmp_path / os.fsdecode(b"\xe9.csv"), finished.path)


def test_a_file_too_large_to_be_a_picture_is_not_read(finished, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST", 2_000)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(bytes(3_000))
    with zipfile.ZipFile(folder / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.jpg", bytes(3_000))
    scan([folder], tmp_path / "scores.parquet", finished.path)
    errors = pq.read_table(tmp_path / "scores.parquet")["error"].to_pylist()
    assert errors == ["cannot be read: 3,000 bytes, more than 2,000"] * 2
