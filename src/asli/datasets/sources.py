"""Where files' bytes come from: a folder, or several sources side by side; archives: `asli.datasets.archived`."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from asli.datasets.archives import LeftOut
from asli.datasets.images import is_image
from asli.datasets.walking import HIDDEN_FILES, is_hidden_file, is_system_folder
from asli.files import open_regular, printable, read_regular

HEAD = 64
"""Bytes that tell an image by its content."""

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
"""Endings of tables; beside archives they may describe what these hold."""

logger = logging.getLogger("asli")


class Source(Protocol):
    """Named files whose bytes can be read; names are relative and `/`-separated."""

    @property
    def left_out(self) -> LeftOut:
        """Return what is there and not given."""

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


class Files(Source, Protocol):
    """A source whose files can be looked into without reading them whole: folders and archives."""

    def __contains__(self, name: str) -> bool: ...

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""

    def head(self, name: str, size: int = HEAD) -> bytes:
        """Return a file's first bytes; empty where it cannot be read."""


def is_image_of(source: Files, name: str) -> bool:
    """Return whether a file of a source is taken for an image, by its name or its first bytes."""
    return is_image(name) or is_image(name, source.head(name))


class Folder:
    """The files below a folder; links to folders are not followed.

    A file whose name is not UTF-8 is left out of `names`, since no manifest can hold it; `left_out` names it, escaped.

    Args:
        root: The folder.
        include_hidden: Whether hidden and system files count (see `asli.datasets.walking`).
    """

    def __init__(self, root: Path, *, include_hidden: bool = False) -> None:
        self.root, self.include_hidden = root, include_hidden
        self.left_out = LeftOut()
        self._names: list[str] | None = None

    def names(self) -> list[str]:
        """Return every file's name, sorted, as the folder was when they were asked for first."""
        if self._names is None:
            self._names = []
            for name in self.walk():
                text = printable(name)
                (self._names if text == name else self.left_out.unsafe).append(text)
        return self._names

    def walk(self, below: str = "") -> Iterator[str]:
        """Yield every file's name in the order of `names`, holding one folder's listing at a time.

        A folder that cannot be listed is named in a warning. What the rule for hidden files leaves out is counted.

        Args:
            below: Name of the folder to begin at, ending in `/`; empty for all of them.
        """
        hidden = self.left_out.hidden
        for name in self._listed(below):
            base = name.removesuffix("/")
            if name.endswith("/"):
                if self.include_hidden or not is_system_folder(base):
                    yield from self.walk(below + name)
                elif count := sum(1 for _ in self._everything(below + name)):
                    hidden[name] += count
            elif self.include_hidden or not is_hidden_file(base):
                yield below + name
            else:
                hidden[HIDDEN_FILES] += 1

    def _listed(self, below: str) -> list[str]:
        try:
            with os.scandir(self.root / below) as entries:
                # With its slash a folder sorts where the names below it belong.
                return sorted(e.name + "/" * e.is_dir() for e in entries if not (e.is_symlink() and e.is_dir()))
        except OSError as error:
            logger.warning("cannot list %s: %s", self.root / below, error.strerror)
            return []

    def _everything(self, below: str) -> Iterator[str]:
        for name in self._listed(below):
            if name.endswith("/"):
                yield from self._everything(below + name)
            else:
                yield name

    def __contains__(self, name: str) -> bool:
        try:
            return (self.root / name).is_file()
        except (OSError, ValueError):  # a name that is too long, or holds a zero byte
            return False

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        return open_regular(self.root / name)

    def head(self, name: str, size: int = HEAD) -> bytes:
        """Return a file's first bytes; empty where it cannot be read, or is a pipe or device."""
        try:
            with open_regular(self.root / name) as stream:
                return stream.read(size)
        except (OSError, ValueError):
            return b""

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return read_regular(self.root / name)

    def fingerprint(self, names: Sequence[str]) -> str:
        """Hash each file's name, size and time of change."""
        return digest_of((name, *stamp_of(self.root / name)) for name in names)

    def spec(self) -> dict[str, Any]:
        """Return what opens it again."""
        return {"kind": "folder", "root": str(self.root.resolve())}


class JoinedSource:
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
        return digest_of((key, self.sources[key].fingerprint(rest)) for key, rest in of.items())

    def spec(self) -> dict[str, Any]:
        """Return what opens them again."""
        return {"kind": "joined", "sources": {key: source.spec() for key, source in self.sources.items()}}

    @property
    def left_out(self) -> LeftOut:
        """Return what the sources leave out, under their keys."""
        parts = [(key, source.left_out) for key, source in self.sources.items()]
        return LeftOut(
            [f"{key}/{name}" for key, part in parts for name in part.unsafe],
            [f"{key}/{reason}" for key, part in parts for reason in part.ignored],
            sum((part.hidden for _, part in parts), Counter()),
        )


def digest_of(lines: Iterable[tuple[str | int, ...]]) -> str:
    """Return the SHA-256 of what tells each file, in hexadecimal."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def stamp_of(path: Path) -> tuple[int, int]:
    """Return a file's size and time of change, -1 where it is gone."""
    try:
        found = path.stat()
    except OSError:  # reading it will say why
        return -1, -1
    return found.st_size, found.st_mtime_ns
