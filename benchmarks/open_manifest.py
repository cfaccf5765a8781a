"""Seconds and memory to open a data folder of a million photographs, in a fresh process.

    python benchmarks/open_manifest.py [--rows 1000000] [--turns 5] [--out benchmarks/results/open_manifest.json]

`open_peak_mb` is all the process held when the folder was open: Python, numpy and pyarrow included. Decoding needs
torch, which is imported after that; its share is `with_torch_mb` less what was there. The manifest is synthetic (the
images need not exist to be opened), with the real columns, row groups as `asli data` writes them, names like GenImage's
and random hashes; about 170 MB for a million rows.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from asli.datasets import manifest
from asli.datasets.build import CHUNK
from asli.files import sha256_of_file, write_json

GENERATORS = ("ADM", "BigGAN", "glide", "Midjourney", "stable_diffusion_v_1_5", "VQDM", "wukong")

OPEN = """
import json, sys, time
def kilobytes(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))
clock, start = time.perf_counter, time.perf_counter()
from asli.datasets.folder import DataFolder
imported, bare = clock(), kilobytes("VmRSS")
folder = DataFolder.open(sys.argv[1])
rows = folder.rows("train")
opened, open_peak = clock(), kilobytes("VmHWM")
import asli.datasets.pixels
torch_there, before_pixels = clock(), kilobytes("VmRSS")
pixels = folder.pixels
names = [pixels._names[int(row)] for row in rows[:2]]
ready, peak = clock(), kilobytes("VmHWM")
print(json.dumps({
    "rows": len(folder), "train_rows": len(rows), "names": names, "sizes": pixels.sizes(rows[:2]).tolist(),
    "import_seconds": imported - start, "open_seconds": opened - imported, "pixels_seconds": ready - torch_there,
    "import_mb": bare / 1024, "open_peak_mb": open_peak / 1024, "open_beyond_import_mb": (open_peak - bare) / 1024,
    "with_torch_mb": before_pixels / 1024, "pixels_peak_mb": peak / 1024,
    "pixels_beyond_torch_mb": (peak - before_pixels) / 1024}))
"""


def hexes(rng: np.random.Generator, count: int) -> list[str]:
    text = rng.bytes(32 * count).hex()
    return [text[at : at + 64] for at in range(0, len(text), 64)]


def tables(rows: int) -> Iterator[pa.Table]:
    rng = np.random.default_rng(0)
    tables_of_encoder = hexes(rng, 20)
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        fake = rng.random(n) < 0.5
        makers = rng.choice(GENERATORS, n).tolist()
        splits = rng.choice(["train", "validation", "calibration", "test"], n, p=[0.8, 0.05, 0.05, 0.1]).tolist()
        ids = [
            f"{maker}/{'test' if split == 'test' else 'train'}/{'ai' if is_fake else 'nature'}/"
            f"{number:08d}_{maker.lower()}_{number % 1000:03d}.{'png' if is_fake else 'JPEG'}"
            for number, (maker, split, is_fake) in enumerate(zip(makers, splits, fake, strict=True), start=start)
        ]
        columns = {
            "id": ids,
            "label": np.where(fake, "fake", "real").tolist(),
            "split": splits,
            "category": [f"n{number:08d}" for number in rng.integers(1_000_000, 15_000_000, n)],
            "generator": [maker if is_fake else None for maker, is_fake in zip(makers, fake, strict=True)],
            "sha256": hexes(rng, n),
            "pixel_sha256": hexes(rng, n),
            "phash": rng.integers(0, 2**64, n, dtype=np.uint64),
            "format": np.where(fake, "PNG", "JPEG").tolist(),
            "mode": ["RGB"] * n,
            "width": rng.integers(128, 2048, n).astype(np.int32),
            "height": rng.integers(128, 2048, n).astype(np.int32),
            "bytes": rng.integers(10_000, 2_000_000, n),
            "subsampling": [None if is_fake else "4:2:0" for is_fake in fake],
            "quantization": [None if is_fake else tables_of_encoder[row % 20] for row, is_fake in enumerate(fake)],
            "quality": pa.array(rng.integers(60, 100, n).astype(np.int16), mask=fake),
            "orientation": pa.array(rng.choice([1, 6, 8], n).astype(np.int16), mask=fake),
            "has_exif": rng.random(n) < 0.2,
            "icc": rng.random(n) < 0.1,
            "frames": np.ones(n, np.int32),
            "error": [None] * n,
            "duplicate_group": pa.array(rng.integers(0, rows, n), mask=rng.random(n) > 0.01),
            "cross_split_duplicate": rng.random(n) < 0.001,
        }
        yield pa.table({name: columns.get(name, [None] * n) for name in manifest.SCHEMA.names}).cast(manifest.SCHEMA)


def make(folder: Path, rows: int) -> float:
    """Write the data folder; return the manifest's size in MB."""
    (folder / "images").mkdir(parents=True)
    path = folder / "manifest.parquet"
    manifest.write(path, tables(rows))
    info = {
        "version": manifest.VERSION,
        "packed": None,
        "reopen": {"kind": "folder", "root": str(folder / "images")},
        "manifest_sha256": sha256_of_file(path),
        "content_hash": manifest.content_hash(path),
    }
    write_json(folder / "data.json", info)
    return path.stat().st_size / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        size = make(folder, options.rows)
        turns = []
        for _ in range(options.turns):
            done = subprocess.run([sys.executable, "-c", OPEN, str(folder)], capture_output=True, text=True, check=True)
            turns.append(json.loads(done.stdout))
    result = {
        "command": "python benchmarks/open_manifest.py",
        "machine": {"python": platform.python_version(), "processor": platform.machine()},
        "rows": options.rows,
        "manifest_mb": round(size, 1),
        "median": {
            key: round(statistics.median(turn[key] for turn in turns), 2)
            for key in turns[0]
            if key.endswith(("seconds", "mb"))
        },
        "turns": turns,
    }
    print(json.dumps(result["median"], indent=2))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
