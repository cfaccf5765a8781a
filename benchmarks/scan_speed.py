"""Images a second of `detector.predict`, `asli scan` and transformers' image-classification pipeline, in one run.

    python benchmarks/scan_speed.py --shared DIR [--photos PATH] [--turns 3] [--share 1]
        [--out benchmarks/results/scan_speed.json]

Two cases: 2,000 JPEG files of CIFAKE (train part) before a ResNet-18 at 32 px, and 300 photographs before a ResNet-50
at 224 px. The networks are untrained, which does not change their speed; the pipeline opens the very detector folder
asli uses, and the scores of all are compared. All sides take turns on idle cores, each in a process of its own that
has scored 64 images before the clock starts; a scan's time includes listing the files and writing the table, not
loading the network, on either side; `predict` gets a list of paths, as the pipeline does. DIR is the folder the tests
know as ASLI_SHARED. `--share 0.1` takes a tenth of the images, to try the script. --out is written after each turn;
the same command adds the turns that are missing, and `--minutes 6` begins none after so many. `--work DIR` keeps files
and detectors between the two; `--turns 0` only makes them. `--sides` leaves some out.
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

CASES = {
    "2,000 CIFAKE files, ResNet-18 at 32 px": ("resnet18", 32),
    "300 photographs, ResNet-50 at 224 px": ("resnet50", 224),
}
SIDES = (
    "predict torch",
    "predict onnx",
    "scan torch",
    "scan onnx",
    "scan int8",
    "pipeline batch 64",
    "pipeline batch 1",
)
OURS, PEERS = SIDES[:5], SIDES[5:]
COMPARED = 100
MEASURED = ("images_per_second", "cpu_ms_per_image", "largest_score_difference")
"""CPU time of all threads counts beside it: it depends less on what else the machine does."""


def cifake_files(shared: Path, folder: Path, count: int) -> None:
    """Write as many files, half of either label."""
    folder.mkdir()
    for label in ("REAL", "FAKE"):
        with zipfile.ZipFile(shared / "data" / "cifake" / f"cifake_train_{label}.zip") as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
            for name in names[:: len(names) // (count // 2)][: count // 2]:
                (folder / f"{label.lower()}-{Path(name).name}").write_bytes(archive.read(name))


def photo_files(photos: Path, folder: Path, count: int) -> None:
    """Write as many files, beginning again with the first where there are fewer."""
    from asli.datasets.archived import open_source
    from asli.datasets.images import EXTENSIONS

    folder.mkdir()
    source = open_source(photos)
    names = [name for name in source.names() if Path(name).suffix.lower() in EXTENSIONS]
    for number in range(count):
        name = names[number % len(names)]
        (folder / f"{number:03d}{Path(name).suffix}").write_bytes(source.read(name))


def make_detectors(work: Path) -> None:
    """Write an untrained detector of each case, with its ONNX form, and an int8 one of it."""
    import dataclasses

    import torch

    from asli.detector.base import Detector
    from asli.detector.classifier import Classifier, as_classifier
    from asli.exporting.int8 import export_int8
    from asli.exporting.onnx import export_onnx
    from asli.models.networks import create_network
    from asli.pipeline import train
    from asli.sample import open_sample

    data = open_sample(work / "sample")
    settings = ["loop.max_updates=2"]
    like = as_classifier(Detector.load(train("smoke", data, work / "run", settings=settings).path), "a benchmark")
    for name, size in CASES.values():
        torch.manual_seed(0)
        preprocessing = dataclasses.replace(like.preprocessing, size=size, interpolation="bicubic")
        Classifier(create_network(name, size=size), preprocessing, like.card).save(work / name)
        export_onnx(work / name)
        export_int8(work / name, work / "sample", work / f"{name}-int8")


def scan_speed(work: Path, name: str, side: str) -> tuple[float, float, list[float]]:
    """Return images a second, CPU milliseconds an image and the first scores."""
    import pyarrow.parquet as pq

    from asli.scanning.scan import scan

    runtime = {"scan torch": "torch", "scan onnx": "onnx", "scan int8": None}[side]
    detector = work / (f"{name}-int8" if side == "scan int8" else name)
    files = sorted((work / f"{name}-images").iterdir())
    with tempfile.TemporaryDirectory() as out:
        scan(files[:64], Path(out) / "warm.parquet", detector, runtime=runtime)
        used = time.process_time()
        result = scan([work / f"{name}-images"], Path(out) / "scores.parquet", detector, runtime=runtime)
        used = time.process_time() - used
        assert result.unreadable.count == 0
        scores = pq.read_table(Path(out) / "scores.parquet")["score"].to_pylist()[:COMPARED]
    return result.images_per_second, 1000 * used / len(files), scores


def predict_speed(work: Path, name: str, side: str) -> tuple[float, float, list[float]]:
    """Return images a second, CPU milliseconds an image and the first scores."""
    from asli.detector.base import Detector

    detector = Detector.load(work / name, runtime=side.removeprefix("predict "))
    files = sorted((work / f"{name}-images").iterdir())
    detector.predict(files[:64])
    start, used = time.perf_counter(), time.process_time()
    answers = detector.predict(files)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    assert not answers.failed
    return len(files) / seconds, 1000 * used / len(files), [answer.score for answer in answers[:COMPARED]]


def pipeline_speed(work: Path, name: str, side: str) -> tuple[float, float, list[float]]:
    """Return images a second, CPU milliseconds an image and the first scores."""
    os.environ.update(HF_HUB_OFFLINE="1")
    from transformers import pipeline

    classify = pipeline("image-classification", model=str(work / name))
    files = [str(file) for file in sorted((work / f"{name}-images").iterdir())]
    options = {"batch_size": 64} if side.endswith("64") else {}
    classify(files[:64], **options)
    start, used = time.perf_counter(), time.process_time()
    answers = classify(files, **options)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    scores = [{a["label"]: a["score"] for a in answer}["fake"] for answer in answers[:COMPARED]]
    return len(files) / seconds, 1000 * used / len(files), scores


def in_own_process(work: Path, *what: str) -> dict:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, __file__, "--work", str(work), "--only", *what],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the median of each side and the ratios of each turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path, default=os.environ.get("ASLI_SHARED"))
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--work", type=Path, help="keep pictures and detectors here")
    parser.add_argument("--only", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only == ["make"]:
        make_detectors(options.work)
        print("{}")
        return
    if options.only:
        measure = {"predict": predict_speed, "scan": scan_speed, "pipeline": pipeline_speed}[options.only[1].split()[0]]
        speed, cpu, scores = measure(options.work, *options.only)
        print(json.dumps({"speed": speed, "cpu": cpu, "scores": scores}))
        return
    if options.shared is None:
        parser.error("give --shared or set ASLI_SHARED")
    result = {
        "command": "python benchmarks/scan_speed.py --shared DIR"
        + ("" if options.share == 1 else f" --share {options.share:g}")
        + ("" if options.sides == list(SIDES) else " --sides " + " ".join(f'"{side}"' for side in options.sides)),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {library: version(library) for library in ("torch", "onnxruntime", "transformers", "pillow")},
    }
    earlier = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    same = all(earlier.get(key) == value for key, value in result.items())
    result |= {key: earlier[key] if same else {case: {} for case in CASES} for key in MEASURED}
    speeds, costs, differences = (result[key] for key in MEASURED)
    turns = len(next(iter(speeds.values())).get(options.sides[-1], []))
    work, begun = options.work or Path(tempfile.mkdtemp(prefix="scan-speed-")), time.monotonic()
    try:
        if not (work / "made").exists():
            work.mkdir(parents=True, exist_ok=True)
            cifake_files(options.shared, work / "resnet18-images", round(2000 * options.share))
            photos = options.photos or options.shared / "data" / "photos2" / "photos_dev.zip"
            photo_files(photos, work / "resnet50-images", round(300 * options.share))
            in_own_process(work, "make")
            (work / "made").touch()
        while turns < options.turns and time.monotonic() - begun < 60 * options.minutes:
            turns += 1
            for case, (name, _) in CASES.items():
                found = {side: in_own_process(work, name, side) for side in options.sides}
                peer = found[options.sides[-1]]["scores"]
                for side, one in found.items():
                    speeds[case].setdefault(side, []).append(round(one["speed"], 1))
                    costs[case].setdefault(side, []).append(round(one["cpu"], 3))
                    far = max(abs(a - b) for a, b in zip(one["scores"], peer, strict=True))
                    differences[case][side] = max(far, differences[case].get(side, 0.0))
                    print(
                        f"turn {turns}, {case}: {side} {one['speed']:,.1f} images/s, {one['cpu']:.2f} CPU ms",
                        flush=True,
                    )
            if options.out:
                options.out.parent.mkdir(parents=True, exist_ok=True)
                options.out.write_text(json.dumps({**result, "ratio_by_turns": ratios(speeds)}, indent=2) + "\n")
    finally:
        if options.work is None:
            shutil.rmtree(work)
    for case, by_ratio in ratios(speeds).items():
        print(f"\n{case}")
        for side, found in speeds[case].items():
            cpu = statistics.median(costs[case][side])
            print(f"  {side:<18} median {statistics.median(found):,.1f} images/s {found}, {cpu:.2f} CPU ms an image")
        for what, values in by_ratio.items():
            print(f"  {what:<32} {values}")
        print("  largest difference in score from the last side:", differences[case])


def ratios(speeds: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, list[float]]]:
    """Return by case how many times as fast our sides are, and predict beside scan, turn by turn."""
    return {
        case: {
            f"{side} / {peer}": [round(a / b, 2) for a, b in zip(by_side[side], by_side[peer], strict=True)]
            for side in OURS
            for peer in (*PEERS, *(["scan " + side.split()[1]] if side.startswith("predict") else []))
            if side in by_side and peer in by_side
        }
        for case, by_side in speeds.items()
    }


if __name__ == "__main__":
    main()
