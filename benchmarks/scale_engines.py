"""The engines of `benchmarks/scale.py`, each in a process of its own.

    python benchmarks/scale_engines.py ray OUT ROWS HALF SHARD...
    python benchmarks/scale_engines.py spark OUT IMAGES

`ray` scans shards into parts of ROWS rows on a cluster of two nodes, and kills a worker and, after HALF parts, a node.
`spark` maps the callable over a Parquet table into a folder of Parquet files. The last line is JSON
about what happened.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

DETECTOR = "thumbnail"


def killed_on_ray(out: Path, part_rows: str, half: str, *shards: str) -> dict:
    """Scan on a cluster of two nodes; kill a worker after the third part and the second node after half of them."""
    import ray
    from ray.cluster_utils import Cluster

    from asli.scaling.sharded import scan_parts

    os.environ.update(RAY_worker_niceness="0")  # else workers stand behind everything that runs on this machine
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    nodes = sum(node["Alive"] for node in ray.nodes())
    events: list[dict] = []

    def after(count: int) -> int:
        while (parts := len(list(out.glob("part-*.parquet")))) < count:
            time.sleep(0.05)
        return parts

    def kill() -> None:
        parts = after(3)
        worker = next(one for one in psutil.Process().children(recursive=True) if "MapWorker" in command_of(one))
        os.kill(worker.pid, signal.SIGKILL)
        events.append({"killed": "worker", "after_parts": parts})
        parts = after(int(half))
        cluster.remove_node(second, allow_graceful=False)
        events.append({"killed": "node", "after_parts": parts})

    watch = threading.Thread(target=kill, daemon=True)
    watch.start()
    begun = time.perf_counter()
    scan_parts(list(shards), f"{out}/", DETECTOR, engine="ray", shard="/16", part_rows=int(part_rows))
    seconds = time.perf_counter() - begun
    watch.join(timeout=5)
    assert len(events) == 2, events
    left = sum(node["Alive"] for node in ray.nodes())
    ray.shutdown()
    cluster.shutdown()
    return {"nodes": nodes, "nodes_at_the_end": left, "events": events, "seconds_without_start": round(seconds, 1)}


def command_of(process: psutil.Process) -> str:
    """Return a process's command line, nothing of one that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def spark(out: Path, source: str) -> dict:
    """Map the callable over the images as a Spark table."""
    from pyspark.sql import SparkSession
    from pyspark.sql.pandas.types import from_arrow_schema

    from asli import Scorer

    os.environ["PYSPARK_PYTHON"] = sys.executable
    scorer = Scorer(DETECTOR)

    def score(batches):
        for batch in batches:
            yield from scorer(batch).to_batches()

    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = session.config("spark.sql.execution.arrow.maxRecordsPerBatch", "256")
    session = session.config("spark.sql.files.maxPartitionBytes", "8m").getOrCreate()
    images = session.read.parquet(source)
    begun = time.perf_counter()
    images.mapInArrow(score, from_arrow_schema(scorer.schema)).write.parquet(str(out))
    seconds = time.perf_counter() - begun
    partitions = images.rdd.getNumPartitions()
    session.stop()
    return {"cores": 2, "partitions": partitions, "seconds_without_start": round(seconds, 1)}


if __name__ == "__main__":
    run = {"ray": killed_on_ray, "spark": spark}[sys.argv[1]]
    print(json.dumps(run(Path(sys.argv[2]), *sys.argv[3:])))
