"""A detector's folder: pushed to the hub and fetched again, and what is said when it is damaged."""

import base64
import hashlib
import json
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from asli.detector.base import Detector
from asli.detector.predict import predict
from asli.errors import DetectorError
from tests.compare import SAME, differences
from tests.conftest import run_asli
from tests.detector.conftest import scores


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
            name = path.rpartition("/")[2]
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


def test_pushed_detector_is_the_same_by_its_name_on_the_hub(exported, files, tmp_path):
    UploadHub.blobs, UploadHub.files, UploadHub.made = {}, {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), UploadHub)
    Thread(target=server.serve_forever, daemon=True).start()
    hub = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "hf_writer",
    }
    try:
        done = run_asli("push", exported, "owner/mine", "--private", **hub)
        assert done.returncode == 0, done.stderr
        name = f"hub:owner/mine@{UploadHub.commit}"
        assert name in done.stdout
        assert UploadHub.made[0]["name"] == "mine"
        assert set(UploadHub.files) == {p.name for p in exported.iterdir()}
        assert all(UploadHub.files[p.name] == p.read_bytes() for p in exported.iterdir())
        fetched = run_asli("predict", files[0], "--detector", name, "--json", **hub)
        assert fetched.returncode == 0, fetched.stderr
        assert scores(json.loads(fetched.stdout)) == pytest.approx(scores(predict(files[:1], exported)), abs=SAME)
        offline = run_asli("predict", files[0], "--detector", name, "--json", **{**hub, "HF_HUB_OFFLINE": "1"})
        assert offline.returncode == 0, offline.stderr
        assert differences(json.loads(offline.stdout), json.loads(fetched.stdout)) == []
        refused = run_asli("push", exported, "owner/mine", **{**hub, "HF_TOKEN": "hf_reader"})
        assert refused.returncode == 1
        assert refused.stderr.strip().endswith("set HF_TOKEN to a token that may write there")
        missing = run_asli("predict", files[0], "--detector", "hub:owner/other", **hub)
        assert missing.stderr.startswith("asli: the hub has no model 'owner/other'")
        del UploadHub.files["detector.json"]
        shutil.rmtree(tmp_path / "cache")
        foreign = run_asli("predict", files[0], "--detector", name, **hub)
        assert "is no detector of asli" in foreign.stderr
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.safetensors", lambda data: data[:100], "not the file detector.json describes"),
        ("model.safetensors", None, "model.safetensors is missing"),
        ("config.json", None, "damaged or foreign"),
        ("config.json", lambda data: b"[]", "damaged or foreign"),
        ("detector.json", lambda data: b"\xff\xfe", "damaged or foreign"),
        ("detector.json", lambda data: b"[1]", "damaged or foreign"),
        ("detector.json", lambda data: data.replace(b'"version": 2', b'"version": "one"', 1), "damaged or foreign"),
        ("detector.json", lambda data: data.replace(b'"version": 2', b'"version": 3', 1), "update asli"),
        ("detector.json", lambda data: data.replace(b'"bilinear"', b'"bilinear", "zoom": 2', 1), "damaged or foreign"),
    ],
)
def test_every_kind_of_damage_has_its_line(exported, tmp_path, name, content, words):
    shutil.copytree(exported, tmp_path / "d")
    file = tmp_path / "d" / name
    if content is None:
        file.unlink()
    else:
        before = file.read_bytes()
        file.write_bytes(content(before))
        assert file.read_bytes() != before
    with pytest.raises(DetectorError, match=words) as caught:
        Detector.load(tmp_path / "d")
    assert "\n" not in str(caught.value)


def test_unknown_network_is_refused_when_it_is_asked_for(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "d")
    config = (tmp_path / "d/config.json").read_text()
    (tmp_path / "d/config.json").write_text(config.replace("cifar_resnet20", "of_tomorrow", 1))
    with pytest.raises(DetectorError, match="no network named 'of_tomorrow'"):
        Detector.load(tmp_path / "d").runtime("cpu", "torch")
