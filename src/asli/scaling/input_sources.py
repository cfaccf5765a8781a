"""Inputs of a sharded scan: URLs and paths of shards, archives, tables, lists and pictures, taken apart into units."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

from asli.datasets.archives import ZipArchive, is_archive, must_unpack
from asli.datasets.images import is_image
from asli.datasets.portable import lines_of, resolve
from asli.datasets.sources import Folder
from asli.errors import AsliError, DataError
from asli.files import printable, read_regular
from asli.scaling import web
from asli.scaling.parquet_units import ParquetTable
from asli.scaling.pictures import ROWS, Picture, Pictures, PictureTally, Unit
from asli.scaling.tar_shards import tar_pictures
from asli.scaling.urls import ObjectStream, filesystem, read_object, retried, scheme_of
from asli.scanning.inputs import Inputs, Places

STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf"})
"""Schemes that lists and tables may name: their client asks the endpoint that the user configured."""

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_BUFFER = 1 << 20


class Sources(Pictures):
    """The pictures behind the paths and URLs that a user gave.

    Args:
        given: Paths and URLs. `{000..999}` in one stands for as many; `*` in a URL lists one folder of a store.
        shards: Processes that share the work. Where there are four given files for each or more, a file is a unit.
        include_hidden: Whether hidden and system files count.
        allow_hosts: `host:port` of private servers that URLs in data may lead to.

    Attributes:
        given: After expansion.
        tally: What was there and is no row.

    Raises:
        DataError: A path does not exist, is given twice, or a URL is one of a whole folder.
    """

    def __init__(
        self,
        given: Sequence[str],
        *,
        shards: int = 1,
        include_hidden: bool = False,
        allow_hosts: Sequence[str] = (),
    ) -> None:
        self.given = [one for text in given for one in _expanded(text)]
        self.include_hidden = include_hidden
        self.tally = PictureTally()
        self.trusted = {*allow_hosts, *filter(None, (web.origin(one) for one in self.given if scheme_of(one)))}
        self._whole = len(self.given) >= 4 * shards
        self._opened: tuple[str, ParquetTable | ZipArchive, str] | None = None
        if not self.given:
            raise DataError(f"nothing matches {', '.join(given)}; give shards, lists, tables or pictures")
        if len(set(self.given)) < len(self.given):
            raise DataError("a path or URL is given twice; each picture is scored once")
        for one in self.given:
            if scheme_of(one) is None:
                if not Path(one).exists():
                    raise DataError(f"{one} does not exist; give folders, archives, lists or images")
            elif one.endswith("/"):
                raise DataError(
                    f"{one} is a folder of a store, which is never listed; give its shards ({one}{{000..999}}.tar), or"
                    " a list or table of its pictures"
                )
            else:
                filesystem(one)  # a missing package is the user's to install, not the reason of a row
        Inputs([Path(one) for one in self.given if scheme_of(one) is None])  # refuses one path inside another

    @property
    def one_by_one(self) -> bool:
        """Return whether pictures may be loaded by a request each."""
        return any(not is_archive(_base(one)) for one in self.given)

    def units(self) -> Iterator[Unit]:
        """Yield every unit, in an order that depends on the inputs alone; nothing but indexes and lists is read."""
        for one in self.given:
            yield from self._units(one, whole=self._whole)

    def _units(self, one: str, *, whole: bool) -> Iterator[Unit]:
        remote = scheme_of(one) is not None
        shown = _shown(one)
        before = "" if len(self.given) == 1 and one == self.given[0] else f"{shown}/"
        name = _base(one)
        if not remote and Path(one).is_dir():
            yield from self._local(one, alone=not before)
        elif name.endswith((".zip", ".cbz", ".parquet")):
            yield from self._blocks(one, shown, before, whole=whole)
        elif is_archive(name):
            yield Unit(shown, lambda start: self._tar(one, shown, before, start))
        elif must_unpack(name):
            reason = f"an archive that asli does not read; {must_unpack(name)}"
            yield Unit(shown, lambda start: iter([Picture(shown, shown, error=reason)][start:]))
        elif name.endswith(".txt"):
            yield from self._list(one, shown, before)
        elif remote:
            id = shown if before else name
            yield Unit(shown, lambda start: iter([Picture(id, shown, load=self.link(one, trusted=True))][start:]))
        else:
            yield from self._local(one, alone=not before)

    def _local(self, one: str, *, alone: bool) -> Iterator[Unit]:
        """Yield the pictures of a folder, of archives and tables in it, or one file, as a local scan finds them."""
        inputs = Inputs([Path(one)], self.include_hidden, hidden=self.tally.hidden, skipped=self.tally.skipped)
        inputs.ignored = self.tally.ignored
        places = Places(inputs.places)
        for item in inputs.items():
            id, path = places.ids(item)
            picture = Picture(id if alone else path, path, load=partial(places.read, item))
            yield Unit(path, lambda start, picture=picture: iter([picture][start:]))  # type: ignore[misc]
        self.tally.unsafe += inputs.unsafe

    def _blocks(self, one: str, shown: str, before: str, *, whole: bool) -> Iterator[Unit]:
        if whole:
            yield Unit(shown, lambda start: self._rows(one, shown, before, None, start))
            return
        try:
            opened, _ = self._open(one, shown, before)
            blocks = list(_blocks_of(opened))
        except (AsliError, OSError) as error:
            reason = printable(str(error))
            yield Unit(shown, lambda start: iter([Picture(shown, shown, error=reason)][start:]))
            return
        for block in blocks:
            yield Unit(f"{shown}#{block[0]}", partial(self._rows, one, shown, before, block))

    def _rows(self, one: str, shown: str, before: str, block: tuple[int, int] | None, start: int) -> Iterator[Picture]:
        try:
            opened, stamp = self._open(one, shown, before)
        except (AsliError, OSError) as error:
            yield from [Picture(shown, shown, error=printable(str(error)))][start:]
            return
        first, end = block or (0, opened.rows if isinstance(opened, ParquetTable) else len(opened.entries))
        if isinstance(opened, ParquetTable):
            found = opened.pictures(first + start, end)
        else:
            found = self._entries(opened, shown, before, first, end, start)
        for picture in found:
            picture.stamp = stamp
            yield picture

    def _open(self, one: str, shown: str, before: str) -> tuple[ParquetTable | ZipArchive, str]:
        """Open a table or zip archive by its index; the last one stays open."""
        if self._opened is None or self._opened[0] != one:
            self._opened = None
            stream = ObjectStream(one)
            reader = _buffered(stream)
            if one.endswith(".parquet") or _base(one).endswith(".parquet"):
                opened: ParquetTable | ZipArchive = ParquetTable(
                    reader, f"{shown}/", before, partial(self.link, beside=one)
                )
            else:
                opened = ZipArchive(Path(shown), self.include_hidden, reader)
                self.tally.unsafe += len(opened.left_out.unsafe)
                self.tally.hidden += opened.left_out.hidden
                self.tally.ignored += opened.left_out.ignored
            self._opened = one, opened, stream.stamp
        return self._opened[1], self._opened[2]

    def _entries(
        self, archive: ZipArchive, shown: str, before: str, first: int, end: int, start: int
    ) -> Iterator[Picture]:
        names = sorted(archive.entries, key=lambda name: archive.entries[name].header_offset)[first:end]
        number = 0
        for name in names:
            if not is_image(name) and not is_image(name, archive.head(name, 64)):
                base = name.rpartition("/")[2]
                self.tally.skipped[f".{base.rpartition('.')[2].lower()}" if "." in base else "no ending"] += 1
                continue
            number += 1
            if number <= start:
                continue
            picture = Picture(before + name, f"{shown}/{name}")
            try:
                picture.data = archive.read(name)
            except OSError as error:
                picture.error = error.strerror or str(error)
            yield picture

    def _tar(self, one: str, shown: str, before: str, start: int) -> Iterator[Picture]:
        try:
            stream = ObjectStream(one)
            found = tar_pictures(
                _buffered(stream),
                f"{shown}/",
                before,
                self.tally,
                start=start,
                include_hidden=self.include_hidden,
            )
            for picture in found:
                picture.stamp = stream.stamp
                yield picture
        except (AsliError, OSError) as error:
            yield from [Picture(shown, shown, error=_why(error))][start:]

    def _list(self, one: str, shown: str, before: str) -> Iterator[Unit]:
        """Yield a unit for every thousand lines, and one for each shard that a line names."""
        pictures: list[Picture] = []
        number = 0
        folder = shown.rpartition("/")[0]
        prefix = f"{folder}/" if folder else ""
        beside = Folder(Path(one).parent) if scheme_of(one) is None else None
        try:
            for line in lines_of(lambda: _buffered(ObjectStream(one))):
                name = line.removeprefix("\ufeff").removeprefix("./")
                if not name.strip():
                    continue
                if _base(name).endswith(".parquet") or is_archive(_base(name)):
                    yield from self._listed(name, one)
                    continue
                pictures.append(self._line(name, one, prefix, beside, alone=not before))
                if len(pictures) == ROWS:
                    yield _block(shown, number, pictures)
                    pictures, number = [], number + 1
        except (AsliError, OSError, UnicodeDecodeError) as error:
            reason = f"the list cannot be read: {_why(error)}"
            pictures.append(Picture(f"{shown}#rest", f"{shown}#rest", error=reason))
        if pictures:
            yield _block(shown, number, pictures)

    def _listed(self, name: str, one: str) -> Iterator[Unit]:
        """Yield the units of a shard that a list names, or a row with the reason why it is not read."""
        reason = self._refused(name, one)
        if reason is None and scheme_of(name) in ("http", "https") and web.origin(name) not in self.trusted:
            reason = f"shards of a web server are read where it is given or allowed: --allow-host {web.origin(name)}"
        if reason is None:
            yield from self._units(name if scheme_of(name) else _joined(one, name), whole=True)
        else:
            text = printable(name)
            yield Unit(text, lambda start: iter([Picture(text, text, error=reason)][start:]))

    def _refused(self, url: str, beside: str) -> str | None:
        """Return why a name or URL in a list or table is not followed, or None."""
        scheme, home = scheme_of(url), scheme_of(beside)
        if scheme is None:
            if home and "::" in url:  # fsspec would take it for a chain of file systems
                return "a name with :: is not read from lists and tables"
            return "a list that was read by URL cannot name local files" if home and url.startswith("/") else None
        if scheme in ("http", "https") or (scheme in {*STORES, home} and "::" not in url):
            return None
        return f"{scheme}:// is not read from lists and tables"

    def _line(self, name: str, one: str, prefix: str, beside: Folder | None, *, alone: bool) -> Picture:
        if scheme_of(name):
            return Picture(name, name, load=self.link(name, beside=one))
        if beside is not None:
            name = resolve(name, beside.__contains__) or name
        text = printable(name)
        path = text if text.startswith("/") else prefix + text
        return Picture(text if alone else path, path, load=self.link(name, beside=one))

    def link(self, url: str, beside: str = "", *, trusted: bool = False) -> Callable[[], bytes]:
        """Return what loads the bytes behind a path or URL.

        Args:
            url: URL, as written.
            beside: The list or table that holds it; relative names are relative to that.
            trusted: Whether the user gave it.
        """
        return partial(self._load, url, beside, trusted=trusted)

    def _load(self, url: str, beside: str, *, trusted: bool) -> bytes:
        if not trusted and (reason := self._refused(url, beside)):
            raise OSError(reason)
        if scheme_of(url) is None:
            if scheme_of(beside) is None:
                return read_regular(Path(beside).parent / url)
            url = _joined(beside, url)
        return web.fetch(url, self.trusted) if scheme_of(url) in ("http", "https") else read_object(url)

    def identity(self) -> list[object]:
        """Return what tells these inputs from others, as plain JSON."""
        return [self.given, self.include_hidden, self._whole]


def shard_of(name: str, shards: int) -> int:
    """Return the shard that a unit of this name belongs to, from 0 on; the same everywhere and always."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


def _expanded(text: str) -> Iterator[str]:
    if scheme_of(text) is None:
        yield text
        return
    if found := _BRACES.search(text):
        first, last = found[1], found[2]
        for number in range(int(first), int(last) + 1):
            yield from _expanded(f"{text[: found.start()]}{number:0{len(first)}d}{text[found.end() :]}")
        return
    if "*" in text and scheme_of(text) not in ("http", "https"):
        fs, path = filesystem(text)
        yield from sorted(str(fs.unstrip_protocol(found)) for found in retried(lambda: fs.glob(path)))
        return
    yield text


def _blocks_of(opened: ParquetTable | ZipArchive) -> Iterator[tuple[int, int]]:
    if isinstance(opened, ParquetTable):
        yield from opened.blocks()
        return
    count = len(opened.entries)
    yield from ((first, min(first + ROWS, count)) for first in range(0, count, ROWS))


def _block(shown: str, number: int, pictures: list[Picture]) -> Unit:
    return Unit(f"{shown}#{number * ROWS}", lambda start: iter(pictures[start:]))


def _buffered(stream: ObjectStream) -> IO[bytes]:
    return io.BufferedReader(stream, _BUFFER)


def _joined(beside: str, name: str) -> str:
    if scheme_of(beside) in ("http", "https"):
        return urljoin(beside, name)
    return f"{beside.rpartition('/')[0]}/{name}" if "/" in beside else name


def _base(text: str) -> str:
    """Return the base name in lower case; the query of a web address is none of it."""
    path = urlsplit(text).path if scheme_of(text) in ("http", "https") else text
    return path.rpartition("/")[2].lower()


def _shown(text: str) -> str:
    """Return a path or URL for the table; a query may hold a signature."""
    if scheme_of(text) in ("http", "https"):
        return text.partition("?")[0]
    return printable(text if scheme_of(text) else Path(text).as_posix())


def _why(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return "No such object" if isinstance(error, FileNotFoundError) and "No such" not in text else text
