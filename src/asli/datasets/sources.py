"""Where files' bytes come from: a folder, archives, or several of these. Nothing is unpacked beside them."""

import hashlib
import logging
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from asli.datasets.archives import Archive, LeftOut, ending, is_archive, must_unpack, open_archive
from asli.datasets.images import is_image
from asli.datasets.portable import portable
from asli.datasets.walking import HIDDEN_FILES, is_hidden_file, is_system_folder
from asli.errors import DataError
from asli.files import printable, read_regular

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
        return (self.root / name).open("rb")

    def head(self, name: str, size: int = HEAD) -> bytes:
        """Return a file's first bytes; empty where it cannot be read, or is a pipe or device."""
        path = self.root / name
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return b""
            with path.open("rb") as stream:
                return stream.read(size)
        except (OSError, ValueError):
            return b""

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
    """The entries of one or several archives, taken together, and perhaps the tables beside them.

    Args:
        paths: The archives; one that is damaged is named in `left_out`, as is an entry that repeats another's name.
        prefixes: What the names of each archive's entries begin with: empty, or a folder ending in `/`.
        beside: A folder and the names of files in it that are given too, unless an entry has the name.
        include_hidden: Whether hidden and system files count.
        opened: Archives of `paths` that are open already.

    Raises:
        DataError: No archive can be read.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        prefixes: Sequence[str] = (),
        beside: tuple[Folder, Sequence[str]] | None = None,
        *,
        include_hidden: bool = False,
        opened: Mapping[Path, Archive] | None = None,
    ) -> None:
        self.paths = list(paths)
        self.prefixes = list(prefixes) or [""] * len(self.paths)
        self.left_out = LeftOut()
        self._beside = beside
        self._home: dict[str, tuple[Archive | Folder, str]] = {}
        errors = []
        for path, prefix in zip(self.paths, self.prefixes, strict=True):
            try:
                archive = (opened or {}).get(path) or open_archive(path, include_hidden=include_hidden)
            except DataError as error:
                errors.append(error)
                continue
            self._take(archive, prefix)
        if errors and len(errors) == len(self.paths):
            raise errors[0]
        self.left_out.ignored += [str(error) for error in errors]
        folder, names = beside or (None, ())
        for name in names:
            if folder is not None:
                self._home.setdefault(name, (folder, name))

    def _take(self, archive: Archive, prefix: str) -> None:
        inner = archive.left_out
        self.left_out.unsafe += inner.unsafe
        self.left_out.ignored += inner.ignored
        self.left_out.hidden += inner.hidden
        for entry in archive.entries:
            name = prefix + entry
            if name in self._home:
                if is_image(name) or name.lower().endswith(TABLES):
                    self.left_out.ignored.append(f"{archive.path.name}: {entry} is in another archive too; left out")
                continue
            if is_archive(entry) or must_unpack(entry):
                self.left_out.ignored.append(f"{archive.path.name}: holds the archive {entry}; unpack both first")
            self._home[name] = (archive, entry)

    def names(self) -> list[str]:
        """Return every safe entry's name, sorted."""
        return sorted(self._home)

    def name_in(self, archive: str, entry: str) -> str:
        """Return the name here of an entry of the archive of that name, as an index of several archives gives both."""
        base, entry = PurePosixPath(portable(archive)).name, portable(entry)
        names = [prefix + entry for path, prefix in zip(self.paths, self.prefixes, strict=True) if path.name == base]
        return next((name for name in names if name in self._home), f"{base}/{entry}")

    def __contains__(self, name: str) -> bool:
        return name in self._home

    def open(self, name: str) -> IO[bytes]:
        """Open an entry for reading."""
        home, inner = self._home[name]
        return home.open(inner)

    def head(self, name: str, size: int = HEAD) -> bytes:
        """Return an entry's first bytes; empty where it cannot be read."""
        home, inner = self._home[name]
        return home.head(inner, size)

    def read(self, name: str) -> bytes:
        """Return an entry's bytes; a wrong checksum is an OSError like any other failed read."""
        home, inner = self._home[name]
        return home.read(inner)

    def fingerprint(self, names: Sequence[str]) -> str:
        """Hash each entry's name, size and checksum, as the archives' directories give them."""
        return _digest(self._line(name) for name in names)

    def _line(self, name: str) -> tuple[str | int, ...]:
        home, inner = self._home[name]
        return (name, *(_stamp(home.root / inner) if isinstance(home, Folder) else home.stamp(inner)))

    def spec(self) -> dict[str, Any]:
        """Return what opens them again."""
        folder, names = self._beside or (None, ())
        return {
            "kind": "archives",
            "paths": [str(path.resolve()) for path in self.paths],
            "prefixes": self.prefixes,
            "beside": None if folder is None else {"root": str(folder.root.resolve()), "names": list(names)},
        }


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
    def left_out(self) -> LeftOut:
        """Return what the sources leave out, under their keys."""
        parts = [(key, source.left_out) for key, source in self.sources.items()]
        return LeftOut(
            [f"{key}/{name}" for key, part in parts for name in part.unsafe],
            [f"{key}/{reason}" for key, part in parts for reason in part.ignored],
            sum((part.hidden for _, part in parts), Counter()),
        )


def open_source(path: Path, *, include_hidden: bool = False) -> Folder | Archives:
    """Open a folder, an archive, or a folder whose images are all in archives.

    Archives beside loose images are not opened: usually they are what the images were unpacked from.

    Args:
        path: The folder or archive.
        include_hidden: Whether hidden and system files count.

    Raises:
        DataError: There is nothing there, or the archive cannot be read.
    """
    if path.is_file():
        return Archives([path], include_hidden=include_hidden)
    if not path.is_dir():
        raise DataError(f"{path} does not exist; give a folder or an archive of images")
    folder = Folder(path, include_hidden=include_hidden)
    names = folder.names()
    archives = [name for name in names if is_archive(name)]
    if archives and not any(is_image_of(folder, name) for name in names if name not in archives):
        return _of_archives(folder, names, archives)
    left = folder.left_out
    left.ignored += [f"{name}: an archive beside images is not opened; give it by itself" for name in archives]
    left.ignored += [f"{name}: {remedy}" for name in names if (remedy := must_unpack(name))]
    return folder


def _of_archives(folder: Folder, names: Sequence[str], archives: Sequence[str]) -> Archives:
    """Open the archives of a folder. Entries keep their names, below the folder their archive lies in.

    The archive's name becomes a folder where entries of several archives would have one name, where images have no
    folder of their own, and where an archive has only the labels `0_real` and `1_fake` at its top.
    """
    opened: dict[Path, Archive] = {}
    damaged = []
    for name in archives:
        path = folder.root / name
        try:
            opened[path] = open_archive(path, include_hidden=folder.include_hidden)
        except DataError as error:
            damaged.append(error)
    if not opened:
        raise damaged[0]
    inside = {name: opened[folder.root / name] for name in archives if folder.root / name in opened}
    counted = Counter(
        _parent(name) + entry
        for name, archive in inside.items()
        for entry in archive.entries
        if is_image(entry) or entry.lower().endswith(TABLES)
    )
    named = counted.total() > len(counted) or (
        len(archives) > 1 and any(_says_nothing(entry) for archive in inside.values() for entry in archive.entries)
    )
    prefixes = [
        _parent(name) + (f"{_stem(name)}/" if named and not _is_wrapped(archive, name) else "")
        for name, archive in inside.items()
    ]
    beside = [name for name in names if name.lower().endswith(TABLES)]
    source = Archives(list(opened), prefixes, (folder, beside) if beside else None, opened=opened)
    left = source.left_out
    left.unsafe += folder.left_out.unsafe
    left.hidden += folder.left_out.hidden
    left.ignored += [*map(str, damaged), *(f"{name}: {remedy}" for name in names if (remedy := must_unpack(name)))]
    return source


def _says_nothing(entry: str) -> bool:
    """Return whether an entry's folders say neither what an image shows nor what made it."""
    top, slash, _ = entry.partition("/")
    return is_image(entry) if not slash else top in ("0_real", "1_fake")


def _parent(name: str) -> str:
    return name[: name.rfind("/") + 1]


def _stem(name: str) -> str:
    base = PurePosixPath(name).name
    return base[: len(base) - len(ending(base))]


def _is_wrapped(archive: Archive, name: str) -> bool:
    """Return whether all entries of an archive lie in a folder of the archive's own name."""
    return all(entry.startswith(f"{_stem(name)}/") for entry in archive.entries)


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
