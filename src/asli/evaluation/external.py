"""Scores that anyone's detector gave, from a table of `filename,score`, joined with the images of a data folder."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from asli.datasets.folder import DataFolder
from asli.datasets.layouts.table_layout import COLUMNS
from asli.datasets.sources import TABLES
from asli.datasets.table_files import damage_of, records_of
from asli.detector.scoring import Scores
from asli.errors import DataError

NAME_COLUMNS = ("id", *COLUMNS["path"])
SCORE_COLUMN = "score"


@dataclass(frozen=True, slots=True)
class Joined:
    """A score file, joined with a part of a data folder.

    Attributes:
        scores: Scores of the images that have one.
        missing: Ids of the part's images without a score.
        extra: Names in the file that are no image of the data folder.
        elsewhere: Number of scores for images of its other parts, or for unreadable ones.
    """

    scores: Scores
    missing: list[str]
    extra: list[str]
    elsewhere: int


def is_score_file(path: Path) -> bool:
    """Return whether a path names a table rather than a detector's folder.

    Raises:
        DataError: It names one that does not exist.
    """
    if path.suffix.lower() not in TABLES or path.is_dir():
        return False
    if not path.is_file():
        raise DataError(f"{path} does not exist; give a table of filename,score or a detector")
    return True


def read_scores(path: Path) -> dict[str, float]:
    """Read P(fake) by name, in the file's order; a row whose score is empty, as of an unreadable image, is left out.

    Args:
        path: CSV, TSV, JSON or Parquet with a column `score` and one of `id`, `filename`, `path`, `image`, ...; an `id`
            that only counts rows yields to the others.

    Raises:
        DataError: It cannot be read, lacks a column, names an image twice, or holds what is no probability.
    """
    columns, records = records_of(path)
    by_key = {column.strip().lower(): column for column in columns}
    names = [by_key[key] for key in NAME_COLUMNS if key in by_key]
    name_column = names[0] if names else None
    if name_column is None or SCORE_COLUMN not in by_key:
        lacking = "a column 'score'" if name_column else "a column 'filename' (or path, image, id)"
        raise DataError(f"{path} lacks {lacking}; its columns are {', '.join(columns) or 'none'}")
    result: dict[str, float] = {}
    with damage_of(str(path)):
        rows = list(records)
        if len(names) > 1 and all(str(record[names[0]]).isdigit() for record in rows):
            name_column = names[1]
        for number, record in enumerate(rows, start=1):
            if record[by_key[SCORE_COLUMN]] in (None, ""):
                continue
            name = _name(record, name_column, number, path)
            if name in result:
                raise DataError(
                    f"{path} scores {name} twice: keep one row of it, or, where these are two images, write their paths"
                    " as the data folder does"
                )
            result[name] = _score(record[by_key[SCORE_COLUMN]], name, path)
    return result


def join(given: Mapping[str, float], data: DataFolder, split: str, where: str) -> Joined:
    """Find the image behind each name.

    A name is an id of the data folder, ends in one, or is the end of one, down to the bare file name. It is ambiguous
    if several images fit.

    Raises:
        DataError: A name is ambiguous, two names mean one image, or no image of the part has a score.
    """
    rows = data.rows(split)
    ids = data.table(["id"])["id"].to_pylist()
    number_of = {name: number for number, name in enumerate(ids)}
    same_base: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(ids):
        same_base[PurePosixPath(name).name].append(number)
    found: dict[int, str] = {}
    extra: list[str] = []
    for name in given:
        if name in number_of:
            number = number_of[name]
        else:
            fitting = [n for n in same_base.get(PurePosixPath(name).name, []) if _same_end(name, ids[n])]
            if len(fitting) > 1:
                raise DataError(
                    f"{where} is ambiguous: '{name}' may be {ids[fitting[0]]} or {ids[fitting[1]]}"
                    f"{f' or {len(fitting) - 2:,} others' if len(fitting) > 2 else ''}; write paths as the data folder"
                    " does"
                )
            if not fitting:
                extra.append(name)
                continue
            number = fitting[0]
        if number in found:
            raise DataError(
                f"{where} scores {ids[number]} twice, as '{found[number]}' and '{name}'; keep one row of it"
            )
        found[number] = name
    scored = rows[np.fromiter((row in found for row in rows.tolist()), dtype=np.bool_, count=len(rows))]
    if not len(scored):
        example = f", for example '{extra[0]}'" if extra else ""
        raise DataError(
            f"{where} has no score for any image of the {split} part of {data.path}: {len(extra):,} of its names are"
            f" unknown there{example}"
        )
    scores = np.array([given[found[row]] for row in scored.tolist()])
    missing = [ids[row] for row in rows.tolist() if row not in found]
    return Joined(Scores(scored, scores), missing, extra, len(found) - len(scored))


def _same_end(name: str, other: str) -> bool:
    """Return whether the shorter of two paths is the end of the longer."""
    one, two = PurePosixPath(name).parts, PurePosixPath(other).parts
    length = min(len(one), len(two))
    return one[-length:] == two[-length:]


def _name(record: Mapping[str, Any], column: str, number: int, path: Path) -> str:
    value = record[column]
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"row {number:,} of {path} has nothing in its column '{column}'; fill it in")
    return value.strip().replace("\\", "/").removeprefix("./")


def _score(value: Any, name: str, path: Path) -> float:
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = math.nan
    if not 0 <= score <= 1:  # NaN fails too
        raise DataError(f"{path} gives {name} the score {value!r}; scores are P(fake), numbers from 0 to 1")
    return score
