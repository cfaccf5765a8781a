"""Metrics by file format, from left-out scores: each picture counts for the format that its view was saved in last.

The scores are those that `build.py` reads: of photographs by heads without their source, of AI pictures by heads
without their family. Verdicts are those of the detectors' thresholds, which these scores set.

    python benchmarks/photographs/formats.py > formats.json
"""

import csv
import json

import numpy as np
from build import HERE, RECIPES, left_out, scaling, scores_of
from features import chain, seed_of, sized
from final import figures
from PIL import Image

from asli.detector.locate import find_detector

SMALL = Image.new("RGB", (8, 8))


def last_format(sha256: str, view: str) -> str:
    """Return the format that a view of a picture was saved in last."""
    rng = np.random.default_rng(seed_of(sha256, f"W{view}"))
    sized(SMALL, rng, view)  # takes its draws; a picture this small stays as it is
    return chain(rng, view)[1][-1][0]


def main() -> None:
    """Print the figures of each detector and format."""
    result = {}
    for name, recipe in RECIPES.items():
        column = recipe.head.removesuffix(".npz")
        with (HERE / recipe.scores).open() as stream:
            rows = [row for row in csv.DictReader(stream) if row[column]]
        views = {"plain": "A", "degraded": "B"}
        formats = np.array([last_format(row["sha256"], views[row["view"]]) for row in rows])
        odds, labels, groups = left_out(recipe)
        slope, shift = scaling(odds, labels)
        scores = scores_of(slope * odds + shift)
        card = json.loads((find_detector(name) / "detector.json").read_text())["card"]
        low, high = card["thresholds"]["low"], card["thresholds"]["high"]
        result[name] = {
            form: figures(scores[formats == form], labels[formats == form], groups[formats == form], low, high)
            for form in np.unique(formats).tolist()
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
