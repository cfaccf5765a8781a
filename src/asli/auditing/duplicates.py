"""Pictures that are there more than once: exactly, or nearly; within and across splits and labels."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from asli.auditing.hamming import BUCKET_LIMIT, RADIUS, neighbours
from asli.auditing.pixels import Image8, Pixels
from asli.datasets.folder import DataFolder

NEAR = 30.0
"""Greatest root mean square difference of 32x32 RGB thumbnails, in gray levels of 255, of near-duplicates."""

NEAR_SHARE = 0.5
"""And at most this share of the weaker picture's own contrast, so that two blank skies are no duplicates."""

CANDIDATES = 500_000
"""Pairs looked at as pixels; beyond them the nearest by hash are taken and the rest is counted."""

LISTED = 1000
"""Pairs named in the result."""

GROUP = 100
"""Members of one group of exact duplicates whose pairs are counted; larger groups are counted as cut."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found.

    Attributes:
        summary: For the report and for JSON.
        groups: int64, one a row of the manifest: equal for exact and confirmed near-duplicates.
        exact: int64, m x 2: rows of one pair of each exact group.
        near: int64, m x 2: rows of confirmed near-duplicates, nearest first.
        distances: float64, m: root mean square difference of the near ones.
    """

    summary: dict[str, Any]
    groups: npt.NDArray[np.int64]
    exact: npt.NDArray[np.int64]
    near: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]


def find_duplicates(data: DataFolder, pixels: Pixels) -> Duplicates:
    """Find exact duplicates by hash of the pixels, near ones by perceptual hash confirmed at the pixels."""
    table = data.table(["id", "split", "label", "sha256", "phash"])
    splits, labels = table["split"].to_pylist(), table["label"].to_pylist()
    rows = np.flatnonzero(data.readable)
    groups = np.arange(len(data)) + len(data)
    groups[rows] = data.groups(rows)
    _, first, members = np.unique(groups[rows], return_index=True, return_inverse=True)
    pairs = [
        (int(a), int(b))
        for group in _several(members)
        for k, a in enumerate(rows[group[:GROUP]])
        for b in rows[group[:GROUP]][k + 1 :]
    ]
    exact = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    heads = rows[first]  # one of each exact group stands for it
    found = neighbours(table["phash"].take(heads).to_numpy())
    candidates = heads[found.pairs]
    order = np.argsort(found.distances, kind="stable")
    left_out = max(len(order) - CANDIDATES, 0)
    candidates = candidates[order[:CANDIDATES]]
    distance, contrast = _compare(candidates, pixels)
    confirmed = np.flatnonzero((distance <= NEAR) & (distance <= NEAR_SHARE * contrast))
    confirmed = confirmed[np.argsort(distance[confirmed], kind="stable")]
    near, distances = candidates[confirmed], distance[confirmed]

    ids, digests = table["id"], table["sha256"]
    cut = int((np.bincount(members) > GROUP).sum())
    same_bytes = sum(digests[int(a)].as_py() == digests[int(b)].as_py() for a, b in exact)

    def kinds(pairs: npt.NDArray[np.int64]) -> dict[str, Any]:
        part = Counter("across" if splits[a] != splits[b] else "within" for a, b in pairs)
        test = Counter("test" in (splits[a], splits[b]) and splits[a] != splits[b] for a, b in pairs)
        other = sum(labels[a] != labels[b] for a, b in pairs)
        judged = {r for a, b in pairs for r, o in ((a, b), (b, a)) if splits[r] == "test" != splits[o]}
        real = sum(labels[r] == "real" for r in judged)
        return {
            "pairs": len(pairs),
            "within_a_split": part["within"],
            "across_splits": part["across"],
            "across_test": test[True],
            "across_labels": other,
            "test_images": len(judged),
            "test_images_real": real,
            "test_images_fake": len(judged) - real,
        }

    def listed(pairs: npt.NDArray[np.int64]) -> list[list[str]]:
        return [[ids[int(a)].as_py(), ids[int(b)].as_py()] for a, b in pairs[:LISTED]]

    chained = np.stack([heads[members], rows], axis=1)  # whole groups, however large
    all_pairs = np.concatenate([chained, near])
    graph = coo_matrix((np.ones(len(all_pairs)), all_pairs.T), shape=(len(data), len(data)))
    _, merged = connected_components(graph, directed=False)
    summary = {
        "test_total": splits.count("test"),
        "exact": {**kinds(exact), "identical_bytes": int(same_bytes), "groups_cut": cut, "listed": listed(exact)},
        "near": {
            **kinds(near),
            "listed": [[*pair, round(float(d), 1)] for pair, d in zip(listed(near), distances, strict=False)],
            "candidates": len(candidates),
            "radius_bits": RADIUS,
            "rms_limit": NEAR,
            "rms_share_of_contrast": NEAR_SHARE,
            "candidates_not_looked_at": left_out,
            "bucket_limit": BUCKET_LIMIT,
            "not_searched": len(found.skipped),
            "not_searched_names": [ids[int(r)].as_py() for r in heads[found.skipped[:LISTED]]],
        },
    }
    return Duplicates(summary, merged.astype(np.int64), exact, near, distances)


def thumbnail_rgb(pixels: Image8) -> Image8:
    """Return an image as 32x32 RGB, uint8."""
    image = Image.fromarray(pixels)
    return np.asarray(image if image.size == (32, 32) else image.resize((32, 32), Image.Resampling.LANCZOS))


def _several(members: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    order = np.argsort(members, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(members[order])) + 1)
    return [part for part in parts if len(part) > 1]


def _compare(pairs: npt.NDArray[np.int64], pixels: Pixels) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each pair's root mean square difference and the lower contrast of the two."""
    if not len(pairs):
        return np.zeros(0), np.zeros(0)
    rows, places = np.unique(pairs, return_inverse=True)
    small = np.stack(list(pixels.map(thumbnail_rgb, rows)))
    contrast = np.concatenate(
        [part.std(axis=(1, 2), dtype=np.float64).mean(axis=1) for part in np.array_split(small, len(small) // 4096 + 1)]
    )
    a, b = places.reshape(-1, 2).T
    distance = np.empty(len(pairs))
    for start in range(0, len(pairs), 4096):
        block = slice(start, start + 4096)
        difference = small[a[block]].astype(np.float32) - small[b[block]]
        distance[block] = np.sqrt((difference**2).mean(axis=(1, 2, 3)))
    return distance, np.minimum(contrast[a], contrast[b])
