"""A sharded scan on every engine, and the bookkeeping of ten million rows.

    python benchmarks/scale.py ways --shared DIR [--images 2000] [--out benchmarks/results/scale.json]
    python benchmarks/scale.py simulate [--rows 10000000] [--out benchmarks/results/scale_simulation.json]

`ways` scores CIFAKE thumbnails by a local scan, by one process into parts, by eight `--shard` processes of which
three are killed and run again, and on Ray with two nodes; it compares every row with the local scan. Its detector is
`thumbnail`. `simulate` writes parts of synthetic rows, with processes that fail at a given rate, and merges them; it
measures CPU seconds, memory and bytes.
Each way runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

DETECTOR = "thumbnail"
PER_SHARD = 1000


def make_shards(shared: Path, folder: Path, count: int) -> None:
    """Write tar shards of CIFAKE's images and, for a local scan, nothing else: it reads the same shards."""
    import io
    import tarfile

    folder.mkdir(parents=True)
    images = []
    for archive in sorted((shared / "data" / "cifake").glob("*.zip")):
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if name.endswith(".jpg")]
            images += [(f"{archive.stem}-{number:06d}.jpg", archive, name) for number, name in enumerate(names)]
    images = [images[number % len(images)] for number in range(count)]
    opened = {archive: zipfile.ZipFile(archive) for _, archive, _ in images}
    for start in range(0, count, PER_SHARD):
        with tarfile.open(folder / f"{start // PER_SHARD:06d}.tar", "w") as out:
            for number, (name, archive, inner) in enumerate(images[start : start + PER_SHARD], start=start):
                data = opened[archive].read(inner)
                info = tarfile.TarInfo(f"{number:07d}-{name}")
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))


def asli(*arguments: object, **options: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "asli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)


def finished(process: subprocess.Popen) -> tuple[float, float]:
    """Wait for a process; return its CPU seconds, which other work hardly changes, and its peak memory in MB."""
    words = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed: {words}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def compared(table: Path, local: dict) -> dict:
    """Return how the rows of a way differ from those of the local scan."""
    import pyarrow.parquet as pq

    rows = pq.read_table(table, columns=["id", "score", "verdict", "error", "sha256"]).to_pylist()
    found = {row["id"].rpartition("/")[2]: row for row in rows}
    same = [key for key in local if key in found]
    return {
        "rows": len(rows),
        "doubled": len(rows) - len(found),
        "lost": len(local) - len(same),
        "other_verdict_error_or_hash": sum(
            any(local[key][name] != found[key][name] for name in ("verdict", "error", "sha256")) for key in same
        ),
        "largest_score_difference": max((abs(local[key]["score"] - found[key]["score"]) for key in same), default=0),
    }


def ways(shared: Path, count: int, only: list[str]) -> dict:
    """Scan the same shards in several ways and compare every row with the local scan."""
    import pyarrow.parquet as pq

    work = Path(tempfile.mkdtemp(prefix="asli-scale-"))
    try:
        make_shards(shared, work / "shards", count)
        shards = sorted((work / "shards").iterdir())
        options = ("--detector", DETECTOR, "--threads", 1)
        begun = time.perf_counter()
        used = [finished(asli("scan", *shards, "-o", work / "local.parquet", *options))]
        result = {"local scan": measured(count, begun, used)}
        rows = pq.read_table(work / "local.parquet", columns=["id", "score", "verdict", "error", "sha256"]).to_pylist()
        local = {row["id"].rpartition("/")[2]: row for row in rows}
        assert len(local) == count
        for way in only:
            out = work / way
            begun = time.perf_counter()
            used = WAYS[way](shards, out, options)
            result[way] = measured(count, begun, used)
            _, merging = finished(asli("scan", "merge", out, "-o", work / f"{way}.parquet"))
            result[way] |= {"merge_memory_mb": round(merging), **compared(work / f"{way}.parquet", local)}
            print(json.dumps(result, indent=2), flush=True)
        return result
    finally:
        shutil.rmtree(work)


def measured(count: int, begun: float, used: list[tuple[float, float]]) -> dict:
    """Return the figures of a way; wall time depends on other work on the machine, CPU time hardly."""
    seconds = time.perf_counter() - begun
    figures = {"images": count, "wall_seconds": round(seconds, 1), "images_per_wall_second": round(count / seconds, 1)}
    if used:
        cpu = sum(one for one, _ in used)
        figures["images_per_cpu_second"] = round(count / cpu, 1)
        figures["largest_process_mb"] = round(max(memory for _, memory in used))
    return figures


def one(shards: list[Path], out: Path, options: tuple) -> list[tuple[float, float]]:
    """Scan in one process into parts."""
    return [finished(asli("scan", *shards, "-o", f"{out}/", *options, "--shard", "1/1"))]


def eight(shards: list[Path], out: Path, options: tuple) -> list[tuple[float, float]]:
    """Scan in eight processes, two at a time; three are killed behind their first part and run again."""
    rows = max(50, len(shards) * PER_SHARD // 40)

    def run(number: int) -> subprocess.Popen:
        return asli("scan", *shards, "-o", f"{out}/", *options, "--shard", f"{number}/8", "--part-rows", rows)

    for number in (2, 5, 7):
        process = run(number)
        while not list(out.glob(f"part-{number:05d}-*")) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    used = []
    for pair in ((1, 2), (3, 4), (5, 6), (7, 8)):
        used += [finished(process) for process in [run(number) for number in pair]]
    return used


def on_ray(shards: list[Path], out: Path, options: tuple) -> list[tuple[float, float]]:
    """Scan on a Ray cluster of two nodes of one CPU each."""
    code = (
        "import sys, ray; from ray.cluster_utils import Cluster; from asli.scaling.sharded import scan_parts\n"
        "c = Cluster(initialize_head=True, head_node_args={'num_cpus': 1, 'include_dashboard': False})\n"
        "c.add_node(num_cpus=1); ray.init(address=c.address, log_to_driver=False)\n"
        f"scan_parts(sys.argv[2:], sys.argv[1], {DETECTOR!r}, engine='ray', shard='/8'); ray.shutdown(); c.shutdown()"
    )
    command = [sys.executable, "-c", code, f"{out}/", *map(str, shards)]
    finished(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    return []  # its workers are no children of this process


WAYS = {"one process into parts": one, "eight shards, three killed": eight, "ray, two nodes": on_ray}


def simulate(rows: int, shards: int, failure_rate: float) -> dict:
    """Write parts of synthetic rows as the processes of a scan do, of which some fail after each part; merge them."""
    import pyarrow as pa

    from asli.scaling.merging import merge_parts
    from asli.scaling.part_folder import PART_ROWS, Part, PartFolder, header_of
    from asli.scanning.score_table import SCHEMA

    chance = random.Random(0)
    work = Path(tempfile.mkdtemp(prefix="asli-scale-"))
    try:
        folder = PartFolder(str(work / "parts"))
        header = header_of("synthetic", "none", "synthetic", force_domain=False)
        each, failures, repeated, parts = -(-rows // shards), 0, 0, 0
        begun = time.process_time()
        for shard in range(1, shards + 1):
            first, last = (shard - 1) * each, min(shard * each, rows)
            number, start = 0, [0, 0]
            for begin in range(first, max(last, first + 1), PART_ROWS):
                end = min(begin + PART_ROWS, last)
                done = end == last
                place = [1, 0] if done else [0, end - first]
                values = {name: pa.nulls(end - begin, SCHEMA.field(name).type) for name in SCHEMA.names}
                values["id"] = pa.array(
                    [f"s3://bucket/{row // 1000:09d}.tar/{row:012d}.jpg" for row in range(begin, end)]
                )
                values["path"] = values["id"]
                values["score"] = pa.array([chance.random() for _ in range(begin, end)])
                values["verdict"] = pa.array(["real"] * (end - begin))
                values["sha256"] = pa.array([f"{chance.getrandbits(256):064x}" for _ in range(begin, end)])
                walk = {"own": 1, "total": shards, "digest": "synthetic"} if done else None
                state = {
                    "start": start,
                    "next": place,
                    "begin": begin - first,
                    "end": end - first,
                    "stamp": "",
                    "finished": walk,
                }
                while chance.random() < failure_rate:  # the process is killed before the rename, and run again
                    failures += 1
                    repeated += end - begin
                folder.write(Part(shard, shards, number), pa.table(values, schema=SCHEMA), {**header, **state})
                number, start, parts = number + 1, place, parts + 1
        written = time.process_time() - begun
        size = sum(file.stat().st_size for file in (work / "parts").iterdir())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        begun = time.process_time()
        merged = merge_parts(work / "parts")
        merging = time.process_time() - begun
        assert merged.images == rows
        assert merged.parts == parts
        return {
            "rows": rows,
            "shards": shards,
            "parts": parts,
            "bytes_per_row": round(size / rows, 1),
            "failure_rate_per_part": failure_rate,
            "failures": failures,
            "rows_scored_again": repeated,
            "share_scored_again": round(repeated / rows, 4),
            "write_cpu_seconds": round(written, 1),
            "merge_cpu_seconds": round(merging, 1),
            "merge_rows_per_cpu_second": round(rows / merging),
            "memory_before_merge_mb": round(before),
            "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    finally:
        shutil.rmtree(work)


def main() -> None:
    """Measure and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("ways", "simulate"))
    parser.add_argument("--shared", type=Path, default=os.environ.get("ASLI_SHARED"))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--failure-rate", type=float, default=0.02)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.what == "ways":
        if options.shared is None:
            parser.error("give --shared or set ASLI_SHARED")
        found = ways(options.shared, options.images, options.ways)
    else:
        found = simulate(options.rows, options.shards, options.failure_rate)
    names = ("asli", "pyarrow", "fsspec", "onnxruntime")
    result = {
        "command": "python benchmarks/scale.py " + " ".join(sys.argv[1:]),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {library: version(library) for library in names},
        "load_average": round(os.getloadavg()[0], 1),
        "result": found,
    }
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
