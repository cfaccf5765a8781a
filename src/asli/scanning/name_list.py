"""The names of a scan's images, in a file: a million of them take no memory, and a resumed scan keeps its order."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from asli.files import replacing
from asli.scanning.inputs import Inputs, Item, Place

GROUP = 1 << 14
"""Names in a row group: what is in memory at a time."""

_SCHEMA = pa.schema({"place": pa.int32(), "name": pa.binary()})  # bytes: not every file name is UTF-8


@dataclass(frozen=True, slots=True)
class NameList:
    """Where the images of a scan are, in their order.

    Attributes:
        path: The file that keeps the names.
        places: Archives, folders and Parquet files, by the numbers in `Item.place`.
        count: Images.
        digest: SHA-256 over places and names, in hexadecimal.
    """

    path: Path
    places: list[Place]
    count: int
    digest: str

    def items(self, start: int = 0) -> Iterator[Item]:
        """Yield the images from one on."""
        group, skip = divmod(start, GROUP)
        with pq.ParquetFile(self.path) as file:
            for number in range(group, file.num_row_groups):
                table = file.read_row_group(number).slice(skip if number == group else 0)
                for place, name in zip(table["place"].to_pylist(), table["name"].to_pylist(), strict=True):
                    yield Item(place, os.fsdecode(name))


def write_listing(inputs: Inputs, path: Path) -> NameList:
    """Go through the inputs once and keep what is found.

    Raises:
        DataError: A given archive, list or Parquet file is damaged.
    """
    digest, count, found = hashlib.sha256(), 0, inputs.items()
    with replacing(path) as temporary, pq.ParquetWriter(temporary, _SCHEMA, compression="zstd") as writer:
        while group := [(place, os.fsencode(name)) for place, name in islice(found, GROUP)]:
            count += len(group)
            digest.update(b"".join(b"%d\t%s\n" % line for line in group))
            places, names = zip(*group, strict=True)
            writer.write_table(pa.table([pa.array(places, pa.int32()), pa.array(names, pa.binary())], schema=_SCHEMA))
    digest.update(json.dumps([asdict(place) for place in inputs.places]).encode())
    return NameList(path, list(inputs.places), count, digest.hexdigest())
