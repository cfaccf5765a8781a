"""One image, one score: the 100 golden images of the sample through every door, beside the Python function with torch.

    python benchmarks/parity.py DETECTOR [--out benchmarks/results/parity.json]

DETECTOR has an ONNX form (`asli export DETECTOR --onnx`). For a network of timm's, timm alone and transformers alone
open the folder, too, and read the image files themselves. Fails where a difference is above 1e-5.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from asli.detector.base import Detector
from asli.detector.predict import predict
from asli.models.networks import OWN
from asli.sample import golden_images

ALLOWED = 1e-5


def by_command(files: list[Path], folder: Path, runtime: str) -> list[float]:
    command = [sys.executable, "-m", "asli", "predict", *map(str, files), "--detector", str(folder), "--json"]
    done = subprocess.run([*command, "--runtime", runtime], capture_output=True, text=True, check=True)
    return [image["score"] for image in json.loads(done.stdout)["images"]]


def by_timm(files: list[Path], folder: Path) -> list[float]:
    import timm
    import torch
    from PIL import Image

    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    chain = timm.data.create_transform(**timm.data.resolve_data_config(model=model))
    with torch.inference_mode():
        batch = torch.stack([chain(Image.open(file).convert("RGB")) for file in files])
        return model(batch).double().softmax(dim=1)[:, 1].tolist()


def by_transformers(files: list[Path], folder: Path) -> list[float]:
    from transformers import pipeline

    classify = pipeline("image-classification", model=str(folder))
    return [{a["label"]: a["score"] for a in classify(str(file))}["fake"] for file in files]


def main() -> None:
    """Print the largest difference of each door and leave with status 1 where one is too large."""
    parser = argparse.ArgumentParser()
    parser.add_argument("detector")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    opened = Detector.load(options.detector)
    folder, network = opened.folder, opened.describe().network
    assert folder is not None
    with tempfile.TemporaryDirectory() as work:
        files = []
        for number, (_, data) in enumerate(golden_images()):
            files.append(Path(work) / f"{number:03}.jpg")
            files[-1].write_bytes(data)
        first = [image["score"] for image in predict(files, folder, device="cpu", runtime="torch")["images"]]
        doors = {
            "Python, ONNX": [image["score"] for image in predict(files, folder, runtime="onnx")["images"]],
            "command line, torch": by_command(files, folder, "torch"),
            "command line, ONNX": by_command(files, folder, "onnx"),
        }
        if network not in OWN:
            doors["timm alone"] = by_timm(files, folder)
            doors["transformers alone"] = by_transformers(files, folder)
    differences = {name: float(np.abs(np.array(found) - first).max()) for name, found in doors.items()}
    print(
        f"{network}, {len(files)} golden images, scores from {min(first):.6f} to {max(first):.6f}; largest difference"
    )
    for name, difference in differences.items():
        print(f"  {name:<22} {difference:.1e}")
    if options.out:
        result = {
            "command": "python benchmarks/parity.py DETECTOR",
            "detector": opened.describe().to_dict(),
            "images": len(files),
            "beside": "Python, torch, CPU",
            "largest_difference": differences,
            "versions": {name: version(name) for name in ("torch", "timm", "transformers", "onnxruntime", "pillow")},
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")
    if max(differences.values()) > ALLOWED:
        sys.exit(f"a door gives another score: more than {ALLOWED}")


if __name__ == "__main__":
    main()
