"""WebDataset shards: tar archives read once, from the beginning to the end, over any connection."""

import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from itertools import groupby
from typing import IO

from asli.datasets.archives import LeftOut, decompressor, safe_name
from asli.datasets.images import is_image
from asli.datasets.sources import HEAD
from asli.files import printable
from asli.scaling.pictures import Picture, PictureTally
from asli.scaling.urls import LARGEST_PICTURE

_DAMAGE = (tarfile.TarError, ValueError, EOFError, zlib.error, lzma.LZMAError)
_BLOCK = 1 << 20


def key_of(name: str) -> str:
    """Return the key of an entry's sample: its path up to the first dot of the base name."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def tar_pictures(
    stream: IO[bytes], shown: str, before: str, tally: PictureTally, *, start: int = 0, include_hidden: bool = False
) -> Iterator[Picture]:
    """Yield the images of a tar archive, those of a sample one after another.

    Entries of one sample are neighbors. What follows a cut or damage is lost, and a last row states that.

    Args:
        stream: The archive, seekable.
        shown: What `path` of its images begins with, ending in `/`.
        before: What `id` of its images begins with.
        tally: Counts what is no image.
        start: Images to pass over.
        include_hidden: Whether hidden and system files count.
    """
    head = stream.read(512)
    stream.seek(0)
    unpack = decompressor(head)
    if unpack is not None:
        stream, broken = _unpacked(stream, unpack)
    else:
        broken = None
    members = _Members(stream)
    number, seen = 0, set[str]()
    left = LeftOut()
    for _, sample in groupby(members, key=lambda member: key_of(member.name)):
        for member in sample:
            name = safe_name(member.name, left, include_hidden=include_hidden)
            if name is None:
                continue
            image = is_image(name) or is_image(name, members.head(member))
            if not image:
                base = name.rpartition("/")[2]
                tally.skipped[f".{base.rpartition('.')[2].lower()}" if "." in base else "no ending"] += 1
                continue
            copy, unique = 1, name
            while unique in seen:  # ids are unique; a local scan, which can look ahead, takes the last of them
                copy += 1
                unique = f"{name}#{copy}"
            seen.add(unique)
            number += 1
            if number > start:
                picture = Picture(before + unique, shown + name)
                members.read_into(picture, member)
                yield picture
    tally.unsafe += len(left.unsafe)
    tally.hidden += left.hidden
    if reason := members.damage or broken:
        tally.ignored.append(f"{shown.rstrip('/')}: {reason}")
        if not members.cut and number + 1 > start:
            yield Picture(before + "#rest", f"{shown}#rest", error=reason)


class _Members:
    """The regular files of a tar archive in their order, up to its end or damage.

    Attributes:
        damage: What ends it too early, or None.
        cut: Whether an entry is cut, so that its own row has the reason.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.damage: str | None = None
        self.cut = False

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        last, count = "its beginning", 0
        try:
            archive = tarfile.TarFile(fileobj=self._stream)
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # tarfile keeps every entry otherwise
                if member.isreg() and not member.issparse():
                    yield member
                    last, count = f"sample {printable(key_of(member.name))}", count + 1
                if self.cut:
                    self.damage = f"the archive is cut in {last}, behind {count:,} entries; what follows is lost"
                    return
            self._stream.seek(archive.offset)
            block = self._stream.read(tarfile.BLOCKSIZE)
            if len(block) == tarfile.BLOCKSIZE and not any(block):
                return
            error: object = "no end mark"
        except (*_DAMAGE, OSError) as found:
            error = " ".join(str(found).split())
        self.damage = f"the archive is cut or damaged behind {last}, {count:,} entries; what follows is lost ({error})"

    def head(self, member: tarfile.TarInfo) -> bytes:
        """Return an entry's first bytes."""
        self._stream.seek(member.offset_data)
        return self._stream.read(min(HEAD, member.size))

    def read_into(self, picture: Picture, member: tarfile.TarInfo) -> None:
        """Give a picture its bytes or the reason why it has none."""
        if member.size > LARGEST_PICTURE:
            picture.error = f"{member.size:,} bytes, more than {LARGEST_PICTURE:,}"
            return
        try:
            self._stream.seek(member.offset_data)
            data = self._stream.read(member.size)
        except OSError as error:
            picture.error, self.cut = " ".join(str(error).split()), True
            return
        if len(data) == member.size:
            picture.data = data
        else:
            picture.error, self.cut = f"the archive ends after {len(data):,} of {member.size:,} bytes", True


def _unpacked(stream: IO[bytes], unpack: object) -> tuple[IO[bytes], str | None]:
    """Decompress into a temporary file as far as the archive is whole."""
    plain = tempfile.TemporaryFile(prefix="asli-tar-")  # noqa: SIM115 - it is read as long as the shard
    try:
        with unpack(stream) as packed:  # type: ignore[operator]
            take = getattr(packed, "read1", packed.read)
            while block := take(_BLOCK):
                plain.write(block)
        broken = None
    except (*_DAMAGE, OSError) as error:
        broken = f"the compressed archive is cut or damaged: {' '.join(str(error).split())}"
    plain.seek(0)
    return plain, broken
