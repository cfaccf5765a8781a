"""Real engines: a scan on a Ray cluster that loses a worker and a node, and the examples of docs/scale.md.

Each example runs as it is printed, with other paths and fewer processes.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from asli.scaling.merging import merge_parts
from asli.scaling.sharded import scan_parts
from tests.scaling.conftest import DETECTOR, ENGINES, by_id
from tests.scaling.test_sharded import base, differing, rows_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ENGINES, reason="set ASLI_REQUIRE_ENGINES=1; needs asli[engines] and Java"),
]

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


@pytest.fixture(scope="module")
def source(many_images, tmp_path_factory):
    """The images as a folder of four Parquet files."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(4):
        pq.write_table(many_images.slice(number * 500, 500), folder / f"{number}.parquet", row_group_size=250)
    return folder


def example(of, source, out):
    """Return the example of an engine, with these paths."""
    code = next(block for block in re.findall(r"^```py\n(.*?)^```", PAGE.read_text(), re.M | re.S) if of in block)
    for old, new in {
        r'"photo"': f'"{DETECTOR}"',
        r'"s3a?://bucket/images/"': f'"{source}"',
        r'"images/\*.parquet"': f'"{source}/*.parquet"',
        r'"(s3a?://bucket/scores/|scores|scores.parquet)"': f'"{out}"',
        r"concurrency=16": "concurrency=1",
        r"num_proc=16": "num_proc=2",
    }.items():
        code = re.sub(old, new, code)
    assert str(source) in code
    assert str(out) in code
    return code


def run(code, **names):
    exec(compile(code, str(PAGE), "exec"), {"__name__": "__main__", **names})


def assert_complete(out, expected):
    assert differing(by_id(pq.read_table(out).to_pylist()), expected) == []


def test_datasets_map_takes_it(source, many_rows, tmp_path):
    out = tmp_path / "scores.parquet"
    done = subprocess.run([sys.executable, "-c", example("load_dataset", source, out)], cwd=tmp_path, timeout=300)
    assert done.returncode == 0
    assert_complete(out, many_rows)


def test_daft_takes_it(source, many_rows, tmp_path):
    run(example("daft", source, tmp_path / "scores"))
    rows = pq.read_table(tmp_path / "scores").to_pylist()
    scores = {row["id"]: row["score"] for row in rows}
    assert len(rows) == len(scores) == len(many_rows)
    for id, row in many_rows.items():
        assert scores[id] == pytest.approx(row["score"], abs=1e-5)


def test_spark_takes_it(source, many_rows, tmp_path, monkeypatch):
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)  # else the first python3 of PATH
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = session.config("spark.sql.execution.arrow.maxRecordsPerBatch", "256").getOrCreate()
    try:
        run(example("pyspark", source, tmp_path / "scores"), spark=spark)
    finally:
        spark.stop()
    assert_complete(tmp_path / "scores", many_rows)


@pytest.fixture(scope="module")
def cluster():
    """Two nodes on this machine; the second is lost in the last test."""
    import ray
    from ray.cluster_utils import Cluster

    settings = {"worker_register_timeout_seconds": 300, "health_check_initial_delay_ms": 0}
    settings["health_check_period_ms"] = 1000  # a lost node is seen after five of these
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))  # an environment for Ray would be slower
        head = {"num_cpus": 1, "include_dashboard": False, "_system_config": settings}
        found = Cluster(initialize_head=True, head_node_args=head)
        found.add_node(num_cpus=1)
        ray.init(address=found.address, log_to_driver=False)
        yield found
        ray.shutdown()
        found.shutdown()


def test_ray_data_takes_it(cluster, source, many_rows, tmp_path):
    run(example("ray.data", source, tmp_path / "scores"))
    assert_complete(tmp_path / "scores", many_rows)


def shown(process):
    """Return a process's command line, nothing of one that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_a_scan_on_ray_outlives_a_worker_and_a_node(cluster, many_shards, many_rows, tmp_path):
    out, killed = tmp_path / "parts", []

    def after(count):
        deadline = time.monotonic() + 300
        while len(list(out.glob("part-*.parquet"))) < count and time.monotonic() < deadline:
            time.sleep(0.02)

    def kill():
        """Kill a worker when the first parts are there, and a node when there are more."""
        after(2)
        actor = next(one for one in psutil.Process().children(recursive=True) if "MapWorker" in shown(one))
        os.kill(actor.pid, signal.SIGKILL)
        killed.append(actor)
        after(8)
        (node,) = cluster.worker_nodes
        cluster.remove_node(node, allow_graceful=False)
        killed.append(node)

    watch = threading.Thread(target=kill, daemon=True)
    watch.start()
    paths = sorted(many_shards.iterdir())
    result = scan_parts(paths, f"{out}/", DETECTOR, engine="ray", shard="/10", part_rows=50)
    watch.join(timeout=60)
    assert len(killed) == 2
    assert result.errors == 0
    assert merge_parts(out, tmp_path / "all.parquet").images == result.images == len(many_rows)
    assert differing(rows_of(tmp_path / "all.parquet", base), many_rows) == []
