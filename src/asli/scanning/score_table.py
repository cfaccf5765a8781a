"""The table a scan writes: its columns, one row an image, as Parquet or CSV."""

import json
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from asli.datasets.images import Facts
from asli.datasets.manifest import FACTS
from asli.detector.base import Detector
from asli.detector.prediction import decide
from asli.errors import AsliError
from asli.files import printable, read_json, replacing, write_json
from asli.metrics.classification import score_of_logits
from asli.scanning.reading import Read, Readable

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "path": pa.string(),
        "logit_real": pa.float64(),
        "logit_fake": pa.float64(),
        "score": pa.float64(),
        "verdict": pa.string(),
        "reasons": pa.list_(pa.string()),
        "member": pa.string(),
        "error": pa.string(),
        "sha256": pa.string(),
        **FACTS,
        "provenance": pa.string(),
    }
)
"""`reasons` is one text in CSV, joined by `; `; `member` is that of a family; `provenance` is JSON."""

ROWS = 1 << 12
"""Rows in a row group of a finished table."""

_KEY = b"asli.scan"
_CSV = pa.schema([pa.field(f.name, pa.string()) if f.name == "reasons" else f for f in SCHEMA])
_BLOCK = 1 << 24  # bytes; a row has to fit in
_NO_FACTS = Facts()
_facts_of = attrgetter(*FACTS)


def score_batch(images: Sequence[Read], places: Readable, detector: Detector, *, force_domain: bool) -> pa.Table:
    """Score a batch and return its rows, those that could not be read with their error."""
    count = len(images)
    found = [image.found for image in images]
    good = [index for index, image in enumerate(found) if image.error is None]
    scored = np.zeros(count, dtype=np.bool_)
    scored[good] = True
    logits, score = np.zeros((count, 2)), np.zeros(count)
    verdicts: list[str | None] = [None] * count
    why: list[Sequence[str]] = [[] for _ in images]
    members: list[str | None] = [None] * count
    if good:
        logits[good] = detector.forward([found[index].prepared for index in good])
        score[good] = score_of_logits(logits[good])
        for index, value in zip(good, score[good].tolist(), strict=True):
            leaf, members[index], _ = detector.answering(found[index].prepared)
            verdicts[index], why[index] = decide(
                leaf.thresholds, value, found[index].outside, force_domain=force_domain
            )
    ids, paths = zip(*(places.ids(image.item) for image in images), strict=True)
    facts_columns = zip(*(_facts_of(image.facts or _NO_FACTS) for image in found), strict=True)
    columns: list[Any] = [
        ids,
        paths,
        pa.array(logits[:, 0], mask=~scored),
        pa.array(logits[:, 1], mask=~scored),
        pa.array(score, mask=~scored),
        verdicts,
        why,
        members,
        [image.error for image in found],
        [image.sha256 for image in images],
        *facts_columns,
        [image.provenance and json.dumps(image.provenance.to_dict(), ensure_ascii=False) for image in found],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def check_ending(out: Path) -> None:
    """Refuse the name of a table that is neither Parquet nor CSV, or that no one can be told.

    Raises:
        AsliError: It ends otherwise, or is not UTF-8.
    """
    if printable(out) != str(out):
        raise AsliError(f"{printable(out)} is a name that is not UTF-8; give another -o")
    if out.suffix.lower() not in (".parquet", ".csv"):
        raise AsliError(f"{out} must end in .parquet or .csv")


def write(out: Path, tables: Iterator[pa.Table], header: dict[str, Any]) -> None:
    """Write the finished table in one step, with what it is the scan of: in the Parquet file, or beside a CSV file."""
    if out.suffix.lower() == ".csv":
        with replacing(out) as temporary:
            with pa_csv.CSVWriter(temporary, _CSV) as csv:
                for table in tables:
                    joined = pc.binary_join(table["reasons"], "; ")
                    csv.write_table(table.set_column(SCHEMA.get_field_index("reasons"), "reasons", joined))
            write_json(beside(out), header)  # before the table: a table without it would belong to nothing
        return
    schema = SCHEMA.with_metadata({_KEY: json.dumps(header).encode()})
    with replacing(out) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as parquet:
        for table in tables:
            parquet.write_table(table.cast(schema))


def header_of(out: Path) -> dict[str, Any] | None:
    """Return what a finished table is the scan of; None for a file that no scan wrote."""
    try:
        if out.suffix.lower() == ".csv":
            return dict(read_json(beside(out)))
        return dict(json.loads((pq.read_schema(out).metadata or {})[_KEY]))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def read(out: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Read columns of a finished table, some rows at a time."""
    if out.suffix.lower() == ".csv":
        options = pa_csv.ConvertOptions(
            column_types=_CSV, include_columns=columns, strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        parsing = pa_csv.ParseOptions(newlines_in_values=True)  # file names may hold them
        reading = pa_csv.ReadOptions(block_size=_BLOCK)
        with pa_csv.open_csv(out, reading, parsing, options) as csv:
            yield from csv
        return
    with pq.ParquetFile(out) as parquet:
        yield from parquet.iter_batches(ROWS, columns=columns)


def beside(out: Path) -> Path:
    """Return where a CSV table's description is."""
    return out.with_name(f"{out.name}.json")
