"""Peak memory of `asli scan` at 1,000 and at 100,000 images, each in a process of its own.

    python benchmarks/scan_memory.py DETECTOR [--images 1000 100000] [--out benchmarks/results/scan_memory.json]

The images are the bundled sample's, repeated: in one flat folder (hard links), in a zip archive, and in Parquet.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from asli.sample import sample_archive

KINDS = ("folder", "zip", "parquet")


def repeated(count: int) -> Iterator[tuple[int, bytes]]:
    """Yield numbered images."""
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:1000]
        images = [archive.read(name) for name in names]
    for number in range(count):
        yield number, images[number % len(images)]


def make(kind: str, count: int, work: Path) -> Path:
    """Write the images in one of the forms."""
    if kind == "folder":
        folder = work / "images"
        folder.mkdir()
        first: dict[int, Path] = {}
        for number, data in repeated(count):
            path = folder / f"{number:06d}.jpg"
            if number < 1000:
                path.write_bytes(data)
                first[number] = path
            else:
                path.hardlink_to(first[number % 1000])
        return folder
    if kind == "zip":
        with zipfile.ZipFile(work / "images.zip", "w") as archive:
            for number, data in repeated(count):
                archive.writestr(f"{number:06d}.jpg", data)
        return work / "images.zip"
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()})})
    with pq.ParquetWriter(work / "images.parquet", schema) as writer:
        rows: list[dict] = []
        for number, data in repeated(count):
            rows.append({"image": {"bytes": data, "path": f"{number}.jpg"}})
            if len(rows) == 1000 or number == count - 1:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                rows = []
    return work / "images.parquet"


def peak(source: Path, detector: str, out: Path) -> float:
    """Return the peak resident memory of a scan in a process of its own, in MiB."""
    code = "import sys; from asli.cli import main; main(sys.argv[1:])"
    arguments = ["scan", str(source), "--detector", detector, "-o", str(out)]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return usage.ru_maxrss * scale / 2**20


def main() -> None:
    """Print the peak of each form and number."""
    parser = argparse.ArgumentParser()
    parser.add_argument("detector")
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        for count in options.images:
            with tempfile.TemporaryDirectory() as work:
                source = make(kind, count, Path(work))
                found[kind][str(count)] = round(peak(source, options.detector, Path(work) / "scores.parquet"), 1)
            print(f"{kind:<8} {count:>9,} images: {found[kind][str(count)]:,.1f} MiB at most", flush=True)
    if options.out:
        result = {
            "command": "python benchmarks/scan_memory.py DETECTOR",
            "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
            "peak_mib": found,
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
