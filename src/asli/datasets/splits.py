"""Assign images to splits: validation and calibration come out of train, and test if the source has none.

Validation chooses, calibration fits, test is opened once.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Self

import numpy as np
import numpy.typing as npt

from asli.errors import DataError
from asli.transforms.randomness import order

SEED = 0
"""Seed of the split; independent of every training seed."""

HELD_OUT = 100
"""Images of each label that a held-out part should have; small folders give up larger shares for them."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the four parts among the images whose part the source leaves open.

    Attributes:
        train: The rest; if the source names a part itself, the share of that part goes to train.
        validation: Used to choose.
        calibration: Used to fit temperature and thresholds.
        test: Drawn only where the source names no part at all.

    Raises:
        DataError: One lies outside [0, 1], nothing is left to train on, or they do not sum to 1.
    """

    train: float = 0.80
    validation: float = 0.05
    calibration: float = 0.05
    test: float = 0.10

    def __post_init__(self) -> None:
        parts = (self.train, self.validation, self.calibration, self.test)
        given = " ".join(f"{part:g}" for part in parts)
        if not all(0 <= part <= 1 for part in parts) or not self.train:
            raise DataError(f"fractions are shares from 0 to 1 with something left for train, not {given}")
        if not isclose(sum(parts), 1, abs_tol=1e-6):
            raise DataError(f"the fractions {given} sum to {sum(parts):g}, not to 1; a part that is not wanted takes 0")

    @classmethod
    def fitting(cls, images: int) -> Self:
        """Return the shares for so many images of the rarer label.

        Validation and calibration take 5% and test 10%. Where that is less than `HELD_OUT` images of the label they
        take more, up to 15% and 20%.
        """
        wanted = HELD_OUT / max(images, 1)
        half, test = min(max(wanted, 0.05), 0.15), min(max(wanted, 0.10), 0.20)
        return cls(1 - 2 * half - test, half, half, test)


def assign_splits(
    ids: Sequence[str],
    strata: Sequence[str],
    named: Sequence[str | None],
    groups: npt.NDArray[np.int64],
    seed: int = SEED,
    shares: Shares | None = None,
) -> list[str]:
    """Give every image its final split.

    Splits the source names stay. Images it names `train`, or nothing, lend shares to validation and calibration where
    the source has none of these, and to test where it names no split at all. Drawn per stratum, in an order that
    hashes (seed, id), so that other images do not change an image's turn. Duplicates stay together.

    Args:
        ids: Unique names.
        strata: Label and category of each image, `LABEL/CATEGORY`; each is represented alike.
        named: The split the source names, or None.
        groups: Group of duplicates of each image, -1 without one.
        seed: Seed of the draw.
        shares: None takes those that fit the number of images that are lent, see `Shares.fitting`.
    """
    have = {split for split in named if split}
    final = [split or "train" for split in named]
    open_to_draw = [i for i, split in enumerate(final) if split == "train"]
    shares = shares or fitting_shares(strata, named)
    wanted = [
        (split, share)
        for split, share in (("validation", shares.validation), ("calibration", shares.calibration))
        if split not in have
    ]
    if not have:
        wanted.append(("test", shares.test))
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


def fitting_shares(strata: Sequence[str], named: Sequence[str | None]) -> Shares:
    """Return the shares that fit the number of images that are lent: those named `train`, or nothing."""
    lent = Counter(s.partition("/")[0] for s, split in zip(strata, named, strict=True) if split in (None, "train"))
    return Shares.fitting(min(lent.values(), default=0))


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
        seed: Seed of the draw; fixed, so that runs with other training seeds see the same sample.
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
