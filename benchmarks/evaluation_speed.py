"""Images a second of an evaluation, and of transformers' Trainer.predict on the same images; a row of `bench.py`.

`asli.evaluate` reads a data folder of packed pixels, scores it, and computes every metric with its interval.
Trainer.predict reads JPEG files held in memory and returns the logits. Neither time has the loading of libraries and of
the network.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

COMPARED = 100


def measure(work: Path, shared: Path, case: dict[str, Any], side: str) -> dict[str, Any]:
    """Return images a second and CPU milliseconds an image."""
    if side.startswith("Trainer.predict"):
        return predict_trainer(work, shared, case, int(side.rsplit(" ", 1)[1]))
    import asli
    from asli.datasets.folder import DataFolder
    from asli.detector.scoring import logits_of_split

    data = DataFolder.open(work / "cifake")
    detector = asli.Detector.load(work / case["detector"], device="cpu")
    data.pixels  # noqa: B018 - opened on first use
    evaluate = asli.evaluate  # imports what it needs, as the imports below do for the peer
    detector.engine.logits([detector.preparation.to_input(data.pixels.image(row)) for row in range(64)])
    start, used = time.perf_counter(), time.process_time()
    if side == "asli evaluate":
        count = len(evaluate(detector, data, split="test").attachments.scores)
    else:
        import torch

        count = len(logits_of_split(detector, data, "test", torch.device("cpu")))
    seconds, used = time.perf_counter() - start, time.process_time() - used
    return {"value": count / seconds, "cpu_ms": 1000 * used / count, "images": count}


def predict_trainer(work: Path, shared: Path, case: dict[str, Any], batch: int) -> dict[str, Any]:
    """Measure Trainer.predict on the test part."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    from torchvision import transforms as T
    from training_speed import cifake_dataset
    from transformers import AutoModelForImageClassification, Trainer, TrainingArguments

    model = AutoModelForImageClassification.from_pretrained(work / case["detector"])
    chain = T.Compose([T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    dataset = cifake_dataset(shared / "data" / "cifake", case["images"], "test")
    dataset.set_transform(
        lambda b: {"pixel_values": [chain(i.convert("RGB")) for i in b["image"]], "labels": b["label"]}
    )
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(
            place,
            per_device_eval_batch_size=batch,
            report_to="none",
            remove_unused_columns=False,
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(model=model, args=arguments)
        trainer.predict(dataset.select(range(64)))
        start, used = time.perf_counter(), time.process_time()
        count = len(trainer.predict(dataset).predictions)
        seconds, used = time.perf_counter() - start, time.process_time() - used
    return {"value": count / seconds, "cpu_ms": 1000 * used / count, "images": count}
