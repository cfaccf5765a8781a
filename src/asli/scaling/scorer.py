"""One callable for Ray Data, Spark, Daft and Hugging Face datasets: a table of images in, a table of scores out."""

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa

from asli.detector.base import Detector
from asli.detector.locate import DEFAULT
from asli.detector.runtimes import Kind
from asli.errors import DataError, DetectorError
from asli.scaling import web
from asli.scaling.parquet_units import bytes_of, picture_columns
from asli.scaling.pictures import Picture, Pictures
from asli.scaling.urls import read_object, scheme_of
from asli.scanning.reading import read_images
from asli.scanning.score_table import SCHEMA, score_batch

_LOADED: dict[tuple[Any, ...], Detector] = {}
_LOCK = threading.Lock()


class Scorer:
    """Maps a `pyarrow.Table` of images to a `pyarrow.Table` of scores, row by row in the same order.

    It can be pickled; the detector is loaded once in each process, when the first table comes. An image that cannot be
    scored has its reason in the column `error`.

    Args:
        detector: A detector, its folder, a run folder, `hub:owner/name[@revision]`, or `default`. Every process must
            find it under this name.
        image: Column of image bytes, or of URLs; None finds it by its name.
        id: Column of ids; None takes `id`, `image_id`, `uid`, `key` or `__key__`, and null without one.
        force_domain: Give a verdict on images outside the domain, too.
        threads: CPU threads of the network. Engines start a process per core, so the default is 1.
        device: cuda, mps or cpu; None leaves it to the runtime.
        runtime: torch or onnx; None takes ONNX where there is nothing against it.
        allow_hosts: `host:port` of private servers that URLs may lead to.

    Attributes:
        schema: Schema of the result: the columns of `asli scan`.
        hash: Hash of the detector; a process that finds another one refuses to score.

    Raises:
        DetectorError: There is no such detector, or it was not saved.
    """

    schema: pa.Schema = SCHEMA

    def __init__(
        self,
        detector: str | Path | Detector = DEFAULT,
        *,
        image: str | None = None,
        id: str | None = None,
        force_domain: bool = False,
        threads: int = 1,
        device: str | None = None,
        runtime: Kind | None = None,
        allow_hosts: tuple[str, ...] = (),
    ) -> None:
        if isinstance(detector, Detector):
            if detector.folder is None:
                raise DetectorError("this detector was not saved; save it where every process can read it")
            self.detector, self.hash = str(detector.folder), detector.hash
        else:
            self.detector, self.hash = str(detector), Detector.load(detector).hash
        self.image, self.id, self.force_domain = image, id, force_domain
        self.threads, self.device, self.runtime, self.allow_hosts = threads, device, runtime, tuple(allow_hosts)

    def load(self) -> Detector:
        """Return this process's detector.

        Raises:
            DetectorError: It is missing here, or another one.
        """
        key = (self.detector, self.hash, self.threads, self.device, self.runtime)
        with _LOCK:
            if key not in _LOADED:
                found = Detector.load(self.detector, threads=self.threads, device=self.device, runtime=self.runtime)
                if found.hash != self.hash:
                    raise DetectorError(f"{self.detector} is another detector on this machine; copy the same there")
                _LOADED[key] = found
            return _LOADED[key]

    def __call__(self, table: pa.Table | pa.RecordBatch) -> pa.Table:
        """Score the images of a table.

        Args:
            table: A column of bytes (or structs with `bytes`) or of URLs, and perhaps one of ids.

        Returns:
            Columns as in `schema`, one row an image.

        Raises:
            DataError: There is no such column.
        """
        detector = self.load()
        pictures = self._pictures(table)
        size, parts = detector.batch_size, []
        for start in range(0, len(pictures), size):
            read = read_images(pictures[start : start + size], Pictures(), detector)
            parts.append(score_batch(read, Pictures(), detector, force_domain=self.force_domain))
        return pa.concat_tables(parts) if parts else SCHEMA.empty_table()

    def _pictures(self, table: pa.Table | pa.RecordBatch) -> list[Picture]:
        if self.image is None:
            image, url, found = picture_columns(table.schema)
        else:
            if self.image not in table.schema.names:
                raise DataError(f"no column '{self.image}'; the table has {table.schema.names}")
            kind = table.schema.field(self.image).type
            text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            image, url = (None, self.image) if text else (self.image, None)
            found = next((name for name in ("id", "image_id", "uid", "key") if name in table.schema.names), None)
        name = self.id or found
        if name is not None and name not in table.schema.names:
            raise DataError(f"no column '{name}'; the table has {table.schema.names}")
        ids = table.column(name).to_pylist() if name else [None] * table.num_rows
        cells = table.column(image or url).to_pylist()
        return [self._picture(id, cell, is_url=url is not None) for id, cell in zip(ids, cells, strict=True)]

    def _picture(self, id: Any, cell: Any, *, is_url: bool) -> Picture:
        text: Any = None if id is None else str(id)
        if not is_url:
            path = cell.get("path") if isinstance(cell, dict) else None
            data = bytes_of(cell)
            return Picture(text, path or text, data, error="the row holds no image bytes" if data is None else None)
        if not cell:
            return Picture(text, text, error="the row holds no URL")
        return Picture(text, cell, load=lambda: self._load(cell))

    def _load(self, url: str) -> bytes:
        scheme = scheme_of(url)
        if scheme in ("http", "https"):
            return web.fetch(url, self.allow_hosts)
        if scheme is None or "::" in url or scheme in ("file", "local"):
            raise OSError(f"{url[:100]} is no URL of a web server or store")
        return read_object(url)
