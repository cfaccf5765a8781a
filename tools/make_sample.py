"""Draw the bundled sample: CIFAKE's train part, stratified over label and category, without duplicates.

    python tools/make_sample.py DATA SOURCE src/asli/sample/cifake_sample.zip

DATA is the data folder that `asli data cifake` made of SOURCE. The result is the same bytes each time.
"""

import sys
import zipfile
from pathlib import Path

import numpy as np

from asli.datasets.archived import open_source
from asli.datasets.folder import DataFolder
from asli.transforms.randomness import order

PER_STRATUM = {"train": 100, "validation": 15, "calibration": 30, "test": 20}
"""Images of each of the 20 pairs of label and category. 30 gives 300 calibration photographs."""


def main(data_path: str, source_path: str, out: str) -> None:
    """Write the sample."""
    data, source = DataFolder.open(data_path), open_source(Path(source_path))
    rows = data.rows("train")
    known = data.table(["id", "label", "category", "duplicate_group"], rows)
    single = ~known["duplicate_group"].is_valid().to_numpy()
    strata = np.array(
        [f"{a}/{b}" for a, b in zip(known["label"].to_pylist(), known["category"].to_pylist(), strict=True)]
    )
    ids = np.array(known["id"].to_pylist())
    members = {}
    for number, stratum in enumerate(np.unique(strata)):
        candidates = ids[single & (strata == stratum)]
        turn = iter(candidates[order(1, number, len(candidates))])
        for split, count in PER_STRATUM.items():
            for _ in range(count):
                identity = str(next(turn))
                members[identity.replace("train/", f"{split}/", 1)] = identity
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), source.read(members[name]))


if __name__ == "__main__":
    main(*sys.argv[1:])
