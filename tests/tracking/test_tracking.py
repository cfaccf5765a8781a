import json
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from asli.errors import DataError
from asli.evaluation.evaluate import evaluate
from asli.pipeline import train
from asli.tracking.jsonl import JsonLines
from asli.tracking.wandb import WeightsAndBiases
from asli.training.loop import Training
from tests.conftest import run_asli

TINY = ["loop.max_updates=3", "loop.evaluate_every=2"]


def test_json_lines_can_be_cut_back(tmp_path):
    log = JsonLines(tmp_path / "m.jsonl")
    assert log.length() == 0
    log.append("train", 1, {"loss": 0.5})
    length = log.length()
    log.append("train", 2, {"loss": 0.4})
    log.truncate(length)
    log.append("validation", 2, {"f1": 0.9})
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert lines == [
        {"kind": "train", "update": 1, "loss": 0.5},
        {"kind": "validation", "update": 2, "f1": 0.9},
    ]


def test_tensorboard_holds_what_the_run_measured(sample, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train("smoke", sample, tmp_path / "run", settings=TINY, trackers=["tensorboard"])
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    for line in run.read_metrics():
        for name, value in line.items():
            if name not in ("kind", "update"):
                logged = {e.step: e.value for e in events.Scalars(f"{line['kind']}/{name}")}
                assert logged[line["update"]] == pytest.approx(value, rel=1e-5)


@pytest.mark.slow
def test_wandb_offline_run_holds_what_the_run_measured(sample, tmp_path, monkeypatch):
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    run = train("smoke", sample, tmp_path / "run", settings=TINY, trackers=["wandb"])
    (file,) = run.path.glob("wandb/offline-run-*/*.wandb")
    history, config = [], {}
    for data in leveldb_records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            history.append({(i.key or ".".join(i.nested_key)): json.loads(i.value_json) for i in record.history.item})
        if record.HasField("run"):
            config |= {u.key: json.loads(u.value_json) for u in record.run.config.update}
    assert config["optim"]["lr"] == run.recipe.optim.lr
    logged = {(name, line["update"]): value for line in history for name, value in line.items() if "/" in name}
    for line in run.read_metrics():
        assert logged[f"{line['kind']}/loss", line["update"]] == pytest.approx(line["loss"])
    assert ("validation/f1", 3) in logged


def history(file):
    """Return step and values of every line of an offline run's history."""
    from wandb.proto import wandb_internal_pb2

    found = []
    for data in leveldb_records(file.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        if record.HasField("history"):
            values = {(i.key or ".".join(i.nested_key)): json.loads(i.value_json) for i in record.history.item}
            found.append((record.history.step.num, values))
    return found


def written_out(file):
    """Wait until wandb's own process has written the end of a run."""
    from wandb.proto import wandb_internal_pb2

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(
            wandb_internal_pb2.Record.FromString(data).HasField("exit") for data in leveldb_records(file.read_bytes())
        ):
            return
        time.sleep(0.5)
    raise AssertionError(f"{file} has no end after a minute")


def leveldb_records(data: bytes):
    """Read W&B's offline file: LevelDB's log format (blocks of 32 KiB) after a header of seven bytes."""
    assert data[:4] == b":W&B"
    place, whole = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            yield whole
            whole = b""


def stopped_and_resumed(sample, run, tracker, monkeypatch):
    """Train, stop without a checkpoint of the last updates as a kill does, move the folder, and go on to the end."""
    settings = ["loop.max_updates=8", "loop.checkpoint_every=3", "loop.evaluate_every=4"]
    with monkeypatch.context() as context:
        context.setattr(Training, "one_update", _failing_after(5))
        with pytest.raises(RuntimeError, match="killed"):
            train("smoke", sample, run, settings=settings, trackers=[tracker])
    moved = run.with_name("moved")
    run.rename(moved)
    return train("smoke", sample, moved, settings=settings, trackers=[tracker], resume=True)


def _failing_after(most):
    step = Training.one_update

    def one_update(self):
        if self.update == most:
            raise RuntimeError("killed")
        step(self)

    return one_update


@pytest.mark.slow
def test_a_resumed_run_has_each_step_once_in_tensorboard(sample, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = stopped_and_resumed(sample, tmp_path / "run", "tensorboard", monkeypatch)
    (file,) = (run.path / "tensorboard").iterdir()  # no reader sees a step twice, however it reads
    events = EventAccumulator(str(file))
    events.Reload()
    lines = run.read_metrics()
    for kind in ("train", "validation"):
        logged = [(event.step, event.value) for event in events.Scalars(f"{kind}/loss")]
        expected = [(line["update"], pytest.approx(line["loss"], rel=1e-5)) for line in lines if line["kind"] == kind]
        assert logged == expected


@pytest.mark.slow
def test_a_resumed_and_moved_run_is_one_run_of_wandb_with_each_step_once(sample, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = stopped_and_resumed(sample, tmp_path / "run", "wandb", monkeypatch)
    (folder,) = run.path.glob("wandb/offline-run-*")
    (former,) = run.path.glob("wandb/superseded-offline-run-*")
    assert folder.name.rpartition("-")[2] == former.name.rpartition("-")[2]
    (file,) = folder.glob("*.wandb")
    lines = run.read_metrics()
    assert [(step, values["update"]) for step, values in history(file)] == [
        (number, line["update"]) for number, line in enumerate(lines)
    ]


def test_online_the_server_gets_the_lines_it_lacks(tmp_path, monkeypatch):
    """A server that has four lines; the interrupted run had written six, of which five were kept."""
    monkeypatch.setenv("WANDB_MODE", "offline")  # no key is looked for
    sent = []
    run = SimpleNamespace(
        step=4,
        offline=False,
        define_metric=lambda *_, **__: None,
        log=lambda values, step: sent.append((step, values["update"])),
        finish=lambda: None,
    )
    monkeypatch.setattr("wandb.init", lambda **_: run)
    tracker = WeightsAndBiases(tmp_path, {})
    for update in range(1, 6):
        JsonLines(tmp_path / "metrics.jsonl").append("train", update, {"loss": 1.0})
    tracker.on_start(update=5, total=8)
    tracker.on_update(update=6, metrics={"loss": 1.0}, images=1)
    assert sent == [(4, 5), (5, 6)]


@pytest.mark.slow
def test_an_evaluation_joins_the_run_and_no_step_is_doubled(sample, tmp_path, monkeypatch):
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    run = stopped_and_resumed(sample, tmp_path / "run", "wandb", monkeypatch)
    for split in ("validation", "test"):
        result = evaluate(run.path, sample, split=split, out=run.evaluation(f"sample-{split}"), track=["wandb"])
    (folder,) = run.path.glob("wandb/offline-run-*")
    (file,) = folder.glob("*.wandb")
    written_out(file)
    found, lines = history(file), run.read_metrics()
    steps = [step for step, _ in found]
    assert steps == list(range(len(lines) + 2))  # every line of metrics.jsonl, then both evaluations
    last = found[-1][1]
    assert last["evaluation/test/f1"] == pytest.approx(result.metrics["f1"].value)
    assert last["evaluation/test/accuracy"] == pytest.approx(result.metrics["accuracy"].value)
    assert "evaluation/validation/f1" in found[-2][1]
    assert any(name.startswith("figures/test/reliability") for name in last)
    assert any(name.startswith("evaluation/test/confusion_matrix") for name in last)
    kinds = [wandb_internal_pb2.Record.FromString(data) for data in leveldb_records(file.read_bytes())]
    artifacts = [kind.artifact for kind in kinds if kind.HasField("artifact")] + [
        kind.request.log_artifact.artifact for kind in kinds if kind.request.HasField("log_artifact")
    ]
    reports = [a for a in artifacts if a.type == "evaluation"]
    assert len(reports) == 2
    assert "report.html" in {entry.path for entry in reports[-1].manifest.contents}


def test_only_a_runs_evaluation_can_be_added(sample, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(DataError, match="give its run folder"):
        evaluate("default", sample, split="validation", out=tmp_path / "report", track=["wandb"])
    assert not (tmp_path / "report").exists()


class Refusing(BaseHTTPRequestHandler):
    """A W&B server that takes nobody's key."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b'{"errors": [{"message": "user is not logged in"}]}')

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_a_missing_or_wrong_key_is_one_line_before_anything_is_made(sample, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = {"HOME": str(tmp_path), "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}", "WANDB_MODE": "online"}
    command = ["train", "smoke", "--data", sample.path, "--out", tmp_path / "run", "--track", "wandb"]
    for key, words in (("", "W&B has no API key"), ("k" * 40, "does not take the API key")):
        done = run_asli(*command, **home, **({"WANDB_API_KEY": key} if key else {}))
        assert done.returncode == 1
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("asli:")]
        assert words in line
        assert "WANDB_MODE=offline" in line
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "run").exists()
    server.shutdown()


def test_unknown_tracker_is_refused(sample, tmp_path):
    with pytest.raises(DataError, match="tensorboard and wandb"):
        train("smoke", sample, tmp_path / "run", settings=TINY, trackers=["mlflow"])
