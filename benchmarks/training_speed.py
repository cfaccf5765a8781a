"""Images a second of asli's loop beside the usual Hugging Face script, on the same machine in one run.

    python benchmarks/training_speed.py DATA SOURCE [--rounds 5] [--out benchmarks/results/training_speed.json]

DATA is a data folder of CIFAKE, SOURCE the unpacked tree or zips it was made of (the script reads JPEG files from
there, as such scripts do). The two take turns, each in a process of its own, on idle cores; medians and the ratio of
each turn are reported. The Hugging Face side is `datasets` + torchvision transforms + Trainer + the timm wrapper, with
Trainer's default of no worker processes, as the usual script leaves it.
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

CASES = {
    "resnet18 at 32 px, padded crop": {"model": "resnet18", "size": 32, "crop": "padded", "updates": 24},
    "resnet50 at 64 px, random resized crop": {"model": "resnet50", "size": 64, "crop": "random-resized", "updates": 6},
}
MICRO_BATCH, ACCUMULATION, WARM_UP = 32, 4, 2
SIDES = ("asli", "trainer")


def asli_speed(case: dict, data: str) -> float:
    """Return images a second over the updates after the warm-up."""
    import torch

    from asli.datasets.folder import DataFolder
    from asli.fitting import prepare_network, training_rows
    from asli.recipe import load_recipe
    from asli.tracking.jsonl import JsonLines
    from asli.training.batches import TrainingBatches
    from asli.training.callbacks import Callback
    from asli.training.loop import Training

    folder = DataFolder.open(data)
    total = case["updates"] + WARM_UP
    recipe = load_recipe(
        "paper",
        [
            f"model.name={case['model']}",
            "weights.start=scratch",
            f"data.size={case['size']}",
            f"augment.crop={case['crop']}",
            "augment.padding=4",
            f"loop.max_updates={total}",
            "loop.evaluate_every=0",
        ],
    )
    network, preprocessing, _ = prepare_network(recipe)
    rows = training_rows(folder, recipe)
    marks: list[float] = []

    class Clock(Callback):
        def on_update(self, *, update: int, metrics: dict[str, float], images: int) -> None:
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as place:
        Training(
            network.module,
            recipe,
            TrainingBatches(folder, rows, recipe.augment, preprocessing, recipe.loop, torch.device("cpu")),
            lambda module: {"f1": 0.0, "loss": 0.0},
            folder=Path(place),
            log=JsonLines(Path(place) / "metrics.jsonl"),
            callbacks=Clock(),
            machine={},
            recovery_minutes=60,
        ).run()
    return case["updates"] * MICRO_BATCH * ACCUMULATION / (marks[-1] - marks[WARM_UP - 1])


def trainer_speed(case: dict, source: str) -> float:
    """Return images a second over the updates after the warm-up."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    import torch
    from torchvision import transforms as T
    from transformers import (
        TimmWrapperConfig,
        TimmWrapperForImageClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from asli.datasets.archived import open_source
    from asli.datasets.cifake import cifake
    from datasets import Dataset, Image

    total = case["updates"] + WARM_UP
    opened = open_source(Path(source))
    entries = cifake(opened.names()).entries[:: 120_000 // (MICRO_BATCH * ACCUMULATION * total + 1)]
    images = [{"bytes": opened.read(e.name), "path": None} for e in entries]
    dataset = Dataset.from_dict({"image": images, "label": [int(e.label == "fake") for e in entries]})
    dataset = dataset.cast_column("image", Image())
    crop = T.RandomCrop(case["size"], padding=4) if case["crop"] == "padded" else T.RandomResizedCrop(case["size"])
    chain = T.Compose(
        [crop, T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    )
    dataset.set_transform(
        lambda b: {"pixel_values": [chain(i.convert("RGB")) for i in b["image"]], "labels": b["label"]}
    )
    model = TimmWrapperForImageClassification(
        TimmWrapperConfig(architecture=case["model"], num_labels=2, do_pooling=True)
    )
    marks: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            marks.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(
            place,
            per_device_train_batch_size=MICRO_BATCH,
            gradient_accumulation_steps=ACCUMULATION,
            max_steps=total,
            learning_rate=5e-5,
            warmup_steps=0.1,
            save_strategy="no",
            report_to="none",
            remove_unused_columns=False,
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        )
        Trainer(model=model, args=arguments, train_dataset=dataset, callbacks=[Clock()]).train()
    return case["updates"] * MICRO_BATCH * ACCUMULATION / (marks[-1] - marks[WARM_UP - 1])


def main() -> None:
    """Measure, or be one measurement (`--one`)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("source")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, side = options.one
        case = CASES[name]
        speed = asli_speed(case, options.data) if side == "asli" else trainer_speed(case, options.source)
        print(f"speed {speed}")
        return
    import torch
    import transformers

    measured: dict[str, dict[str, list[float]]] = {name: {side: [] for side in SIDES} for name in CASES}
    for name in CASES:
        for _ in range(options.rounds):
            for side in SIDES:
                command = [sys.executable, __file__, options.data, options.source, "--one", name, side]
                output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                speed = float(output.rsplit("speed ", 1)[1])
                measured[name][side].append(round(speed, 1))
                print(f"{name}: {side} {speed:.0f} images/s", flush=True)
    result = {
        "command": "python benchmarks/training_speed.py DATA SOURCE",
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()},
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "images_per_second": measured,
        "ratio": {},
        "median": {n: {s: statistics.median(v) for s, v in sides.items()} for n, sides in measured.items()},
    }
    for name, sides in measured.items():
        ratios = [a / b for a, b in zip(sides["asli"], sides["trainer"], strict=True)]
        result["ratio"][name] = {"turns": [round(r, 3) for r in ratios], "median": round(statistics.median(ratios), 3)}
        print(f"{name}: {result['median'][name]}, asli / trainer {result['ratio'][name]}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
