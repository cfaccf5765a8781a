"""A hub on this machine, for the real client: repositories are made, uploaded to and read again."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class UploadHub(BaseHTTPRequestHandler):
    """What the client asks of the hub to upload a folder and fetch it again: LFS for large files, as the hub wants."""

    protocol_version = "HTTP/1.1"
    blobs: dict[str, bytes]
    files: dict[str, bytes]
    made: list[dict]
    commit = "c" * 40

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        here = f"http://{self.headers['Host']}"
        if self.headers.get("Authorization") != "Bearer hf_writer":
            self._send(403, {"error": "no right to write"})
        elif self.path == "/api/repos/create":
            self.made.append(json.loads(body))
            self._send(200, {"url": f"{here}/owner/mine"})
        elif self.path == "/api/validate-yaml":
            self._send(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            large = (".safetensors", ".onnx")
            asked = json.loads(body)["files"]
            modes = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if f["path"].endswith(large) else "regular",
                    "shouldIgnore": False,
                }
                for f in asked
            ]
            self._send(200, {"files": modes})
        elif self.path.endswith("/objects/batch"):
            objects = [
                {**o, "actions": {"upload": {"href": f"{here}/blob/{o['oid']}"}}} for o in json.loads(body)["objects"]
            ]
            self._send(200, {"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    self.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    self.files[value["path"]] = self.blobs[value["oid"]]
            self._send(
                200, {"commitUrl": f"{here}/owner/mine/commit/{self.commit}", "commitOid": self.commit, "success": True}
            )
        else:
            self._send(404, {})

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert hashlib.sha256(body).hexdigest() == self.path.rpartition("/")[2]
        self.blobs[self.path.rpartition("/")[2]] = body
        self._send(200, {})

    def do_GET(self):
        self._answer()

    do_HEAD = do_GET

    def _answer(self):
        path = self.path.partition("?")[0]
        if "owner/mine" not in path:
            self._send(404, {}, {"X-Error-Code": "RepoNotFound"})
        elif "/resolve/" in path:
            name = path.partition("/resolve/")[2].partition("/")[2]
            if name not in self.files:
                self._send(404, {}, {"X-Error-Code": "EntryNotFound"})
                return
            data = self.files[name]
            self._send(200, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": self.commit})
        elif "/tree/" in path:
            self._send(
                200,
                [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in self.files.items()
                ],
            )
        else:
            siblings = [{"rfilename": name} for name in self.files]
            self._send(200, {"id": "owner/mine", "sha": self.commit, "siblings": siblings})

    def _send(self, status, value, headers=None):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@contextmanager
def upload_hub(cache) -> Iterator[dict[str, str]]:
    """Run an empty hub; yield the environment in which the client uses it and may write."""
    UploadHub.blobs, UploadHub.files, UploadHub.made = {}, {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), UploadHub)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(cache),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_writer",
        }
    finally:
        server.shutdown()
        server.server_close()
