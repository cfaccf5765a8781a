"""How far an adopted network's scores are from transformers' own pipeline, on 50 pictures of many kinds.

    python benchmarks/adoption.py FOLDER [--fake-label NAME] [--processor slow] [--pictures 50]

FOLDER holds what an author's `save_pretrained` wrote. Both sides are opened from it anew: the pipeline by transformers,
the detector by `asli adopt`. Prints a line of JSON.
"""

import argparse
import io
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor, pipeline

from asli.adopting.adopt import adopt
from asli.adopting.golden import golden_pictures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fake-label", action="append", default=[])
    parser.add_argument("--processor", choices=["fast", "slow"])
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--onnx", action="store_true", help="compare the ONNX form; it takes up to minutes to export")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        detector = adopt(
            given.folder,
            Path(work) / "detector",
            fake_labels=given.fake_label,
            processor=given.processor,
            onnx=given.onnx,
        )
        backend = {"slow": {"backend": "pil"}, "fast": {"backend": "torchvision"}, None: {}}[given.processor]
        processor = AutoImageProcessor.from_pretrained(given.folder, **backend)
        pipe = pipeline("image-classification", model=str(given.folder), image_processor=processor)
        outputs = detector.network_info["outputs"]
        fake = {outputs["labels"][number] for number in outputs["fake"]}
        pictures = golden_pictures(given.pictures)
        theirs = []
        for picture in pictures:
            found = pipe(Image.open(io.BytesIO(picture.data)), top_k=len(outputs["labels"]))
            share = sum(one["score"] for one in found if one["label"] in (fake or outputs["labels"]))
            theirs.append(share if fake else 1 - share)
        ours = [one.score for one in detector.predict([picture.data for picture in pictures])]
    line = {
        "folder": given.folder.name,
        "network": detector.name,
        "processor": detector.origin["processor"],
        "form": "onnx" if given.onnx else "torch",
        "pictures": len(pictures),
        "largest_difference": float(np.abs(np.array(ours) - np.array(theirs)).max()),
        "scores": [float(min(theirs)), float(max(theirs))],
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
