"""Score the final set with a detector's head and thresholds, from features that `features.py` wrote.

    python benchmarks/photographs/final.py photo features/final/early
    python benchmarks/photographs/final.py photo-large features/final/clip

Prints JSON with one entry a view: AUROC with its 95 % interval (bootstrap), true positive rate at 5 %, verdicts of both
labels, and false alarms of each source of photographs with Clopper-Pearson intervals. Verdicts are those of the
thresholds alone: the detector itself says `unsure` of files outside its domain.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file
from sklearn.metrics import roc_auc_score

from asli.detector.locate import find_detector
from asli.metrics.thresholds import upper_bound

HERE = Path(__file__).parent
DRAWS = 1000


def interval(count: int, images: int) -> list[float]:
    """Return the Clopper-Pearson interval of a share, 95 %."""
    return [1 - upper_bound(images - count, images, 0.975), upper_bound(count, images, 0.975)]


def verdicts(scores: npt.NDArray[np.float64], low: float, high: float) -> dict[str, Any]:
    """Return how many scores give each verdict."""
    counts = {"fake": scores >= high, "unsure": (scores >= low) & (scores < high), "real": scores < low}
    found: dict[str, Any] = {"images": len(scores)}
    for name, chosen in counts.items():
        found[name] = int(chosen.sum())
        found[f"{name}_share"] = float(chosen.mean())
        found[f"{name}_interval"] = interval(int(chosen.sum()), len(scores))
    return found


def figures(
    scores: npt.NDArray[np.float64], labels: npt.NDArray[np.int_], groups: npt.NDArray[np.str_], low: float, high: float
) -> dict[str, Any]:
    """Return all figures of one view."""
    real, fake = scores[labels == 0], scores[labels == 1]
    found: dict[str, Any] = {}
    if len(real):
        found["photographs"] = verdicts(real, low, high)
        found["called_fake_by_source"] = {}
        for name in sorted(set(groups[labels == 0])):
            own = scores[(groups == name) & (labels == 0)]
            count = int((own >= high).sum())
            found["called_fake_by_source"][name] = [count, len(own), *interval(count, len(own))]
    if len(fake):
        found["ai"] = verdicts(fake, low, high)
    if len(real) and len(fake):
        rng = np.random.default_rng(0)
        both = np.r_[np.zeros(len(real)), np.ones(len(fake))]
        draws = [
            roc_auc_score(both, np.r_[rng.choice(real, len(real)), rng.choice(fake, len(fake))]) for _ in range(DRAWS)
        ]
        found["auroc"] = float(roc_auc_score(labels, scores))
        found["auroc_interval"] = [float(value) for value in np.quantile(draws, [0.025, 0.975])]
        found["tpr_at_5"] = float((fake > np.quantile(real, 0.95)).mean())
        found["families"] = {}
        for name in sorted(set(groups[labels == 1])):
            own = scores[(groups == name) & (labels == 1)]
            both = np.r_[np.zeros(len(real)), np.ones(len(own))]
            called = {"fake": int((own >= high).sum()), "real": int((own < low).sum())}
            found["families"][name] = {
                "images": len(own),
                "auroc": float(roc_auc_score(both, np.r_[real, own])),
                **called,
            }
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", help="photo, photo-large, or a detector's folder")
    parser.add_argument("features", type=Path, help="folder that features.py wrote, with a folder for each view")
    parser.add_argument("--table", type=Path, default=HERE / "final.csv")
    given = parser.parse_args()
    folder = find_detector(given.detector)
    thresholds = json.loads((folder / "detector.json").read_text())["card"]["thresholds"]
    tensors = load_file(folder / "model.safetensors")
    weight = (tensors["head.weight"][1] - tensors["head.weight"][0]).astype(np.float64)
    bias = float(tensors["head.bias"][1] - tensors["head.bias"][0])
    with given.table.open() as stream:
        rows = list(csv.DictReader(stream))
    result = {}
    for view in sorted(path.name for path in given.features.iterdir() if path.is_dir()):
        files = [given.features / view / f"{row['sha256'][:20]}.npy" for row in rows]
        there = [(row, file) for row, file in zip(rows, files, strict=True) if file.exists()]
        windows = [np.load(file).astype(np.float64) for _, file in there]
        odds = np.array([(each.reshape(len(each), -1) @ weight + bias).mean() for each in windows])
        labels = np.array([int(row["label"] == "fake") for row, _ in there])
        groups = np.array([row["group"] for row, _ in there])
        found = figures(1 / (1 + np.exp(-odds)), labels, groups, thresholds["low"], thresholds["high"])
        result[view] = {"missing": len(rows) - len(there), **found}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
