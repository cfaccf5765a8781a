import json
import struct

import pytest

from asli.errors import DataError
from asli.pipeline import train
from asli.tracking.jsonl import JsonLines

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


def test_unknown_tracker_is_refused(sample, tmp_path):
    with pytest.raises(DataError, match="tensorboard and wandb"):
        train("smoke", sample, tmp_path / "run", settings=TINY, trackers=["mlflow"])
