"""All that asli promises and measures on a GPU, in the minutes somebody has one.

    python benchmarks/gpu.py --minutes 8 [--only PART ...] [--data DATA] [--out FILE] [--work gpu-work]

Each part writes its result to `--out` when it ends; a second call with the same `--out` and `--work` goes on with the
first part that is missing, and trains the last one further. Nothing is downloaded: networks start from scratch and
images come from the bundled sample, or from a data folder given by `--data`. asli must be importable (PYTHONPATH=src is
enough beside its dependencies). `--tiny --device cpu` tries the script itself on any machine; its numbers mean nothing.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from asli.files import sha256_of_file, write_json
from asli.run import Run

STARTED = time.monotonic()
SMALL = 20.0
"""Seconds below which no further part is begun."""


def main() -> None:
    """Run the parts that are missing, as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu.json"))
    parser.add_argument("--work", type=Path, default=Path("gpu-work"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="these parts instead of all")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.data is None:
        options.data = options.work / "sample"
        if not (options.data / "data.json").exists():
            asli("data", "sample", options.data)
    result: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {"parts": {}}
    result |= {"command": "python benchmarks/gpu.py", "tiny": options.tiny, "data": options.data.name}
    for name, part in PARTS.items():
        if options.only and name not in options.only:
            continue
        left = 60 * options.minutes - (time.monotonic() - STARTED)
        if left < SMALL:
            print(f"time is up before '{name}'; repeat the command to go on")
            return
        if name in result["parts"] and name != "strong":
            continue
        print(f"{name}: {left:.0f} s left", flush=True)
        start = time.monotonic()
        try:
            found = part(options, left)
        except Exception as error:  # what fails is a result, too; the other parts follow
            found = {"error": f"{type(error).__name__}: {error}"[:500]}
        result["parts"][name] = {**found, "seconds": round(time.monotonic() - start, 1)}
        write_json(options.out, result)
        print(json.dumps(result["parts"][name]), flush=True)


def asli(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of asli in a process of its own."""
    command = [sys.executable, "-m", "asli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"asli {arguments[0]} ended with {done.returncode}: {done.stderr[-400:]}")
    return done


def doctor(options: argparse.Namespace, left: float) -> dict[str, Any]:
    """Return what `asli doctor` finds, without the places of this machine."""
    found: dict[str, Any] = json.loads(asli("doctor", "--offline", "--json", check=False).stdout)
    found["findings"] = [line for line in found["findings"] if not line["topic"].startswith("disk")]
    return found


def resume(options: argparse.Namespace, left: float, *, deterministic: bool) -> dict[str, Any]:
    """Kill a training twice and compare its bits with those of an undisturbed one, and of a repetition of that.

    Without deterministic algorithms the repetition shows whether a difference comes from resuming. These are five
    processes, of which each starts anew; what a call had no time for, the next one goes on with.
    """
    updates, kills = (8, (2, 5)) if options.tiny else (30, (5, 17))
    settings = [
        *(f"loop.max_updates={updates}", "loop.epochs=9", "loop.evaluate_every=9", "loop.checkpoint_every=8"),
        *("data.sample=0", "augment.crop=random-resized", f"precision.deterministic={str(deterministic).lower()}"),
        *(("model.name=resnet18", "data.size=64") if not options.tiny else ()),
    ]
    place = options.work / f"resume-{'deterministic' if deterministic else 'default'}"
    runs = {name: place / name for name in ("whole", "again", "killed")}
    for name in ("whole", "again"):
        _train(options, "smoke", runs[name], settings)
    killed = [_killed(options, runs["killed"], settings, update) for update in kills]
    _train(options, "smoke", runs["killed"], settings)
    bits = {name: _bits(run) for name, run in runs.items()}
    return {
        "kills": sum(killed),
        "repeated_equal": bits["again"] == bits["whole"],
        "killed_and_resumed_equal": bits["killed"] == bits["whole"],
        "files_compared": len(bits["whole"]),
    }


def _command(options: argparse.Namespace, recipe: str, out: Path, settings: list[str], *extra: object) -> list[str]:
    place = ["train", recipe, "--data", options.data, "--out", out, "--resume", "--device", options.device]
    return list(map(str, [*place, *extra, "--set", *settings]))


def _train(options: argparse.Namespace, recipe: str, out: Path, settings: list[str], *extra: object) -> int:
    done = asli(*_command(options, recipe, out, settings, *extra), check=False)
    if done.returncode not in (0, 4):
        raise RuntimeError(f"training ended with {done.returncode}: {done.stderr[-400:]}")
    return done.returncode


def _killed(options: argparse.Namespace, out: Path, settings: list[str], update: int) -> bool:
    """Train until an update and kill; return whether it was running until then."""
    command = _command(options, "smoke", out, settings, "--recovery-minutes", "0.001")
    process = subprocess.Popen([sys.executable, "-m", "asli", *command], stderr=subprocess.DEVNULL)
    log = out / "metrics.jsonl"
    while process.poll() is None:
        if log.exists() and f'"update": {update},' in log.read_text():
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.01)
    return process.wait() == -signal.SIGKILL


def _bits(run: Path) -> dict[str, str]:
    files = [*run.glob("checkpoints/step-*/*.safetensors"), run / "metrics.jsonl"]
    return {str(file.relative_to(run)): sha256_of_file(file) for file in files}


ARITHMETIC = {
    "float32": ["precision.tf32=off"],
    "TF32": ["precision.tf32=all"],
    "bfloat16": ["precision.dtype=bfloat16"],
    "float16": ["precision.dtype=float16"],
    "bfloat16, channels_last": ["precision.dtype=bfloat16", "precision.channels_last=true"],
    "float16, channels_last": ["precision.dtype=float16", "precision.channels_last=true"],
    "float32, deterministic": ["precision.tf32=off", "precision.deterministic=true"],
    "bfloat16, channels_last, compile": [
        *("precision.dtype=bfloat16", "precision.channels_last=true", "precision.compile=true")
    ],
}


def speeds(options: argparse.Namespace, left: float) -> dict[str, Any]:
    """Return images a second and peak memory of `paper` in each arithmetic, the stream included."""
    found: dict[str, Any] = {}
    end = time.monotonic() + min(left - SMALL, 150)
    for name, settings in ARITHMETIC.items():
        if time.monotonic() > end:
            found[name] = {"error": "no time left"}
            continue
        try:
            found[name] = _speed(options, settings, updates=3 if options.tiny else 12)
        except Exception as error:  # bfloat16 where it is emulated, compile without a compiler
            found[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
    return found


def _paper(options: argparse.Namespace, *settings: str) -> list[str]:
    tiny = ("model.name=cifar_resnet20", "data.size=32") if options.tiny else ()
    return ["weights.start=scratch", "loop.evaluate_every=0", "loop.checkpoint_every=0", *tiny, *settings]


def _speed(options: argparse.Namespace, settings: list[str], updates: int) -> dict[str, Any]:
    import torch

    from asli.datasets.folder import DataFolder
    from asli.fitting import placed, prepare_network, training_rows
    from asli.models.arithmetic import arithmetic, require_precision
    from asli.recipe import load_recipe
    from asli.tracking.jsonl import JsonLines
    from asli.training.batches import TrainingBatches
    from asli.training.callbacks import Callback
    from asli.training.loop import Training
    from asli.training.prefetch import Prefetching

    data, device = DataFolder.open(options.data), torch.device(options.device)
    recipe = load_recipe("paper", [*_paper(options, *settings), f"loop.max_updates={updates}"])
    require_precision(recipe.precision, device)
    network, preprocessing, _ = prepare_network(recipe)
    module = placed(network, recipe, device)
    rows = training_rows(data, recipe)
    stream = TrainingBatches(data, rows, recipe.augment, preprocessing, recipe.loop, device)
    ahead = Prefetching(stream, updates, threads=4)
    marks: list[float] = []

    class Clock(Callback):
        def on_update(self, *, update: int, metrics: dict[str, float], images: int) -> None:
            _wait(device)
            marks.append(time.perf_counter())

        on_skipped = on_update

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with tempfile.TemporaryDirectory() as place, arithmetic(recipe.precision, device):
        job = Training(
            module,
            recipe,
            ahead,
            None,
            folder=Path(place),
            log=JsonLines(Path(place) / "metrics.jsonl"),
            callbacks=Clock(),
            machine={},
            recovery_minutes=600,
        )
        job._clock = time.monotonic()
        while job.update < updates:  # without the checkpoint that a run ends with
            job.one_update()
    ahead.close()
    warm = max(1, updates // 4)
    images = (updates - warm) * recipe.loop.micro_batch * recipe.loop.accumulation
    return {"images_per_second": round(images / (marks[-1] - marks[warm - 1]), 1), **_peak(device)}


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(device: Any) -> dict[str, float]:
    import torch

    return {"peak_gib": round(torch.cuda.max_memory_allocated(device) / 2**30, 2)} if device.type == "cuda" else {}


def stream(options: argparse.Namespace, left: float) -> dict[str, Any]:
    """Return images a second of the training stream alone, to the device, by threads that make it ahead."""
    import torch

    from asli.datasets.folder import DataFolder
    from asli.fitting import prepare_network, training_rows
    from asli.recipe import load_recipe
    from asli.training.batches import TrainingBatches
    from asli.training.prefetch import Prefetching

    data, device = DataFolder.open(options.data), torch.device(options.device)
    found: dict[str, Any] = {}
    cases = {"paper (224 px)": "paper", "strong (32 px)": "strong", "robust (32 px, degraded)": "robust"}
    for name, recipe_name in cases.items():
        recipe = load_recipe(recipe_name, ["weights.start=scratch", "model.name=cifar_resnet20"])
        _, preprocessing, _ = prepare_network(recipe)
        rows = training_rows(data, recipe)
        for threads in (0, 1, 2, 4, 8):
            plain = TrainingBatches(data, rows, recipe.augment, preprocessing, recipe.loop, device)
            updates = 4 if options.tiny else 20
            batches = Prefetching(plain, updates, threads) if threads else plain
            start, images = time.perf_counter(), 0
            for update in range(updates):
                images += sum(len(batch.targets) for batch in batches.micro_batches(update))
            _wait(device)
            found[f"{name}, {threads} threads ahead"] = round(images / (time.perf_counter() - start), 1)
            if threads:
                batches.close()
    return {"images_per_second": found}


def paper(options: argparse.Namespace, left: float) -> dict[str, Any]:
    """Train `paper` from scratch for as long as fits; the schedule is the whole recipe's."""
    seconds = min(90.0, left - SMALL) if not options.tiny else 5.0
    settings = _paper(options, "precision.dtype=float16", "precision.channels_last=true")
    run = options.work / "paper"
    status = _train(options, "paper", run, settings, "--stop-after", f"{seconds:.0f}s")
    lines = Run.open(run).read_metrics()
    trained = [line for line in lines if line["kind"] == "train"]
    return {
        "updates": len(trained),
        "skipped": sum(line["kind"] == "skipped" for line in lines),
        "first_loss": trained[0]["loss"],
        "last_loss": trained[-1]["loss"],
        "stopped_by_time": status == 4,
        "settings": settings,
    }


def scan(options: argparse.Namespace, left: float) -> dict[str, Any]:
    """Score the sample with the bundled `thumbnail` on the CPU and on the device: speed and the largest difference."""
    import numpy as np
    import torch

    from asli.datasets.folder import DataFolder
    from asli.detector.base import Detector
    from asli.detector.runtimes import logits_of_rows
    from asli.metrics.classification import score_of_logits
    from asli.sample import golden_images

    detector, data = Detector.load("thumbnail"), DataFolder.open(options.data)
    rows = data.rows("validation")[:512]
    found: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    for place in ("cpu", options.device):
        runtime = detector.runtime(torch.device(place) if place != "cpu" else "cpu", kind="torch")
        for _ in range(2):  # the first one warms up
            start = time.perf_counter()
            logits = np.concatenate(list(logits_of_rows(runtime, data.pixels, rows, detector.preparation)))
            found[f"{place}_images_per_second"] = round(len(rows) / (time.perf_counter() - start), 1)
        scores[place] = score_of_logits(logits)
    pictures = options.work / "pictures"
    pictures.mkdir(exist_ok=True)
    for name, content in golden_images():
        (pictures / name.replace("/", "-")).write_bytes(content)
    start = time.perf_counter()
    asli("scan", pictures, "-o", options.work / "scores.parquet", "--detector", "thumbnail", "--device", options.device)
    return {
        **found,
        "images": len(rows),
        "largest_difference": float(np.abs(scores["cpu"] - scores[options.device]).max()),
        "command_seconds": round(time.perf_counter() - start, 1),
    }


def strong(options: argparse.Namespace, left: float) -> dict[str, Any]:
    """Train the strongest 32 px recipe for the time that is left; a further call goes on."""
    run = options.work / "strong"
    settings = ["model.name=cifar_resnet20", "loop.epochs=1"] if options.tiny else []
    status = _train(
        options, "strong", run, settings, "--stop-after", f"{max(left - SMALL, 5):.0f}s", "--keep-last", "1"
    )
    lines = Run.open(run).read_metrics()
    judged = [line for line in lines if line["kind"] == "validation"]
    return {
        "updates": sum(line["kind"] == "train" for line in lines),
        "validation": judged[-1] if judged else None,
        "finished": status == 0,
    }


PARTS: dict[str, Callable[[argparse.Namespace, float], dict[str, Any]]] = {
    "doctor": doctor,
    "resume, deterministic": partial(resume, deterministic=True),
    "resume, default": partial(resume, deterministic=False),
    "speeds": speeds,
    "stream": stream,
    "paper": paper,
    "scan": scan,
    "strong": strong,
}

if __name__ == "__main__":
    main()
