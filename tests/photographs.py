"""Photographs and AI pictures for tests, and the trunk they are judged by: of the project's own machines only."""

import csv
import io
import os
import zipfile
from pathlib import Path

import pytest


def shared_folder(*parts):
    """Return a file of the shared folder, or skip."""
    place = os.environ.get("ASLI_SHARED")
    path = (Path(place) if place else Path(__file__).parents[2] / "shared").joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)}: set ASLI_SHARED to a folder that has it")
    return path


def write_pack(folder, per_label, *, skip=0):
    """Write `per_label` pictures of each label out of photos_dev.zip, sources in turn, with a table of them."""
    with zipfile.ZipFile(shared_folder("data", "photos2", "photos_dev.zip")) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("manifest.csv"), encoding="utf-8")))
        chosen = []
        for label in ("real", "fake"):
            by_source = {}
            for row in rows:
                if row["label"] == label:
                    by_source.setdefault(row["source"], []).append(row)
            turns = [row for turn in zip_longest_rows(by_source.values()) for row in turn]
            chosen += turns[skip : skip + per_label]
        for row in chosen:
            target = folder / row["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(row["path"]))
    names = ["path", "label", "generator", "source"]
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(chosen)
    return folder


def zip_longest_rows(groups):
    """Yield the first of every group, then the second of those that have one, and so on."""
    groups = [list(group) for group in groups]
    for turn in range(max(map(len, groups))):
        yield [group[turn] for group in groups if turn < len(group)]
