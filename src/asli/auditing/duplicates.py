"""Pictures that are there more than once: exactly, or nearly; within and across splits and labels.

Time and memory grow with the number of pictures, not with that of their pairs: each picture has a limited number of
candidates, its nearest ones. Pages of one template are all near each other and no duplicates: where a picture has many
near ones, those count that differ little in every part, too. Another word on a page is a small difference in all and a
large one in its place.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from asli.auditing.findings import DuplicateSummary, ExactDuplicates, LookAlikes, NearDuplicates, PairCounts
from asli.auditing.hamming import BUCKET_LIMIT, RADIUS, neighbors
from asli.auditing.read_pixels import Image8, PixelReader
from asli.datasets.folder import DataFolder

NEAR = 30.0
"""Greatest root mean square difference of 32x32 RGB thumbnails, in gray levels of 255, of near-duplicates."""

NEAR_SHARE = 0.5
"""Greatest difference as a share of the weaker picture's contrast, so that two blank skies are no duplicates."""

CAP = 50
"""Candidates of a picture: its nearest by hash. Pairs beyond it are counted."""

CROWD = 20
"""Near pictures from which on a picture is one of many that look alike."""

PART = 12.0
"""Largest root mean square difference in each of 16 x 16 parts, among pictures of which many look alike, in gray levels
at 64 x 64. Measured on pages of text: copies at JPEG quality 30 or half the size differ by up to 10, others by 17."""

BLOCK = 4096
"""Pictures that are compared with each other at a time by their colors."""

ALL = 8_192
"""In sets of up to this many pictures, all are compared by color.

In larger sets, this is done only for pictures whose hashes are too common to search. Hashes of noise or of a pattern
may differ in more bits than the search covers.
"""

BLOCK_RADIUS = 12
"""Differing bits of the hashes of such pairs; the search of hashes is exact up to `RADIUS`."""

LISTED = 1000
"""Pairs named in the result."""

GROUP = 100
"""Members of one group of exact duplicates whose pairs are counted, of each label and split first; larger groups are
counted as cut."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Duplicates that were found.

    Attributes:
        summary: For the report and for JSON.
        groups: int64, one a row of the manifest: equal for exact and confirmed near-duplicates.
        exact: int64, m x 2: rows of one pair of each exact group.
        near: int64, m x 2: rows of confirmed near-duplicates, nearest first.
        distances: float64, m: root mean square difference of the near ones.
    """

    summary: DuplicateSummary
    groups: npt.NDArray[np.int64]
    exact: npt.NDArray[np.int64]
    near: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]


def find_duplicates(data: DataFolder, pixels: PixelReader) -> Duplicates:
    """Find exact duplicates by hash of the pixels, near ones by perceptual hash confirmed at the pixels."""
    table = data.table(["id", "split", "label", "sha256", "phash"])
    splits, labels = table["split"].to_pylist(), table["label"].to_pylist()
    rows = np.flatnonzero(data.readable)
    groups = np.arange(len(data)) + len(data)
    groups[rows] = data.groups(rows)
    _, first, members = np.unique(groups[rows], return_index=True, return_inverse=True)
    kinds_of = np.unique(np.stack([splits, labels], axis=1)[rows], axis=0, return_inverse=True)[1].reshape(-1)
    pairs = []
    for group in _several(members):
        some = np.sort(rows[_of_each_kind(group, kinds_of)])
        pairs += [(int(a), int(b)) for k, a in enumerate(some) for b in some[k + 1 :]]
    exact = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    heads = rows[first]  # one of each exact group stands for it
    hashes = table["phash"].take(heads).to_numpy()
    found = neighbors(hashes)
    nearest = _nearest_of_each(found.pairs, found.distances, len(heads))
    left_out = len(found.pairs) - len(nearest)
    common = np.arange(len(heads)) if len(heads) <= ALL else found.skipped
    thumbnails = _thumbnails(heads, np.union1d(nearest.reshape(-1), common), pixels)
    others = _nearest_in_blocks(common, thumbnails)
    others = others[np.bitwise_count(hashes[others[:, 0]] ^ hashes[others[:, 1]]) <= BLOCK_RADIUS]
    candidates = np.unique(np.concatenate([nearest, others]), axis=0)
    distance, contrast = _compare(candidates, thumbnails)
    confirmed = np.flatnonzero((distance <= NEAR) & (distance <= NEAR_SHARE * contrast))
    crowded = _crowded(candidates[confirmed], len(heads))
    duplicate = ~crowded
    duplicate[crowded] = _alike_in_every_part(heads[candidates[confirmed[crowded]]], pixels)
    alike = candidates[confirmed[~duplicate]]
    confirmed = confirmed[duplicate]
    confirmed = confirmed[np.argsort(distance[confirmed], kind="stable")]
    near, distances = heads[candidates[confirmed]], distance[confirmed]

    ids, digests = table["id"], table["sha256"]
    cut = int((np.bincount(members) > GROUP).sum())
    same_bytes = sum(digests[int(a)].as_py() == digests[int(b)].as_py() for a, b in exact)

    def kinds(pairs: npt.NDArray[np.int64]) -> PairCounts:
        part = Counter("across" if splits[a] != splits[b] else "within" for a, b in pairs)
        test = Counter("test" in (splits[a], splits[b]) and splits[a] != splits[b] for a, b in pairs)
        other = sum(labels[a] != labels[b] for a, b in pairs)
        paired = {r for a, b in pairs for r, o in ((a, b), (b, a)) if splits[r] == "test" != splits[o]}
        real = sum(labels[r] == "real" for r in paired)
        return PairCounts(
            pairs=len(pairs),
            within_a_split=part["within"],
            across_splits=part["across"],
            across_test=test[True],
            across_labels=other,
            test_images=len(paired),
            test_images_real=real,
            test_images_fake=len(paired) - real,
        )

    def listed(pairs: npt.NDArray[np.int64]) -> tuple[tuple[str, str], ...]:
        return tuple((ids[int(a)].as_py(), ids[int(b)].as_py()) for a, b in pairs[:LISTED])

    def names(rows: npt.NDArray[np.int64]) -> tuple[str, ...]:
        return tuple(ids[int(row)].as_py() for row in rows[:LISTED])

    chained = np.stack([heads[members], rows], axis=1)  # whole groups, however large
    all_pairs = np.concatenate([chained, near])
    graph = coo_matrix((np.ones(len(all_pairs)), all_pairs.T), shape=(len(data), len(data)))
    _, merged = connected_components(graph, directed=False)
    # More of them than fit into a block are compared with those whose colors are nearest.
    skipped = found.skipped if len(found.skipped) > BLOCK else found.skipped[:0]
    summary = DuplicateSummary(
        test_total=splits.count("test"),
        exact=ExactDuplicates(
            counts=kinds(exact), identical_bytes=int(same_bytes), groups_cut=cut, listed=listed(exact)
        ),
        near=NearDuplicates(
            counts=kinds(near),
            listed=tuple((*pair, round(float(d), 1)) for pair, d in zip(listed(near), distances, strict=False)),
            candidates=len(candidates),
            radius_bits=RADIUS,
            rms_limit=NEAR,
            rms_share_of_contrast=NEAR_SHARE,
            candidates_not_looked_at=left_out,
            candidates_of_an_image=CAP,
            bucket_limit=BUCKET_LIMIT,
            look_alikes=_look_alikes(alike, len(heads), names(heads[np.unique(alike)])),
            not_searched=len(skipped),
            not_searched_names=names(heads[skipped]),
        ),
    )
    return Duplicates(summary, merged.astype(np.int64), exact, near, distances)


def thumbnail_rgb(pixels: Image8) -> Image8:
    """Return an image as 32x32 RGB, uint8."""
    image = Image.fromarray(pixels)
    return np.asarray(image if image.size == (32, 32) else image.resize((32, 32), Image.Resampling.LANCZOS))


def _several(members: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    order = np.argsort(members, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(members[order])) + 1)
    return [part for part in parts if len(part) > 1]


def _of_each_kind(group: npt.NDArray[np.int64], kinds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return at most `GROUP` members of a group, those that first show a label in a split before the others."""
    if len(group) <= GROUP:
        return group
    first = np.unique(kinds[group], return_index=True)[1]
    kept: npt.NDArray[np.int64] = group[np.concatenate([first, np.setdiff1d(np.arange(len(group)), first)])[:GROUP]]
    return kept


def _nearest_of_each(
    pairs: npt.NDArray[np.int64], distances: npt.NDArray[np.uint8], count: int
) -> npt.NDArray[np.int64]:
    """Keep the pairs in which one picture is among the `CAP` nearest of the other, equal hashes first."""
    ends, number = pairs.T.reshape(-1), np.tile(np.arange(len(pairs)), 2)
    order = np.lexsort((np.tile(distances, 2), ends))
    starts = np.searchsorted(ends[order], np.arange(count))
    rank = np.arange(len(order)) - starts[ends[order]]
    return pairs[np.unique(number[order[rank < CAP]])]


def _thumbnails(heads: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64], pixels: PixelReader) -> dict[int, Image8]:
    """Return thumbnails, 32 x 32 x 3, of the pictures at some places of `heads`."""
    return dict(zip(wanted.tolist(), pixels.map(thumbnail_rgb, heads[wanted]), strict=True))


def _nearest_in_blocks(places: npt.NDArray[np.int64], thumbnails: dict[int, Image8]) -> npt.NDArray[np.int64]:
    """Pair each picture with its nearest ones, by 8x8 colors, in blocks that overlap by half.

    The pictures are ordered by the direction in which their colors vary most, so that what looks alike lies in one
    block.

    Args:
        places: Places of the pictures.
        thumbnails: Thumbnails of each.
    """
    found = [np.zeros((0, 2), dtype=np.int64)]
    if len(places) > BLOCK:
        colors = np.stack([_colors(thumbnails[place]) for place in places.tolist()])
        colors -= colors.mean(axis=0)
        _, directions = np.linalg.eigh(colors.T @ colors)
        places = places[np.argsort(colors @ directions[:, -1], kind="stable")]
    for start in range(0, max(len(places) - BLOCK // 2, 1), BLOCK // 2):
        block = places[start : start + BLOCK]
        if len(block) < 2:
            break
        values = np.stack([_colors(thumbnails[place]) for place in block.tolist()])
        values -= values.mean(axis=0)
        squares = (values**2).sum(axis=1)
        apart = squares[:, None] + squares[None, :] - 2 * values @ values.T
        np.fill_diagonal(apart, np.inf)
        most = min(CROWD + 4, len(block) - 1)
        near = np.argpartition(apart, most - 1, axis=1)[:, :most]
        pairs = np.stack([np.repeat(block, most), block[near].reshape(-1)], axis=1)
        found.append(np.sort(pairs, axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _colors(thumbnail: Image8) -> npt.NDArray[np.float32]:
    """Return the 8x8 mean colors of a thumbnail, 32 x 32 x 3."""
    means: npt.NDArray[np.float32] = thumbnail.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3), dtype=np.float32)
    return means.reshape(-1)


def _compare(
    pairs: npt.NDArray[np.int64], thumbnails: dict[int, Image8]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each pair's root mean square difference and the lower contrast of the two."""
    distance, contrast = np.zeros(len(pairs)), np.zeros(len(pairs))
    for start in range(0, len(pairs), 4096):
        block = slice(start, start + 4096)
        a, b = (np.stack([thumbnails[place] for place in side]) for side in pairs[block].T.tolist())
        distance[block] = np.sqrt(((a.astype(np.float32) - b) ** 2).mean(axis=(1, 2, 3)))
        contrasts = [side.std(axis=(1, 2), dtype=np.float64).mean(axis=1) for side in (a, b)]
        contrast[block] = np.minimum(*contrasts)
    return distance, contrast


def _crowded(pairs: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.bool_]:
    """Return which pairs hold a picture with many near ones."""
    many = np.bincount(pairs.reshape(-1), minlength=count) >= CROWD
    return many[pairs[:, 0]] | many[pairs[:, 1]]


def _alike_in_every_part(pairs: npt.NDArray[np.int64], pixels: PixelReader) -> npt.NDArray[np.bool_]:
    """Return which pairs of rows differ by at most `PART` in every part."""
    rows = np.unique(pairs)
    gray = dict(zip(rows.tolist(), pixels.map(_gray, rows), strict=True))
    alike = np.zeros(len(pairs), dtype=np.bool_)
    for start in range(0, len(pairs), 1024):
        block = slice(start, start + 1024)
        a, b = (np.stack([gray[row] for row in side]) for side in pairs[block].T.tolist())
        squares = (a.astype(np.float32) - b) ** 2
        alike[block] = squares.reshape(-1, 16, 4, 16, 4).mean(axis=(2, 4)).max(axis=(1, 2)) <= PART**2
    return alike


def _gray(pixels: Image8) -> Image8:
    return np.asarray(Image.fromarray(pixels).convert("L").resize((64, 64), Image.Resampling.LANCZOS))


def _look_alikes(pairs: npt.NDArray[np.int64], count: int, listed: tuple[str, ...]) -> LookAlikes:
    """Describe pictures of which many look alike, such as pages of one template."""
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(count, count))
    sizes = np.bincount(connected_components(graph, directed=False)[1])
    return LookAlikes(
        images=len(np.unique(pairs)),
        groups=int((sizes > 1).sum()),
        largest=int(sizes.max(initial=0)) if len(pairs) else 0,
        pairs_not_taken=len(pairs),
        listed=listed,
    )
