"""Images a second of asli's training loop and of the usual Hugging Face script; rows of `bench.py`.

The Hugging Face side is `datasets` + torchvision transforms + Trainer + the timm wrapper, with Trainer's default of no
worker processes, as the usual script leaves it, unless the case has `workers`. Both train from random weights on
CIFAKE, with the paper's 32 x 4 images an update; asli does what `asli train` does before and during an update.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

MICRO_BATCH, ACCUMULATION, WARM_UP = 32, 4, 2


def measure(work: Path, shared: Path, case: dict[str, Any], side: str) -> dict[str, Any]:
    """Return images a second over the updates after the warm-up."""
    marks: list[tuple[float, float]] = []

    def mark() -> None:
        if case.get("device", "cpu") != "cpu":
            import torch

            torch.cuda.synchronize()
        marks.append((time.perf_counter(), time.process_time()))

    if side.startswith("Hugging Face Trainer"):
        train_trainer(case, shared / "data" / "cifake", mark)
    else:
        train_asli({**case, "channels_last": side.endswith("channels last")}, work / "cifake", mark)
    images = case["updates"] * MICRO_BATCH * ACCUMULATION
    (start, used), (end, total) = marks[WARM_UP - 1], marks[-1]
    return {"value": images / (end - start), "cpu_ms": 1000 * (total - used) / images}


def train_asli(case: dict[str, Any], data: Path, mark: Any, profiler: Any = None) -> None:
    """Train as `asli train` does; call `mark` behind every update."""
    import torch

    from asli.datasets.folder import DataFolder
    from asli.fitting import Session, placed, prepare_network, training_rows
    from asli.models.device import reuse_memory, set_threads
    from asli.recipe import load_recipe
    from asli.tracking.jsonl import JsonLines
    from asli.training.batches import TrainingBatches
    from asli.training.callbacks import Callback
    from asli.training.loop import Training
    from asli.training.prefetch import Prefetching

    set_threads(None)
    reuse_memory()
    folder, device = DataFolder.open(data), torch.device(case.get("device", "cpu"))
    settings = [
        f"model.name={case['model']}",
        "weights.start=scratch",
        f"data.size={case['size']}",
        f"augment.crop={case['crop']}",
        "augment.padding=4",
        f"loop.max_updates={case['updates'] + WARM_UP}",
        "loop.evaluate_every=0",
        f"precision.dtype={case.get('dtype', 'float32')}",
        f"precision.channels_last={str(case.get('channels_last', False)).lower()}",
    ]
    recipe = load_recipe("paper", settings)
    network, preprocessing, _ = prepare_network(recipe)
    rows = training_rows(folder, recipe)

    class Clock(Callback):
        def on_update(self, *, update: int, metrics: dict[str, float], images: int) -> None:
            mark()

    batches: Any = TrainingBatches(folder, rows, recipe.augment, preprocessing, recipe.loop, device)
    if threads := Session().prefetching(device):
        batches = Prefetching(batches, case["updates"] + WARM_UP, threads)
    with tempfile.TemporaryDirectory() as place:
        Training(
            placed(network, recipe, device),
            recipe,
            batches,
            lambda module: {"f1": 0.0, "loss": 0.0},
            folder=Path(place),
            log=JsonLines(Path(place) / "metrics.jsonl"),
            callbacks=Clock(),
            machine={},
            recovery_minutes=60,
        ).run()


def cifake_dataset(source: Path, count: int, part: str | None = None) -> Any:
    """Return a `datasets` data set of as many JPEG files, evenly over all or of one part."""
    from asli.datasets.archived import open_source
    from asli.datasets.cifake import cifake
    from datasets import Dataset, Image

    opened = open_source(source)
    entries = [entry for entry in cifake(opened.names()).entries if part is None or entry.split == part]
    entries = entries[:: max(1, len(entries) // count)][:count]
    images = [{"bytes": opened.read(entry.name), "path": None} for entry in entries]
    dataset = Dataset.from_dict({"image": images, "label": [int(entry.label == "fake") for entry in entries]})
    return dataset.cast_column("image", Image())


def train_trainer(case: dict[str, Any], source: Path, mark: Any) -> None:
    """Train as the usual script does; call `mark` behind every update."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    from torchvision import transforms as T
    from transformers import (
        TimmWrapperConfig,
        TimmWrapperForImageClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    total = case["updates"] + WARM_UP
    dataset = cifake_dataset(source, MICRO_BATCH * ACCUMULATION * total)
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

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            mark()

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
            bf16=case.get("dtype") == "bfloat16",
            use_cpu=case.get("device", "cpu") == "cpu",
            dataloader_num_workers=case.get("workers", 0),
        )
        Trainer(model=model, args=arguments, train_dataset=dataset, callbacks=[Clock()]).train()
