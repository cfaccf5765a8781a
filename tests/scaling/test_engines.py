"""Real engines: one callable in Ray Data, Spark and datasets; a scan on a cluster that loses a worker and a node."""

import os
import signal
import sys
import threading
import time

import psutil
import pyarrow as pa
import pytest

from asli.scaling.merging import merge_parts
from asli.scaling.scorer import Scorer
from asli.scaling.sharded import scan_parts
from tests.scaling.conftest import DETECTOR, ENGINES, by_id
from tests.scaling.test_sharded import base, differing, rows_of

pytestmark = pytest.mark.skipif(not ENGINES, reason="set ASLI_REQUIRE_ENGINES=1; needs asli[engines] and Java")


def engine(name):
    return __import__(name, fromlist=["_"])


def shown(process):
    """Return a process's command line, nothing of one that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_datasets_map_takes_it(images, local_rows):
    datasets = engine("datasets")
    scorer = Scorer(DETECTOR)
    few = images.slice(0, 100)
    found = datasets.Dataset(few).with_format("arrow").map(scorer, batched=True, remove_columns=few.column_names)
    rows = found.with_format(None).to_list()
    assert differing(by_id(rows), {id: local_rows[id] for id in few["id"].to_pylist()}) == []


def test_daft_takes_it(images, local_rows):
    daft = engine("daft")
    scorer = Scorer(DETECTOR)

    @daft.func.batch(return_dtype=daft.DataType.float64())
    def score(column: daft.Series):
        return scorer(pa.table({"image": column.to_arrow()}))["score"].combine_chunks()

    rows = daft.from_arrow(images.slice(0, 100)).with_column("score", score(daft.col("bytes"))).to_pydict()
    assert len(rows["id"]) == 100
    for id, value in zip(rows["id"], rows["score"], strict=True):
        assert value == pytest.approx(local_rows[id]["score"], abs=1e-5)


@pytest.mark.slow
def test_spark_takes_it(images, local_rows, tmp_path, monkeypatch):
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)  # else the first python3 of PATH
    sql = engine("pyspark.sql")
    import pyarrow.parquet as pq
    from pyspark.sql.pandas.types import from_arrow_schema

    pq.write_table(images, tmp_path / "images.parquet", row_group_size=500)
    scorer = Scorer(DETECTOR)

    def score(batches):
        for batch in batches:
            yield from scorer(batch).to_batches()

    session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = session.config("spark.sql.execution.arrow.maxRecordsPerBatch", "256").getOrCreate()
    try:
        frame = spark.read.parquet(str(tmp_path / "images.parquet"))
        rows = frame.mapInArrow(score, from_arrow_schema(scorer.schema)).toArrow().to_pylist()
    finally:
        spark.stop()
    assert differing(by_id(rows), local_rows) == []


@pytest.fixture(scope="module")
def cluster():
    """Two nodes on this machine."""
    ray = engine("ray")
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    found.add_node(num_cpus=1)
    ray.init(address=found.address, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": ":".join(sys.path)}})
    yield found
    ray.shutdown()
    found.shutdown()


@pytest.mark.slow
def test_ray_data_takes_it(cluster, images, local_rows):
    import ray

    blocks = [images.slice(start, 500) for start in range(0, len(images), 500)]
    found = ray.data.from_arrow(blocks).map_batches(
        Scorer,
        fn_constructor_args=(DETECTOR,),
        batch_format="pyarrow",
        batch_size=256,
        compute=ray.data.ActorPoolStrategy(size=2),
    )
    rows = pa.concat_tables(ray.get(found.to_arrow_refs())).to_pylist()
    assert differing(by_id(rows), local_rows) == []


@pytest.mark.slow
def test_a_scan_on_ray_outlives_a_worker_and_a_node(cluster, shards, local_rows, tmp_path):
    node = cluster.add_node(num_cpus=1)
    out, killed = tmp_path / "parts", []

    def kill():
        """Kill a worker when the first parts are there, and a node when there are more."""
        deadline = time.monotonic() + 300
        while len(list(out.glob("*.parquet"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        actors = [process for process in psutil.Process().children(recursive=True) if "MapWorker" in shown(process)]
        if actors:
            os.kill(actors[0].pid, signal.SIGKILL)
            killed.append(actors[0].pid)
        while len(list(out.glob("*.parquet"))) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)
        killed.append(node)

    watch = threading.Thread(target=kill, daemon=True)
    watch.start()
    result = scan_parts(sorted(shards.iterdir()), f"{out}/", DETECTOR, engine="ray", shard="/10", part_rows=50)
    watch.join(timeout=60)
    assert len(killed) == 2
    assert result.errors == 0
    assert merge_parts(out, tmp_path / "all.parquet").images == result.images == len(local_rows)
    assert differing(rows_of(tmp_path / "all.parquet", base), local_rows) == []
