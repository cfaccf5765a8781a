"""WebDataset: `key.jpg` beside `key.json` or `key.cls`, in tar shards or unpacked; GAS-Station's shards and index."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from asli.datasets.archived import Archives
from asli.datasets.layouts.layout_registry import Found
from asli.datasets.layouts.listing import Listing
from asli.datasets.layouts.table_layout import Row, find_columns, listing, with_polarity
from asli.datasets.parquet_rows import split_of
from asli.datasets.portable import encoding_of
from asli.datasets.table_files import open_table
from asli.errors import DataError

PROBED = 50
"""Images looked at to tell whether a tree has this form."""

_KEPT = ("generator", "source", "prompt", "date", "category")


def webdataset(found: Found) -> Listing | None:
    """Read images that have a text file of the same key beside them: `.json` with a label, or `.cls`.

    A list `classnames.txt` beside the shards gives the numbers of `.cls` their names; `.txt` is the prompt.
    """
    files = set(found.names)
    classes = _class_names(found)
    if not any(_row(found, name, files, classes)[0].label is not None for name in islice(found.images, PROBED)):
        return None
    rows = [_row(found, name, files, classes) for name in found.images]
    columns = next((columns for _, columns in rows if "label" in columns), {})
    used = {side for name in found.images for side in _sides(name, files).values()}
    extra = [name for name in found.others if name not in used]
    names = with_polarity(found.labels, columns)
    return listing(lambda: (row for row, _ in rows), names, f"the shards of {found.path.name}", others=extra)


def _sides(name: str, files: set[str]) -> dict[str, str]:
    """Return the text files of an image's key, by ending; a key ends at the first dot of the name, or at the last."""
    folder, _, base = name.rpartition("/")
    before = f"{folder}/" if folder else ""
    keys = dict.fromkeys((base.rpartition(".")[0] or base, base.split(".")[0]))
    found = ((ending, f"{before}{key}{ending}") for key in keys for ending in (".json", ".cls", ".txt"))
    return {ending: side for ending, side in found if side in files}


def _row(found: Found, name: str, files: set[str], classes: list[str]) -> tuple[Row, dict[str, str]]:
    sides = _sides(name, files)
    said: dict[str, Any] = {}
    columns: dict[str, str] = {}
    if ".json" in sides:
        record = _json(found, sides[".json"])
        columns = find_columns(record)
        said = {key: record[column] for key, column in columns.items() if key not in ("path", "archive")}
        said = {key: value for key, value in said.items() if not isinstance(value, dict | list)}
    if ".cls" in sides:
        text = _text(found, sides[".cls"]).strip()
        number = int(text) if text.isdecimal() else -1
        said["label"] = classes[number] if 0 <= number < len(classes) else said.get("label", text)
    if ".txt" in sides:
        said.setdefault("prompt", _text(found, sides[".txt"]).strip() or None)
    said.setdefault("label", None)
    said.setdefault("split", split_of(name) or _split_of_shard(found))
    return Row(name, **said), columns


def _split_of_shard(found: Found) -> str | None:
    paths = found.source.paths if isinstance(found.source, Archives) else []
    return split_of(paths[0].name) if len(paths) == 1 else None


def _json(found: Found, name: str) -> dict[str, Any]:
    try:
        value = json.loads(_text(found, name))
    except (ValueError, RecursionError):
        return {}  # its image is then without a label: counted and named
    return value if isinstance(value, dict) else {}


def _text(found: Found, name: str) -> str:
    try:
        data = found.source.read(name)
    except OSError:
        return ""
    return data.decode(encoding_of(data[:4096]) or "utf-8", "replace").lstrip("\ufeff")


def _class_names(found: Found) -> list[str]:
    for base in ("classnames.txt", "classes.txt"):
        at = next((name for name in found.names if name == base or name.endswith(f"/{base}")), None)
        beside = found.path.parent / base if found.path.is_file() else found.path / base
        if at is not None:
            return _text(found, at).split("\n")
        if beside.is_file():
            return [line.strip() for line in beside.read_text(encoding="utf-8", errors="replace").splitlines()]
    return []


def gas_station(found: Found) -> Listing | None:
    """Read tar shards with a Parquet index of `archive_filename`, `file_path_in_archive`, `model_name`.

    Everything in it was generated, unless its column `media_type` says otherwise.
    """
    source = found.source
    if not isinstance(source, Archives):
        return None
    indexes = []
    for name in found.others:
        if name.lower().endswith(".parquet"):
            with suppress(DataError):  # it is named with the other files that are not used
                table = open_table(name, partial(source.open, name), every=True)
                if {"archive_filename", "file_path_in_archive"} <= set(table.known):
                    indexes.append(table)
    if not indexes:
        return None

    def rows() -> Iterator[Row]:
        for table in indexes:
            for record in table.records():
                name = source.name_in(str(record["archive_filename"]), str(record["file_path_in_archive"]))
                kind = record.get(table.columns.get("label", "media_type"))
                said = {key: record[column] for key, column in table.columns.items() if key in _KEPT}
                yield Row(name, "generated" if kind in (None, "", "image", "video") else kind, **said)

    images = set(found.images)
    others = [*found.images, *(name for name in found.others if name not in {table.name for table in indexes})]
    where = ", ".join(table.name for table in indexes)
    made = listing(rows, found.labels, where, find=lambda name: name if name in images else None, others=others)
    made.notes.append("an image of no stated kind was generated: that is what this data set holds")
    return replace(made, one_label=len({entry.label for entry in made.entries}) == 1)
