"""Images a second of the training stream alone, on one thread: packed pixels to normalized batches.

python benchmarks/stream_speed.py DATA [--out benchmarks/results/stream_speed.json]
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from asli.datasets.folder import DataFolder
from asli.recipe import AugmentSettings, LoopSettings
from asli.training.batches import TrainingBatches
from asli.transforms.preprocessing import Preprocessing

CASES = {
    "32 px, padded crop": (32, AugmentSettings(crop="padded"), 200),
    "32 px, random resized crop": (32, AugmentSettings(crop="random-resized"), 100),
    "64 px, random resized crop": (64, AugmentSettings(crop="random-resized"), 40),
    "224 px, random resized crop": (224, AugmentSettings(crop="random-resized"), 10),
}


def main() -> None:
    """Measure each case five times and print the median."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = DataFolder.open(options.data)
    rows = data.rows("train")
    result = {"command": "python benchmarks/stream_speed.py DATA", "threads": 1, "images_per_second": {}}
    for name, (size, augment, updates) in CASES.items():
        preprocessing = Preprocessing(size, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        loop = LoopSettings(micro_batch=128, accumulation=1)
        stream = TrainingBatches(data, rows, augment, preprocessing, loop, torch.device("cpu"))
        speeds = []
        for turn in range(6):
            start = time.perf_counter()
            images = sum(
                len(batch.targets) for u in range(updates) for batch in stream.micro_batches(turn * updates + u)
            )
            speeds.append(images / (time.perf_counter() - start))
        speeds = speeds[1:]  # the first fills the page cache
        result["images_per_second"][name] = {
            "median": round(statistics.median(speeds)),
            "all": np.round(speeds).tolist(),
        }
        print(f"{name}: {statistics.median(speeds):,.0f} images/s", flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
