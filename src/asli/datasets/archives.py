"""Zip and tar archives: their entries by name. Nothing is unpacked into the user's folders.

A compressed tar archive has no index; it is decompressed once into a temporary file, which ends with the process.
"""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from asli.datasets.portable import portable
from asli.datasets.walking import left_out
from asli.errors import DataError
from asli.files import LFS_POINTER, open_regular, printable, require_readable

ENDINGS = (
    *(".zip", ".cbz", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz"),
    *(".tar.zst", ".tzst"),
)
"""Endings of archives that are read."""

_REMEDIES = {
    **dict.fromkeys((".7z", ".001", ".z01", ".cab", ".iso", ".arj", ".lzh", ".dmg"), "7z x"),
    **dict.fromkeys((".rar", ".cbr"), "unrar x"),
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".lzma"), "tar xf"),
}
"""Programs that unpack archives that are not read, by ending."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError, ValueError)
"""Exceptions of `zipfile` for entries that are damaged, encrypted, of an unknown method, or not named in UTF-8."""

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_AES = 99
_BLOCK = 1 << 20


@dataclass(slots=True)
class LeftOut:
    """Contents of a source that are not used.

    Attributes:
        unsafe: Files whose names would leave their folder or are not UTF-8.
        ignored: Damaged or unusable parts, each with its reason.
        hidden: Hidden and system files, counted by what they are left out for.
    """

    unsafe: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    hidden: Counter[str] = field(default_factory=Counter)


class Archive(Protocol):
    """One archive's entries; names are relative, `/`-separated and safe."""

    path: Path
    entries: dict[str, Any]
    left_out: LeftOut

    def read(self, name: str) -> bytes:
        """Return an entry's bytes.

        Raises:
            OSError: It is damaged or too large.
        """

    def head(self, name: str, size: int) -> bytes:
        """Return an entry's first bytes; empty where it is damaged."""

    def open(self, name: str) -> IO[bytes]:
        """Open an entry for reading."""

    def stamp(self, name: str) -> tuple[str | int, ...]:
        """Return what tells whether the entry has changed."""


def open_archive(path: Path, *, include_hidden: bool = False) -> Archive:
    """Open a zip or tar archive by its content.

    Raises:
        DataError: It is damaged, or of a kind that must be unpacked first.
    """
    try:
        with open_regular(path) as stream:
            head = stream.read(512)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if head.startswith(LFS_POINTER):
        raise DataError(f"{path} is a Git LFS pointer, not the file itself; fetch it with: git lfs pull")
    if ending(path.name) in (".001", ".z01"):
        raise DataError(f"{path} is one part of an archive; {must_unpack(path.name)}")
    if head.startswith(b"PK"):
        return ZipArchive(path, include_hidden)
    unpack = decompressor(head)
    if unpack is not None or head[257:262] == b"ustar" or ending(path.name) in ENDINGS[2:]:
        return TarArchive(path, unpack, include_hidden)
    if head.startswith((b"7z\xbc\xaf\x27\x1c", b"Rar!")):
        tool, kind = ("7z x", "7z") if head.startswith(b"7z") else ("unrar x", "RAR")
        raise DataError(f"{path} is a {kind} archive, which asli does not read; unpack it first: {tool} {path.name}")
    if remedy := must_unpack(path.name):
        raise DataError(f"{path} is an archive that asli does not read; {remedy}")
    if ending(path.name) in ENDINGS:
        return ZipArchive(path, include_hidden)  # damaged: its error says how
    raise DataError(f"{path} is no folder, archive, table or Parquet file of images")


def ending(name: str) -> str:
    """Return the ending of an archive's name in lower case, such as `.tar.gz`; empty for others."""
    lower = name.lower()
    return max((known for known in (*ENDINGS, *_REMEDIES) if lower.endswith(known)), key=len, default="")


def is_archive(name: str) -> bool:
    """Return whether a name is that of an archive that is read."""
    return ending(name) in ENDINGS


def must_unpack(name: str) -> str | None:
    """Return how to unpack an archive that is not read, or None for any other file."""
    tool = _REMEDIES.get(ending(name))
    return None if tool is None else f"unpack it first: {tool} {PurePosixPath(name).name}"


def safe_name(raw: str, left: LeftOut, *, include_hidden: bool) -> str | None:
    """Return an entry's name with `/`, or None where it is left out; `left` then has it."""
    name = portable(raw)
    if _leaves_folder(name) or printable(name) != name:
        left.unsafe.append(printable(raw))
        return None
    reason = None if include_hidden else left_out(name)
    if reason is not None:
        left.hidden[reason] += 1
        return None
    return name


class ZipArchive:
    """A zip archive; of an entry that it holds twice the later one counts, as when it is unpacked.

    Args:
        path: The archive.
        include_hidden: Whether hidden and system files count.
        stream: Its bytes, seekable, where it is no local file.
    """

    def __init__(self, path: Path, include_hidden: bool = False, stream: IO[bytes] | None = None) -> None:
        self.path, self.left_out = path, LeftOut()
        self.entries: dict[str, zipfile.ZipInfo] = {}
        try:
            self._archive = zipfile.ZipFile(stream or path)
        except (*_DAMAGE, OSError) as error:
            raise DataError(f"{path} is not a readable zip archive: {error}") from error
        unread: Counter[str] = Counter()
        for info in self._archive.infolist():
            if info.is_dir() or info.filename.endswith("\\"):
                continue
            name = safe_name(info.filename, self.left_out, include_hidden=include_hidden)
            if name is None:
                continue
            if info.flag_bits & _ENCRYPTED or info.compress_type == _AES:
                unread["need a password"] += 1
                continue
            if info.compress_type not in _METHODS:
                how = zipfile.compressor_names.get(info.compress_type, f"method {info.compress_type}")  # type: ignore[attr-defined]
                unread[f"are compressed by {how}, which asli does not read"] += 1
                continue
            if name in self.entries:
                self.left_out.ignored.append(f"{path.name}: {name} is there twice; the later entry is used")
            self.entries[name] = info
        self.left_out.ignored += [
            f"{path.name}: {count:,} entries {why}; unpack it first: 7z x {path.name}" for why, count in unread.items()
        ]

    def read(self, name: str) -> bytes:
        """Return an entry's bytes; a wrong checksum is an OSError like any other failed read."""
        require_readable(self.entries[name].file_size)
        try:
            return self._archive.read(self.entries[name])
        except _DAMAGE as error:
            raise OSError(str(error)) from error

    def head(self, name: str, size: int) -> bytes:
        """Return an entry's first bytes; empty where it is damaged."""
        try:
            with self._archive.open(self.entries[name]) as stream:
                return stream.read(size)
        except (*_DAMAGE, OSError):
            return b""

    def open(self, name: str) -> IO[bytes]:
        """Open an entry for reading."""
        try:
            return self._archive.open(self.entries[name])
        except _DAMAGE as error:
            raise OSError(str(error)) from error

    def stamp(self, name: str) -> tuple[str | int, ...]:
        """Return an entry's size and checksum."""
        return self.entries[name].file_size, self.entries[name].CRC


class TarArchive:
    """A tar archive; of an entry that it holds twice the later one counts, as when it is unpacked.

    Where it ends too early, the entries before are kept and `left_out.ignored` has the reason.

    Args:
        path: The archive.
        unpack: Decompresses it; None for a plain one.
        include_hidden: Whether hidden and system files count.

    Raises:
        DataError: It is no tar archive, or there is no room to decompress it.
    """

    def __init__(
        self, path: Path, unpack: Callable[[IO[bytes]], IO[bytes]] | None = None, include_hidden: bool = False
    ) -> None:
        self.path, self.left_out = path, LeftOut()
        self.entries: dict[str, tuple[int, int, int]] = {}  # offset, size, time of change
        self._lock = threading.Lock()
        self._stream: IO[bytes] = path.open("rb") if unpack is None else self._decompressed(unpack)
        self._length = self._stream.seek(0, os.SEEK_END)
        self._stream.seek(0)
        try:
            archive = tarfile.TarFile(fileobj=self._stream)
        except tarfile.TarError as error:
            raise DataError(f"{path} is not a readable tar archive: {error}") from error
        self._index(archive, include_hidden)

    def _index(self, archive: tarfile.TarFile, include_hidden: bool) -> None:
        every: dict[str, tuple[int, int, int]] = {}
        while True:
            try:
                member = archive.next()
            except (tarfile.TarError, ValueError) as error:
                self.left_out.ignored.append(f"{self.path.name}: damaged behind {len(every):,} entries: {error}")
                return
            if member is None:
                if not self._has_end(archive.offset):
                    self.left_out.ignored.append(
                        f"{self.path.name}: cut or damaged behind {len(every):,} entries; what follows is not read"
                    )
                return
            archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every entry otherwise
            place = (member.offset_data, member.size, int(member.mtime))
            if member.islnk():
                place = every.get(member.linkname, (0, -1, 0))
            elif member.isdir():
                continue
            if place[1] < 0 or not (member.isreg() or member.islnk()) or member.issparse():
                self.left_out.ignored.append(f"{self.path.name}: {printable(member.name)} is no regular file")
                continue
            every[member.name] = place
            name = safe_name(member.name, self.left_out, include_hidden=include_hidden)
            if name is None:
                continue
            if name in self.entries and self.entries[name] != place:
                self.left_out.ignored.append(f"{self.path.name}: {name} is there twice; the later entry is used")
            self.entries[name] = place

    def _has_end(self, place: int) -> bool:
        """Return whether the block of zeros that ends a tar archive is here; `tarfile` takes any damage for the end."""
        block = self._bytes(place, tarfile.BLOCKSIZE)
        return len(block) == tarfile.BLOCKSIZE and not any(block)

    def _decompressed(self, unpack: Callable[[IO[bytes]], IO[bytes]]) -> IO[bytes]:
        plain = tempfile.TemporaryFile(prefix="asli-tar-")  # noqa: SIM115 - it is read as long as the archive
        written = 0
        try:
            with self.path.open("rb") as packed, unpack(packed) as stream:
                # read1 gives what is there before it meets damage; read would lose it.
                take = getattr(stream, "read1", stream.read)
                while block := take(_BLOCK):
                    written += plain.write(block)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                room = f"{tempfile.gettempdir()} after {written:,} bytes: {error.strerror}"
                raise DataError(f"{self.path} cannot be decompressed into {room}; name another with TMPDIR") from error
            self.left_out.ignored.append(f"{self.path.name}: damaged behind {written:,} bytes: {error}")
        return plain

    def _bytes(self, start: int, size: int) -> bytes:
        with self._lock:
            self._stream.seek(start)
            return self._stream.read(size)

    def read(self, name: str) -> bytes:
        """Return an entry's bytes."""
        start, size, _ = self.entries[name]
        require_readable(size)
        data = self._bytes(start, size)
        if len(data) != size:
            raise OSError(f"the archive ends after {len(data):,} of {size:,} bytes")
        return data

    def head(self, name: str, size: int) -> bytes:
        """Return an entry's first bytes."""
        start, length, _ = self.entries[name]
        return self._bytes(start, min(size, length))

    def open(self, name: str) -> IO[bytes]:
        """Open an entry for reading."""
        return io.BytesIO(self.read(name))

    def stamp(self, name: str) -> tuple[str | int, ...]:
        """Return an entry's size and time of change."""
        return self.entries[name][1:]


def decompressor(head: bytes) -> Callable[[IO[bytes]], IO[bytes]] | None:
    """Return what decompresses a file that begins so."""
    if head.startswith(b"\x1f\x8b"):
        return lambda packed: gzip.GzipFile(fileobj=packed)  # type: ignore[return-value]
    if head.startswith(b"BZh"):
        return bz2.BZ2File
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstandard
    return None


def _zstandard(packed: IO[bytes]) -> IO[bytes]:
    from pyarrow import CompressedInputStream  # slow to import, and scoring pictures needs no archive

    return CompressedInputStream(packed, "zstd")  # type: ignore[no-any-return]


def _leaves_folder(name: str) -> bool:
    parts = PurePosixPath(name)
    return parts.is_absolute() or ".." in parts.parts or ":" in "".join(parts.parts[:1])
