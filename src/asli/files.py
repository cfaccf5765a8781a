"""Writing and hashing files: a reader never sees a half-written one."""

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from asli.errors import WriteError

LARGEST = 1_000_000_000
"""Bytes of a file or archive entry that is read whole; no picture is as large."""

LFS_POINTER = b"version https://git-lfs"
"""First bytes of a file that Git LFS has not fetched."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_NUMBER = re.compile(r"\b(?:errno|code:|os error) ?(\d+)")
_SHORT = re.compile(r"\d+ requested and \d+ written")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed to `path`, else removed."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            sync(temporary)
            temporary.chmod(FILE_MODE)
            temporary.replace(path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure for lack of room into one line that names the file.

    Raises:
        WriteError: The disk or a quota is full, the file is too large for the file system, or the disk is damaged.
    """
    try:
        yield
    except WriteError:
        raise
    except Exception as error:
        if (why := no_room(error)) is None:
            raise
        raise WriteError(printable(path), why, "nothing is half-written; make room and repeat the command") from error


@contextmanager
def keeping(then: str) -> Iterator[None]:
    """Say of a file that could not be written what is safe, and how to continue."""
    try:
        yield
    except WriteError as error:
        raise WriteError(error.path, error.why, then) from error


def no_room(error: Exception) -> str | None:
    """Return in the system's words why a write failed; None for any other error.

    Libraries hand on the system's number in their own ways: pyarrow and safetensors within a text.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := _NUMBER.search(str(error))):
        number = int(found[1])
    if number is None and _SHORT.search(str(error)):  # numpy's words, without a number
        return f"only a part ({error})"
    return os.strerror(number) if number in _NO_ROOM else None


def _mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


FILE_MODE = _mode()
"""Mode of a result file, since mkstemp makes private ones. Read once, since that sets the mask of all threads."""


def sync(path: Path) -> None:
    """Have the system write a file or folder to disk, where it can."""
    with suppress(OSError):  # some systems cannot open folders, some file systems refuse to sync them
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def printable(path: str | Path) -> str:
    """Return a path as text that can be printed and written; bytes of its name that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def visible(text: str) -> str:
    """Return text as one line for a terminal: what moves the cursor, turns the direction or ends the line, escaped."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def read_regular(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        OSError: It cannot be read, is larger than `LARGEST`, or is a pipe or device, which might never end.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        require_readable(size)
        data = stream.read(size + 1)  # not all that may be read: Python would ask for as much memory first
        if len(data) > size:  # some files of the system give no size
            data += stream.read(LARGEST + 1 - len(data))
            require_readable(len(data))
        return data


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        OSError: It cannot be opened, or is a pipe or device, which might never end.
    """
    require_regular(path.stat())
    # Opened without waiting, and asked again: another file may have taken its place.
    stream = open(path, "rb", opener=_without_waiting)  # noqa: SIM115
    try:
        require_regular(os.fstat(stream.fileno()))
    except OSError:
        stream.close()
        raise
    return stream


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def require_regular(found: os.stat_result) -> None:
    """Refuse what is no file.

    Raises:
        OSError: It is a folder, a pipe, a device or a socket.
    """
    if stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    kind = "a pipe" if stat.S_ISFIFO(found.st_mode) else "a socket" if stat.S_ISSOCK(found.st_mode) else "a device"
    raise OSError(f"{kind}, which may never end; save its content to a file first")


def require_readable(size: int) -> None:
    """Refuse to read so many bytes at once.

    Raises:
        OSError: They are more than `LARGEST`.
    """
    if size > LARGEST:
        raise OSError(f"{size:,} bytes, more than {LARGEST:,}")


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON in one step; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: It is not JSON.
    """
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON: sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_json_array(values: Iterable[Any]) -> str:
    """Return what `sha256_of_json` returns for a list of these values, without holding its text in memory."""
    digest = hashlib.sha256(b"[")
    for number, value in enumerate(values):
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        digest.update(f"{',' if number else ''}{text}".encode())
    digest.update(b"]")
    return digest.hexdigest()
