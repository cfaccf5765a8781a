"""Groups of photographs for each of which a promised false positive rate shall hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asli.datasets.folder import DataFolder
from asli.datasets.groups import group_names
from asli.detector.card import PromisedGroups
from asli.metrics.worst_group import OTHERS, GroupPromise


@dataclass(frozen=True, slots=True)
class Named:
    """Groups for each of which a promise shall hold.

    Attributes:
        by: What groups them, in words.
        names: Names of every row of the manifest; None where an image has no group.
    """

    by: str
    names: list[str | None]

    @classmethod
    def of(cls, data: DataFolder, by: str | None, file: str | Path | None) -> "Named | None":
        """Read them from a column of the manifest or a table; None where neither is given."""
        if by is None and file is None:
            return None
        names = group_names(data.table(["id"])["id"].to_pylist(), data, by, file)
        return cls(by or Path(str(file)).name, names)

    def kept(self, held: GroupPromise, names: Sequence[str | None], called: npt.NDArray[np.bool_]) -> PromisedGroups:
        """Return what `Thresholds.groups` keeps.

        Args:
            held: The promise.
            names: Group of each real calibration image.
            called: Whether it was called fake.
        """
        errors = dict.fromkeys(held.images, 0)
        for name, wrong in zip(names, called.tolist(), strict=True):
            errors[name if name is not None and name in errors else OTHERS] += wrong
        return PromisedGroups(
            by=self.by, confidence=held.confidence, images=held.images, errors=errors, pooled=held.pooled
        )
