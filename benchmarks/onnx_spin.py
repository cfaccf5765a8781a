"""Milliseconds an image of ONNX Runtime, by how long its threads spin while they wait for each other.

    python benchmarks/onnx_spin.py --work DIR [--busy 1]

DIR is the --work folder of a finished `python benchmarks/bench.py --prepare`, with its detectors. The settings take
turns; medians of seven. --busy runs as many busy processes beside it. Two threads.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from asli.detector.runtimes import spinning

CASES = (
    ("resnet18-int8", 32, 256, 6),
    ("resnet18", 32, 256, 4),
    ("resnet50-int8", 224, 20, 3),
    ("resnet50", 224, 20, 2),
)
SETTINGS = {
    "none": {"allow_spinning": "0"},
    "asli's": spinning(onnxruntime.__version__),
    "300 us": {"allow_spinning": "1", "spin_duration_us": "300"},
    "its own": {"allow_spinning": "1"},
}


def session(path: Path, settings: dict[str, str]) -> onnxruntime.InferenceSession:
    """Open a graph with two threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 2, 1
    for key, value in settings.items():
        options.add_session_config_entry(f"session.intra_op.{key}", value)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def milliseconds(one: onnxruntime.InferenceSession, images: np.ndarray, runs: int) -> float:
    """Return the time of an image."""
    start = time.perf_counter()
    for _ in range(runs):
        one.run(["logits"], {"images": images})
    return 1000 * (time.perf_counter() - start) / runs / len(images)


def main() -> None:
    """Measure and print each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--busy", type=int, default=0)
    options = parser.parse_args()
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        for name, size, batch, runs in CASES:
            images = np.random.default_rng(0).integers(0, 255, (batch, size, size, 3), dtype=np.uint8)
            sessions = {key: session(options.work / name / "model.onnx", value) for key, value in SETTINGS.items()}
            for one in sessions.values():
                milliseconds(one, images, 1)
            turns = [{key: milliseconds(one, images, runs) for key, one in sessions.items()} for _ in range(7)]
            medians = {key: statistics.median(turn[key] for turn in turns) for key in sessions}
            print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in medians.items()), flush=True)
    finally:
        for other in others:
            other.kill()


if __name__ == "__main__":
    main()
