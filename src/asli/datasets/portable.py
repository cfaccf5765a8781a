"""Names and texts as other systems write them: backslashes, drive letters, decomposed accents, UTF-16."""

import codecs
import io
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import IO

FOLDERS = ("", "images/", "image/", "imgs/", "img/", "data/")
"""Usual folders of a table's images, relative to the table."""

SUFFIXES = ("", ".jpg", ".png", ".jpeg", ".webp", ".JPG", ".PNG", ".JPEG", ".tif", ".bmp")
"""Endings that are tried for a name without one."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DRIVE = re.compile(r"[A-Za-z]:/+|//+")


def portable(name: str) -> str:
    """Return a name with `/` between its parts and without a leading `./`."""
    name = name.replace("\\", "/")
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def resolve(name: str, exists: Callable[[str], bool]) -> str | None:
    """Find the file that a table or list means, relative to that table or list.

    The name as it is comes first. Then: with other separators, in a folder such as `images`, composed or decomposed,
    with an ending, with its ending in small or capital letters. Of an absolute path of another system the longest end
    that exists is taken.

    Args:
        name: Name, as written.
        exists: Whether a file of that name is there.
    """
    if exists(name):
        return name
    plain = portable(name)
    ends = [plain]
    if drive := _DRIVE.match(plain):
        parts = plain[drive.end() :].split("/")
        ends = ["/".join(parts[start:]) for start in range(len(parts))]
    for end in ends:
        stem, dot, suffix = end.rpartition(".")
        known = dot and "/" not in suffix
        cased: tuple[str, ...] = (f"{stem}.{suffix.lower()}", f"{stem}.{suffix.upper()}") if known else ()
        forms = dict.fromkeys((end, unicodedata.normalize("NFC", end), unicodedata.normalize("NFD", end), *cased))
        endings = SUFFIXES if "." not in end[-6:] else ("",)
        for ending in endings:
            for folder in FOLDERS if not end.startswith("/") else ("",):
                for form in forms:
                    if exists(folder + form + ending):
                        return folder + form + ending
    return None


def encoding_of(head: bytes) -> str | None:
    """Return the encoding that the first bytes of a text show, or None: then it is UTF-8 or unknown."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if len(head) >= 4 and max(even, odd) > len(head) // 5 and min(even, odd) == 0:  # Latin letters of 16 bits
        return "utf-16-le" if odd else "utf-16-be"
    return None


def encoding_of_file(opened: Callable[[], IO[bytes]]) -> str:
    """Return the encoding of a whole text file: by its first bytes, else UTF-8, else Windows-1252."""
    with opened() as stream:
        head = stream.read(4096)
        known = encoding_of(head)
        if known is not None:
            return known
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while head:
                decoder.decode(head)
                head = stream.read(1 << 20)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def lines_of(opened: Callable[[], IO[bytes]]) -> Iterator[str]:
    """Yield the lines of a list of paths without their ends; bytes that are no UTF-8 stay as the system names files."""
    with opened() as stream:
        known = encoding_of(stream.read(4096))
    with io.TextIOWrapper(opened(), encoding=known or "utf-8", errors="strict" if known else "surrogateescape") as text:
        for line in text:
            yield line.rstrip("\r\n")
