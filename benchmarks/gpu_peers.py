"""Training and scoring on a GPU, beside Hugging Face Trainer and transformers' pipeline.

    python benchmarks/gpu_peers.py --shared DIR [--work gpu-work] [--turns 3] [--minutes 5]

DIR is the folder the tests know as ASLI_SHARED; of it CIFAKE is read, and pictures unless `--work` has them. The sides
of a row take turns in one process, which starts CUDA once. `--out` is written after every measurement; the same command
adds what is missing. `--device cpu --tiny` tries the script itself; its numbers mean nothing.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import scan_speed
import training_speed
from bench import Row, prepare_data, summarized
from common import machine, versions

TRAINER = "Hugging Face Trainer"
SCAN = ("scan torch", "pipeline batch 64", "pipeline batch 256")


def training(model: str, size: int, crop: str, updates: int, dtype: str = "float32") -> Row:
    """Return a row of training; the peer has no worker processes, which is its default, and eight."""
    return Row(
        "training_speed",
        {"model": model, "size": size, "crop": crop, "updates": updates, "dtype": dtype},
        ("asli train", TRAINER, f"{TRAINER}, 8 workers"),
        {("asli train", peer): 1.0 for peer in (TRAINER, f"{TRAINER}, 8 workers")},
        {"model": "resnet18", "size": 32, "updates": 1, "dtype": "float32"},
    )


def scoring(detector: str, images: str) -> Row:
    """Return a row of scoring files."""
    return Row(
        "scan_speed",
        {"detector": detector, "images": images},
        SCAN,
        {("scan torch", peer): 1.0 for peer in SCAN[1:]},
        {"detector": "resnet18", "images": "thumbnails-2000", "most": 128},
    )


ROWS = {
    "ResNet-152, 224 px, float32": training("resnet152", 224, "random-resized", 8),
    "ResNet-152, 224 px, bfloat16": training("resnet152", 224, "random-resized", 8, "bfloat16"),
    "ResNet-18, 32 px, float32": training("resnet18", 32, "padded", 40),
    "10,000 thumbnails, ResNet-18": scoring("resnet18", "thumbnails-10000"),
    "300 photographs, ResNet-50": scoring("resnet50", "photographs-300"),
}


def main() -> None:
    """Measure what is missing and write each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("ASLI_SHARED"))
    parser.add_argument("--work", type=Path, default=Path("gpu-work"), help="files are kept here")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu_peers.json"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no measurement after so many")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.shared is None:
        parser.error("give --shared or set ASLI_SHARED")
    begun = time.monotonic()
    prepare_data(options.work, options.shared)
    scan_speed.write_images(options.work, options.shared)
    if not (options.work / "resnet50").exists():
        scan_speed.make_networks(options.work)
    about = {
        "command": "python benchmarks/gpu_peers.py --shared DIR",
        "machine": machine() | {"device": device_name(options.device)},
        "versions": versions("torch", "transformers", "accelerate", "datasets", "timm", "pillow"),
    }
    result: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    if any(result.get(key) != value for key, value in about.items()):
        result = {**about, "measured": {}}
    for turn in range(options.turns):
        for name, row in ROWS.items():
            for side in row.sides:
                runs = result["measured"].setdefault(name, {}).setdefault(side, [])
                if len(runs) > turn:
                    continue
                if time.monotonic() - begun > 60 * options.minutes:
                    print(f"time is up before turn {turn + 1} of {name}, {side}; the same command continues")
                    return
                runs.append(measured(row, side, options))
                result["summary"] = summarized(result["measured"], ROWS)
                options.out.write_text(json.dumps(result, indent=2) + "\n")
                print(f"{name}, turn {turn + 1}: {side}: {json.dumps(runs[-1])}", flush=True)


def measured(row: Row, side: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return what a side reaches."""
    case = {**row.case, **((row.quick or {}) if options.tiny else {}), "device": options.device}
    if side.endswith("8 workers"):
        case["workers"] = 8
    module = {"training_speed": training_speed, "scan_speed": scan_speed}[row.module]
    found: dict[str, Any] = module.measure(options.work, options.shared, case, side)
    found.pop("scores", None)
    return found


def device_name(device: str) -> str:
    """Return the name of the GPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


if __name__ == "__main__":
    main()
