"""A sharded scan on every engine, and the bookkeeping of ten million rows.

    python benchmarks/scale.py ways --shared DIR [--images 2000] [--work DIR] [--out benchmarks/results/scale.json]
    python benchmarks/scale.py simulate [--rows 10000000] [--out benchmarks/results/scale_simulation.json]

`ways` scores CIFAKE thumbnails by a local scan and in every other way: into parts, by eight `--shard` processes of
which three are killed and run again, on Ray while a worker and a node are killed, by Spark, and from and into an S3
server whose every seventh read fails. It compares every row with the local scan. The detector is `thumbnail`, with one
thread in each process. Of more than 120,000 images some occur again under another name. With `--work`, what is done
stays there: a repeated call continues. `simulate` writes parts of synthetic rows, with processes that fail at a given
rate, and merges them; it measures CPU seconds, memory and bytes.
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
from pathlib import Path

from common import versions
from scale_data import compared, make_shards, make_table
from scale_watch import Watch

OPTIONS = ("--detector", "thumbnail", "--threads", "1")


def asli(*arguments: object, **options: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "asli", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)


def finished(process: subprocess.Popen) -> str:
    """Wait for a process that must succeed; return what it printed to stdout, if that was a pipe."""
    out, words = process.communicate()
    if process.returncode:
        raise SystemExit(f"failed: {words[-3000:]}")
    return out or ""


def ways(shared: Path, work: Path, count: int, only: list[str]) -> dict:
    """Scan the same shards in several ways and compare every row with the local scan; keep what is done in `work`."""
    if not (work / "shards" / "complete").exists():
        shutil.rmtree(work, ignore_errors=True)
        make_shards(shared, work / "shards", count)
    shards = sorted((work / "shards").glob("*.tar"))
    local = work / "local scan.parquet"
    for way in ["local scan", *only]:
        out, result = work / way, work / f"{way}.json"
        if result.exists():
            continue
        shutil.rmtree(out, ignore_errors=True)
        load, watch = os.getloadavg()[0], Watch()
        if way == "local scan":
            with watch:
                finished(asli("scan", *shards, "-o", local, *OPTIONS))
            more = {}
        else:
            table, more = WAYS[way](shards, out, count, watch)
            more |= compared(table, local)
        used = watch.figures
        figures = {
            "images": count,
            "images_per_second": round(count / used["wall_seconds"], 1),
            "images_per_cpu_second": round(count / used["cpu_seconds"], 1),
            "load_average": [round(load, 1), round(os.getloadavg()[0], 1)],
        }
        result.write_text(json.dumps({**figures, **used, **more}, indent=2))
        print(way, result.read_text(), flush=True)
    return {file.stem: json.loads(file.read_text()) for file in sorted(work.glob("*.json"), key=order)}


def order(file: Path) -> int:
    """Return the place of a way's result."""
    return ["local scan", *WAYS].index(file.stem)


def merged(out: object, table: Path, **options: object) -> dict:
    """Join the parts of a folder into one table, which proves that none is missing or doubled."""
    begun = time.perf_counter()
    process = asli("scan", "merge", out, "-o", table, **options)
    words = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed: {words}")
    return {"merge_seconds": round(time.perf_counter() - begun, 1), "merge_memory_mb": round(used.ru_maxrss / 1024)}


def part_rows(count: int) -> int:
    """Return the rows of a part: a hundred parts, or fewer of few images."""
    return max(50, count // 100)


Way = tuple[Path, dict]
"""The table or folder of Parquet files, and what else is known."""


def one(shards: list[Path], out: Path, count: int, watch: Watch) -> Way:
    """Scan in one process into parts."""
    with watch:
        finished(asli("scan", *shards, "-o", f"{out}/", *OPTIONS, "--shard", "1/1", "--part-rows", part_rows(count)))
    return out.with_suffix(".parquet"), merged(out, out.with_suffix(".parquet"))


def eight(shards: list[Path], out: Path, count: int, watch: Watch) -> Way:
    """Scan in eight processes, two at a time; three are killed after their first parts and run again."""
    options = (*OPTIONS, "--part-rows", part_rows(count))

    def run(number: int) -> subprocess.Popen:
        return asli("scan", *shards, "-o", f"{out}/", *options, "--shard", f"{number}/8")

    def parts(number: int) -> int:
        return len(list(out.glob(f"part-{number:05d}-*.parquet")))

    kept = []
    with watch:
        for number, least in ((2, 1), (5, 2), (7, 3)):
            process = run(number)
            while parts(number) < least and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode == -signal.SIGKILL
            kept.append(parts(number))
        refused = asli("scan", "merge", out)
        words = refused.communicate()[1]
        assert refused.returncode != 0, words
        for pair in ((1, 2), (3, 4), (5, 6), (7, 8)):
            for process in [run(number) for number in pair]:
                finished(process)
    words = words.strip().splitlines()[-1].replace(str(out), "the folder")
    more = {"killed": 3, "parts_of_the_killed": kept, "merge_before_the_rerun": words}
    return out.with_suffix(".parquet"), more | merged(out, out.with_suffix(".parquet"))


def engine(name: str, out: Path, *arguments: object) -> dict:
    """Run an engine of `scale_engines.py`."""
    script = Path(__file__).with_name("scale_engines.py")
    command = [sys.executable, script, name, out, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return json.loads(finished(process).splitlines()[-1])


def on_ray(shards: list[Path], out: Path, count: int, watch: Watch) -> Way:
    """Scan on Ray while a worker and a node are killed."""
    with watch:
        more = engine("ray", out, part_rows(count), count // part_rows(count) // 2, *shards)
    return out.with_suffix(".parquet"), more | merged(out, out.with_suffix(".parquet"))


def on_spark(shards: list[Path], out: Path, count: int, watch: Watch) -> Way:
    """Map the callable over a Spark table."""
    images = out.with_name("images.parquet")
    make_table(shards, images)
    with watch:
        return out, engine("spark", out, images)


def from_s3(shards: list[Path], out: Path, count: int, watch: Watch) -> Way:
    """Scan from and into an S3 server whose every seventh read fails."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.scaling.s3_server import serving

    with serving() as (store, settings):
        store.put("bench", {})
        for shard in shards:
            store.client.upload_file(str(shard), "bench", shard.name)
        store.faults.every = 7
        urls, options = [f"s3://bench/{shard.name}" for shard in shards], {"env": os.environ | settings}
        with watch:
            finished(
                asli("scan", *urls, "-o", "s3://bench/scores/", *OPTIONS, "--part-rows", part_rows(count), **options)
            )
        found = merged("s3://bench/scores/", out.with_suffix(".parquet"), **options)
        made = store.faults.made
    return out.with_suffix(".parquet"), {"injected_500s": made["500"], "cut_transfers": made["cut"], **found}


WAYS = {
    "one process into parts": one,
    "eight shards, three killed": eight,
    "ray, a worker and a node killed": on_ray,
    "spark mapInArrow": on_spark,
    "s3 with faults": from_s3,
}


def simulate(rows: int, shards: int, per_part: int, failure_rate: float) -> dict:
    """Write parts of synthetic rows as the processes of a scan do, of which some are killed; merge them.

    Beside each measured figure stands what the cost model of docs/scale.md predicts.
    """
    import pyarrow as pa

    from asli.scaling.merging import merge_parts
    from asli.scaling.part_folder import Part, PartFolder, header_of
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
            for begin in range(first, max(last, first + 1), per_part):
                end = min(begin + per_part, last)
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
                while chance.random() < failure_rate:  # the process is killed somewhere in the part, and run again
                    failures += 1
                    repeated += chance.randrange(end - begin)
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
            "rows_per_part": per_part,
            "failure_rate_per_part": failure_rate,
            "parts": {"measured": parts, "predicted_at_most": rows // per_part + shards},
            "failures": {"measured": failures, "predicted": round(failure_rate * parts, 1)},
            "rows_scored_again": {"measured": repeated, "predicted_from_failures": failures * per_part // 2},
            "share_scored_again": round(repeated / rows, 4),
            "bytes_per_row": round(size / rows, 1),
            "load_average": round(os.getloadavg()[0], 1),
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
    parser.add_argument("--work", type=Path, help="keep and continue what is done; the default is a temporary folder")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--part-rows", type=int, default=10_000)
    parser.add_argument("--failure-rate", type=float, default=0.05)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.what == "ways":
        if options.shared is None:
            parser.error("give --shared or set ASLI_SHARED")
        work = options.work or Path(tempfile.mkdtemp(prefix="asli-scale-"))
        try:
            found = ways(options.shared, work, options.images, options.ways)
        finally:
            if options.work is None:
                shutil.rmtree(work)
    else:
        found = simulate(options.rows, options.shards, options.part_rows, options.failure_rate)
    names = ("asli", "pyarrow", "fsspec", "onnxruntime", "ray", "pyspark", "s3fs", "moto")
    result = {
        "command": "python benchmarks/scale.py " + " ".join(sys.argv[1:]),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": versions(*names),
        "result": found,
    }
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
