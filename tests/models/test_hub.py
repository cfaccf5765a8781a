"""Start weights from a hub: a real server on localhost that speaks its protocol, and the real client."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import timm
import torch
from safetensors.torch import load_file

from asli.errors import WeightsError
from asli.models.networks import create_network
from asli.models.weights import load_start_weights

TIMM, MICROSOFT, PICKLED = "timm/test_resnet.r160_in1k", "microsoft/resnet-18", "owner/pickled"
COMMITS = {TIMM: "1" * 40, MICROSOFT: "2" * 40, PICKLED: "3" * 40}


class Hub(BaseHTTPRequestHandler):
    """What the client asks of the hub: which commit a revision is, what it holds, and the files' bytes."""

    files: dict[str, dict[str, bytes]]
    requests: Counter

    def do_GET(self):
        self._answer(body=True)

    def do_HEAD(self):
        self._answer(body=False)

    def _answer(self, body):
        path = self.path.partition("?")[0].strip("/")
        self.requests[f"{self.command} {path.rpartition('/')[2]}"] += 1
        if "owner/dropped" in path:
            self.close_connection = True
            return
        repository = next((name for name in self.files if name in path), None)
        if repository is None:
            self._refuse("GatedRepo" if "owner/gated" in path else "RepoNotFound")
            return
        commit, files = COMMITS[repository], self.files[repository]
        rest = path.split(f"{repository}/", 1)[-1].split("/")
        if rest[0] in ("revision", "tree", "resolve") and rest[1] not in ("main", commit, "v1"):
            self._refuse("RevisionNotFound")
        elif rest[0] == "tree":
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            self._send(json.dumps(tree).encode(), {"Content-Type": "application/json"}, body)
        elif rest[0] == "resolve":
            name = "/".join(rest[2:])
            if name not in files:
                self._refuse("EntryNotFound")
                return
            data = files[name]
            digest = (
                hashlib.sha256(data).hexdigest() if name.endswith(".safetensors") else hashlib.sha1(data).hexdigest()
            )
            self._send(data, {"ETag": f'"{digest}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}, body)
        else:
            info = {"id": repository, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
            self._send(json.dumps(info).encode(), {"Content-Type": "application/json"}, body)

    def _send(self, data, headers, body):
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _refuse(self, code):
        self.send_response(404 if code != "GatedRepo" else 403)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The server, the weights it has, and an empty cache."""
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("hub")
    timms = timm.create_model("test_resnet", num_classes=1000)
    timm.models.save_for_hf(timms, folder / "timm", safe_serialization=True)
    # microsoft/resnet-18's own layers, with fresh weights
    layers = {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}
    microsofts = ResNetForImageClassification(ResNetConfig(**layers, num_labels=10))
    microsofts.save_pretrained(folder / "microsoft")
    (folder / "microsoft/preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]})
    )
    Hub.files = {
        name: {file.name: file.read_bytes() for file in (folder / part).iterdir() if file.is_file()}
        for name, part in ((TIMM, "timm"), (MICROSOFT, "microsoft"))
    }
    Hub.files[PICKLED] = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    Hub.requests = Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder / "cache", Hub
    server.shutdown()
    server.server_close()


SCRIPT = """
import json, logging, sys
from asli.errors import WeightsError
from asli.models.networks import create_network
from asli.models.weights import load_start_weights
logging.basicConfig(level=logging.INFO, format="log: %(message)s", stream=sys.stderr)
for name, start in json.loads(sys.argv[1]):
    network = create_network(name, size=32)
    try:
        network, report = load_start_weights(network, start)
        total = sum(float(p.detach().double().abs().sum()) for k, p in network.module.named_parameters()
                    if not k.startswith(network.head))
        print(json.dumps({"revision": report.revision, "sha256": report.sha256, "missing": report.missing,
                          "unexpected": report.unexpected, "replaced": report.replaced, "mean": network.mean,
                          "total": total, "line": report.describe()}))
    except WeightsError as error:
        print(json.dumps({"error": str(error)}))
"""


def load(hub, wanted, **environment):
    """Load start weights in a process of their own: the client reads its endpoint when it is imported."""
    endpoint, cache, _ = hub
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(wanted)],
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


WANTED = [
    ("test_resnet", f"hub:{TIMM}"),
    ("resnet18", f"hub:{MICROSOFT}@v1"),
    ("plain_resnet18", f"hub:{MICROSOFT}@{COMMITS[MICROSOFT]}"),
    ("resnet18", "hub:owner/nothing"),
    ("resnet18", "hub:owner/gated"),
    ("resnet18", f"hub:{TIMM}@v9"),
    ("resnet18", f"hub:{PICKLED}"),
    ("resnet18", "hub:owner/dropped"),
    ("resnet18", "hub:not a name"),
    ("resnet50", f"hub:{MICROSOFT}"),
]


@pytest.fixture(scope="module")
def fetched(hub):
    """What became of each of WANTED, in order, in one process that began with an empty cache, and its log."""
    return load(hub, WANTED)


@pytest.mark.slow
def test_weights_come_from_the_hub_once_with_their_commit_and_hash(hub, fetched):
    files, requests = hub[2].files, hub[2].requests
    found, log = fetched
    timms, tagged, plain, *errors = found
    assert (timms["revision"], tagged["revision"], plain["revision"]) == (COMMITS[TIMM], *[COMMITS[MICROSOFT]] * 2)
    for report, name in ((timms, TIMM), (tagged, MICROSOFT)):
        assert report["sha256"] == hashlib.sha256(files[name]["model.safetensors"]).hexdigest()
        assert report["missing"] == report["unexpected"] == []
        assert f"commit {COMMITS[name]}, sha256 {report['sha256']}" in report["line"]
    assert timms["replaced"] == ["fc.bias", "fc.weight"]
    assert plain["missing"] == []
    assert all("downsample" in key for key in plain["unexpected"])
    assert requests["GET model.safetensors"] == 2  # once a repository
    assert f"weights.start = 'hub:{TIMM}@{COMMITS[TIMM]}' pins it" in log
    assert f"@{COMMITS[MICROSOFT]} is now" not in log
    words = [
        "the hub has no model 'owner/nothing'",
        "accepted its terms",
        f"'{TIMM}' on the hub has no revision 'v9'",
        "has no model.safetensors (pickled weights are not read)",
        "cannot be reached",
        "no name of a model on the hub",
        "does not fit the network 'resnet50'",
    ]
    for error, part in zip(errors, words, strict=True):
        assert part in error["error"]
        assert "\n" not in error["error"]


def test_what_was_fetched_loads_offline_and_what_was_not_is_named(hub, fetched, monkeypatch):
    from huggingface_hub import constants

    _, cache, _ = hub
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
    assert constants.HF_HUB_OFFLINE
    network, report = load_start_weights(create_network("test_resnet", size=32), f"hub:{TIMM}@{COMMITS[TIMM]}")
    assert report.revision == COMMITS[TIMM]
    (file,) = cache.glob("hub/models--timm--*/snapshots/*/model.safetensors")
    assert torch.equal(network.module.conv1[0].weight, load_file(file)["conv1.0.weight"])
    with pytest.raises(WeightsError, match=r"model.safetensors of 'timm/other' is not in the cache .*HF_HUB_OFFLINE"):
        load_start_weights(create_network("test_resnet", size=32), "hub:timm/other")
    with pytest.raises(WeightsError, match="'timm/test_resnet.r160_in1k' at 'v7' is not in the cache"):
        load_start_weights(create_network("test_resnet", size=32), f"hub:{TIMM}@v7")
    blob = Path(file).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightsError, match="damaged: it is not the file the hub has"):
        load_start_weights(create_network("test_resnet", size=32), f"hub:{TIMM}")
    blob.unlink()
    with pytest.raises(WeightsError, match="a part of it only|not in the cache"):
        load_start_weights(create_network("test_resnet", size=32), f"hub:{TIMM}")


def test_a_folder_of_the_same_files_gives_the_same_network(hub, fetched, tmp_path):
    for name, data in hub[2].files[MICROSOFT].items():
        (tmp_path / name).write_bytes(data)
    from_hub = fetched[0][1]
    network, report = load_start_weights(create_network("resnet18", size=32), str(tmp_path))
    assert (report.sha256, report.revision) == (from_hub["sha256"], None)
    body = [p for key, p in network.module.named_parameters() if not key.startswith("fc")]
    assert sum(float(p.detach().double().abs().sum()) for p in body) == pytest.approx(from_hub["total"], rel=1e-12)
    assert list(network.mean) == from_hub["mean"]


def test_a_header_gives_commit_and_tensors(hub):
    """In a process of its own, as above."""
    endpoint, cache, _ = hub
    script = f"""
import json
from asli.errors import WeightsError
from asli.models.hub import header_of
found = header_of("{MICROSOFT}")
print(json.dumps([found.commit, len(found.shapes), found.bytes]))
try:
    header_of("owner/nothing")
except WeightsError as error:
    print(error)
"""
    variables = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True)
    facts, refused = done.stdout.splitlines()
    commit, tensors, size = json.loads(facts)
    assert commit == COMMITS[MICROSOFT]
    assert tensors > 100
    assert size > 40_000_000
    assert "does not answer or lacks it (RepositoryNotFoundError)" in refused
