"""Images for `benchmarks/scale.py`, and the comparison of tables of scores."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def make_shards(shared: Path, folder: Path, count: int) -> None:
    """Write tar shards of CIFAKE's images, a hundred or more; of more than 120,000 images some occur twice."""
    size = max(20, min(1000, count // 100))
    folder.mkdir(parents=True)
    images = []
    for archive in sorted((shared / "data" / "cifake").glob("*.zip")):
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if name.endswith(".jpg")]
            images += [(f"{archive.stem}-{number:06d}.jpg", archive, name) for number, name in enumerate(names)]
    images = [images[number % len(images)] for number in range(count)]
    opened = {archive: zipfile.ZipFile(archive) for archive in {archive for _, archive, _ in images}}
    for start in range(0, count, size):
        with tarfile.open(folder / f"{start // size:06d}.tar", "w") as out:
            for number, (name, archive, inner) in enumerate(images[start : start + size], start=start):
                data = opened[archive].read(inner)
                info = tarfile.TarInfo(f"{number:07d}-{name}")
                info.size = len(data)
                out.addfile(info, io.BytesIO(data))
    (folder / "complete").touch()


def make_table(shards: list[Path], file: Path) -> None:
    """Write the images of tar shards as one Parquet file."""
    schema = pa.schema({"id": pa.string(), "bytes": pa.binary()})
    with pq.ParquetWriter(file, schema) as writer:
        for shard in shards:
            with tarfile.open(shard) as archive:
                members = [member for member in archive if member.isfile()]
                data = [archive.extractfile(member).read() for member in members]
            writer.write_table(pa.table({"id": [member.name for member in members], "bytes": data}, schema=schema))


def compared(found: Path, local: Path) -> dict:
    """Return how the rows of a way differ from those of the local scan, in all columns but `id` and `path`."""
    tables = []
    for file in (found, local):
        table = pq.read_table(file)
        key = pc.replace_substring_regex(table["id"], ".*/", "")
        tables.append(table.append_column("key", key).sort_by("key"))
    ours, theirs = tables
    result = {
        "rows": len(ours),
        "doubled": len(ours) - pc.count_distinct(ours["key"]).as_py(),
        "lost": pc.sum(pc.invert(pc.is_in(theirs["key"], value_set=pc.unique(ours["key"])))).as_py(),
    }
    if ours["key"] != theirs["key"]:
        return {**result, "rows_equal": False}
    values, differences = 0, {}
    for name in ours.column_names:
        one, other = ours[name], theirs[name]
        if name in ("id", "path", "key"):
            continue
        if pa.types.is_floating(one.type):
            a, b = one.to_numpy(), other.to_numpy()
            differences[name] = float(np.nanmax(np.abs(a - b), initial=0))
            values += int((np.isnan(a) != np.isnan(b)).sum())
        else:
            values += sum(a != b for a, b in zip(one.to_pylist(), other.to_pylist(), strict=True))
    return {**result, "unequal_values": values, "largest_differences": differences}
