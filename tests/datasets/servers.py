"""Servers on localhost that speak as much of Kaggle's and the Hugging Face hub's protocols as their clients ask for."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit


class Shop:
    """What a server has and what it was asked for.

    Attributes:
        files: Bytes by path.
        requests: (method, path, first byte asked for) of every request, in order.
        breaks: (name, bytes): the next answer with the file of this name breaks off after so many bytes, and so on.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[tuple[str, str, int]] = []
        self.breaks: list[tuple[str, int]] = []

    def asked(self, method: str, name: str) -> list[int]:
        """Return the first bytes asked for of every file of this name."""
        return [first for m, path, first in self.requests if m == method and path.endswith(name)]


class Handler(BaseHTTPRequestHandler):
    """Files with ranges and breakdowns; subclasses know the rest of a protocol."""

    shop: Shop

    def do_HEAD(self):
        self._take()

    def do_GET(self):
        self._take()

    def do_POST(self):
        self._take()

    def _take(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        wanted = self.headers.get("Range", "")
        self.first = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        self.path = urlsplit(self.path).path  # a proxy is asked with the whole address
        self.shop.requests.append((self.command, self.path, self.first))
        self.answer()

    def answer(self):
        raise NotImplementedError

    def send_json(self, value):
        self.send(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, data, headers, status=200):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.shop.breaks and self.path.endswith(self.shop.breaks[0][0]):
            data, self.close_connection = data[: self.shop.breaks.pop(0)[1]], True
        self.wfile.write(data)

    def send_file(self, data, headers):
        headers = {**headers, "Accept-Ranges": "bytes"}
        if self.first:
            span = f"bytes {self.first}-{len(data) - 1}/{len(data)}"
            self.send(data[self.first :], {**headers, "Content-Range": span}, 206)
        else:
            self.send(data, headers)

    def log_message(self, *arguments):
        pass


class Kaggle(Handler):
    """`GetDataset` and `DownloadDataset`, which redirects to a store of archives, as Kaggle does to Google's."""

    version = 3
    sent_md5: str | None = None

    def answer(self):
        if self.path.endswith("/GetDataset"):
            assert json.loads(self.body)["ownerSlug"] == "birdy654"
            self.send_json({"currentVersionNumber": self.version})
        elif self.path.endswith("/DownloadDataset"):
            self.send(b"", {"Location": "http://localhost/store/archive.zip?signature=x"}, 302)
        else:
            data = self.shop.files[self.path.rpartition("/")[2]]
            md5 = self.sent_md5 or base64.b64encode(hashlib.md5(data).digest()).decode()
            self.send_file(data, {"Content-Type": "application/zip", "x-goog-hash": f"crc32c=AAAAAA==,md5={md5}"})


class Hub(Handler):
    """One data set: which commit a revision is, what it holds, and the files' bytes; `.parquet` is kept in LFS."""

    repository = "owner/mirror"
    revisions: dict[str, str]  # commit by name

    def answer(self):
        if self.repository not in self.path:
            self._refuse("RepoNotFound")
            return
        kind, _, rest = self.path.split(f"{self.repository}", 1)[1].strip("/").partition("/")
        if kind == "resolve":
            revision, _, name = rest.partition("/")
        else:
            revision, name = rest.removesuffix("/") or "main", ""
        commit = self.revisions.get(revision.replace("%2F", "/"))
        if commit is None:
            self._refuse("RevisionNotFound")
        elif kind == "resolve":
            data = self.shop.files[name]
            headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit}
            self.send_file(data, headers)
        elif kind == "tree":
            self.send_json([self._entry("path", name) | {"type": "file"} for name in self.shop.files])
        else:
            siblings = [self._entry("rfilename", name) for name in self.shop.files]
            self.send_json({"id": self.repository, "sha": commit, "siblings": siblings})

    def _entry(self, key, name):
        data = self.shop.files[name]
        entry = {key: name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
        if name.endswith(".parquet"):
            digest = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"sha256": digest, "oid": digest, "size": len(data), "pointerSize": 134}
        return entry

    def _refuse(self, code):
        self.send(b"", {"X-Error-Code": code}, 404)


@contextmanager
def serving(handler: type[Handler], shop: Shop, **settings: object) -> Iterator[str]:
    """Serve on a free port of localhost; yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (handler,), {"shop": shop, **settings}))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
