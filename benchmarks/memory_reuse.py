"""Updates of the recipe `fast` with glibc keeping freed memory, as asli trains, and with its defaults.

    python benchmarks/memory_reuse.py DATA [--threads 2] [--rounds 3] [--out benchmarks/results/memory_reuse.json]

The two take turns, each in a process of its own, on idle cores: images a second, page faults an update, peak memory.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

UPDATES, WARM_UP = 60, 10


def measure(data: str, threads: int, reuse: bool) -> dict[str, float]:
    """Time updates in this process."""
    import torch

    from asli.datasets.folder import DataFolder
    from asli.fitting import placed, prepare_network, training_rows
    from asli.models.device import reuse_memory, set_threads
    from asli.recipe import load_recipe
    from asli.training.batches import TrainingBatches
    from asli.training.loop import loss_sum
    from asli.training.optimizer import make_optimizer

    set_threads(threads)
    if reuse:
        reuse_memory()
    recipe, folder, device = load_recipe("fast"), DataFolder.open(data), torch.device("cpu")
    network, preprocessing, _ = prepare_network(recipe)
    module = placed(network, recipe, device).train()
    rows = training_rows(folder, recipe)
    batches = TrainingBatches(folder, rows, recipe.augment, preprocessing, recipe.loop, device)
    optimizer = make_optimizer(module, recipe.optim)
    for update in range(WARM_UP + UPDATES):
        if update == WARM_UP:
            start, faults = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for batch in batches.micro_batches(update):
            (loss_sum(module, batch, recipe) / len(batch.inputs)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "images_per_second": UPDATES * recipe.loop.micro_batch / (time.perf_counter() - start),
        "page_faults_per_update": (usage.ru_minflt - faults) / UPDATES,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/memory_reuse.json"))
    parser.add_argument("--one", choices=("kept", "default"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.data, arguments.threads, arguments.one == "kept")))
        return
    found: dict[str, list[dict[str, float]]] = {"kept": [], "default": []}
    for _ in range(arguments.rounds):
        for side, runs in found.items():
            command = [sys.executable, __file__, arguments.data, "--threads", str(arguments.threads), "--one", side]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    medians = {
        side: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for side, runs in found.items()
    }
    speeds = (([r["images_per_second"] for r in found[side]]) for side in ("kept", "default"))
    ratios = [kept / default for kept, default in zip(*speeds, strict=True)]
    result = {"threads": arguments.threads, "medians": medians, "ratio_by_turns": ratios, "runs": found}
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({"medians": medians, "ratio_by_turns": ratios}, indent=2))


if __name__ == "__main__":
    main()
