"""Archives as sources, and which of a folder's archives are opened. Nothing is unpacked beside them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from asli.datasets.archives import Archive, LeftOut, ending, is_archive, must_unpack, open_archive
from asli.datasets.images import is_image
from asli.datasets.portable import portable
from asli.datasets.sources import HEAD, TABLES, Folder, digest_of, is_image_of, stamp_of
from asli.errors import DataError


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
        return digest_of(self._line(name) for name in names)

    def _line(self, name: str) -> tuple[str | int, ...]:
        home, inner = self._home[name]
        return (name, *(stamp_of(home.root / inner) if isinstance(home, Folder) else home.stamp(inner)))

    def spec(self) -> dict[str, Any]:
        """Return what opens them again."""
        folder, names = self._beside or (None, ())
        return {
            "kind": "archives",
            "paths": [str(path.resolve()) for path in self.paths],
            "prefixes": self.prefixes,
            "beside": None if folder is None else {"root": str(folder.root.resolve()), "names": list(names)},
        }


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
        what = "is a pipe or device" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}; give a folder or an archive of images")
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

    The archive's name becomes a folder if entries of several archives have the same name, or if images have no folder.
    It also becomes a folder if an archive has only the labels `0_real` and `1_fake` at its top.
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
    """Return whether an entry's folders name neither a category nor a generator."""
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
