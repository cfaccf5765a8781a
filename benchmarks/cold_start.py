"""Seconds from the command to the answer: `asli predict` on one image in a new process, with ONNX and with torch.

    python benchmarks/cold_start.py DETECTOR [--image FILE] [--turns 7] [--out benchmarks/results/cold_start.json]

The two take turns, on idle cores; files are in the page cache, since one turn of each goes before.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from asli.sample import golden_images

RUNTIMES = ("onnx", "torch")


def main() -> None:
    """Print the median, least and most seconds of each runtime."""
    parser = argparse.ArgumentParser()
    parser.add_argument("detector")
    parser.add_argument("--image", type=Path, help="instead of a thumbnail")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {runtime: [] for runtime in RUNTIMES}
    with tempfile.TemporaryDirectory() as work:
        image = Path(work) / "image.jpg"
        image.write_bytes(options.image.read_bytes() if options.image else golden_images()[0][1])
        for turn in range(options.turns + 1):
            for runtime in RUNTIMES:
                command = [sys.executable, "-m", "asli", "predict", str(image), "--detector", options.detector]
                start = time.perf_counter()
                subprocess.run([*command, "--runtime", runtime], capture_output=True, check=True)
                if turn:
                    seconds[runtime].append(time.perf_counter() - start)
    for runtime, found in seconds.items():
        print(f"{runtime:<6} median {statistics.median(found):.2f} s ({min(found):.2f} to {max(found):.2f})")
    if options.out:
        result = {
            "command": "python benchmarks/cold_start.py DETECTOR",
            "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
            "seconds": {runtime: [round(s, 3) for s in found] for runtime, found in seconds.items()},
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
