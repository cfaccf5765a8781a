"""Splits that a user asks for: the newest images as test, held-out generators or sources, groups that stay whole."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.datasets.groups import COLUMNS, codes, from_table, known, require_column, units
from asli.datasets.layouts.table_layout import COLUMNS as ALIASES
from asli.datasets.layouts.table_layout import DATE
from asli.datasets.splits import SEED
from asli.errors import DataError


@dataclass(frozen=True, slots=True)
class Division:
    """Rules that decide, besides chance, to which split an image belongs.

    Attributes:
        by: `date`: the newest images are test.
        holdout: `COLUMN=PATTERN` each, such as `generator=flux*`: matching images are test.
        group_by: A column of the manifest whose groups stay whole.
        group_file: A table of groups that stay whole.

    Raises:
        DataError: Unknown columns, or settings that contradict each other.
    """

    by: str | None = None
    holdout: tuple[str, ...] = ()
    group_by: str | None = None
    group_file: str | None = None

    def __post_init__(self) -> None:
        if self.by is not None and self.by not in ("date", *ALIASES["date"]):
            raise DataError(
                f"--split-by takes the column of dates (date, or its name in the data, such as release_date), not"
                f" '{self.by}'; to keep groups whole use --group-by {self.by}"
            )
        if self.by is not None and self.holdout:
            raise DataError("give --split-by or --holdout, not both: each says which images are test")
        if self.group_by is not None and self.group_file is not None:
            raise DataError("give --group-by or --group-file, not both")
        if self.group_by is not None:
            require_column(self.group_by)
        for text in self.holdout:
            column, equals, pattern = text.partition("=")
            if not equals or not pattern or column not in COLUMNS:
                raise DataError(
                    f"--holdout takes COLUMN=PATTERN, such as generator=flux*, not '{text}'; columns:"
                    f" {', '.join(COLUMNS)}"
                )

    @property
    def names_test(self) -> bool:
        """Whether it says itself which images are test."""
        return self.by is not None or bool(self.holdout)

    def describe(self) -> str | None:
        """Return in words what decides; None for chance alone."""
        told = [f"the newest by date ({self.by})"] if self.by else []
        told += [f"held out: {', '.join(self.holdout)}"] if self.holdout else []
        told += [f"groups kept whole: {self.group_by or self.group_file}"] if self.group_by or self.group_file else []
        return "; ".join(told) or None

    def tests(
        self, columns: Mapping[str, Sequence[str | None]], labels: Sequence[str], ids: Sequence[str], share: float
    ) -> npt.NDArray[np.bool_]:
        """Return which images are test.

        A label of which nothing matches, usually the photographs, gives as large a share of its images as the other
        label, drawn by a hash of the ids.

        Args:
            columns: `COLUMNS` of each image.
            labels: real or fake.
            ids: Unique names.
            share: Smallest share of the images with a date that become test images; images of one date stay together.

        Raises:
            DataError: Nothing matches, or everything does.
        """
        matched = self._newest(columns["date"], labels, share) if self.by else self._held_out(columns)
        of = np.array(labels)
        shares = {label: float(matched[of == label].mean()) for label in np.unique(of).tolist()}
        if max(shares.values()) == 1:
            raise DataError(
                f"the test part would take every {max(shares, key=shares.__getitem__)} image; hold out less"
            )
        most = max(shares.values())
        for label, own in shares.items():
            if own == 0:
                rows = np.flatnonzero(of == label)
                order = sorted(rows.tolist(), key=lambda row: _turn(ids[row]))
                matched[order[: max(round(most * len(rows)), 1)]] = True
        return matched

    def _held_out(self, columns: Mapping[str, Sequence[str | None]]) -> npt.NDArray[np.bool_]:
        matched = np.zeros(len(columns["source"]), dtype=np.bool_)
        for text in self.holdout:
            column, _, pattern = text.partition("=")
            values = columns[column]
            hit = [value is not None and fnmatchcase(value.lower(), pattern.lower()) for value in values]
            if not any(hit):
                there = Counter(value for value in values if value is not None)
                named = ", ".join(name for name, _ in there.most_common(10)) or "none is known"
                raise DataError(f"--holdout {text} matches no image; {column}: {named}")
            matched |= np.array(hit)
        return matched

    def _newest(self, dates: Sequence[str | None], labels: Sequence[str], share: float) -> npt.NDArray[np.bool_]:
        wrong = next((date for date in dates if date is not None and not DATE.fullmatch(date)), None)
        if wrong is not None:
            raise DataError(f"the date '{wrong}' does not sort; write dates as 2024-03-31, 2024-03 or 2024")
        matched = np.zeros(len(dates), dtype=np.bool_)
        for label in dict.fromkeys(labels):
            rows = [row for row, (date, own) in enumerate(zip(dates, labels, strict=True)) if date and own == label]
            counts = Counter(dates[row] for row in rows)
            if len(counts) < 2:
                continue
            taken, cut = 0, ""
            for date in sorted(counts, key=str, reverse=True):
                taken, cut = taken + counts[date], str(date)
                if taken >= share * len(rows):
                    break
            if cut == min(map(str, counts)):
                raise DataError(f"the oldest date, {cut}, is needed to fill the test part; there are too few dates")
            matched[[row for row in rows if str(dates[row]) >= cut]] = True
        if not matched.any():
            raise DataError("images need two different dates at least to be split by date")
        return matched

    def groups(
        self, columns: Mapping[str, Sequence[str | None]], ids: Sequence[str], duplicates: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64] | None:
        """Return the group of each image that no split parts, duplicates joined; None where no groups are asked for.

        Raises:
            DataError: No image has a group.
        """
        if self.group_by is not None:
            names = known(self.group_by, list(columns[self.group_by]))
        elif self.group_file is not None:
            names = from_table(Path(self.group_file), ids)
        else:
            return None
        return units(codes(names), duplicates)


def spread(tests: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return the test images and all that share a group (-1: none) with one: no group lies on both sides."""
    held = np.unique(groups[tests & (groups >= 0)])
    return tests | np.isin(groups, held)


def whole_groups(
    labels: Sequence[str],
    named: Sequence[str | None],
    groups: npt.NDArray[np.int64],
    wanted: Mapping[str, float],
    seed: int = SEED,
) -> list[str]:
    """Give every image its split such that no group is parted, as near to the wanted shares of labels as groups let.

    Args:
        labels: real or fake, of each image.
        named: The split an image has already, or None; all of a group have one.
        groups: Group of each image.
        wanted: Share of each split that is drawn; the rest is train.
        seed: Seed of the draw.

    Raises:
        DataError: There are too few groups for a part to have both labels.
    """
    final = [split or "train" for split in named]
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.tolist()):
        if final[row] == "train":
            members[group].append(row)
    sizes = {group: Counter(labels[row] for row in rows) for group, rows in members.items()}
    total: Counter[str] = sum(sizes.values(), Counter())
    left = sorted(members, key=lambda group: _turn(f"{seed}/{group}"))
    for split, share in wanted.items():
        goal = {label: share * count for label, count in total.items()}
        have: Counter[str] = Counter()
        for group in list(left):
            if _distance(have + sizes[group], goal) < _distance(have, goal):
                have += sizes[group]
                left.remove(group)
                for row in members[group]:
                    final[row] = split
        for label in total:
            if have[label]:
                continue
            spare = [group for group in left if sizes[group][label]]
            if len(spare) < 2:  # one must stay for train
                raise DataError(
                    f"{len(members):,} groups are too few: no {label} group is left for {split} and train; group by"
                    " something finer, or leave --group-by out"
                )
            group = min(spare, key=lambda one: _distance(have + sizes[one], goal))
            have += sizes[group]
            left.remove(group)
            for row in members[group]:
                final[row] = split
    return final


def _distance(have: Counter[str], goal: Mapping[str, float]) -> float:
    return sum(abs(have[label] - count) for label, count in goal.items())


def _turn(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def as_plan(division: Division) -> dict[str, Any]:
    """Return what a division adds to the plan of a data folder; nothing where it is the usual one."""
    plan: dict[str, Any] = {}
    if division != Division():
        plan["division"] = [division.by, *division.holdout, division.group_by, division.group_file]
    return plan
