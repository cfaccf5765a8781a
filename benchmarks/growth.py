"""Time and peak memory of asli's commands at 1,000, 10,000 and 100,000 images, each in a process of its own.

    python benchmarks/growth.py --shared DIR --work DIR [--images 1000 10000 100000]

The images are CIFAKE's JPEG files; for `domain-study`, distinct crops of 100 to 160 px of the development photographs.
The detector is `thumbnail`. --out is written after each command, and the same command line adds what is missing. Wall
time depends on other work on the machine, CPU time and memory hardly do. `OMP_NUM_THREADS=1` leaves the other cores to
others. --shared is the folder the tests know as ASLI_SHARED.
"""

import argparse
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from common import machine, versions

DETECTOR = "thumbnail"
OPEN = "import sys; from asli.datasets.folder import DataFolder; DataFolder.open(sys.argv[1]).rows('test')"
STEPS = {
    "make a data folder": ("asli", "data", "open", "{files}", "{data}", "--fractions", "1%", "0%", "0%", "99%"),
    "open it": ("python", OPEN, "{data}"),
    "audit": ("asli", "audit", "{data}", "--html", "{out}/audit.html"),
    "evaluate": ("asli", "evaluate", DETECTOR, "{data}", "--out", "{out}/report"),
    "scan a folder": ("asli", "scan", "{files}", "--detector", DETECTOR, "-o", "{out}/scores.parquet"),
    "scan a zip archive": ("asli", "scan", "{files}.zip", "--detector", DETECTOR, "-o", "{out}/scores.parquet"),
    "scan Parquet": ("asli", "scan", "{files}.parquet", "--detector", DETECTOR, "-o", "{out}/scores.parquet"),
    "make a data folder of crops": ("asli", "data", "open", "{crops}", "{crops}-data"),
    "domain-study": ("asli", "domain-study", DETECTOR, "{crops}-data"),
}


def thumbnails(shared: Path, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of CIFAKE's files, the two labels in turns."""
    archives = {
        label: [
            zipfile.ZipFile(shared / "data" / "cifake" / f"cifake_{part}_{label}.zip") for part in ("train", "test")
        ]
        for label in ("REAL", "FAKE")
    }
    names = {
        label: [(one, name) for one in opened for name in sorted(one.namelist()) if name.endswith(".jpg")]
        for label, opened in archives.items()
    }
    for number in range(count):
        label = ("REAL", "FAKE")[number % 2]
        archive, name = names[label][number // 2]
        yield f"{label}/{number:06d}.jpg", archive.read(name)


def crops(shared: Path, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of random crops of photographs and AI pictures, JPEG of quality 90, no two alike."""
    from PIL import Image

    chance = random.Random(0)
    with zipfile.ZipFile(shared / "data" / "photos2" / "photos_dev.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        chance.shuffle(names)
        each, number = -(-count // len(names)), 0
        for name in names:
            image = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
            for _ in range(min(each, count - number)):
                side = chance.randint(100, min(160, *image.size))
                left, top = (chance.randint(0, length - side) for length in image.size)
                buffer = io.BytesIO()
                image.crop((left, top, left + side, top + side)).save(buffer, "JPEG", quality=90)
                yield f"{name.split('/')[0]}/{number:06d}.jpg", buffer.getvalue()
                number += 1


def make(work: Path, shared: Path, count: int, step: str) -> None:
    """Write the files that a step reads, where they are missing."""
    kind, source = ("crops", crops) if "crops" in step or step == "domain-study" else ("files", thumbnails)
    folder = work / f"{kind}-{count}"
    if not folder.exists():
        shutil.rmtree(work / "unfinished", ignore_errors=True)
        for name, data in source(shared, count):
            path = work / "unfinished" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (work / "unfinished").rename(folder)
    if step == "scan a zip archive" and not folder.with_suffix(".zip").exists():
        with zipfile.ZipFile(work / "unfinished.zip", "w") as archive:
            for path in sorted(folder.rglob("*.jpg")):
                archive.write(path, path.relative_to(folder))
        (work / "unfinished.zip").rename(folder.with_suffix(".zip"))
    if step == "scan Parquet" and not folder.with_suffix(".parquet").exists():
        write_parquet(sorted(folder.rglob("*.jpg")), work / "unfinished.parquet")
        (work / "unfinished.parquet").rename(folder.with_suffix(".parquet"))


def write_parquet(paths: list[Path], out: Path) -> None:
    """Write images in the columns of Hugging Face data sets, 1,000 a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()})})
    with pq.ParquetWriter(out, schema) as writer:
        for start in range(0, len(paths), 1000):
            rows = [{"image": {"bytes": path.read_bytes(), "path": path.name}} for path in paths[start : start + 1000]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def measure(command: tuple[str, ...], places: dict[str, str]) -> dict[str, float]:
    """Return wall and CPU seconds and peak resident memory in MB of a command."""
    program, *arguments = (part.format(**places) for part in command)
    start = [sys.executable, "-m", "asli", "--quiet"] if program == "asli" else [sys.executable, "-c"]
    with tempfile.TemporaryFile("w+") as errors:
        begun = time.perf_counter()
        process = subprocess.Popen([*start, *arguments], stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(arguments)} failed: {errors.read()}")
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    cpu = used.ru_utime + used.ru_stime
    figures = {"wall_seconds": seconds, "cpu_seconds": cpu, "peak_mb": used.ru_maxrss * unit / 1e6}
    return {name: round(value, 2) for name, value in figures.items()}


def main() -> None:
    """Measure what is missing and write each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("ASLI_SHARED"))
    parser.add_argument("--work", type=Path, required=True, help="files are kept here for the next call")
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--steps", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/growth.json"))
    options = parser.parse_args()
    if options.shared is None:
        parser.error("give --shared or set ASLI_SHARED")
    os.environ["ASLI_CACHE"] = str(options.work / "cache")
    options.work.mkdir(parents=True, exist_ok=True)
    about = {
        "command": "python benchmarks/growth.py --shared DIR --work DIR",
        "machine": machine(),
        "versions": versions("asli", "torch", "onnxruntime", "pillow", "pyarrow", "scikit-learn"),
    }
    earlier = json.loads(options.out.read_text()) if options.out.exists() else about
    if any(earlier.get(key) != value for key, value in about.items()):
        parser.error(f"{options.out} is of another machine, version or command; give another --out")
    found = earlier.get("steps", {})
    for count in options.images:
        for step in options.steps:
            if str(count) in found.get(step, {}):
                continue
            make(options.work, options.shared, count, step)
            with tempfile.TemporaryDirectory(dir=options.work) as out:
                places = {name: str(options.work / f"{name}-{count}") for name in ("files", "crops", "data")}
                figures = measure(STEPS[step], {**places, "out": out})
            found.setdefault(step, {})[str(count)] = figures
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps({**about, "steps": found}, indent=2) + "\n")
            print(f"{step}, {count:,} images: {figures}", flush=True)


if __name__ == "__main__":
    main()
