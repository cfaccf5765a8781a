"""Out-of-fold figures of 200 images beside those of the same detector on thousands of others.

    python benchmarks/folds.py DATA --out benchmarks/results/folds.json

For each draw, 100 real and 100 fake images of DATA's train part become a data folder of their own, all in its train
part. `asli train --folds 5` makes a detector of them. Its card states AUROC and balanced accuracy out of fold; the
detector then scores images of DATA's train part that no draw has taken. --out is written after each draw; rerun the
same command to resume.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from asli.datasets.build import open_folders
from asli.datasets.folder import DataFolder
from asli.datasets.splits import Shares
from asli.detector.base import Detector
from asli.detector.runtimes import logits_of_rows
from asli.files import write_json
from asli.metrics.classification import auroc, score_of_logits
from asli.metrics.intervals import mean_of, share_of
from asli.pipeline import train

SETTINGS = (
    "model.name=bird_lotfi",
    "loop.epochs=16",
    "loop.micro_batch=32",
    "loop.accumulation=1",
    "loop.checkpoint_every=0",
)
FOLDS = 5
HELD_OUT = 5000


def draw_folder(data: DataFolder, rows: npt.NDArray[np.int64], place: Path) -> DataFolder:
    """Make a data folder of these rows, without loss, all of them in its train part."""
    for row in rows:
        folder = place / "files" / ("fake" if data.labels[row] else "real")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.images[row]).save(folder / f"{row:06}.png")
    return open_folders(place / "files", place / "data", fractions=Shares(1.0, 0.0, 0.0, 0.0))


def measure(data: DataFolder, rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64], seed: int) -> dict[str, Any]:
    """Return the out-of-fold figures of one draw and those on the other images."""
    with tempfile.TemporaryDirectory() as place:
        small = draw_folder(data, rows, Path(place))
        settings = [*SETTINGS, f"loop.seed={seed}"]
        run = train("demo", small, Path(place) / "run", settings=settings, folds=FOLDS, device="cpu")
        detector = Detector.load(run.path)
        runtime = detector.runtime("cpu", "torch")
        logits = np.concatenate(list(logits_of_rows(runtime, data.pixels, others, detector.preprocessing)))
    (figures,) = detector.card.figures.values()
    labels, scores, alone = data.labels[others], score_of_logits(logits), np.arange(len(others))
    right = (scores >= detector.card.thresholds.high) == (labels == 1)
    halves = [share_of(right[labels == code], alone[labels == code]) for code in (0, 1)]
    return {
        "out_of_fold": {name: figures[name] for name in ("auroc", "balanced_accuracy")},
        "held_out": {"auroc": auroc(labels, scores), "balanced_accuracy": asdict(mean_of(*halves))["value"]},
        "caveats": detector.card.thresholds.caveats,
    }


def summary(draws: list[dict[str, Any]], name: str) -> dict[str, float]:
    """Return means, the mean difference with its standard error, and how often the interval held the other figure."""
    inner = np.array([draw["out_of_fold"][name]["value"] for draw in draws])
    outer = np.array([draw["held_out"][name] for draw in draws])
    held = [
        draw["out_of_fold"][name]["low"] <= value <= draw["out_of_fold"][name]["high"]
        for draw, value in zip(draws, outer, strict=True)
    ]
    return {
        "out_of_fold": float(inner.mean()),
        "held_out": float(outer.mean()),
        "difference": float((inner - outer).mean()),
        "standard_error": float((inner - outer).std(ddof=1) / np.sqrt(len(draws))),
        "spread": float((inner - outer).std(ddof=1)),
        "interval_held": float(np.mean(held)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a data folder of small packed images, such as CIFAKE's")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--each", type=int, default=100, help="images of each label in a draw")
    parser.add_argument("--minutes", type=float, default=np.inf, help="begin no draw after so many")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data, begun = DataFolder.open(arguments.data), time.monotonic()
    random, pool = np.random.default_rng(0), data.rows("train")
    _, first = np.unique(data.groups(pool), return_index=True)  # one of each group of duplicates
    pool = random.permutation(pool[first])
    by_label = [pool[data.labels[pool] == code] for code in (0, 1)]
    taken = arguments.draws * arguments.each
    others = np.sort(np.concatenate([rows[taken : taken + HELD_OUT // 2] for rows in by_label]))
    result = {
        "command": f"python benchmarks/folds.py DATA --draws {arguments.draws} --each {arguments.each}",
        "data": {"name": data.name, "hash": data.hash, "held_out": len(others)},
        "recipe": {"name": "demo", "settings": [*SETTINGS], "folds": FOLDS},
    }
    earlier = json.loads(arguments.out.read_text()) if arguments.out and arguments.out.exists() else {}
    same = all(earlier.get(key) == value for key, value in result.items())
    draws = earlier["draws"] if same else []
    for number in range(len(draws), arguments.draws):
        if (time.monotonic() - begun) / 60 > arguments.minutes:
            break
        part, started = slice(number * arguments.each, (number + 1) * arguments.each), time.monotonic()
        draws.append(measure(data, np.concatenate([rows[part] for rows in by_label]), others, number))
        draws[-1]["minutes"] = round((time.monotonic() - started) / 60, 1)
        inner, outer = draws[-1]["out_of_fold"]["auroc"], draws[-1]["held_out"]["auroc"]
        print(f"draw {number + 1}: out of fold {inner['value']:.3f}, held out {outer:.3f}", flush=True)
        figures = {name: summary(draws, name) for name in ("auroc", "balanced_accuracy")} if number else {}
        if arguments.out:
            write_json(arguments.out, {**result, "summary": figures, "draws": draws})
    if len(draws) > 1:
        print(json.dumps({name: summary(draws, name) for name in ("auroc", "balanced_accuracy")}, indent=2))


if __name__ == "__main__":
    main()
