import io
import re
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageDraw

from asli.auditing import shortcuts
from asli.auditing.audit import audit
from asli.auditing.checks.check import Severity
from asli.auditing.checks.check_registry import BUILT_IN
from asli.auditing.duplicate_sections import look_alikes
from asli.auditing.duplicates import find_duplicates
from asli.auditing.equalize import equalize
from asli.auditing.hamming import neighbors
from asli.auditing.read_pixels import PixelReader
from asli.auditing.shortcut_features import SPECTRUM_NAMES, spectrum
from asli.cli import main
from asli.datasets.build import open_folders
from asli.datasets.cache import open_data
from tests.conftest import run_asli
from tests.images import png_of_16_bits
from tests.schemas import require_schema

LABELS = ("real", "fake")


@pytest.mark.parametrize("side", [16, 24, 32])
@pytest.mark.filterwarnings("error")
def test_any_crop_has_statistics_of_its_spectrum(side, rng):
    found = spectrum(rng.integers(0, 256, (6, side, side, 3), dtype=np.uint8))
    assert found.shape == (6, len(SPECTRUM_NAMES))
    finite = np.isfinite(found)
    assert (
        finite.all(axis=0) | ~finite.any(axis=0)
    ).all()  # a small crop lacks a band, no image lacks what others have
    assert finite.mean() > 0.8


@pytest.fixture
def few_fits(monkeypatch):
    """Of everything the classifiers repeat, enough to tell labels that can be read from such as cannot."""
    monkeypatch.setattr(shortcuts, "PERMUTATIONS", 10)
    monkeypatch.setattr(shortcuts, "FOLDS", 3)
    for trees in (shortcuts.TREES, shortcuts.NULL_TREES):
        monkeypatch.setitem(trees, "max_iter", 12)


@pytest.fixture
def photographs(sample):
    """240 real photographs of the sample, in random order, so that a label dealt to them means nothing."""
    rows = np.flatnonzero((sample.labels == 0) & sample.readable)
    return [Image.fromarray(sample.images[r]) for r in np.random.default_rng(1).permutation(rows)[:240]]


def write(root, pictures, how):
    """Deal pictures to the labels in turn and save each as `how(label)` says."""
    for number, picture in enumerate(pictures):
        label = LABELS[number % 2]
        suffix, size, options = how(label)
        path = root / label / f"{number:03d}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.resize((size, size)).save(path, **options)
    return root


def exif():
    tags = Image.Exif()
    tags[0x010F] = "Camera"
    return tags


CASES = {
    "format": (lambda label: ("jpg", 48, {"quality": 90}) if label == "real" else ("png", 48, {}), "format"),
    "size": (lambda label: ("jpg", 48 if label == "real" else 40, {"quality": 90}), "width"),
    "exif": (
        lambda label: ("jpg", 48, {"quality": 90, "exif": exif()} if label == "real" else {"quality": 90}),
        "EXIF",
    ),
    "nothing": (lambda label: ("jpg", 48, {"quality": 90}), None),
}


def settings(root):
    result = audit(root)
    (finding,) = [finding for finding in result.findings if finding.check == "file-settings"]
    return result.shortcuts.kinds["files"], finding


@pytest.mark.slow
@pytest.mark.usefixtures("few_fits")
@pytest.mark.parametrize("case", CASES)
def test_what_differs_is_seen_and_named_and_equalizing_takes_it_away(case, photographs, tmp_path):
    how, feature = CASES[case]
    root = write(tmp_path / "in", photographs, how)
    found, finding = settings(root)
    if feature is None:
        assert found.auroc.low <= 0.5 <= found.auroc.high
        assert finding.severity is Severity.PASS
    else:
        assert found.auroc.value > 0.99
        assert finding.severity is Severity.FAIL
        assert "labels are readable from the files" in finding.finding
        assert "--equalize" in finding.remedy
        assert feature in [line.feature for line in found.telling]
    before = {p: p.read_bytes() for p in root.rglob("*.*")}
    data = open_data(root)
    equalize(data, tmp_path / "out", size=32)
    equalize(data, tmp_path / "again", size=32)
    assert before == {p: p.read_bytes() for p in root.rglob("*.*")}
    copies = sorted((tmp_path / "out").rglob("*.jpg"))
    assert len(copies) == 240
    for path in copies:
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(tmp_path / "out")).read_bytes()
    after, finding = settings(tmp_path / "out")
    assert 0.35 < after.auroc.value < 0.65
    assert (finding.severity, finding.remedy) == (Severity.PASS, "")


def test_neighbors_equal_a_comparison_of_all_pairs(rng):
    hashes = rng.integers(0, 1 << 63, 400, dtype=np.uint64)
    for k in range(100):  # near ones at every distance about the radius
        bits = rng.permutation(64)[: k % 11]
        hashes[k] = hashes[k + 200] ^ np.uint64(sum(1 << int(b) for b in bits))
    found = neighbors(hashes)
    i, j = np.triu_indices(400, 1)
    near = np.bitwise_count(hashes[i] ^ hashes[j]) <= 7
    assert near.sum() >= 60
    assert found.pairs.tolist() == np.stack([i[near], j[near]], 1).tolist()


def test_full_buckets_are_skipped_and_named():
    found = neighbors(np.zeros(50, dtype=np.uint64), bucket_limit=10)
    assert not len(found.pairs)
    assert found.skipped.tolist() == list(range(50))


@pytest.mark.slow
@pytest.mark.usefixtures("few_fits")
def test_damage_and_duplicates_are_named_and_strict_leaves_with_3(photographs, tmp_path, capsys):
    root = write(tmp_path / "in", photographs, CASES["nothing"][0])
    (root / "real/copy.jpg").write_bytes((root / "fake/001.jpg").read_bytes())
    with Image.open(root / "real/000.jpg") as picture:
        picture.save(root / "real/near.jpg", quality=40)
    (root / "fake/empty.jpg").write_bytes(b"")
    stream = io.BytesIO()
    photographs[3].convert("CMYK").save(stream, "JPEG")
    (root / "fake/cmyk.jpg").write_bytes(stream.getvalue())
    page = tmp_path / "audit.html"
    with pytest.raises(SystemExit) as left:
        main(["audit", str(root), "--json", "--strict", "--html", str(page)])
    done = capsys.readouterr()
    assert left.value.code == 3, done.err
    assert "checks failed: " in done.err.strip().splitlines()[-1]
    result = require_schema("audit", done.out)
    assert {kind["kind"]: kind["count"] for kind in result["oddities"]} == {"zero bytes": 1, "CMYK": 1}
    assert result["duplicates"]["exact"]["across_labels"] == 1
    assert ["fake/001.jpg", "real/copy.jpg"] in result["duplicates"]["exact"]["listed"]
    assert any({"real/000.jpg", "real/near.jpg"} == set(pair[:2]) for pair in result["duplicates"]["near"]["listed"])
    text = page.read_text()
    assert all(link.startswith(("data:", "#")) for link in re.findall(r'(?:src|href)="([^"]*)"', text))
    assert [line["check"] for line in result["findings"]] == [check.name for check in BUILT_IN]
    rows = text.split('id="checks"')[1].split("</table>")[0].split("<tr>")[2:]
    order = ["fail", "warning", "not checked", "pass"]  # on the page, failed checks come first
    lines = sorted(result["findings"], key=lambda line: order.index(line["severity"]))
    for line, row in zip(lines, rows, strict=True):
        assert {line["title"], line["severity"]} <= set(re.findall(r"(?<=>)[^<]+(?=<)", row))
    assert "<p>fake/001.jpg</p><p>real/copy.jpg</p>" in text
    assert "Exact duplicates" in text
    assert "Near-duplicates" in text
    assert "CMYK" in text


def test_every_unusual_kind_is_counted_and_named(photographs, tmp_path):
    root = write(tmp_path / "in", photographs[:8], CASES["nothing"][0])
    picture, odd = photographs[20], root / "fake"
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(odd / "rotated.jpg", exif=turned)
    picture.convert("L").save(odd / "gray.png")
    picture.convert("P").save(odd / "palette.png")
    picture.convert("CMYK").save(odd / "cmyk.jpg")
    picture.convert("RGBA").save(odd / "transparent.webp", lossless=True)
    alpha = picture.convert("RGBA")
    alpha.putalpha(100)
    alpha.save(odd / "alpha.png")
    picture.save(odd / "animated.gif", save_all=True, append_images=photographs[21:23])
    Image.fromarray(np.full((32, 32), 40_000, np.uint16)).save(odd / "deep.png")
    (odd / "deep-color.png").write_bytes(png_of_16_bits(np.full((32, 32, 3), 40_000, np.uint16)))
    Image.new("RGB", (5000, 4001)).save(odd / "giant.png")
    whole = (root / "fake/001.jpg").read_bytes()
    (odd / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (odd / "text.jpg").write_text("not an image")
    (odd / "empty.png").write_bytes(b"")
    result = audit(root)
    named = {kind.kind: {name.split(":")[0].split("/")[1] for name in kind.names} for kind in result.oddities}
    assert named == {
        "zero bytes": {"empty.png"},
        "corrupt, truncated or refused": {"truncated.jpg", "text.jpg"},
        "animated": {"animated.gif"},
        "CMYK": {"cmyk.jpg"},
        "16 or 32 bits deep": {"deep.png", "deep-color.png"},
        "transparent": {"alpha.png"},
        "palette": {"palette.png", "animated.gif"},
        "gray": {"gray.png"},
        "rotated by EXIF": {"rotated.jpg"},
        "giant (over 20 megapixels)": {"giant.png"},
    }
    assert all(kind.count == kind.fake == len(kind.names) for kind in result.oddities)


def page(rng):
    """Return a page that differs from others of its template by one word."""
    made = Image.new("RGB", (160, 200), "white")
    draw = ImageDraw.Draw(made)
    for line in range(8):
        word = "".join(chr(97 + letter) for letter in rng.integers(0, 26, 7))
        draw.text((10, 12 + 20 * line), word if line == 4 else "the same line here", fill="black")
    return made


@pytest.mark.parametrize("block", [4096, 64])
def test_duplicates_beside_many_pages_of_one_template_are_found(tmp_path, rng, monkeypatch, block):
    monkeypatch.setattr("asli.auditing.duplicates.BLOCK", block)  # one for all, or several
    monkeypatch.setattr("asli.auditing.duplicates.neighbors", partial(neighbors, bucket_limit=40))
    pages = [page(rng) for _ in range(120)]
    for label in LABELS:
        (tmp_path / "in" / label).mkdir(parents=True)
    for number, picture in enumerate(pages):
        picture.save(tmp_path / "in" / LABELS[number % 2] / f"page{number:03d}.png")
    expected = set()
    y, x = np.mgrid[0:200, 0:160]
    for number in range(5):
        scene = 127 + 100 * np.sin(x / (5 + 3 * number)) * np.cos(y / (15 - 2 * number)) + rng.normal(0, 4, (200, 160))
        scene = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8)).convert("RGB")
        scene.save(tmp_path / f"in/real/scene{number}.png")
        scene.save(tmp_path / f"in/fake/scene{number}.jpg", quality=60)
        expected.add((f"fake/scene{number}.jpg", f"real/scene{number}.png"))
    pages[7].save(tmp_path / "in/real/copy.png")  # exact, and under the other label
    pages[8].save(tmp_path / "in/fake/again.webp", lossless=False, quality=80)
    data = open_data(tmp_path / "in")
    found = find_duplicates(data, PixelReader(data))
    ids = data.table(["id"])["id"].to_pylist()
    near = {tuple(sorted((ids[a], ids[b]))) for a, b in found.near}
    assert expected | {("fake/again.webp", "real/page008.png")} <= near
    assert not any("page" in a and "page" in b for a, b in near)
    assert (found.summary.exact.counts.pairs, found.summary.exact.counts.across_labels) == (1, 1)
    assert found.summary.near.look_alikes.images >= 120
    section = look_alikes(found.summary.near.look_alikes, data, PixelReader(data))
    assert len(section.images) == 12
    assert all("page" in image.lines[1] for image in section.images)
    assert np.bincount(found.groups).max() <= 4  # not merged into one group


def test_of_a_large_group_of_identical_pictures_each_label_is_seen(tmp_path, photographs):
    for label, count in (("real", 130), ("fake", 3)):
        (tmp_path / "in" / label).mkdir(parents=True)
        for number in range(count):
            photographs[0].save(tmp_path / "in" / label / f"{number:03d}.png")
    data = open_data(tmp_path / "in")
    found = find_duplicates(data, PixelReader(data)).summary.exact
    assert found.groups_cut == 1
    assert found.counts.across_labels > 0


@pytest.mark.slow
def test_killed_copy_goes_on_and_ends_as_an_undisturbed_one(photographs, tmp_path):
    root = write(tmp_path / "in", photographs, CASES["nothing"][0])
    data = tmp_path / "data"
    assert run_asli("data", "open", root, data).returncode == 0
    copying = ("audit", data, "--size", "32", "--equalize")
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    command = [sys.executable, "-m", "asli", *map(str, copying), str(cut)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(cut.rglob("*.jpg"))) < 5:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert 0 < len(list(cut.rglob("*.jpg"))) <= 240
    assert run_asli(*copying, whole).returncode == 0
    done = run_asli(*copying, cut)
    assert done.returncode == 0, done.stderr
    require_schema("equalize", (whole / "equalize.json").read_text())
    files = {p.relative_to(whole): p.read_bytes() for p in whole.rglob("*") if p.is_file()}
    assert {p.relative_to(cut): p.read_bytes() for p in cut.rglob("*") if p.is_file()} == files
    assert run_asli(*copying, cut).returncode == 0  # finished: nothing to do
    other = run_asli("audit", data, "--size", "24", "--equalize", cut)
    assert other.returncode == 1
    assert "is not empty; give a new folder" in other.stderr


def test_copies_of_images_beside_their_table_stay_in_the_copy(photographs, tmp_path):
    for number, name in enumerate(("pics/real", "pics/fake", "set")):
        (tmp_path / name).mkdir(parents=True)
        if name != "set":
            photographs[number].save(tmp_path / name / "x.png")
    table = tmp_path / "set/images.csv"
    table.write_text("path,label\n../pics/real/x.png,real\n../pics/fake/x.png,fake\n")
    data = open_folders(table, tmp_path / "data")
    equalize(data, tmp_path / "out/copy", size=24)
    copies = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.jpg")}
    assert copies == {"copy/train/real/pics/x.jpg", "copy/train/fake/pics/x.jpg"}
