"""The first half of making a data folder: every image is read and decoded once, chunk after chunk, resumably."""

import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from asli.datasets import manifest
from asli.datasets.folder import PACK_LIMIT
from asli.datasets.hashes import perceptual_hashes, pixel_sha256, thumbnail
from asli.datasets.images import decoding
from asli.datasets.layouts import Listing
from asli.datasets.sources import Source
from asli.errors import DataError, ImageError
from asli.files import read_json, replacing, write_json
from asli.parallel import ordered
from asli.progress import progress

CHUNK = 1024
"""Images read between two points an interrupted call can go on from."""

logger = logging.getLogger("asli")


class Chunks:
    """The images of a listing in chunks: a table of facts each, and an array of pixels where images are small.

    Attributes:
        folder: Where the chunks are while the data folder is not finished.
    """

    def __init__(self, source: Source, listing: Listing, folder: Path) -> None:
        self._source, self._listing, self.folder = source, listing, folder
        entries = listing.entries
        self._entries = [entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK)]

    def read_all(self, plan: dict[str, Any]) -> None:
        """Read what an earlier call with the same plan did not read."""
        self.folder.mkdir(exist_ok=True)
        plan_path = self.folder / "plan.json"
        if not plan_path.exists() or read_json(plan_path) != plan:
            for part in self.folder.iterdir():
                part.unlink()
            write_json(plan_path, plan)
        todo = [number for number in range(len(self._entries)) if not self._part(number, "parquet").exists()]
        total = len(self._listing.entries)
        done = total - sum(len(self._entries[number]) for number in todo)
        if done:
            logger.info("resuming: %s of %s images were read before", f"{done:,}", f"{total:,}")
        with progress("reading", total, unit="images", done=done) as bar:
            for number, _ in zip(todo, ordered(self._read_chunk, todo), strict=True):
                bar.advance(len(self._entries[number]))

    def require_readable(self) -> None:
        """Refuse to make a data folder that lacks a label since none of its images can be read.

        Raises:
            DataError: It would; what was read is removed.
        """
        listed = Counter(entry.label for entry in self._listing.entries)
        readable: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        first: dict[str, str] = {}
        for table in self.tables():
            good = pa.compute.is_null(table["error"])
            readable.update(table.filter(good)["label"].to_pylist())
            for line in table.filter(pa.compute.invert(good)).select(["id", "label", "error"]).to_pylist():
                reasons[line["error"]] += 1
                first.setdefault(line["label"], f"{line['id']}: {line['error']}")
        lost = [label for label in listed if not readable[label]]
        if not lost:
            return
        shutil.rmtree(self.folder)
        which = "images" if len(lost) == len(listed) else f"{lost[0]} images"
        count = listed.total() if len(lost) == len(listed) else listed[lost[0]]
        most, times = reasons.most_common(1)[0]
        raise DataError(
            f"none of the {count:,} {which} could be decoded (first: {first[lost[0]]}); most often, {times:,} times:"
            f" {most}"
        )

    def tables(self) -> Iterator[pa.Table]:
        """Yield the facts of each chunk's images, in the order of the listing."""
        for number in range(len(self._entries)):
            yield pq.read_table(self._part(number, "parquet"))

    def pack(self, path: Path) -> list[int] | None:
        """Copy the chunks' pixels into one array; return the images' shape, or None where there is no common one."""
        shapes = set()
        for number in range(len(self._entries)):
            if self._part(number, "npy").exists():
                shapes.add(np.load(self._part(number, "npy"), mmap_mode="r").shape[1:])
            elif pq.read_table(self._part(number, "parquet"), columns=["error"])["error"].null_count:
                return None  # it has readable images and they did not fit
        if len(shapes) != 1:
            return None
        shape = shapes.pop()
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(self._listing.entries), *shape)}
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for number, chunk in enumerate(self._entries):  # written on, not mapped: one chunk in memory
                part = self._part(number, "npy")
                pixels = np.load(part) if part.exists() else np.zeros((len(chunk), *shape), dtype=np.uint8)
                stream.write(pixels.data)
        return [int(n) for n in shape]

    def remove(self) -> None:
        """Remove the chunks of a finished data folder."""
        for part in self.folder.iterdir():
            part.unlink()
        self.folder.rmdir()

    def _part(self, number: int, suffix: str) -> Path:
        return self.folder / f"{number:06d}.{suffix}"

    def _read_chunk(self, number: int) -> None:
        entries = self._entries[number]
        rows: list[dict[str, Any]] = []
        thumbnails = np.zeros((len(entries), 32, 32), dtype=np.uint8)
        pack: npt.NDArray[np.uint8] | None = None
        packable = True
        for index, entry in enumerate(entries):
            try:
                data = self._source.read(entry.name)
            except OSError as error:
                rows.append(manifest.row(entry, error=f"cannot be read: {error}"))
                continue
            digest = hashlib.sha256(data).hexdigest()
            try:
                with decoding(data) as (pixels, facts):
                    thumbnails[index] = thumbnail(pixels)
                    rows.append(manifest.row(entry, facts=facts, sha256=digest, pixel_sha256=pixel_sha256(pixels)))
                    if pack is None and packable and max(pixels.shape[:2]) <= PACK_LIMIT:
                        pack = np.zeros((len(entries), *pixels.shape), dtype=np.uint8)
                    packable = packable and pack is not None and pixels.shape == pack.shape[1:]
                    if packable and pack is not None:
                        pack[index] = pixels
                del pixels  # before the next image is decoded
            except ImageError as error:
                rows.append(manifest.row(entry, sha256=digest, error=str(error)))
        for line, hashed in zip(rows, perceptual_hashes(thumbnails), strict=True):
            line["phash"] = int(hashed) if line["error"] is None else None
        if packable and pack is not None:
            with replacing(self._part(number, "npy")) as temporary, temporary.open("wb") as stream:
                # Written as bytes: np.save hides the reason of a failure.
                np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(pack))
                stream.write(pack.data)
        # Written last: a chunk counts as read only when its table is there.
        with replacing(self._part(number, "parquet")) as temporary:
            pq.write_table(pa.Table.from_pylist(rows, schema=manifest.READ_SCHEMA), temporary)
