"""Images a second of `asli scan`, `detector.predict` and transformers' pipeline; rows of `bench.py`.

JPEG files of CIFAKE (train part) before a ResNet-18 at 32 px, and pictures of the development set before a ResNet-50
at 224 px. The networks are untrained, which does not change their speed. The pipeline opens the very detector folder
asli uses, and the scores of all are compared. Each process has scored 64 images before the clock starts. A scan's time
includes listing the files, starting further processes and writing the table, not loading the first network, on either
side. `predict` gets a list of paths, as the pipeline does.
"""

import os
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

NETWORKS = {"resnet18": 32, "resnet50": 224}
COMPARED = 100


def prepare(work: Path, shared: Path) -> None:
    """Write images and detectors where they are missing."""
    write_images(work, shared)
    if not (work / "resnet50-int8").exists():
        make_detectors(work)


def write_images(work: Path, shared: Path) -> None:
    """Write images where they are missing."""
    for folder, write, count in (
        ("thumbnails-2000", cifake_files, 2_000),
        ("thumbnails-10000", cifake_files, 10_000),
        ("photographs-300", photo_files, 300),
    ):
        if not (work / folder).exists():
            write(shared, work / "unfinished", count)
            (work / "unfinished").rename(work / folder)


def measure(work: Path, shared: Path, case: dict[str, Any], side: str) -> dict[str, Any]:
    """Return images a second, CPU milliseconds an image and the first scores."""
    files = sorted((work / case["images"]).iterdir())[: case.get("most")]
    kind, option = side.split()[0], side.split()[-1]
    run = {"predict": predict_speed, "scan": scan_speed, "pipeline": pipeline_speed}[kind]
    speed, cpu, scores = run(work, case, files, option)
    return {"value": speed, "cpu_ms": cpu, "images": len(files), "scores": scores}


def cifake_files(shared: Path, folder: Path, count: int) -> None:
    """Write as many files, half of either label."""
    folder.mkdir()
    for label in ("REAL", "FAKE"):
        with zipfile.ZipFile(shared / "data" / "cifake" / f"cifake_train_{label}.zip") as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
            for name in names[:: len(names) // (count // 2)][: count // 2]:
                (folder / f"{label.lower()}-{Path(name).name}").write_bytes(archive.read(name))


def photo_files(shared: Path, folder: Path, count: int) -> None:
    """Write as many pictures of the development set, photographs and AI pictures."""
    from asli.datasets.archived import open_source
    from asli.datasets.images import EXTENSIONS

    folder.mkdir()
    source = open_source(shared / "data" / "photos2" / "photos_dev.zip")
    names = [name for name in source.names() if Path(name).suffix.lower() in EXTENSIONS]
    for number, name in enumerate(names[:: len(names) // count][:count]):
        (folder / f"{number:03d}{Path(name).suffix}").write_bytes(source.read(name))


def make_detectors(work: Path) -> None:
    """Write an untrained detector of each case, with its ONNX form, and an int8 one of it."""
    from asli.exporting.int8 import export_int8
    from asli.exporting.onnx import export_onnx

    make_networks(work)
    for name in NETWORKS:
        export_onnx(work / name)
        export_int8(work / name, work / "sample", work / f"{name}-int8")


def make_networks(work: Path) -> None:
    """Write an untrained detector of each case."""
    import dataclasses
    import shutil

    import torch

    from asli.detector.base import Detector
    from asli.detector.classifier import Classifier, as_classifier
    from asli.models.networks import create_network
    from asli.pipeline import train
    from asli.sample import open_sample

    for name in ("sample", "run", *NETWORKS, *(f"{name}-int8" for name in NETWORKS)):
        shutil.rmtree(work / name, ignore_errors=True)  # of a call that was interrupted
    data = open_sample(work / "sample")
    settings = ["loop.max_updates=2"]
    like = as_classifier(Detector.load(train("smoke", data, work / "run", settings=settings).path), "a benchmark")
    for name, size in NETWORKS.items():
        torch.manual_seed(0)
        preprocessing = dataclasses.replace(like.preprocessing, size=size, interpolation="bicubic")
        Classifier(create_network(name, size=size), preprocessing, like.card).save(work / name)


Measured = tuple[float, float, list[float]]


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those it started, as far as they have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def scan_speed(work: Path, case: dict[str, Any], files: list[Path], option: str) -> Measured:
    """Measure a scan of the folder."""
    import pyarrow.parquet as pq

    from asli.detector.base import Detector
    from asli.scanning.scan import scan

    folder = work / (case["detector"] + ("-int8" if option == "int8" else ""))
    detector = Detector.load(folder, runtime=None if option == "int8" else option, device=case.get("device"))
    with tempfile.TemporaryDirectory() as out:
        scan(files[:64], Path(out) / "warm.parquet", detector)
        used = cpu_seconds()
        result = scan([work / case["images"]], Path(out) / "scores.parquet", detector)
        used = cpu_seconds() - used
        assert result.unreadable.count == 0
        scores = pq.read_table(Path(out) / "scores.parquet")["score"].to_pylist()[:COMPARED]
    return result.images_per_second, 1000 * used / len(files), scores


def predict_speed(work: Path, case: dict[str, Any], files: list[Path], option: str) -> Measured:
    """Measure `detector.predict` of the files."""
    from asli.detector.base import Detector

    detector = Detector.load(work / case["detector"], runtime=option, device=case.get("device"))
    detector.predict(files[:64])
    start, used = time.perf_counter(), time.process_time()
    answers = detector.predict(files)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    assert not answers.failed
    return len(files) / seconds, 1000 * used / len(files), [answer.score for answer in answers[:COMPARED]]


def pipeline_speed(work: Path, case: dict[str, Any], files: list[Path], option: str) -> Measured:
    """Measure transformers' pipeline with a batch size."""
    os.environ.update(HF_HUB_OFFLINE="1")
    from transformers import pipeline

    place = {"device": case["device"]} if "device" in case else {}
    classify = pipeline("image-classification", model=str(work / case["detector"]), **place)
    names = [str(f) for f in files]
    options = {} if option == "1" else {"batch_size": int(option)}
    classify(names[:64], **options)
    start, used = time.perf_counter(), time.process_time()
    answers = classify(names, **options)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    scores = [{a["label"]: a["score"] for a in answer}["fake"] for answer in answers[:COMPARED]]
    return len(files) / seconds, 1000 * used / len(files), scores
