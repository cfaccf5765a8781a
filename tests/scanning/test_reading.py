"""How a scan shares its reading among threads."""

import time

import pytest

from asli.scanning.inputs import Inputs, Places
from asli.scanning.name_list import write_listing
from asli.scanning.scan import SMALL, mostly_small


@pytest.mark.parametrize(
    ("small", "large", "answer"),
    [(20, 0, True), (0, 20, False), (20, 3, True), (3, 20, False)],
    ids=["small", "large", "s", "l"],
)
def test_the_median_of_some_files_tells_whether_most_are_small(small, large, answer, tmp_path):
    for number in range(small + large):  # their names alternate
        size = SMALL if (number * small) % (small + large) < small else SMALL + 1
        (tmp_path / f"{number:03d}.jpg").write_bytes(bytes(size))
    assert sum(file.stat().st_size == SMALL for file in tmp_path.iterdir()) == small
    listing = write_listing(Inputs([tmp_path]), tmp_path / "names.parquet")
    assert mostly_small(listing) == answer


def test_small_files_of_slow_storage_do_not_count(tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / f"{number:02d}.jpg").write_bytes(b"small")
    listing = write_listing(Inputs([tmp_path]), tmp_path / "names.parquet")
    reads, read = [], Places.read

    def slow(self, item):
        reads.append(item)
        time.sleep(0.2)
        return read(self, item)

    monkeypatch.setattr(Places, "read", slow)
    assert not mostly_small(listing)
    assert len(reads) < 10  # it does not wait for all of them


def test_files_that_cannot_be_read_are_left_to_the_scan(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(bytes(SMALL))
    listing = write_listing(Inputs([tmp_path]), tmp_path / "names.parquet")
    for file in tmp_path.glob("*.jpg"):
        file.unlink()
    assert not mostly_small(listing)
