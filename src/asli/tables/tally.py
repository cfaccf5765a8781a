"""What is counted while rows stream by: for each label and bin of scores, and for each group coarser bins."""

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from asli.metrics.classification import Floats, losses_of_scores
from asli.tables.binning import COARSE, COARSE_BINS, Binning, fine_bins
from asli.tables.rows import Reader, Rows
from asli.tables.spill import Spill

Counts = npt.NDArray[np.int64]


class Tally:
    """Counts of labeled scores; its size does not depend on the number of rows.

    Args:
        binning: Bins of scores.
        threshold: Groups count errors at this score.

    Attributes:
        counts: Rows by label and bin, int64, 2 x bins.
        score: Sums of scores.
        square: Sums of squared scores.
        loss: Sums of losses, infinite where a score rules its label out.
        groups: For each property the rows by group, label and coarse bin, uint32.
        called: For each property the rows called fake by group and label.
    """

    def __init__(self, binning: Binning, threshold: float) -> None:
        self.binning, self.threshold = binning, threshold
        shape = 2, binning.number
        self.counts: Counts = np.zeros(shape, dtype=np.int64)
        self.score, self.square, self.loss = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.groups: dict[str, npt.NDArray[np.uint32]] = {}
        self.called: dict[str, Counts] = {}

    @property
    def n(self) -> int:
        """Return the number of rows."""
        return int(self.counts.sum())

    @property
    def real(self) -> int:
        """Return the number of real ones."""
        return int(self.counts[0].sum())

    @property
    def fake(self) -> int:
        """Return the number of fake ones."""
        return int(self.counts[1].sum())

    @property
    def hash(self) -> str:
        """Return a hash of labels and scores that does not depend on their order."""
        return hashlib.sha256(self.counts.tobytes() + np.round(self.score, 6).tobytes()).hexdigest()

    def add(self, rows: Rows) -> npt.NDArray[np.uint32]:
        """Count rows; return label * bins + bin of each."""
        fine = fine_bins(rows.scores)
        bins = self.binning.of(rows.scores, fine)
        index = bins + rows.labels.astype(np.int64) * self.binning.number
        sums = (
            (self.score, rows.scores),
            (self.square, rows.scores**2),
            (self.loss, losses_of_scores(rows.labels, rows.scores)),
        )
        size = self.counts.size
        self.counts += np.bincount(index, minlength=size).reshape(self.counts.shape)
        for total, values in sums:
            total += np.bincount(index, values, size).reshape(total.shape)
        for name, codes in rows.groups.items():
            self._add_groups(name, codes, rows, fine >> COARSE)
        return index.astype(np.uint32)

    def _add_groups(self, name: str, codes: npt.NDArray[np.int16], rows: Rows, coarse: npt.NDArray[np.int64]) -> None:
        number = int(codes.max(initial=-1)) + 1
        there = self.groups.get(name)
        if there is None or len(there) < number:
            grown = np.zeros((max(number, 2 * len(there) if there is not None else 0), 2, COARSE_BINS), dtype=np.uint32)
            called = np.zeros((len(grown), 2), dtype=np.int64)
            if there is not None:
                grown[: len(there)], called[: len(there)] = there, self.called[name]
            self.groups[name], self.called[name] = grown, called
        kept = codes >= 0
        cell = codes[kept].astype(np.int64) * 2 + rows.labels[kept]
        np.add.at(self.groups[name].reshape(-1), cell * COARSE_BINS + coarse[kept], np.uint32(1))
        hit = rows.scores[kept] >= self.threshold
        self.called[name] += np.bincount(cell[hit], minlength=self.called[name].size).reshape(-1, 2)


@dataclass(slots=True)
class Sums:
    """Sums over independent units: rows, or groups of duplicates.

    Attributes:
        squares: For each table of values, the sum over units of their squared sums; of a mask, its squared sizes.
        units: Units with a value other than 0.
        cross: Sum over units of the products of both sides of the AUROC.
        bin_sizes: Squared sizes of units in each calibration bin.
        bin_residuals: Squared sums of residuals in each.
        bin_units: Units in each.
        groups: Squared sizes of units in each group by label, with both labels last.
        worst: For each label the units by their highest bin (fake: lowest), 2 x bins.
    """

    squares: dict[str, float]
    units: dict[str, int]
    cross: float
    bin_sizes: Floats
    bin_residuals: Floats
    bin_units: Counts
    groups: dict[str, Floats]
    worst: Counts

    def variance_of_area(self, reals: int, fakes: int) -> float:
        """Return DeLong's variance of the AUROC by groups of duplicates (Obuchowski 1997)."""
        units = self.units
        return (
            self.squares["fake_side"] * unbiased(units["fake"]) / fakes**2
            + self.squares["real_side"] * unbiased(units["real"]) / reals**2
            + 2 * self.cross * unbiased(units["all"]) / (reals * fakes)
        )


def unbiased(number: int) -> float:
    """Return the factor that makes a mean of squares of so many an estimate of the variance."""
    return number / (number - 1) if number > 1 else 1.0


class Collected:
    """All rows of a reader: the tally, and on disk what duplicates share where they are asked for.

    Args:
        reader: The rows.
        binning: Bins of scores.
        threshold: Groups count errors at this score.
    """

    def __init__(self, reader: Reader, binning: Binning, threshold: float) -> None:
        self.tally, self._stack = Tally(binning, threshold), ExitStack()
        self.properties = list(reader.by or ())
        self._spill: Spill | None = None
        if reader.duplicates:
            fields: list[Any] = [("key", "u8"), ("cell", "u4"), ("groups", "i2", (len(self.properties),))]
            self._spill = self._stack.enter_context(Spill(fields))
        for rows in reader.rows():
            cell = self.tally.add(rows)
            if self._spill is not None and rows.duplicates is not None:
                records = np.empty(len(cell), dtype=self._spill.dtype)
                records["key"], records["cell"] = rows.duplicates, cell
                for number, name in enumerate(self.properties):
                    records["groups"][:, number] = rows.groups[name]
                self._spill.add(rows.duplicates, records)

    def __enter__(self) -> "Collected":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def sums(self, values: dict[str, Any], coarse: Counts, means: Floats) -> Sums:
        """Return sums over units.

        Args:
            values: Tables of a value, or masks, by label and bin: 2 x bins each. `fake_side` and `real_side` are the
                two sides of the AUROC.
            coarse: Calibration bin of each bin.
            means: Distance of each calibration bin: mean label minus mean score.
        """
        return self._independent(values, coarse, means) if self._spill is None else self._units(values, coarse, means)

    def _independent(self, values: dict[str, Any], coarse: Counts, means: Floats) -> Sums:
        tally, k = self.tally, len(means)
        counts = tally.counts
        sizes = np.bincount(coarse, counts.sum(axis=0), k).astype(np.float64)
        residuals = np.bincount(
            coarse, tally.square.sum(axis=0) + counts[1] - 2 * tally.score[1], k
        )  # (1 - s)^2 of fakes, s^2 of real ones
        both = {name: table.sum(axis=2, dtype=np.float64) for name, table in tally.groups.items()}
        return Sums(
            squares={
                name: float((counts * np.square(table, dtype=np.float64)).sum()) for name, table in values.items()
            },
            units={name: int(counts[np.asarray(table) != 0].sum()) for name, table in values.items()},
            cross=0.0,
            bin_sizes=sizes,
            bin_residuals=residuals - sizes * means**2,
            bin_units=sizes.astype(np.int64),
            groups={name: np.column_stack([sums, sums.sum(axis=1)]) for name, sums in both.items()},
            worst=counts,
        )

    def _units(self, values: dict[str, Any], coarse: Counts, means: Floats) -> Sums:
        assert self._spill is not None
        bins, k = self.tally.binning.number, len(means)
        flat = {name: np.asarray(table).reshape(-1) for name, table in values.items()}
        found = Sums(
            squares=dict.fromkeys(values, 0.0),
            units=dict.fromkeys(values, 0),
            cross=0.0,
            bin_sizes=np.zeros(k),
            bin_residuals=np.zeros(k),
            bin_units=np.zeros(k, dtype=np.int64),
            groups={name: np.zeros((len(table), 3)) for name, table in self.tally.groups.items()},
            worst=np.zeros((2, bins), dtype=np.int64),
        )
        residual = np.stack([-self._mean_score(0), 1 - self._mean_score(1)]) - means[coarse]
        for records in self._spill.parts():
            if not len(records):
                continue
            _, unit = np.unique(records["key"], return_inverse=True)
            cell, number = records["cell"].astype(np.int64), int(unit.max()) + 1
            sides = {}
            for name, table in flat.items():
                sums = np.bincount(unit, table[cell], number)
                found.squares[name] += float(sums @ sums)
                touched = sums if table.dtype == np.bool_ else np.bincount(unit, table[cell] != 0, number)
                found.units[name] += int(np.count_nonzero(touched))
                if name in ("fake_side", "real_side"):
                    sides[name] = sums
            if len(sides) == 2:
                found.cross += float(sides["fake_side"] @ sides["real_side"])
            label, bin = cell // bins, cell % bins
            pairs, place = np.unique(unit * k + coarse[bin], return_inverse=True)
            sizes, off = np.bincount(place), np.bincount(place, residual.reshape(-1)[cell])
            found.bin_sizes += np.bincount(pairs % k, sizes.astype(np.float64) ** 2, k)
            found.bin_residuals += np.bincount(pairs % k, off**2, k)
            found.bin_units += np.bincount(pairs % k, minlength=k)
            self._group_sizes(records, unit, label, found)
            for code, worst in ((0, -1), (1, bins)):
                of = np.full(number, worst)
                (np.minimum if code else np.maximum).at(of, unit[label == code], bin[label == code])
                found.worst[code] += np.bincount(of[of != worst], minlength=bins)
        return found

    def _group_sizes(self, records: Any, unit: Counts, label: Counts, found: Sums) -> None:
        for number, name in enumerate(self.properties):
            codes = records["groups"][:, number].astype(np.int64)
            kept, table = codes >= 0, found.groups[name]
            for column, mask in ((0, label == 0), (1, label == 1), (2, None)):
                rows = kept if mask is None else kept & mask
                pairs, sizes = np.unique(unit[rows] * len(table) + codes[rows], return_counts=True)
                table[:, column] += np.bincount(pairs % len(table), sizes.astype(np.float64) ** 2, len(table))

    def _mean_score(self, code: int) -> Floats:
        counts = self.tally.counts[code]
        found: Floats = np.divide(self.tally.score[code], counts, out=np.zeros(len(counts)), where=counts > 0)
        return found
