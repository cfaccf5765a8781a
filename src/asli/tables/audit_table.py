"""Audit a manifest of any length in bounded memory: the function behind `asli table audit`."""

import datetime
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from asli._version import __version__
from asli.auditing import facts
from asli.auditing.audit import AuditResult
from asli.auditing.checks import (
    balance,
    color_shortcut,
    exact_duplicates,
    file_integrity,
    file_settings,
    file_size,
    near_duplicates,
    sharpness,
)
from asli.auditing.checks.check import Finding, Severity
from asli.auditing.checks.shortcut import shortcut_found
from asli.auditing.findings import AuditedData, Counts, DuplicateSummary, Oddity, Shortcuts
from asli.auditing.shortcut_features import file_settings as settings_features
from asli.auditing.shortcut_features import file_weight
from asli.auditing.shortcuts import FOLDS, IMAGES, PERMUTATIONS, each_kind, too_few
from asli.datasets.manifest import FORMER_NAMES, SCHEMA
from asli.errors import DataError
from asli.tables.pairs import Pairs
from asli.tables.table_file import TableFile, labels_of

COLUMNS = (*facts.COLUMNS, "sha256", "pixel_sha256")
"""Columns of the manifest that an audit reads; those that a table lacks are null."""


def audit_table(manifest: str | Path, *, seed: int = 0) -> AuditResult:
    """Find properties that let a classifier guess labels, from a table alone; see `asli.audit`.

    Damaged files, balance and exact duplicates are counted over all rows. Labels in file settings and file sizes are
    searched for in a random sample of 20,000 rows. Checks that need pixels are `not checked`.

    Args:
        manifest: A data folder, or a table with `id`, `label` and any other columns of a manifest.
        seed: Seed of the sample, folds and permutations.

    Raises:
        DataError: The table cannot be read, or all images have one label.
    """
    table = TableFile(manifest)
    if table.column("label") is None:
        raise DataError(f"{table.place} lacks the column 'label'; it has {', '.join(table.columns)}")
    hashed = next((name for name in ("pixel_sha256", "sha256") if table.column(name)), None)
    counted, sample = _Counted(), _Sample(seed)
    with Pairs(hashed) as pairs:
        for chunk in _chunks(table):
            readable = chunk.filter(pc.is_null(chunk["error"]))
            counted.add(chunk, readable)
            sample.add(readable)
            pairs.add(readable)
        counted.require_both(table.place)
        duplicates = DuplicateSummary(test_total=counted.test, exact=pairs.summary())
    shortcuts = _shortcuts(sample.table(), hashed, counted.readable, seed)
    return AuditResult(
        asli=__version__,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        data=AuditedData(
            name=Path(table.place.rstrip("/")).name, hash=None, images=counted.images, readable=counted.readable
        ),
        findings=tuple(_findings(counted, duplicates, shortcuts, hashed)),
        not_images={},
        counts=counted.counts,
        oddities=tuple(counted.oddities.values()),
        facts=facts.side_by_side(sample.table()),
        duplicates=duplicates,
        shortcuts=shortcuts,
    )


def _chunks(table: TableFile) -> Iterator[pa.Table]:
    """Yield the columns of an audit, under their present names and with the types of a manifest."""
    there = {name: table.column(name) or table.column(FORMER_NAMES.get(name, name)) for name in COLUMNS}
    before = 0
    for chunk in table.chunks([column for column in there.values() if column]):
        columns = {}
        for name, column in there.items():
            kind = SCHEMA.field(name).type
            try:
                columns[name] = pa.nulls(len(chunk), kind) if column is None else chunk[column].cast(kind)
            except pa.ArrowException as error:
                raise DataError(f"the column '{column}' of {table.place} is no {kind}: {error}") from None
        codes = labels_of(chunk[there["label"]].combine_chunks(), table.place, before)
        columns["label"] = pa.array(["real", "fake", None]).take(pa.array(codes % 3))
        before += len(chunk)
        yield pa.table(columns)


class _Counted:
    """Counts over all rows."""

    def __init__(self) -> None:
        self.images = self.readable = self.test = 0
        self.labels: Counter[str] = Counter()
        self.oddities: dict[str, Oddity] = {}
        self.counts: Counts = {"split": {}, "generator": {}, "category": {}}

    def add(self, chunk: pa.Table, readable: pa.Table) -> None:
        self.images += len(chunk)
        self.readable += len(readable)
        self.test += pc.sum(pc.equal(chunk["split"], "test")).as_py() or 0
        for kind in facts.oddities(chunk):
            known = self.oddities.get(kind.kind)
            self.oddities[kind.kind] = kind if known is None else _together(known, kind)
        self.labels.update({row["values"]: row["counts"] for row in readable["label"].value_counts().to_pylist()})
        for column, found in self.counts.items():
            grouped = readable.group_by([column, "label"]).aggregate([([], "count_all")])
            for row in grouped.to_pylist():
                if row[column] is not None and row["label"] is not None:
                    found.setdefault(row[column], {"real": 0, "fake": 0})[row["label"]] += row["count_all"]

    def require_both(self, place: str) -> None:
        """Refuse a table with one label."""
        missing = [label for label in ("real", "fake") if not self.labels[label]]
        if missing:
            raise DataError(f"{place} has no readable {missing[0]} image; an audit compares real with fake ones")


def _together(first: Oddity, second: Oddity) -> Oddity:
    return replace(
        first,
        count=first.count + second.count,
        real=first.real + second.real,
        fake=first.fake + second.fake,
        names=(*first.names, *second.names)[: facts.NAMED],
    )


class _Sample:
    """A uniform random sample of rows."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._kept: pa.Table | None = None
        self._priorities = np.zeros(0)

    def add(self, chunk: pa.Table) -> None:
        priorities = self._random.random(len(chunk))
        if self._kept is not None and len(self._priorities) >= IMAGES:
            chosen = priorities < self._priorities.max()
            chunk, priorities = chunk.filter(pa.array(chosen)), priorities[chosen]
        both = chunk if self._kept is None else pa.concat_tables([self._kept, chunk])
        found = np.concatenate([self._priorities, priorities])
        order = np.sort(np.argsort(found)[:IMAGES])
        self._kept, self._priorities = both.take(pa.array(order)), found[order]

    def table(self) -> pa.Table:
        """Return the sampled rows that have a label."""
        assert self._kept is not None
        return self._kept.filter(pc.is_valid(self._kept["label"]))


def _shortcuts(sample: pa.Table, hashed: str | None, of: int, seed: int) -> Shortcuts:
    """Return what `asli.auditing.shortcuts.measure` does, from file facts alone."""
    labels = pc.equal(sample["label"], "fake").to_numpy().astype(np.int8)
    groups = np.arange(len(sample))
    if hashed is not None:
        keys = sample[hashed].to_pylist()
        groups = np.unique([key or f"row {number}" for number, key in enumerate(keys)], return_inverse=True)[1]
    result = Shortcuts(images=len(sample), of=of, folds=FOLDS, permutations=PERMUTATIONS)
    if why := too_few(labels, groups):
        return replace(result, why=why)
    if sample["width"].null_count or sample["height"].null_count:
        return replace(result, why="the table has no width and height of some images")
    kinds = {"files": settings_features(sample)}
    if not sample["bytes"].null_count:
        kinds["weight"] = file_weight(sample)
    why = None if "weight" in kinds else "the table has no sizes in bytes"
    return replace(result, why=why, kinds=each_kind(kinds, labels, groups, seed))


def _findings(
    counted: _Counted, duplicates: DuplicateSummary, shortcuts: Shortcuts, hashed: str | None
) -> Iterator[Finding]:
    yield file_integrity.CHECK.finding(*file_integrity.damage(list(counted.oddities.values()), counted.images))
    yield balance.CHECK.finding(*balance.imbalances(counted.counts))
    if hashed is None:
        text = "the table has neither pixel_sha256 nor sha256"
        yield exact_duplicates.CHECK.finding(Severity.NOT_CHECKED, text)
    else:
        yield exact_duplicates.CHECK.finding(*exact_duplicates.pairs_found(duplicates))
    yield file_settings.CHECK.finding(*shortcut_found(shortcuts, *file_settings.WHAT))
    yield file_size.CHECK.finding(*shortcut_found(shortcuts, *file_size.WHAT))
    for check in (near_duplicates.CHECK, color_shortcut.CHECK, sharpness.CHECK):
        text = "a table has no pixels; run asli audit on the images or a sample of them"
        yield check.finding(Severity.NOT_CHECKED, text)
