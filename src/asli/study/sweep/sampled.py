"""A data folder of which parts are scored only in part, the same images for every run."""

from typing import Any

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.datasets.splits import stratified_sample
from asli.files import sha256_of_json


class SampledFolder(DataFolder):
    """A data folder with fewer rows in some parts, drawn evenly over label and category.

    Its hash covers the limits, so runs judged on other images are not mistaken for these. Openings of the test part are
    recorded in the data folder itself.

    Args:
        whole: The data folder.
        limits: Most rows of each part; parts not named stay whole.
    """

    def __init__(self, whole: DataFolder, limits: dict[str, int]) -> None:
        super().__init__(whole.path, whole.info)
        self._limits, self._drawn = limits, dict[str, npt.NDArray[np.int64]]()

    @property
    def hash(self) -> str:
        """Return the content hash; that of the whole folder where nothing is limited."""
        whole = super().hash
        return sha256_of_json([whole, self._limits]) if self._limits else whole

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Return the rows of a part, in the manifest's order."""
        if split not in self._drawn:
            rows = super().rows(split)
            if split in self._limits:
                known = self.table(["label", "category"], rows)
                strata: list[Any] = list(zip(known["label"].to_pylist(), known["category"].to_pylist(), strict=True))
                rows = rows[stratified_sample([f"{label}/{kind}" for label, kind in strata], self._limits[split])]
            self._drawn[split] = rows
        return self._drawn[split]
