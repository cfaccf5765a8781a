"""Images a second of training on the CPU with batches made ahead by threads and without; the bits must be the same.

    python benchmarks/prefetch_speed.py DATA [--threads 2] [--rounds 3] [--out benchmarks/results/prefetch_speed.json]

The settings take turns, so that other work on the machine meets all of them alike. Each case is kept when it ends.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

CASES = {
    "fast (small network, clean images)": ("fast", 40),
    "robust (degraded images)": ("robust", 20),
    "resnet18 at 64 px, random resized crop": ("resnet18", 6),
}
AHEAD = (0, 1, 2)
WARM_UP = 2


def measure(data: str, case: str, ahead: int) -> tuple[float, str]:
    """Return images a second after the warm-up, and the hash of the weights."""
    import hashlib

    import torch

    from asli.datasets.folder import DataFolder
    from asli.fitting import placed, prepare_network, training_rows
    from asli.recipe import load_recipe
    from asli.tracking.jsonl import JsonLines
    from asli.training.batches import TrainingBatches
    from asli.training.callbacks import Callback
    from asli.training.loop import Training
    from asli.training.prefetch import Prefetching

    name, updates = CASES[case]
    settings = ["loop.epochs=9"]
    if name == "resnet18":
        name = "paper"
        settings += ["model.name=resnet18", "weights.start=scratch", "data.size=64"]
    recipe = load_recipe(name, settings)
    folder, device = DataFolder.open(data), torch.device("cpu")
    network, preprocessing, _ = prepare_network(recipe)
    rows = training_rows(folder, recipe)
    stream = TrainingBatches(folder, rows, recipe.augment, preprocessing, recipe.loop, device)
    batches = Prefetching(stream, updates, ahead) if ahead else stream
    with tempfile.TemporaryDirectory() as place:
        job = Training(
            placed(network, recipe, device),
            recipe,
            batches,
            None,
            folder=Path(place),
            log=JsonLines(Path(place) / "metrics.jsonl"),
            callbacks=Callback(),
            machine={},
            recovery_minutes=600,
        )
        images = 0
        for update in range(updates):
            if update == WARM_UP:
                start = time.perf_counter()
            if update >= WARM_UP:
                images += sum(len(part) for part in stream.group(update))
            job.one_update()
        seconds = time.perf_counter() - start
    if isinstance(batches, Prefetching):
        batches.close()
    digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in job.parameters)).hexdigest()
    return images / seconds, digest


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/prefetch_speed.json"))
    options = parser.parse_args()
    from asli.files import write_json
    from asli.models.device import reuse_memory, set_threads

    set_threads(options.threads)
    reuse_memory()
    result: dict[str, object] = {"threads": options.threads, "rounds": options.rounds}
    for case in CASES:
        found: dict[int, list[float]] = {ahead: [] for ahead in AHEAD}
        digests = set()
        for _ in range(options.rounds):
            for ahead in AHEAD:
                speed, digest = measure(options.data, case, ahead)
                print(f"{case}, {ahead} ahead: {speed:,.1f} images/s", flush=True)
                found[ahead].append(speed)
                digests.add(digest)
        result[case] = {
            "images_per_second": {f"{ahead} ahead": round(statistics.median(v), 1) for ahead, v in found.items()},
            "to_none_by_rounds": {
                f"{ahead} ahead": [round(v / base, 3) for v, base in zip(found[ahead], found[0], strict=True)]
                for ahead in AHEAD[1:]
            },
            "same_bits": len(digests) == 1,
        }
        print(case, json.dumps(result[case]), flush=True)
        write_json(options.out, result)


if __name__ == "__main__":
    main()
