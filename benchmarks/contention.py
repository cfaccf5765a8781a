"""Seconds that commands take on idle CPUs, beside one and beside two busy processes.

    python benchmarks/contention.py [--only train audit] [--turns 5] [--out benchmarks/results/contention.json]

The sides take turns. A busy process is `python -c "while True: pass"`. Each command is a process of its own, on the
bundled sample, with no thread setting in its environment. The side `library settings` is the same command on idle
CPUs with the spin count and the BLAS threads that the libraries would use without asli. The result is written after
every measurement: rerun an interrupted call to resume it. A measurement is repeated where other processes used more
than 0.15 of a CPU during it; after three such ones the call ends. About 35 minutes on two CPUs.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from asli.files import write_json
from asli.sample import golden_images, open_sample, sample_archive
from asli.threads import cpu_times

SIDES = {"idle": 0, "beside one": 1, "beside two": 2}
PLAIN = "library settings, idle"
LIBRARIES = {"GOMP_SPINCOUNT": "300000", "OPENBLAS_NUM_THREADS": str(os.cpu_count())}
LIMIT, GROWTH, STRANGERS = 2.5, 1.03, 0.15
ROOT = Path(__file__).parents[1]
TRAIN = ("model.name=resnet18", "data.sample=0", "loop.micro_batch=64", "loop.accumulation=1", "loop.max_updates=10")


def commands(work: Path) -> dict[str, list[str]]:
    """Return the arguments of each command; {out} is a new place each time."""
    settings = ["--set", *TRAIN, "loop.evaluate_every=0", "loop.checkpoint_every=0"]
    sample = str(work / "sample")
    return {
        "train": ["train", "smoke", "--data", sample, "--out", "{out}", "--device", "cpu", *settings],
        "evaluate": ["evaluate", "default", sample, "--split", "calibration", "--out", "{out}", "--device", "cpu"],
        "audit": ["audit", str(work / "few")],
        "scan": ["scan", str(work / "sample.zip"), "--out", "{out}.parquet"],
        "predict": ["predict", str(work / "image.jpg")],
        "study cell": ["study", "paper", "--only", "clip-none", "--data", sample, "--out", "{out}", "--device", "cpu"],
    }


def prepare(work: Path) -> None:
    """Write what the commands read: the sample as a data folder and as a zip, 240 of its files, one image."""
    open_sample(work / "sample")
    with sample_archive() as path, zipfile.ZipFile(path) as archive:
        shutil.copy(path, work / "sample.zip")
        for label in ("REAL", "FAKE"):
            (work / "few" / label).mkdir(parents=True)
            for name in [name for name in archive.namelist() if name.startswith(f"train/{label}/") and name[-1] != "/"][
                :120
            ]:
                (work / "few" / label / Path(name).name).write_bytes(archive.read(name))
    (work / "image.jpg").write_bytes(golden_images()[0][1])


def seconds_of(arguments: list[str], busy: int, settings: dict[str, str]) -> tuple[float, float]:
    """Return the seconds a command takes beside some busy processes, and the CPUs that other processes used."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "OPENBLAS_", "MKL_"))}
    environment |= {"PYTHONPATH": str(ROOT / "src"), **settings}
    before = cpu_times()
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        time.sleep(0.5 if busy else 0.0)
        with tempfile.TemporaryDirectory() as place:
            given = [argument.replace("{out}", f"{place}/out") for argument in arguments]
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "asli", *given], env=environment, cwd=place, capture_output=True, text=True
            )
            seconds = time.perf_counter() - start
    finally:
        for other in others:
            other.kill()
            other.wait()
    if done.returncode:
        sys.exit(f"asli {' '.join(given)} failed: {done.stderr}")
    after = cpu_times()
    if before is None or after is None:
        return seconds, 0.0
    strangers = (after.everyone - before.everyone) - (after.own - before.own)  # ours have been waited for
    return seconds, strangers / (after.at - before.at)


def undisturbed(arguments: list[str], busy: int, settings: dict[str, str]) -> float:
    """Return the seconds a command takes while nobody else uses the CPUs; end after three disturbed measurements."""
    for _ in range(3):
        seconds, strangers = seconds_of(arguments, busy, settings)
        if strangers <= STRANGERS:
            return seconds
        print(f"{seconds:.2f} s do not count: other processes used {strangers:.2f} CPUs", flush=True)
    sys.exit("other processes use the CPUs; rerun this on an idle machine to resume")


def summary(seconds: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Return medians, and each side's ratio to idle."""
    table: dict[str, Any] = {}
    for command, by_side in seconds.items():
        medians = {side: statistics.median(found) for side, found in by_side.items() if found}
        if "idle" not in medians:
            continue
        idle = medians["idle"]
        ratios = {f"{side} / idle": round(medians[side] / idle, 3) for side in list(SIDES)[1:] if side in medians}
        if PLAIN in medians:
            ratios["idle / library settings"] = round(idle / medians[PLAIN], 3)
        table[command] = {"median": {side: round(value, 3) for side, value in medians.items()}, **ratios}
    return table


def main() -> None:
    """Measure what the result file lacks, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(commands(Path())))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/contention.json")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "command": "python benchmarks/contention.py",
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("torch", "onnxruntime", "scikit-learn", "numpy")},
        "seconds": {},
    }
    if options.out.exists():
        known = json.loads(options.out.read_text())
        if all(known[key] == result[key] for key in ("machine", "versions")):
            result["seconds"] = known["seconds"]
        else:
            sys.exit(f"{options.out} was measured elsewhere; remove it or give another --out")
    sides = {**{side: (busy, {}) for side, busy in SIDES.items()}, PLAIN: (0, LIBRARIES)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare(work)
        for turn in range(options.turns):
            for command, arguments in commands(work).items():
                if options.only and command not in options.only:
                    continue
                for side, (busy, settings) in sides.items():
                    found = result["seconds"].setdefault(command, {}).setdefault(side, [])
                    if len(found) > turn:
                        continue
                    found.append(round(undisturbed(arguments, busy, settings), 3))
                    print(f"turn {turn + 1}, {command}, {side}: {found[-1]:.2f} s", flush=True)
                    result["summary"] = summary(result["seconds"])
                    write_json(options.out, result)  # whole or not at all
    for command, line in summary(result["seconds"]).items():
        ratios = {name: value for name, value in line.items() if name != "median"}
        kept = all(
            value <= (GROWTH if name == "idle / library settings" else LIMIT)
            for name, value in ratios.items()
            if name != "beside two / idle"
        )
        print(f"{command:<11} {line['median']} {ratios} {'within' if kept else 'BEYOND'} the limits")


if __name__ == "__main__":
    main()
