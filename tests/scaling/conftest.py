"""Real thumbnails as shards of every kind, what a local scan gives of them, and an S3 server with faults."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asli.sample import sample_archive
from asli.scanning.scan import scan

ENGINES = bool(os.environ.get("ASLI_REQUIRE_ENGINES"))
"""Whether to run the tests that start clusters (extra `engines`, Java); CI does."""

COUNT, MANY = 400, 2000
DETECTOR = "thumbnail"


def read_thumbnails(count: int) -> dict[str, bytes]:
    """Return entry name and bytes of real images, in an order that is not sorted."""
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:count]
        return {f"{number * 7919 % count:06d}.jpg": archive.read(name) for number, name in enumerate(names)}


def by_id(rows):
    """Return rows by their id, each of which must occur once."""
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def tarred(files: dict[str, bytes]) -> bytes:
    """Return a WebDataset shard of images with a text beside each."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            for entry, content in ((name, data), (f"{name.partition('.')[0]}.json", b"{}")):
                info = tarfile.TarInfo(entry)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def write_shards(thumbnails: dict[str, bytes], folder: Path, count: int) -> Path:
    """Write tar shards."""
    names = list(thumbnails)
    for number in range(count):
        some = {name: thumbnails[name] for name in names[number::count]}
        (folder / f"{number:03d}.tar").write_bytes(tarred(some))
    return folder


def scan_locally(thumbnails: dict[str, bytes], folder: Path) -> dict[str, dict]:
    """Return rows of a local scan of one zip archive, by id."""
    (folder / "all.zip").write_bytes(zipped(thumbnails))
    scan(folder / "all.zip", folder / "scores.parquet", DETECTOR)
    return by_id(pq.read_table(folder / "scores.parquet").to_pylist())


@pytest.fixture(scope="session")
def thumbnails() -> dict[str, bytes]:
    return read_thumbnails(COUNT)


@pytest.fixture(scope="session")
def images(thumbnails) -> pa.Table:
    return pa.table({"id": list(thumbnails), "bytes": list(thumbnails.values())})


@pytest.fixture(scope="session")
def shards(thumbnails, tmp_path_factory) -> Path:
    return write_shards(thumbnails, tmp_path_factory.mktemp("shards"), 20)


@pytest.fixture(scope="session")
def local_rows(thumbnails, tmp_path_factory) -> dict[str, dict]:
    return scan_locally(thumbnails, tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="session")
def many_images() -> pa.Table:
    thumbnails = read_thumbnails(MANY)
    return pa.table({"id": list(thumbnails), "bytes": list(thumbnails.values())})


@pytest.fixture(scope="session")
def many_shards(tmp_path_factory) -> Path:
    return write_shards(read_thumbnails(MANY), tmp_path_factory.mktemp("shards"), 40)


@pytest.fixture(scope="session")
def many_rows(tmp_path_factory) -> dict[str, dict]:
    return scan_locally(read_thumbnails(MANY), tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="session")
def store():
    pytest.importorskip("boto3")
    from tests.scaling.s3_server import serving

    with serving() as (found, settings), pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield found
