"""Where files' bytes come from: a folder or zip archives. Nothing is unpacked to disk."""

import hashlib
import logging
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from asli.errors import DataError
from asli.files import printable, read_regular, require_readable

logger = logging.getLogger("asli")

_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, ValueError)
"""What `zipfile` raises on entries that are damaged, encrypted, packed by an unknown method or named in no UTF-8."""


class Source(Protocol):
    """Named files whose bytes can be read; names are relative and `/`-separated."""

    def names(self) -> list[str]:
        """Return every file's name, sorted."""

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            OSError: It cannot be read.
        """

    def fingerprint(self, names: Sequence[str]) -> str:
        """Return what tells whether these files have changed since they were read, wherever they lie now."""

    def spec(self) -> dict[str, Any]:
        """Return, as plain JSON, what `asli.datasets.reopen.reopen` needs to open it again."""


class Folder:
    """The files below a folder; links to folders are not followed.

    A file whose name is not UTF-8 is left out of `names`, since no manifest can hold it; `unsafe` names it, escaped.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unsafe: list[str] = []

    def names(self) -> list[str]:
        """Return every file's name, sorted."""
        found = {name: printable(name) for name in self.walk()}
        self.unsafe = [text for name, text in found.items() if text != name]
        return [name for name, text in found.items() if text == name]

    def walk(self, below: str = "") -> Iterator[str]:
        """Yield every file's name in the order of `names`, holding one folder's listing at a time.

        A folder that cannot be listed is named in a warning.

        Args:
            below: Name of the folder to begin at, ending in `/`; empty for all of them.
        """
        try:
            with os.scandir(self.root / below) as entries:
                # With its slash a folder sorts where the names below it belong.
                found = sorted(e.name + "/" * e.is_dir() for e in entries if not (e.is_symlink() and e.is_dir()))
        except OSError as error:
            logger.warning("cannot list %s: %s", self.root / below, error.strerror)
            return
        for name in found:
            if name.endswith("/"):
                yield from self.walk(below + name)
            else:
                yield below + name

    def __contains__(self, name: str) -> bool:
        return (self.root / name).is_file()

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        return (self.root / name).open("rb")

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return read_regular(self.root / name)

    def fingerprint(self, names: Sequence[str]) -> str:
        """Hash each file's name, size and time of change."""
        return _digest((name, *_stamp(self.root / name)) for name in names)

    def spec(self) -> dict[str, Any]:
        """Return what opens it again."""
        return {"kind": "folder", "root": str(self.root.resolve())}


class Archives:
    """The entries of one or several zip archives, taken together.

    An entry whose name would leave the folder it is unpacked to (`../x`, `/x`, `C:x`) is never read; `unsafe` names
    them.

    Raises:
        DataError: A file is no zip archive, or two archives hold an entry of the same name.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.unsafe: list[str] = []
        self._home: dict[str, zipfile.ZipFile] = {}
        for path in self.paths:
            try:
                archive = zipfile.ZipFile(path)
            except (*_DAMAGE, OSError) as error:
                raise DataError(f"{path} is not a readable zip archive: {error}") from error
            for info in archive.infolist():
                if info.is_dir():
                    continue
                if _leaves_folder(info.filename):
                    self.unsafe.append(info.filename)
                elif info.filename in self._home:
                    raise DataError(f"{path} repeats the entry {info.filename}; give archives without common entries")
                else:
                    self._home[info.filename] = archive

    def names(self) -> list[str]:
        """Return every safe entry's name, sorted."""
        return sorted(self._home)

    def __contains__(self, name: str) -> bool:
        return name in self._home

    def open(self, name: str) -> IO[bytes]:
        """Open an entry for reading."""
        return self._home[name].open(name)

    def read(self, name: str) -> bytes:
        """Return an entry's bytes; a wrong checksum is an OSError like any other failed read."""
        archive = self._home[name]
        require_readable(archive.getinfo(name).file_size)
        try:
            return archive.read(name)
        except _DAMAGE as error:
            raise OSError(str(error)) from error

    def fingerprint(self, names: Sequence[str]) -> str:
        """Hash each entry's name, size and checksum, as the archives' directories give them."""
        entries = (self._home[name].getinfo(name) for name in names)
        return _digest((entry.filename, entry.file_size, entry.CRC) for entry in entries)

    def spec(self) -> dict[str, Any]:
        """Return what opens them again."""
        return {"kind": "archives", "paths": [str(p.resolve()) for p in self.paths]}


class Joined:
    """Several sources side by side; the names of each begin with its key."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = dict(sources)

    def names(self) -> list[str]:
        """Return every file's name, sorted."""
        return sorted(f"{key}/{name}" for key, source in self.sources.items() for name in source.names())

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        key, _, rest = name.partition("/")
        return self.sources[key].read(rest)

    def fingerprint(self, names: Sequence[str]) -> str:
        """Hash every source's fingerprint under its key."""
        of: dict[str, list[str]] = {key: [] for key in self.sources}
        for name in names:
            key, _, rest = name.partition("/")
            of[key].append(rest)
        return _digest((key, self.sources[key].fingerprint(rest)) for key, rest in of.items())

    def spec(self) -> dict[str, Any]:
        """Return what opens them again."""
        return {"kind": "joined", "sources": {key: source.spec() for key, source in self.sources.items()}}

    @property
    def unsafe(self) -> list[str]:
        """Return the files that are never read."""
        return [f"{key}/{name}" for key, s in self.sources.items() for name in getattr(s, "unsafe", [])]


def open_source(path: Path) -> Folder | Archives:
    """Open a folder, a zip archive, or a folder of zip archives.

    Raises:
        DataError: There is nothing there.
    """
    if path.is_file():
        return Archives([path])
    if not path.is_dir():
        raise DataError(f"{path} does not exist; give a folder or a zip archive of images")
    zips = sorted(p for p in path.iterdir() if p.suffix.lower() == ".zip" and p.is_file())
    has_folders = any(p.is_dir() for p in path.iterdir())
    return Archives(zips) if zips and not has_folders else Folder(path)


def _digest(lines: Iterable[tuple[str | int, ...]]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # reading it will say why
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _leaves_folder(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/"))
    return parts.is_absolute() or ".." in parts.parts or ":" in "".join(parts.parts[:1])
