"""Who belongs to which part: validation and calibration are carved out of train, test where the source has none.

Validation chooses, calibration fits, test is opened once.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from asli.transforms.randomness import order

SEED = 0
"""Of the split; independent of every training seed."""

VALIDATION_SHARE = 0.05
CALIBRATION_SHARE = 0.05
TEST_SHARE = 0.10
"""Only where the source names no split at all."""


def assign_splits(
    ids: Sequence[str],
    strata: Sequence[str],
    named: Sequence[str | None],
    groups: npt.NDArray[np.int64],
    seed: int = SEED,
) -> list[str]:
    """Give every image its final split.

    Splits the source names stay. Images it names `train`, or nothing, lend 5% each to validation and calibration
    where the source has none of these, and 10% to test where it names no split at all. Drawn per stratum, in an
    order that hashes (seed, id), so that other images do not change an image's turn. Duplicates stay together.

    Args:
        ids: Unique names.
        strata: Label and category of each image, `LABEL/CATEGORY`; each is represented alike.
        named: The split the source names, or None.
        groups: Group of duplicates of each image, -1 without one.
        seed: Of the draw.
    """
    have = {split for split in named if split}
    wanted = [
        (split, share)
        for split, share in (("validation", VALIDATION_SHARE), ("calibration", CALIBRATION_SHARE))
        if split not in have
    ]
    if not have:
        wanted.append(("test", TEST_SHARE))
    final = [split or "train" for split in named]
    open_to_draw = [i for i, split in enumerate(final) if split == "train"]
    left = Counter(strata[i] for i in open_to_draw)
    room: Counter[tuple[str, str]] = Counter()
    for split, share in wanted if open_to_draw else ():
        # Of what the splits before have left, so that they do not all draw on the same small strata.
        places = _room(left, share * len(open_to_draw) / left.total())
        room.update({(split, s): n for s, n in places.items()})
        left -= Counter(places)

    key = seed.to_bytes(8, "little", signed=True)
    units: dict[int | str, list[int]] = {}
    for i in open_to_draw:
        units.setdefault(int(groups[i]) if groups[i] >= 0 else ids[i], []).append(i)
    turn = {
        unit: hashlib.blake2b(ids[members[0]].encode(), digest_size=8, key=key).digest()
        for unit, members in units.items()
    }
    for unit in sorted(units, key=turn.__getitem__):
        needs = Counter(strata[i] for i in units[unit])
        for split, _ in wanted:
            if all(room[split, s] >= n for s, n in needs.items()):
                for s, n in needs.items():
                    room[split, s] -= n
                for i in units[unit]:
                    final[i] = split
                break
    return final


def _room(sizes: Mapping[str, int], share: float) -> dict[str, int]:
    """Share out places to strata, within one of each one's due; all of a label together have theirs to the nearest.

    Rounded along the running sum: rounding each stratum by itself would give many small ones none at all.
    """
    room: dict[str, int] = {}
    before: Counter[str] = Counter()
    for stratum in sorted(sizes):
        label = stratum.partition("/")[0]
        room[stratum] = round(share * (before[label] + sizes[stratum])) - round(share * before[label])
        before[label] += sizes[stratum]
    return room


def stratified_sample(strata: Sequence[str], count: int, seed: int = SEED) -> npt.NDArray[np.int64]:
    """Draw `count` places of a list, each stratum in proportion; the rest to a whole number goes to the largest ones.

    Args:
        strata: Label and category of each image.
        count: How many to draw; all where there are no more.
        seed: Of the draw; fixed, so that runs with other training seeds see the same sample.
    """
    if count >= len(strata):
        return np.arange(len(strata))
    names, codes = np.unique(np.asarray(strata), return_inverse=True)
    quota = np.bincount(codes) * count / len(strata)
    take = np.floor(quota).astype(np.int64)
    take[np.argsort(take - quota, kind="stable")[: count - take.sum()]] += 1
    chosen = []
    for code in range(len(names)):
        members = np.flatnonzero(codes == code)
        chosen.append(members[order(seed, code, len(members))[: take[code]]])
    return np.sort(np.concatenate(chosen))
