"""How far adopted networks' scores are from transformers' own pipeline, on 50 pictures of many kinds.

    python benchmarks/adoption.py [FOLDER ...] [--fake-label NAME] [--processor slow] [--out FILE]

A FOLDER holds what an author's `save_pretrained` wrote. Without one: the tiny random networks of the tests, each with a
processor of its own, by the fast and the slow image processor. Both sides are opened from the folder anew: the pipeline
by transformers, the detector by `asli adopt`, in torch and as ONNX.
"""

import argparse
import io
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor, pipeline

from asli.adopting.adopt import adopt
from asli.adopting.golden import Golden, golden_pictures
from asli.detector.base import Detector
from asli.errors import DetectorError

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.adopting import networks

BACKENDS = {"slow": {"backend": "pil"}, "fast": {"backend": "torchvision"}, None: {}}


def measure(folder: Path, pictures: list[Golden], fake_labels: list[str], processor: Any) -> dict[str, Any]:
    """Adopt a network and compare its scores with those of the pipeline."""
    with tempfile.TemporaryDirectory() as work:
        detector = adopt(folder, Path(work) / "detector", fake_labels=fake_labels, processor=processor)
        pipe = pipeline(
            "image-classification",
            model=str(folder),
            image_processor=AutoImageProcessor.from_pretrained(folder, **BACKENDS[processor]),
        )
        outputs = detector.network_info.outputs
        fake = {outputs.labels[number] for number in outputs.fake}
        theirs = []
        for picture in pictures:
            found = pipe(Image.open(io.BytesIO(picture.data)), top_k=len(outputs.labels))
            share = sum(one["score"] for one in found if one["label"] in (fake or outputs.labels))
            theirs.append(share if fake else 1 - share)
        line = {
            "network": detector.name,
            "class": type(pipe.model).__name__,
            "processor": detector.origin.processor,
            "pictures": len(pictures),
            "scores": [round(min(theirs), 3), round(max(theirs), 3)],
        }
        for form in ("torch", "onnx"):
            try:
                found = Detector.load(Path(work) / "detector", runtime=form).predict([one.data for one in pictures])
            except DetectorError:
                line[form] = None  # the network has no ONNX form
                continue
            line[form] = float(np.abs(np.array([one.score for one in found]) - theirs).max())
    print(json.dumps({"folder": folder.name} | line), flush=True)
    return line


def main() -> None:
    """Measure the given networks or those of the tests; leave with status 1 where a difference is above 1e-4."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="*")
    parser.add_argument("--fake-label", action="append", default=[])
    parser.add_argument("--processor", choices=["fast", "slow"])
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pictures = golden_pictures(given.pictures)
    with tempfile.TemporaryDirectory() as work:
        jobs = [(folder, given.processor) for folder in given.folder]
        if not jobs:
            for name in networks.NETWORKS:
                folder = networks.save(name, Path(work) / name)
                jobs += [(folder, processor) for processor in ("fast", "slow")]
            for mode, percent in (("border", 0.9), ("squash", 1.0), ("center", 0.875)):
                jobs.append((networks.save_timm_wrapper(Path(work) / f"timm_{mode}", mode, percent), None))
        found = [
            {"name": folder.name} | measure(folder, pictures, given.fake_label, processor) for folder, processor in jobs
        ]
    if given.out:
        versions = {name: version(name) for name in ("transformers", "torch", "torchvision", "timm", "onnxruntime")}
        result = {"command": "python benchmarks/adoption.py", "versions": versions, "networks": found}
        given.out.write_text(json.dumps(result, indent=2) + "\n")
    worst = max(line[form] or 0 for line in found for form in ("torch", "onnx"))
    print(f"largest difference: {worst:.1e}")
    sys.exit(worst > 1e-4)


if __name__ == "__main__":
    main()
