"""Folds of a data folder for cross-validation: what depends on each other is never parted."""

import hashlib
from collections import Counter

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from asli.datasets.folder import DataFolder
from asli.datasets.layouts import LABELS
from asli.datasets.splits import SEED
from asli.errors import DataError


def fold_of(data: DataFolder, rows: npt.NDArray[np.int64], folds: int, seed: int = SEED) -> npt.NDArray[np.int64]:
    """Deal rows out to folds with nearly equal shares of each label, generator and category.

    Duplicates stay together. All fakes of a generator, and all real images of a source, stay together as well if two
    conditions hold. The label must have at least as many of them as there are folds, and none may hold more than two
    folds' worth of its images. Each image is then scored by a network that has seen nothing of its generator or source.

    Args:
        data: The data folder.
        rows: Rows of its manifest, n.
        folds: How many; 2 or more.
        seed: Seed of the order in which they are dealt.

    Returns:
        Fold of each row, int64, n, from 0.

    Raises:
        DataError: A fold would lack a label.
    """
    table = data.table(["id", "generator", "source", "category"], rows).to_pydict()
    labels = [LABELS[code] for code in data.labels[rows]]
    makers = [
        generator if label == "fake" else source
        for label, generator, source in zip(labels, table["generator"], table["source"], strict=True)
    ]
    keys = [f"{label}/{maker}" if maker else None for label, maker in zip(labels, makers, strict=True)]
    together = {label for label in LABELS if _can_be_held_out(labels, keys, label, folds)}
    units = _connected(
        [str(group) for group in data.groups(rows)],
        [key if label in together else None for key, label in zip(keys, labels, strict=True)],
    )
    strata = [
        f"{key or label}/{category}" for key, label, category in zip(keys, labels, table["category"], strict=True)
    ]
    fold = np.empty(len(rows), dtype=np.int64)
    held: list[Counter[str]] = [Counter() for _ in range(folds)]
    for members in _in_order(units, table["id"], seed):
        own = Counter(labels[i] for i in members)
        kinds = Counter(strata[i] for i in members)

        def filled(number: int, own: Counter[str] = own, kinds: Counter[str] = kinds) -> tuple[int, int, int]:
            there = held[number]
            by_label = sum(count * there[label] for label, count in own.items())
            return by_label, sum(count * there[kind] for kind, count in kinds.items()), number

        chosen = min(range(folds), key=filled)
        fold[members] = chosen
        held[chosen] += own + kinds
    for label in LABELS:
        if any(not there[label] for there in held):
            independent = len({units[i] for i in range(len(rows)) if labels[i] == label})
            raise DataError(
                f"{folds} folds need at least {folds} independent {label} images (duplicates, generators and sources"
                f" stay together) and there are {independent}; give fewer --folds or more images"
            )
    return fold


def _can_be_held_out(labels: list[str], keys: list[str | None], label: str, folds: int) -> bool:
    of_label = [key for key, of in zip(keys, labels, strict=True) if of == label]
    named = Counter(key for key in of_label if key is not None)
    return len(named) >= folds and max(named.values()) <= 2 * len(of_label) / folds


def _connected(*keys: list[str | None] | list[str]) -> npt.NDArray[np.int64]:
    """Return a number for each image that all share who are linked by a key; None links nothing."""
    count, pairs = len(keys[0]), []
    for column in keys:
        first: dict[str, int] = {}
        pairs += [(i, first.setdefault(key, i)) for i, key in enumerate(column) if key is not None]
    one, other = np.array(pairs).T
    graph = coo_matrix((np.ones(len(pairs), dtype=np.int8), (one, other)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _in_order(units: npt.NDArray[np.int64], ids: list[str], seed: int) -> list[npt.NDArray[np.int64]]:
    """Return the members of each unit, large units first, equal ones in an order that hashes (seed, id)."""
    order = np.argsort(units, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(units[order])) + 1)
    key = seed.to_bytes(8, "little", signed=True)

    def turn(unit: npt.NDArray[np.int64]) -> tuple[int, bytes]:
        return -len(unit), hashlib.blake2b(ids[unit[0]].encode(), digest_size=8, key=key).digest()

    return sorted(members, key=turn)
