"""Real thumbnails as shards of every kind, what a local scan gives of them, and an S3 server with faults."""

import io
import os
import tarfile
import threading
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asli.sample import sample_archive
from asli.scanning.scan import scan

ENGINES = bool(os.environ.get("ASLI_REQUIRE_ENGINES"))
"""Whether to run the tests that start clusters (extra `engines`, Java); on busy cores Ray gives up."""

COUNT = 2000 if ENGINES else 400
DETECTOR = "thumbnail"


@pytest.fixture(scope="session")
def thumbnails() -> dict[str, bytes]:
    """Entry name and bytes of real images, in an order that is not sorted."""
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:COUNT]
        return {f"{number * 7919 % COUNT:06d}.jpg": archive.read(name) for number, name in enumerate(names)}


@pytest.fixture(scope="session")
def images(thumbnails) -> pa.Table:
    return pa.table({"id": list(thumbnails), "bytes": list(thumbnails.values())})


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


@pytest.fixture(scope="session")
def shards(thumbnails, tmp_path_factory) -> Path:
    """Twenty tar shards."""
    folder = tmp_path_factory.mktemp("shards")
    names = list(thumbnails)
    for number in range(20):
        some = {name: thumbnails[name] for name in names[number::20]}
        (folder / f"{number:03d}.tar").write_bytes(tarred(some))
    return folder


@pytest.fixture(scope="session")
def local_rows(thumbnails, tmp_path_factory) -> dict[str, dict]:
    """Rows of a local scan of one zip archive, by id."""
    folder = tmp_path_factory.mktemp("local")
    (folder / "all.zip").write_bytes(zipped(thumbnails))
    scan(folder / "all.zip", folder / "scores.parquet", DETECTOR)
    return {row["id"]: row for row in pq.read_table(folder / "scores.parquet").to_pylist()}


class Faults:
    """Requests in between: answers some reads of objects with 500, and cuts others in the middle.

    Attributes:
        every: Each so many reads one fails; 0 for none.
    """

    def __init__(self, app) -> None:
        self._app, self._lock, self._count = app, threading.Lock(), 0
        self.every = 0
        self.made = {"500": 0, "cut": 0}

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] != "GET" or "list-type" in environ["QUERY_STRING"] or not self.every:
            return self._app(environ, start_response)
        with self._lock:
            self._count += 1
            turn, fails = (self._count // self.every) % 2, self._count % self.every == 0
        if not fails:
            return self._app(environ, start_response)
        if turn:
            self.made["500"] += 1
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        self.made["cut"] += 1
        return self._cut(self._app(environ, start_response))

    @staticmethod
    def _cut(parts):
        data = b"".join(parts)
        yield data[: len(data) // 2]
        raise ConnectionError("cut on purpose")


class Store:
    """An S3 server on loopback."""

    def __init__(self, faults: Faults, endpoint: str, client) -> None:
        self.faults, self.endpoint, self.client = faults, endpoint, client

    def put(self, bucket: str, files: dict[str, bytes]) -> None:
        self.client.create_bucket(Bucket=bucket)
        for name, data in files.items():
            self.client.put_object(Bucket=bucket, Key=name, Body=data)


@pytest.fixture(scope="session")
def store():
    boto3 = pytest.importorskip("boto3")
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_):
            pass

    faults = Faults(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield Store(faults, endpoint, boto3.client("s3"))
    server.shutdown()
