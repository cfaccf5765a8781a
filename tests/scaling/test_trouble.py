"""Missing, empty, huge and truncated objects, and servers that a list should not lead to."""

import http.server
import threading
import time
from typing import ClassVar

import pytest

from asli.errors import DataError
from asli.scaling import web
from asli.scaling.merging import merge_parts
from asli.scaling.part_folder import PartFolder
from asli.scaling.sharded import scan_parts
from asli.scaling.tar_shards import key_of
from tests.scaling.conftest import DETECTOR, tarred


def rows_of(out):
    folder = PartFolder(str(out))
    return {row["id"]: row for _, batch in folder.tables(folder.parts()) for row in batch.to_pylist()}


def test_a_failing_object_is_a_row_with_its_reason(store, thumbnails, tmp_path):
    data = next(iter(thumbnails.values()))
    store.put("trouble", {"good.jpg": data, "empty.jpg": b"", "huge.jpg": b"\xff\xd8" + bytes(300_000_000)})
    lines = [
        "good.jpg",
        "empty.jpg",
        "missing.jpg",
        "huge.jpg",
        "/etc/hostname",
        "file:///etc/hostname",
        "s3://trouble/good.jpg",
        "zip://x::http://127.0.0.1/y.zip",
        "http://127.0.0.1:9/x.jpg",
        "http://127.0.0.1:9/x.tar",
    ]
    store.put(
        "trouble-list",
        {"list.txt": "\n".join(f"s3://trouble/{line}" if k < 4 else line for k, line in enumerate(lines)).encode()},
    )
    scan_parts("s3://trouble-list/list.txt", tmp_path / "out", DETECTOR)
    errors = {
        id.rpartition("trouble/")[2] if id.startswith("s3") else id: row["error"]
        for id, row in rows_of(tmp_path / "out").items()
    }
    assert len(errors) == 9  # good.jpg is there twice
    assert errors["good.jpg"] is None
    for id, words in {
        "empty.jpg": "empty",
        "missing.jpg": "No such",
        "huge.jpg": "more than 100,000,000 bytes",
        "/etc/hostname": "cannot name local files",
        "file:///etc/hostname": "file:// is not read",
        "zip://x::http://127.0.0.1/y.zip": "not read",
        "http://127.0.0.1:9/x.jpg": "private address",
        "http://127.0.0.1:9/x.tar": "--allow-host 127.0.0.1:9",
    }.items():
        assert words in errors[id], (id, errors[id])


def test_a_truncated_shard_loses_only_its_tail(store, thumbnails, tmp_path):
    some = dict(list(thumbnails.items())[:20])
    whole = tarred(some)
    at = whole.index(list(some.values())[12])
    store.put(
        "cut",
        {
            "a.tar": whole[: at + 100],  # within an image
            "b.tar": whole[: at - 300],  # within its head
            "c.tar": tarred(some),
            "d.tar": b"",
            "e.zip": b"PK no",
            "f.parquet": b"PAR1",
        },
    )
    scan_parts(
        [f"s3://cut/{name}" for name in ("a.tar", "b.tar", "c.tar", "d.tar", "e.zip", "f.parquet", "gone.tar")],
        tmp_path / "out",
        DETECTOR,
    )
    assert merge_parts(tmp_path / "out").shards == 1
    rows = rows_of(tmp_path / "out")
    good = {shard: sum(row["error"] is None for id, row in rows.items() if f"/{shard}.tar/" in id) for shard in "abc"}
    assert good == {"a": 12, "b": 12, "c": 20}
    names = list(some)
    assert "ends after 100 of" in rows[f"s3://cut/a.tar/{names[12]}"]["error"]
    assert f"behind sample {names[11].partition('.')[0]}, 24 entries" in rows["s3://cut/b.tar/#rest"]["error"]
    bad = {id: row["error"] for id, row in rows.items() if row["error"]}
    assert {"s3://cut/d.tar/#rest", "s3://cut/e.zip", "s3://cut/f.parquet", "s3://cut/gone.tar"} < set(bad)
    assert len(bad) == 6
    assert key_of("a.b/000.seg.png") == "a.b/000"


@pytest.fixture(scope="module")
def server(thumbnails):
    """A web server with a picture and everything that may be wrong."""
    data = next(iter(thumbnails.values()))

    class Handler(http.server.BaseHTTPRequestHandler):
        seen: ClassVar[dict[str, int]] = {}

        def do_GET(self):
            path = self.path.partition("?")[0]
            self.seen[path] = self.seen.get(path, 0) + 1
            if path == "/flaky.jpg" and self.seen[path] < 3:
                self.send_error(503)
            elif path == "/cut.jpg" and self.seen[path] < 2:
                self.answer(data, length=len(data) + 5)
            elif path.startswith("/loop"):
                self.send_response(302)
                self.send_header("Location", "/loop")
                self.end_headers()
            elif path == "/to-file":
                self.send_response(302)
                self.send_header("Location", "file:///etc/hostname")
                self.end_headers()
            elif path == "/to-private":
                self.send_response(302)
                self.send_header("Location", f"http://127.0.0.2:{self.server.server_port}/a.jpg")
                self.end_headers()
            elif path == "/page":
                self.answer(b"<html>", kind="text/html")
            elif path == "/large":
                self.answer(b"", length=10**9)
            elif path == "/endless":
                self.send_response(200)
                self.end_headers()
                while True:
                    try:
                        self.wfile.write(bytes(1 << 16))
                    except OSError:
                        return
            elif path == "/slow":
                self.send_response(200)
                self.end_headers()
                for _ in range(100):
                    try:
                        self.wfile.write(b"x")
                    except OSError:
                        return
                    time.sleep(0.05)
            elif path == "/list.txt":
                self.answer(b"a.jpg\nflaky.jpg\ncut.jpg\ngone.jpg\n", kind="text/plain")
            elif path in ("/a.jpg", "/flaky.jpg", "/cut.jpg"):
                self.answer(data)
            else:
                self.send_error(404)

        do_HEAD = do_GET

        def answer(self, content, kind="image/jpeg", length=None):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()


def test_a_server_that_the_user_named_may_be_private(server, tmp_path):
    pytest.importorskip("aiohttp")
    scan_parts(f"{server}/list.txt", tmp_path / "out", DETECTOR)
    errors = {id: row["error"] for id, row in rows_of(tmp_path / "out").items()}
    assert errors == {"a.jpg": None, "flaky.jpg": None, "cut.jpg": None, "gone.jpg": "cannot be read: HTTP status 404"}


def test_urls_in_data_have_limits(server):
    trusted = [server.removeprefix("http://")]
    for path, words, options in (
        ("/a.jpg", "private address 127.0.0.1", {"trusted": ()}),
        ("/loop", "more than 5 redirects", {}),
        ("/to-file", "file://", {}),
        ("/to-private", "private address 127.0.0.2", {}),
        ("/page", "text/html is no picture", {}),
        ("/large", "1,000,000,000 bytes", {}),
        ("/endless", "more than 1,000,000 bytes", {"limit": 1_000_000}),
        ("/slow", "slower", {"seconds": 0.5}),
    ):
        with pytest.raises(OSError, match=words):
            web.fetch(server + path, **{"trusted": trusted, **options})


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("fe80::1%eth0", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fd00::1", False),
        ("224.0.0.1", False),
    ],
)
def test_private_addresses_in_every_form(address, public):
    assert web.is_public(address) == public


def test_a_folder_of_a_store_is_never_listed(store):
    with pytest.raises(DataError, match="never listed"):
        scan_parts("s3://trouble/", "s3://trouble/out/", DETECTOR)
