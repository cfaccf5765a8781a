"""The engines of `benchmarks/scale.py`, each in a process of its own.

    python benchmarks/scale_engines.py ray OUT SHARD...      a cluster of two nodes; a third one and a worker are killed
    python benchmarks/scale_engines.py spark OUT SHARD...    mapInArrow over a Parquet table of the same images
    python benchmarks/scale_engines.py s3 OUT SHARD...       source and target in an S3 server on loopback with faults

Each prints a line of JSON about what was done to it. `ray` and `s3` write a folder of parts, `spark` one table.
"""

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

DETECTOR = "thumbnail"


def ray_killed(out: Path, shards: list[str]) -> dict:
    """Scan on a cluster; kill a worker behind the third part and a node behind the sixth."""
    import psutil
    import ray
    from ray.cluster_utils import Cluster

    from asli.scaling.sharded import scan_parts

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    third = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    killed = {"workers_killed": 0, "nodes_killed": 0}

    def parts() -> int:
        return len(list(out.glob("part-*.parquet")))

    def shown(process: psutil.Process) -> str:
        try:
            return " ".join(process.cmdline())
        except psutil.Error:
            return ""

    def kill() -> None:
        while parts() < 3:
            time.sleep(0.02)
        actors = [one for one in psutil.Process().children(recursive=True) if "MapWorker" in shown(one)]
        if actors:
            os.kill(actors[0].pid, signal.SIGKILL)
            killed["workers_killed"] += 1
        while parts() < 6:
            time.sleep(0.02)
        cluster.remove_node(third, allow_graceful=False)
        killed["nodes_killed"] += 1

    threading.Thread(target=kill, daemon=True).start()
    scan_parts(shards, f"{out}/", DETECTOR, engine="ray", shard="/16", part_rows=500)
    ray.shutdown()
    cluster.shutdown()
    return {"nodes": 3, **killed}


def spark(out: Path, shards: list[str]) -> dict:
    """Map the callable over the images as a Spark table."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyspark.sql import SparkSession
    from pyspark.sql.pandas.types import from_arrow_schema

    from asli import Scorer

    os.environ["PYSPARK_PYTHON"] = sys.executable
    source = out.with_name("images.parquet")
    schema = pa.schema({"id": pa.string(), "bytes": pa.binary()})
    with pq.ParquetWriter(source, schema) as writer:
        for shard in shards:
            with tarfile.open(shard) as archive:
                members = [member for member in archive if member.isfile()]
                data = [archive.extractfile(member).read() for member in members]
            writer.write_table(pa.table({"id": [member.name for member in members], "bytes": data}, schema=schema))
    scorer = Scorer(DETECTOR)

    def score(batches):
        for batch in batches:
            yield from scorer(batch).to_batches()

    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = session.config("spark.sql.execution.arrow.maxRecordsPerBatch", "256")
    session = session.config("spark.sql.files.maxPartitionBytes", "4m").getOrCreate()
    frame = session.read.parquet(str(source))
    pq.write_table(frame.mapInArrow(score, from_arrow_schema(scorer.schema)).toArrow(), out)
    session.stop()
    return {"cores": 2}


def s3(out: Path, shards: list[str]) -> dict:
    """Scan from and into an S3 server whose every seventh read fails, and copy the merged table."""
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.scaling.conftest import Faults

    class Quiet(WSGIRequestHandler):
        def log(self, *_: object) -> None:
            pass

    faults = Faults(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_REQUEST_CHECKSUM_CALCULATION="when_required",
        AWS_EC2_METADATA_DISABLED="true",
    )
    client = boto3.client("s3")
    client.create_bucket(Bucket="bench")
    for shard in shards:
        client.upload_file(shard, "bench", Path(shard).name)
    faults.every = 7
    urls = [f"s3://bench/{Path(shard).name}" for shard in shards]
    command = [sys.executable, "-m", "asli", "scan"]
    begun = time.perf_counter()
    options = ["--detector", DETECTOR, "--threads", "1", "--part-rows", "2000"]
    subprocess.run([*command, *urls, "-o", "s3://bench/scores/", *options], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    subprocess.run([*command, "merge", "s3://bench/scores", "-o", out], check=True, stdout=subprocess.DEVNULL)
    server.shutdown()
    return {"scan_seconds": round(seconds, 1), "injected_500s": faults.made["500"], "cut_transfers": faults.made["cut"]}


if __name__ == "__main__":
    run = {"ray": ray_killed, "spark": spark, "s3": s3}[sys.argv[1]]
    print(json.dumps(run(Path(sys.argv[2]), sys.argv[3:])))
