"""Pairs of equal images, counted by hash with the help of temporary files."""

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from asli.auditing.findings import ExactDuplicates, PairCounts
from asli.tables.spill import Records, Spill, hashes, long_hashes

Codes = npt.NDArray[np.int64]


class Pairs:
    """Counts pairs of equal images across splits and labels.

    Args:
        hashed: Column of the hash that equal images share; None counts nothing.
    """

    def __init__(self, hashed: str | None) -> None:
        self._hashed = hashed
        self._splits: dict[str | None, int] = {"test": 0}
        fields = [("first", "u8"), ("second", "u8"), ("bytes", "u8"), ("split", "i2"), ("label", "i1")]
        self._spill = Spill(fields)

    def __enter__(self) -> "Pairs":
        return self

    def __exit__(self, *_: object) -> None:
        self._spill.__exit__()

    def add(self, rows: pa.Table) -> None:
        """Take in rows with the columns `split`, `label`, `sha256` and the hash."""
        if self._hashed is None:
            return
        rows = rows.filter(pa.compute.is_valid(rows[self._hashed]))
        records = np.empty(len(rows), dtype=self._spill.dtype)
        records["first"], records["second"] = long_hashes(rows[self._hashed].to_pylist())
        records["bytes"] = hashes(rows["sha256"].to_pylist())
        records["label"] = pa.compute.equal(rows["label"], "fake").fill_null(False).to_numpy()
        split = rows["split"].combine_chunks().dictionary_encode()
        known = [self._splits.setdefault(name, len(self._splits)) for name in split.dictionary.to_pylist()]
        null = self._splits.setdefault(None, len(self._splits))
        places = split.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        records["split"] = np.array([*known, null], dtype=np.int16)[places]
        self._spill.add(records["first"], records)

    def summary(self) -> ExactDuplicates:
        """Return the counts, as `asli.auditing.duplicates` does."""
        total = dict.fromkeys((*(one.name for one in fields(PairCounts)), "identical_bytes"), 0)
        for records in self._spill.parts():
            for name, count in _counted(records).items():
                total[name] += count
        same = total.pop("identical_bytes")
        return ExactDuplicates(counts=PairCounts(**total), identical_bytes=same, groups_cut=0, listed=())


def _counted(records: Records) -> dict[str, int]:
    records = records[np.lexsort((records["second"], records["first"]))]
    first, second = records["first"], records["second"]
    starts = np.append(True, (first[1:] != first[:-1]) | (second[1:] != second[:-1]))[: len(records)]
    group = np.cumsum(starts) - 1
    sizes = np.bincount(group, minlength=1)
    kept = sizes[group] > 1
    records, group = records[kept], group[kept]
    pairs = _pairs(np.bincount(group))
    within = _pairs(_sizes(group, records["split"]))
    test = records["split"] == 0
    of_test = np.bincount(group[test], minlength=len(sizes))
    leaked = test & (of_test < sizes)[group]
    fakes = int((leaked & (records["label"] == 1)).sum())
    return {
        "pairs": pairs,
        "within_a_split": within,
        "across_splits": pairs - within,
        "across_test": int((of_test * (sizes - of_test))[of_test > 0].sum()),
        "across_labels": pairs - _pairs(_sizes(group, records["label"])),
        "test_images": int(leaked.sum()),
        "test_images_real": int(leaked.sum()) - fakes,
        "test_images_fake": fakes,
        "identical_bytes": _pairs(_sizes(group, records["bytes"])),
    }


def _sizes(group: Codes, values: npt.NDArray[Any]) -> Codes:
    """Return how often each value occurs in each group."""
    if not len(group):
        return np.zeros(0, dtype=np.int64)
    _, codes = np.unique(values, return_inverse=True)
    sizes: Codes = np.unique(group * (int(codes.max()) + 1) + codes, return_counts=True)[1]
    return sizes


def _pairs(sizes: Codes) -> int:
    return int((sizes * (sizes - 1) // 2).sum())
