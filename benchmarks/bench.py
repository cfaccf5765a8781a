"""What asli costs beside its peers, row by row: the sides of a row take turns, each in a process of its own.

    python benchmarks/bench.py --shared DIR [--full] [--turns 3] [--minutes 15] [--only ROW ...]

DIR is the folder the tests know as ASLI_SHARED. Run it on idle cores. Without --full, rows have fewer images and
`full` rows are left out: minutes instead of an hour. --out is written after every measurement. The same command adds
what is missing, or starts anew where the machine or the libraries' versions differ. --minutes begins no measurement
after so many. --prepare only writes images and detectors to --work. Each measurement states the version of asli and
how many CPUs other processes used meanwhile; `--redo 0.2` repeats the turns beside which they used more.
`python benchmarks/speed_page.py` makes docs/speed.md of the results.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import machine, versions

from asli import __version__

TRAINER = "Hugging Face Trainer"
BEST = "pipeline, best batch size"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        module: Measures a side.
        case: What it is given.
        sides: What takes turns.
        targets: Of two sides, how many times as fast the first is to be.
        quick: What `case` has instead without --full; None leaves the row out.
        once: One turn is enough.
        needs: An instruction of the processor without which the row is left out.
        unit: Of the value.
    """

    module: str
    case: dict[str, Any]
    sides: tuple[str, ...]
    targets: dict[tuple[str, str], float] = field(default_factory=dict)
    quick: dict[str, Any] | None = None
    once: bool = False
    needs: str | None = None
    unit: str = "images/s"


def training(
    model: str, size: int, crop: str, updates: int, target: float, quick: dict[str, Any] | None, **case: str
) -> Row:
    """Return a row of training beside the Hugging Face script."""
    low = case.get("dtype") == "bfloat16"
    return Row(
        "training_speed",
        {"model": model, "size": size, "crop": crop, "updates": updates, **case},
        ("asli train", TRAINER),
        {("asli train", TRAINER): target},
        quick,
        needs="avx512_bf16" if low else None,
    )


THUMBNAILS = {"detector": "resnet18", "images": "thumbnails-2000"}
PHOTOGRAPHS = {"detector": "resnet50", "images": "photographs-300"}
SAME = {("predict onnx", "scan onnx"): 0.9, ("predict torch", "scan torch"): 0.9}
ALL = ("predict onnx", "scan onnx", "scan int8", BEST, "predict torch", "scan torch")
ROWS = {
    "limits": Row(
        "limits",
        {"seconds": 5},
        ("GEMM float32", "GEMM int8", "decoding thumbnails", "decoding photographs"),
        quick={"seconds": 1},
        unit="GFLOP/s or images/s",
    ),
    "training ResNet-18, 32 px": training("resnet18", 32, "padded", 24, 1.5, {"updates": 8}),
    "training ResNet-18, 32 px, bfloat16": training("resnet18", 32, "padded", 24, 1.5, None, dtype="bfloat16"),
    "training ResNet-50, 64 px": training("resnet50", 64, "random-resized", 6, 1.15, None),
    "training ResNet-152, 32 px": training("resnet152", 32, "padded", 6, 1.15, None),
    "batch sizes, thumbnails": Row(
        "scan_speed",
        {**THUMBNAILS, "most": 512},
        tuple(f"pipeline batch {size}" for size in (1, 16, 64, 256)),
        quick={},
        once=True,
    ),
    "batch sizes, photographs": Row(
        "scan_speed",
        {**PHOTOGRAPHS, "most": 48},
        tuple(f"pipeline batch {size}" for size in (1, 8, 48)),
        once=True,
    ),
    "scan of 10,000 thumbnails": Row(
        "scan_speed",
        {**THUMBNAILS, "images": "thumbnails-10000"},
        ("scan onnx", "scan int8", BEST),
        {("scan onnx", BEST): 2.2, ("scan int8", BEST): 3.5},
    ),
    "2,000 thumbnails": Row("scan_speed", THUMBNAILS, ALL, SAME, quick={}),
    "300 photographs": Row(
        "scan_speed",
        PHOTOGRAPHS,
        ALL[:4],
        {("scan onnx", BEST): 2.0, ("scan int8", BEST): 5.0, ("predict onnx", "scan onnx"): 0.9},
    ),
    "batch sizes, evaluation": Row(
        "evaluation_speed",
        {"detector": "resnet18", "images": 2_000},
        tuple(f"Trainer.predict, batch {size}" for size in (8, 64, 256)),
        once=True,
    ),
    "evaluation of 20,000 images": Row(
        "evaluation_speed",
        {"detector": "resnet18", "images": 20_000},
        ("asli evaluate", "Trainer.predict, best batch size", "asli, scores only"),
        {("asli evaluate", "Trainer.predict, best batch size"): 2.0},
    ),
    "server": Row(
        "serve_load",
        {"detector": "thumbnail", "seconds": 8},
        ("32 clients", "1 client"),
        {("32 clients", "1 client"): 1.8},
        quick={"seconds": 4},
        unit="answers/s",
    ),
    "profile": Row(
        "time_shares",
        {},
        (
            "training ResNet-18, 32 px",
            "training ResNet-50, 64 px",
            "training ResNet-152, 32 px",
            "thumbnails",
            "photographs",
            "evaluation",
        ),
        once=True,
        unit="shares",
    ),
}
SEARCHED = {
    "scan of 10,000 thumbnails": "batch sizes, thumbnails",
    "2,000 thumbnails": "batch sizes, thumbnails",
    "300 photographs": "batch sizes, photographs",
    "evaluation of 20,000 images": "batch sizes, evaluation",
}
"""Where the best batch size of a row's peer is found; 64 where that was left out."""


def real_side(name: str, side: str, measured: dict[str, Any]) -> str:
    """Return a side with the best batch size in place of these words."""
    if "best batch size" not in side:
        return side
    found = {one: runs[0]["value"] for one, runs in measured.get(SEARCHED[name], {}).items() if runs}
    kind = "pipeline batch 64" if side == BEST else "Trainer.predict, batch 64"
    return max(found, key=lambda one: found[one]) if found else kind


def in_own_process(name: str, side: str, work: Path, shared: Path, quick: bool) -> dict[str, Any]:
    """Measure one side; asli's sides have the environment that its commands set for themselves."""
    from asli.threads import affinity, cpu_times, environment, free_cpus

    peers = ("pipeline", "Trainer", TRAINER)
    command = [sys.executable, __file__, "--one", name, side, "--work", str(work), "--shared", str(shared)]
    before = cpu_times()
    with tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run(
            command if quick else [*command, "--full"],
            env=dict(os.environ) if side.startswith(peers) else environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
        )
        if done.returncode:
            errors.seek(0)
            raise SystemExit(f"{name}, {side} failed:\n{errors.read()}")
    found, after = json.loads(done.stdout.splitlines()[-1]), cpu_times()
    if before is not None and after is not None:
        found["busy_cpus"] = round(len(affinity()) - free_cpus(before, after), 2)
    return found


def drop_busy(measured: dict[str, Any], limit: float) -> None:
    """Remove the turns of which a side was measured while others used more than `limit` CPUs."""
    for sides in measured.values():
        turns = [dict(zip(sides, runs, strict=True)) for runs in zip(*sides.values(), strict=False)]
        kept = [turn for turn in turns if all(run.get("busy_cpus", 0) <= limit for run in turn.values())]
        sides.update({side: [turn[side] for turn in kept] for side in sides})


def prepare(work: Path, shared: Path) -> None:
    """Write images, detectors and the data folder of CIFAKE, as far as they are missing."""
    import scan_speed

    prepare_data(work, shared)
    scan_speed.prepare(work, shared)


def prepare_data(work: Path, shared: Path) -> None:
    """Write the data folder of CIFAKE where it is missing."""
    from asli.datasets.build import open_cifake

    work.mkdir(parents=True, exist_ok=True)
    if not (work / "cifake" / "data.json").exists():
        open_cifake(shared / "data" / "cifake", work / "cifake")


def summarized(measured: dict[str, Any], rows: dict[str, Row]) -> dict[str, Any]:
    """Return medians, least and most, and the ratios of each turn."""
    found: dict[str, Any] = {}
    for name, sides in measured.items():
        values = {side: [run["value"] for run in runs] for side, runs in sides.items() if runs and "value" in runs[0]}
        found[name] = {
            "unit": rows[name].unit,
            "sides": {
                side: {"median": round(statistics.median(of), 1), "least": round(min(of), 1), "most": round(max(of), 1)}
                for side, of in values.items()
            },
            "ratios": {
                f"{ours} / {peer}": {
                    "turns": (turns := [round(a / b, 3) for a, b in zip(values[ours], values[peer], strict=False)]),
                    "median": round(statistics.median(turns), 3),
                    "target": target,
                }
                for (ours, peer), target in rows[name].targets.items()
                if ours in values and peer in values
            },
        }
    return found


def differences(result: dict[str, Any], name: str, side: str, scores: list[float], work: Path) -> None:
    """Keep the largest difference of a side's scores from those of the row's peer."""
    place = work / "scores" / f"{name} {side}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps(scores))
    peer = work / "scores" / f"{name} {BEST}.json"
    if not peer.exists():
        return
    expected = json.loads(peer.read_text())
    for other in ROWS[name].sides:
        known = work / "scores" / f"{name} {other}.json"
        if known.exists() and len(own := json.loads(known.read_text())) == len(expected):
            far = max(abs(a - b) for a, b in zip(own, expected, strict=True))
            result["largest_score_difference"].setdefault(name, {})[other] = far


def main() -> None:
    """Measure what is missing and write each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=os.environ.get("ASLI_SHARED"))
    parser.add_argument("--work", type=Path, default=Path("benchmarks/work"), help="files are kept here")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--redo", type=float, metavar="CPUS", help="measure turns again beside which others used more")
    parser.add_argument("--out", type=Path, help="benchmarks/results/speed.json, or speed_quick.json without --full")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.shared is None:
        parser.error("give --shared or set ASLI_SHARED")
    if options.one:
        name, side = options.one
        row = ROWS[name]
        case = row.case if options.full else {**row.case, **(row.quick or {})}
        found = importlib.import_module(row.module).measure(options.work, options.shared, case, side)
        print(json.dumps(found))
        return
    prepare(options.work, options.shared)
    if options.prepare:
        return
    out = options.out or Path("benchmarks/results") / ("speed.json" if options.full else "speed_quick.json")
    about = {
        "command": "python benchmarks/bench.py --shared DIR" + (" --full" if options.full else ""),
        "machine": machine(),
        "versions": versions("torch", "onnxruntime", "transformers", "accelerate", "datasets", "timm", "pillow"),
    }
    result = json.loads(out.read_text()) if out.exists() else {}
    if any(result.get(key) != value for key, value in about.items()):
        result = {**about, "measured": {}, "largest_score_difference": {}}
    begun, measured = time.monotonic(), result["measured"]
    if options.redo is not None:
        drop_busy(measured, options.redo)
    for name in options.only:
        row = ROWS[name]
        if (not options.full and row.quick is None) or (
            row.needs and row.needs not in about["machine"]["instructions"]
        ):
            continue
        for turn in range(1 if row.once else options.turns):
            for side in row.sides:
                runs = measured.setdefault(name, {}).setdefault(side, [])
                if len(runs) > turn:
                    continue
                if time.monotonic() - begun > 60 * options.minutes:
                    print(f"time is up before {name}, {side}; the same command continues")
                    return
                real = real_side(name, side, measured)
                found = in_own_process(name, real, options.work, options.shared, not options.full)
                scores = found.pop("scores", None)
                runs.append({**found, "asli": __version__, **({"side": real} if real != side else {})})
                if scores is not None and not row.once:
                    differences(result, name, side, scores, options.work)
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps({**result, "summary": summarized(measured, ROWS)}, indent=2) + "\n")
                print(f"{name}, turn {turn + 1}: {real}: {json.dumps(found)[:300]}", flush=True)


if __name__ == "__main__":
    main()
