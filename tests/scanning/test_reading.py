"""How a scan shares its reading among threads."""

import time

import pytest

from asli.scanning.inputs import Inputs, Places
from asli.scanning.name_list import write_listing
from asli.scanning.scan import SMALL, reading_threads


@pytest.mark.parametrize(
    ("small", "large", "threads"), [(20, 0, 1), (0, 20, 4), (20, 3, 1), (3, 20, 4)], ids=["small", "large", "s", "l"]
)
def test_one_thread_reads_where_most_files_are_small(small, large, threads, tmp_path):
    for number in range(small + large):  # their names alternate
        size = SMALL if (number * small) % (small + large) < small else SMALL + 1
        (tmp_path / f"{number:03d}.jpg").write_bytes(bytes(size))
    assert sum(file.stat().st_size == SMALL for file in tmp_path.iterdir()) == small
    listing = write_listing(Inputs([tmp_path]), tmp_path / "names.parquet")
    assert reading_threads(listing, Places(listing.places), 4) == threads
    assert reading_threads(listing, Places(listing.places), 1) == 1


def test_all_threads_read_small_files_of_slow_storage(tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / f"{number:02d}.jpg").write_bytes(b"small")
    listing = write_listing(Inputs([tmp_path]), tmp_path / "names.parquet")
    reads, read = [], Places.read

    def slow(self, item):
        reads.append(item)
        time.sleep(0.2)
        return read(self, item)

    monkeypatch.setattr(Places, "read", slow)
    assert reading_threads(listing, Places(listing.places), 4) == 4
    assert len(reads) < 10  # it does not wait for all of them


def test_files_that_cannot_be_read_are_left_to_the_scan(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(bytes(SMALL))
    listing = write_listing(Inputs([tmp_path]), tmp_path / "names.parquet")
    for file in tmp_path.glob("*.jpg"):
        file.unlink()
    assert reading_threads(listing, Places(listing.places), 4) == 4
