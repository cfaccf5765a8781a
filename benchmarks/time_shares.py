"""Where the time of a row goes: CPU milliseconds an image of each stage, and GFLOP/s; rows of `bench.py`."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UPDATES = 2
OPERATIONS = {
    "convolutions": ("convolution",),
    "BatchNorm": ("batch_norm",),
    "optimizer, clipping": ("adam", "foreach", "norm"),
    "activations, sums, pooling": ("relu", "threshold", "pool", "add", "mul"),
}
"""Parts of the names of torch's operations, in the order they are tried."""


def measure(work: Path, shared: Path, case: dict[str, Any], side: str) -> dict[str, Any]:
    """Return stages of a row."""
    if side.startswith("training"):
        return training(work, side)
    return evaluation(work) if side == "evaluation" else scanning(work, side)


def training(work: Path, side: str) -> dict[str, Any]:
    """Return the share of each kind of operation in an update, of the stream, and FLOPs of an image."""
    import torch
    from bench import ROWS
    from torch.profiler import ProfilerActivity, profile
    from torch.utils.flop_counter import FlopCounterMode
    from training_speed import train_asli

    from asli.models.networks import create_network

    case = {**ROWS[side].case, "updates": UPDATES}
    module = create_network(case["model"], size=case["size"]).module.train()
    counter = FlopCounterMode(display=False)
    with counter:
        module(torch.rand(2, 3, case["size"], case["size"])).sum().backward()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        train_asli(case, work / "cifake", lambda: None)
    times = dict.fromkeys((*OPERATIONS, "the rest"), 0.0)
    for event in profiled.key_averages():
        if event.key.startswith("aten::"):
            name = event.key.lower()
            kind = next((kind for kind, parts in OPERATIONS.items() if any(part in name for part in parts)), "the rest")
            times[kind] += event.self_cpu_time_total
    total = sum(times.values())
    return {
        "shares": {kind: round(value / total, 3) for kind, value in times.items()},
        "stream_ms": stream(work, case),
        "gflop_per_image": counter.get_total_flops() / 2 / 1e9,
    }


def stream(work: Path, case: dict[str, Any]) -> float:
    """Return milliseconds an image of making training batches."""
    import torch

    from asli.datasets.folder import DataFolder
    from asli.recipe import load_recipe
    from asli.training.batches import TrainingBatches
    from asli.transforms.preprocessing import Preprocessing

    data = DataFolder.open(work / "cifake")
    settings = [f"data.size={case['size']}", f"augment.crop={case['crop']}", "augment.padding=4"]
    recipe = load_recipe("paper", settings)
    preprocessing = Preprocessing.of(recipe.data, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    batches = TrainingBatches(data, data.rows("train"), recipe.augment, preprocessing, recipe.loop, torch.device("cpu"))
    list(batches.micro_batches(0))
    start = time.perf_counter()
    images = sum(len(batch.inputs) for update in range(1, 6) for batch in batches.micro_batches(update))
    return 1000 * (time.perf_counter() - start) / images


class Stages:
    """Adds up CPU milliseconds by stage."""

    def __init__(self) -> None:
        self.used: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is inside."""
        start = time.process_time()
        yield
        self.used[name] = self.used.get(name, 0.0) + 1000 * (time.process_time() - start)

    def per_image(self, count: int) -> dict[str, float]:
        """Return milliseconds an image."""
        return {name: round(value / count, 4) for name, value in self.used.items()}


def scanning(work: Path, side: str) -> dict[str, Any]:
    """Return the stages of a scan, one after the other, and the network alone in both arithmetics."""
    from asli.datasets.images import decode
    from asli.detector.base import Detector
    from asli.models.profile import profile
    from asli.provenance.read import provenance

    name, folder, size = {
        "thumbnails": ("resnet18", "thumbnails-2000", 32),
        "photographs": ("resnet50", "photographs-300", 224),
    }[side]
    detectors = {
        "network, float32": Detector.load(work / name, runtime="onnx"),
        "network, int8": Detector.load(work / f"{name}-int8"),
    }
    detector, files, stages = detectors["network, float32"], sorted((work / folder).iterdir()), Stages()
    prepared, facts = [], []
    for start in range(0, len(files), 32):
        with stages.stage("read, hash"):
            group = [path.read_bytes() for path in files[start : start + 32]]
            for data in group:
                hashlib.sha256(data).hexdigest()
        with stages.stage("decode"):
            decoded = [decode(data) for data in group]
        with stages.stage("resize"):
            seen = [detector.prepare(pixels, known) for pixels, known in decoded]
        with stages.stage("provenance"):
            for data in group:
                provenance(data)
        with stages.stage("domain"):
            detector.outside([known for _, known in decoded], seen)
        prepared += seen
        facts += [known for _, known in decoded]
    rates = {}
    for kind, one in detectors.items():
        rates[kind] = network(one, prepared, stages, kind)
    return {
        "cpu_ms": stages.per_image(len(files)),
        "network_images_per_second": rates,
        "gflop_per_image": profile(name, size).flops / 1e9,
    }


def network(detector: Any, prepared: list[Any], stages: Stages, kind: str) -> float:
    """Return images a second of the network alone, in the batches of a scan."""
    size = detector.batch_size
    detector.forward(prepared[:size])
    start = time.perf_counter()
    with stages.stage(kind):
        for first in range(0, len(prepared), size):
            detector.forward(prepared[first : first + size])
    return len(prepared) / (time.perf_counter() - start)


def evaluation(work: Path) -> dict[str, Any]:
    """Return the stages of scoring a data folder's images; metrics and intervals are the rest of the row."""
    from asli.datasets.folder import DataFolder
    from asli.detector.base import Detector
    from asli.detector.runtimes import batch_of

    data = DataFolder.open(work / "cifake")
    detector, stages = Detector.load(work / "resnet18", device="cpu"), Stages()
    rows, batch = data.rows("test")[:5000], batch_of(32)
    detector.engine.logits(data.pixels.fitted(rows[:64], detector.preparation))
    for start in range(0, len(rows), batch):
        with stages.stage("prepare"):
            fitted = data.pixels.fitted(rows[start : start + batch], detector.preparation)
        with stages.stage("network"):
            detector.engine.logits(fitted)
    return {"cpu_ms": stages.per_image(len(rows)), "runtime": type(detector.engine).__name__}
