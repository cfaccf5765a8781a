"""Evaluation, calibration and audit of synthetic tables: seconds, peak memory, and the same result as from arrays.

    python benchmarks/tables.py [--rows 1000000 10000000] [--what evaluate join calibrate audit]
        [--folder DIR] [--out FILE]

With `--folder`, the tables stay there and the next call uses them again, so that tasks can be measured one by one.
`--out` keeps what it already holds of other sizes and tasks.

Scores are parts of 100,000 rows in row groups of 4,096, as a scan writes them; labels are one manifest with ids,
labels, generators, scenes, hashes and file facts. One row in ten is a duplicate. Each task runs in a process of its
own, so that its peak memory is its own:

- `evaluate`: labels are in the table of scores;
- `join`: labels come from the manifest by id, duplicates from its scenes;
- `calibrate`: temperature and thresholds with a promised false positive rate, scenes as duplicates;
- `audit`: the manifest.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PART = 100_000
TASKS = {
    "evaluate": "from asli import evaluate_table as run; found = run('labeled').metrics['auroc']",
    "join": "from asli import evaluate_table as run;"
    " found = run('scores', 'manifest.parquet', duplicates='scene').metrics['auroc']",
    "calibrate": "from asli.tables.rows import Reader; from asli.tables.tally import Collected;"
    " from asli.tables.fit_table import TableFit; from asli.tables.binning import Binning;"
    " from asli import Policy;"
    " rows = Collected(Reader.open('labeled', None, None, (), 'scene'), Binning([]), 0.5);"
    " found = TableFit(rows).fit(Policy(name='target-fpr', target=0.01, band=True))[1].high",
    "audit": "from asli import audit_table as run; found = run('manifest.parquet').duplicates.exact.counts.pairs",
}


def texts(values: np.ndarray, width: int) -> pa.Array:
    """Return numbers as texts of one width, with leading zeros."""
    return pc.utf8_lpad(pa.array(values).cast(pa.string()), width, "0")


def rows(start: int, end: int, of: int) -> pa.Table:
    """Return some rows of the manifest with their scores; a row in ten has the scene of another one."""
    random = np.random.default_rng(start)
    number = np.arange(start, end, dtype=np.int64)
    scene = np.where(random.random(len(number)) < 0.1, random.integers(0, of, len(number)), number)
    # What a scene's images have in common.
    seed = scene.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(3)
    fake = (seed >> np.uint64(20)) % np.uint64(2) == 1
    uniform = ((seed >> np.uint64(8)) % np.uint64(1 << 30)).astype(np.float64) / (1 << 30) + 1e-9
    margin = np.log(uniform / (1 - uniform)) * 1.5 + (fake * 2 - 1) * 2.5
    n = len(number)
    generators = pa.array(["sd", "gan", "flux", "pixart"]).take(pa.array((seed % np.uint64(4)).astype(np.int64)))
    return pa.table(
        {
            "id": pc.binary_join_element_wise("shard/", texts(number, 12), ".jpg", ""),
            "score": 1 / (1 + np.exp(-margin)),
            "label": pa.array(["real", "fake"]).take(pa.array(fake.astype(np.int64))),
            "split": pa.array(["test"] * n),
            "generator": pc.if_else(pa.array(fake), generators, None),
            "scene": scene,
            "pixel_sha256": texts(scene, 64),
            "sha256": texts(scene, 64),
            "format": pa.array(["JPEG"] * n),
            "width": pa.array(np.full(n, 512, dtype=np.int32)),
            "height": pa.array(np.full(n, 512, dtype=np.int32)),
            "bytes": pa.array(40_000 + (seed % np.uint64(20_000)).astype(np.int64)),
        }
    )


def write(folder: Path, count: int) -> None:
    """Write scores, labeled scores and the manifest."""
    for name in ("scores", "labeled"):
        (folder / name).mkdir(parents=True)
    manifest = None
    for start in range(0, count, PART):
        some = rows(start, min(start + PART, count), count)
        name, options = f"{start // PART:06d}.parquet", {"compression": "zstd", "row_group_size": 4096}
        pq.write_table(some.select(["id", "score"]), folder / "scores" / name, **options)
        pq.write_table(
            some.select(["id", "score", "label", "generator", "scene"]), folder / "labeled" / name, **options
        )
        described = some.drop_columns(["score"])
        if manifest is None:
            manifest = pq.ParquetWriter(folder / "manifest.parquet", described.schema, compression="zstd")
        manifest.write_table(described)
    manifest.close()
    (folder / "complete").touch()


def measured(task: str, folder: Path) -> dict:
    """Run a task in a process; return seconds, CPU seconds, peak memory and what it found."""
    begun = time.perf_counter()
    code = f"{TASKS[task]}; print(found)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, text=True)
    found = process.stdout.read().strip()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{task} failed")
    return {
        "wall_seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_memory_mb": round(used.ru_maxrss / 1024),
        "load_average": round(os.getloadavg()[0], 1),
        "found": found,
    }


def main() -> None:
    """Measure and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--what", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--folder", type=Path, help="where the tables go and stay; the default is a temporary folder")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result = json.loads(options.out.read_text()) if options.out and options.out.exists() else {"result": []}
    lines = {line["rows"]: line for line in result["result"]}
    for count in options.rows:
        work = options.folder / str(count) if options.folder else Path(tempfile.mkdtemp(prefix="asli-tables-"))
        try:
            if not (work / "complete").exists():
                shutil.rmtree(work, ignore_errors=True)
                write(work, count)
            line = lines.setdefault(count, {"rows": count})
            line["megabytes_of_tables"] = round(sum(file.stat().st_size for file in work.rglob("*.parquet")) / 1e6)
            for task in options.what:
                line[task] = measured(task, work)
                print(json.dumps(line), flush=True)
                if options.out:  # after each task: a later one may not end
                    save(options.out, list(lines.values()))
        finally:
            if options.folder is None:
                shutil.rmtree(work)


def save(file: Path, lines: list[dict]) -> None:
    """Write all results with what they depend on."""
    result = {
        "command": "python benchmarks/tables.py --rows " + " ".join(str(line["rows"]) for line in lines),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {library: version(library) for library in ("asli", "numpy", "pyarrow")},
        "result": lines,
    }
    file.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
