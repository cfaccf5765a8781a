"""Labeled scores in chunks: from one table, or from scores and labels of two tables joined by id on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from asli.errors import DataError
from asli.metrics.classification import Floats, Labels
from asli.tables.spill import Hashes, Records, Spill, hashes, long_hashes
from asli.tables.table_file import CHUNK, TableFile, labels_of, scores_of

ID_COLUMNS = ("id", "filename", "file_name", "path", "image")
PROPERTIES = ("generator", "source", "category", "format")
"""Columns by which metrics are broken down where nothing else is asked for."""

MOST_GROUPS = 1000
"""Values of a property: each group has counts of its own in memory, up to 256 kB."""

_OWN = np.uint64(1 << 63)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some labeled scores.

    Attributes:
        labels: 0 real, 1 fake, n.
        scores: P(fake), n.
        duplicates: What duplicates share, n; None where that was not asked for.
        groups: For each property the number of each row's group, -1 without one.
    """

    labels: Labels
    scores: Floats
    duplicates: Hashes | None
    groups: dict[str, npt.NDArray[np.int16]]


@dataclass(slots=True)
class Reader:
    """Reads labeled scores.

    Attributes:
        scores: The table of scores.
        labels: Another table that has the labels, joined by id; None where the first has them.
        split: Only rows of this split, where there is a column `split`; None takes all.
        by: Properties of groups; None takes those of `PROPERTIES` that are there.
        duplicates: Column whose equal values mark images that depend on each other; None takes rows as independent.
        counted: How many rows were `unscored`, `unlabeled`, of other splits (`elsewhere`), scored without an image of
            the labels (`extra`), or images without a row of scores (`missing`).
        first: For `extra` and `missing` the first such row, from 1 on.
        names: Names of the groups of each property, by number.
    """

    scores: TableFile
    labels: TableFile | None = None
    split: str | None = None
    by: Sequence[str] | None = None
    duplicates: str | None = None
    counted: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    _codes: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        scores: str | Path,
        labels: str | Path | None,
        split: str | None,
        by: Sequence[str] | None,
        duplicates: str | None,
    ) -> "Reader":
        """Open both tables and find their columns.

        Raises:
            DataError: A table or column is missing.
        """
        made = cls(TableFile(scores), None if labels is None else TableFile(labels), split, by, duplicates)
        made._require(made.scores, "score")
        described = made.labels or made.scores
        made._require(described, "label")
        if made.labels is not None:
            made._id(made.scores)
            made._id(made.labels)
        for column in (*(by or ()), *((duplicates,) if duplicates else ())):
            made._require(described, column)
        if duplicates is None:
            made.duplicates = described.column("duplicate_group")
        if by is None:
            made.by = [name for name in PROPERTIES if described.column(name)]
        made._codes = {name: {} for name in made.by or ()}
        return made

    @property
    def described(self) -> TableFile:
        """Return the table that has the labels."""
        return self.labels or self.scores

    def rows(self) -> Iterator[Rows]:
        """Yield labeled scores.

        Raises:
            DataError: A score or label is none, an id occurs twice, or a property has too many values.
        """
        self.counted = dict.fromkeys(("unscored", "unlabeled", "elsewhere", "extra", "missing"), 0)
        yield from self._joined() if self.labels else self._one()
        self.names = {name: list(codes) for name, codes in self._codes.items()}

    def _require(self, table: TableFile, column: str) -> str:
        found = table.column(column.lower())
        if found is None:
            hint = "; give a table of labels with --labels" if column == "label" and self.labels is None else ""
            raise DataError(f"{table.place} lacks the column '{column}'; it has {', '.join(table.columns)}{hint}")
        return found

    def _id(self, table: TableFile) -> str:
        found = table.column(*ID_COLUMNS)
        if found is None:
            raise DataError(
                f"{table.place} lacks a column of ids ({', '.join(ID_COLUMNS[:3])}); labels are joined by id"
            )
        return found

    def _one(self) -> Iterator[Rows]:
        table = self.scores
        score, columns = self._require(table, "score"), self._described_columns()
        before = 0
        for chunk in table.chunks([score, *columns]):
            scores, there = scores_of(_array(chunk, score), table.place, before)
            labels, duplicates, groups, inside = self._describe(chunk, before)
            before += len(chunk)
            self.counted["unscored"] += int((inside & ~there).sum())
            kept = inside & there & (labels >= 0)
            self.counted["unlabeled"] += int((inside & there & (labels < 0)).sum())
            yield Rows(
                labels[kept],
                scores[kept],
                None if duplicates is None else duplicates[kept],
                {name: codes[kept] for name, codes in groups.items()},
            )

    def _described_columns(self) -> list[str]:
        table = self.described
        split = table.column("split") if self.split else None
        found = [self._require(table, "label"), split, self.duplicates and table.column(self.duplicates.lower())]
        found += [table.column(name.lower()) for name in self._codes]
        return [name for name in found if name]

    def _describe(
        self, chunk: pa.Table, before: int
    ) -> tuple[Labels, Hashes | None, dict[str, npt.NDArray[np.int16]], npt.NDArray[np.bool_]]:
        """Return labels, duplicates, groups, and which rows are of the split."""
        table = self.described
        labels = labels_of(_array(chunk, self._require(table, "label")), table.place, before)
        groups = {name: self._coded(name, _array(chunk, self._require(table, name))) for name in self._codes}
        duplicates = None
        if self.duplicates:
            duplicates = _keys(_array(chunk, self._require(table, self.duplicates)), before)
        split = table.column("split") if self.split else None
        inside = np.ones(len(chunk), dtype=np.bool_)
        if split is not None:
            inside = pa.compute.fill_null(pa.compute.equal(_array(chunk, split), self.split), False).to_numpy(
                zero_copy_only=False
            )
            self.counted["elsewhere"] += int((~inside).sum())
        return labels, duplicates, groups, inside

    def _coded(self, name: str, column: pa.Array) -> npt.NDArray[np.int16]:
        """Return the number of each row's group, -1 where it has none."""
        encoded = column.cast(pa.string()).dictionary_encode()
        known = self._codes[name]
        translated = [
            -1 if not value else known.setdefault(value, len(known)) for value in encoded.dictionary.to_pylist()
        ]
        if len(known) > MOST_GROUPS:
            raise DataError(
                f"the column '{name}' of {self.described.place} has more than {MOST_GROUPS:,} values; choose columns"
                " of groups with --by"
            )
        codes = np.array([*translated, -1], dtype=np.int16)
        found: npt.NDArray[np.int16] = codes[encoded.indices.fill_null(len(translated)).to_numpy(zero_copy_only=False)]
        return found

    def _joined(self) -> Iterator[Rows]:
        assert self.labels is not None
        fields = [("first", "u8"), ("second", "u8"), ("row", "u8")]
        described = [("label", "i1"), ("inside", "?"), ("duplicate", "u8"), ("groups", "i2", (len(self._codes),))]
        with Spill([*fields, ("score", "f8"), ("there", "?")]) as left, Spill([*fields, *described]) as right:
            self._spill_scores(left)
            self._spill_labels(right)
            waiting: list[Rows] = []
            for some, other in zip(left.parts(), right.parts(), strict=True):
                found = self._match(some, other)
                waiting.append(found)
                if sum(len(rows.labels) for rows in waiting) >= CHUNK:
                    yield _together(waiting)
                    waiting = []
            if waiting:
                yield _together(waiting)

    def _spill_scores(self, spill: Spill) -> None:
        table, before = self.scores, 0
        name, score = self._id(table), self._require(table, "score")
        for chunk in table.chunks([name, score]):
            records = np.empty(len(chunk), dtype=spill.dtype)
            records["score"], records["there"] = scores_of(_array(chunk, score), table.place, before)
            records["first"], records["second"] = _ids(_array(chunk, name), table.place, before)
            records["row"] = np.arange(before, before + len(chunk))
            spill.add(records["first"], records)
            before += len(chunk)

    def _spill_labels(self, spill: Spill) -> None:
        assert self.labels is not None
        table, before = self.labels, 0
        name = self._id(table)
        for chunk in table.chunks([name, *self._described_columns()]):
            records = np.empty(len(chunk), dtype=spill.dtype)
            labels, duplicates, groups, records["inside"] = self._describe(chunk, before)
            records["label"] = labels
            records["duplicate"] = 0 if duplicates is None else duplicates
            for number, codes in enumerate(groups.values()):
                records["groups"][:, number] = codes
            records["first"], records["second"] = _ids(_array(chunk, name), table.place, before)
            records["row"] = np.arange(before, before + len(chunk))
            spill.add(records["first"], records)
            before += len(chunk)

    def _match(self, some: Records, other: Records) -> Rows:
        assert self.labels is not None
        first, second = (np.concatenate([some[key], other[key]]) for key in ("first", "second"))
        side = np.repeat([0, 1], [len(some), len(other)])
        order = np.lexsort((side, second, first))
        first, second, side = first[order], second[order], side[order]
        equal = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
        doubled = np.flatnonzero(equal & (side[1:] == side[:-1]))
        if len(doubled):
            at = order[doubled[0] : doubled[0] + 2]
            rows = sorted(np.concatenate([some["row"], other["row"]])[at].tolist())
            table = self.labels if side[doubled[0]] else self.scores
            raise DataError(
                f"rows {rows[0] + 1:,} and {rows[1] + 1:,} of {table.place} have the same id; keep one of them"
            )
        at = np.flatnonzero(equal)
        left, right = some[order[at]], other[order[at + 1] - len(some)]
        lost, more = np.ones(len(other), dtype=np.bool_), np.ones(len(some), dtype=np.bool_)
        lost[order[at + 1] - len(some)], more[order[at]] = False, False
        self._count("missing", other[lost & other["inside"]])
        self._count("extra", some[more])
        kept = right["inside"] & left["there"] & (right["label"] >= 0)
        self.counted["unscored"] += int((right["inside"] & ~left["there"]).sum())
        self.counted["unlabeled"] += int((right["inside"] & left["there"] & (right["label"] < 0)).sum())
        left, right = left[kept], right[kept]
        groups = {name: right["groups"][:, number].copy() for number, name in enumerate(self._codes)}
        duplicates = right["duplicate"].copy() if self.duplicates else None
        return Rows(right["label"].copy(), left["score"].copy(), duplicates, groups)

    def _count(self, what: str, records: Records) -> None:
        self.counted[what] += len(records)
        if len(records):
            self.first[what] = min(int(records["row"].min()) + 1, self.first.get(what, 1 << 62))


def _array(chunk: pa.Table, name: str) -> pa.Array:
    column = chunk[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _ids(column: pa.Array, place: str, before: int) -> tuple[Hashes, Hashes]:
    ids = column.cast(pa.string()).to_pylist()
    if column.null_count:
        raise DataError(f"row {before + ids.index(None) + 1:,} of {place} has no id; fill it in")
    return long_hashes(ids)


def _keys(column: pa.Array, before: int) -> Hashes:
    """Return a number that duplicates share; a row without a value stands for itself."""
    own = (np.arange(before, before + len(column), dtype=np.uint64)) | _OWN
    there = column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_integer(column.type):
        found = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64)
        return np.where(there, found * np.uint64(0x9E3779B97F4A7C15) & ~_OWN, own)  # spread over the files
    return np.where(there, hashes(column.to_pylist()) & ~_OWN, own)


def _together(waiting: list[Rows]) -> Rows:
    first = waiting[0]
    return Rows(
        np.concatenate([rows.labels for rows in waiting]),
        np.concatenate([rows.scores for rows in waiting]),
        None
        if first.duplicates is None
        else np.concatenate([r.duplicates for r in waiting if r.duplicates is not None]),
        {name: np.concatenate([rows.groups[name] for rows in waiting]) for name in first.groups},
    )
