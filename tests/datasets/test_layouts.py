import pytest

from asli.datasets.cifake import cifake, expected_names
from asli.datasets.layouts import folders, summary
from asli.errors import DataError


def test_aliases_any_case_any_depth():
    listing = folders(["x/Train/nature/a.JPG", "x/Train/AI/b.png", "x/val/camera/deep/c.webp", "x/notes.txt"])
    assert [(e.id, e.label, e.split) for e in listing.entries] == [
        ("x/Train/AI/b.png", "fake", "train"),
        ("x/Train/nature/a.JPG", "real", "train"),
        ("x/val/camera/deep/c.webp", "real", "validation"),
    ]
    assert listing.extra == ["x/notes.txt"]
    assert summary(listing.entries) == {"train": {"real": 1, "fake": 1}, "validation": {"real": 1, "fake": 0}}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dogs/a.jpg", "cannot tell the label of the images in dogs/: 'dogs' is no known name"),
        ("0/a.jpg", "say which name means fake, for example --fake-label 1"),
        ("real/fake/a.jpg", "both labels"),
        ("train/test/real/a.jpg", "two splits"),
        ("real/readme.md", "no images found"),
    ],
)
def test_what_cannot_be_told_is_refused(name, words):
    with pytest.raises(DataError, match=words):
        folders([name])


def test_cifake_names_say_split_label_category():
    listing = cifake(["archive/train/FAKE/1000 (10).jpg", "archive/test/REAL/0000.jpg"], complete=False)
    first, second = listing.entries
    assert (first.id, first.label, first.split, first.category) == ("test/REAL/0000.jpg", "real", "test", "airplane")
    assert (second.label, second.split, second.category) == ("fake", "train", "truck")
    assert (first.generator, second.generator) == (None, "stable-diffusion-1.4")


def test_cifake_names_missing_and_extra_files():
    names = expected_names()
    assert len(set(names)) == 120_000
    names.remove("train/REAL/0017.jpg")
    listing = cifake([*names, "train/REAL/0017 (11).jpg", "LICENSE"])
    assert listing.missing == ["train/REAL/0017.jpg"]
    assert listing.extra == ["train/REAL/0017 (11).jpg", "LICENSE"]


def test_cifake_refuses_others_and_doubles():
    with pytest.raises(DataError, match="asli data open"):
        cifake(["real/a.jpg"])
    with pytest.raises(DataError, match="twice"):
        cifake(["a/test/REAL/0000.jpg", "b/test/REAL/0000.jpg"])
