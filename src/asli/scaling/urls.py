"""Object stores and web servers by URL, through fsspec; local paths go the same way."""

import io
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from asli.errors import AsliError, MissingExtraError

TRIES = 4
"""Attempts at one read or write; between them 0.25, 0.5 and 1 second, more or less."""

BLOCK = 4 << 20
"""Bytes read ahead of a shard: one request each."""

LARGEST_PICTURE = 100_000_000
"""Bytes of a picture that is read by URL or from a shard; memory is this times the reading threads."""

FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Failures that another try does not mend."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two characters at least: C:// is a drive
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "http": "aiohttp", "https": "aiohttp"}
"""Packages of the extra `remote`."""

Result = TypeVar("Result")


def scheme_of(text: str) -> str | None:
    """Return the scheme of a URL in lower case, or None for a path."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else None


def filesystem(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL or local path, and the path in it; credentials are the usual ones.

    Raises:
        MissingExtraError: fsspec or the store's package is not installed.
        AsliError: No package knows the scheme, or its settings are wrong.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtraError("fsspec", "remote") from error
    scheme = scheme_of(url)
    if scheme is None:
        from fsspec.implementations.local import LocalFileSystem

        return LocalFileSystem(), str(Path(url).absolute())
    try:
        fs, path = url_to_fs(url)
    except ImportError as error:
        if scheme in _PACKAGES:
            raise MissingExtraError(_PACKAGES[scheme], "remote") from error
        raise AsliError(f"{url} cannot be opened: {brief(error)}") from error
    except Exception as error:  # each store has errors of its own
        raise AsliError(f"{url} cannot be opened: {brief(error)}") from error
    return fs, str(path)


def retried(action: Callable[[], Result]) -> Result:
    """Call a function of a store until it succeeds, at most `TRIES` times.

    Raises:
        OSError: The last failure; one of `FINAL` at once.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return action()
        except FINAL:
            raise
        except Exception as error:  # botocore, aiohttp and others have errors without a common base
            if attempt == TRIES:
                raise OSError(f"{brief(error)} ({TRIES} tries)") from error
            pause(attempt)
    raise AssertionError("unreachable")


def pause(attempt: int) -> None:
    """Wait longer after each failed attempt, never at the same moment as others."""
    time.sleep(0.25 * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - no secret


def read_object(url: str, limit: int = LARGEST_PICTURE) -> bytes:
    """Return the bytes of one object in one request.

    Raises:
        OSError: It is missing, larger than the limit, or cannot be read.
    """
    try:
        fs, path = filesystem(url)
    except AsliError as error:
        raise OSError(str(error)) from error

    def read() -> bytes:
        try:
            return bytes(fs.cat_file(path, start=0, end=limit + 1))
        except FINAL:
            raise
        except Exception:
            if fs.size(path) == 0:  # stores refuse a range of an empty object
                return b""
            raise

    try:
        data = retried(read)
    except FileNotFoundError as error:
        raise FileNotFoundError("No such object") from error
    except PermissionError as error:
        raise OSError(f"access denied: {brief(error)}") from error
    if len(data) > limit:
        raise OSError(f"more than {limit:,} bytes")
    return data


class ObjectStream(io.RawIOBase):
    """An object read forwards in large blocks; a broken connection is opened again at the same place.

    Args:
        url: URL or local path.

    Attributes:
        size: Bytes.
        stamp: Size and what the store gives of version or time of change, as text.

    Raises:
        OSError: It is missing or cannot be opened.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.fs, self.path = filesystem(url)
        self._place = 0
        info = retried(lambda: self.fs.info(self.path))
        if info.get("type") == "directory":
            raise IsADirectoryError(f"{url} is a folder")
        version = next((str(info[k]) for k in ("ETag", "etag", "mtime", "LastModified", "created") if info.get(k)), "")
        self._file: IO[bytes] = retried(self._open)
        self.size = int(info["size"] if info.get("size") is not None else self._file.seek(0, io.SEEK_END))
        self.stamp = f"{self.size} {version}"

    def _open(self) -> Any:
        options = {} if "file" in _protocols(self.fs) else {"block_size": BLOCK, "cache_type": "readahead"}
        return self.fs.open(self.path, "rb", **options)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._place = offset + (0, self._place, self.size)[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes."""
        wanted = min(len(buffer), max(self.size - self._place, 0))
        if not wanted:
            return 0
        data = retried(lambda: self._read(wanted))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _read(self, count: int) -> bytes:
        try:
            self._file.seek(self._place)
            data = self._file.read(count)
        except Exception:
            self._file = self._open()
            raise
        if not data:
            self._file = self._open()
            raise OSError(f"the transfer ends at byte {self._place:,} of {self.size:,}")
        return data

    def close(self) -> None:
        """Close the connection."""
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def brief(error: BaseException) -> str:
    """Return an error in one line of at most 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."
