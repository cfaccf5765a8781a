"""Bytes of metadata as text: in the encoding they declare, or in the one that they show."""

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 4096


def text_of(content: bytes, otherwise: str = "utf-8") -> str:
    """Return bytes as text, whatever their encoding: UTF-8, UTF-16, UTF-32 or, failing these, Windows-1252.

    Args:
        content: The text.
        otherwise: The encoding to try where the bytes show none.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace").strip("\0 \r\n\t")
    if wide := _wide(content):
        return content.decode(wide, "replace").strip("\0 \r\n\t")
    content = content.strip(b"\0 \r\n\t")
    for candidate in (otherwise, "utf-8"):
        try:
            return content.decode(candidate)
        except (UnicodeDecodeError, LookupError):
            continue
    return content.decode("cp1252", "replace")


def user_comment(content: bytes, *, big_endian: bool) -> str:
    """Return the text of an EXIF UserComment, whose first eight bytes name its encoding (Exif 3.0, 4.6.6).

    Args:
        content: Its bytes.
        big_endian: Whether the EXIF block is; writers of UTF-16 do not agree whether the comment follows it.
    """
    kind, text = content[:8].upper(), content[8:]
    if kind.startswith(b"UNICODE"):
        if b"\0" in text or not text.isascii():
            wide = "utf-16-be" if big_endian else "utf-16-le"
            return text_of(text, "utf-8" if _wide(text) or _is_utf8(text) else wide)
        return text_of(text)
    if kind.startswith(b"JIS"):
        return text.decode("iso2022_jp", "replace").strip("\0 ")
    return text_of(text) if kind.startswith(b"ASCII") or kind == bytes(8) else text_of(content)


def repaired(text: str) -> str:
    """Return text that Pillow decoded as Latin-1, as EXIF has it, though it was written as UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _wide(content: bytes) -> str | None:
    """Return the encoding of text without a mark whose Western letters show two or four bytes each."""
    sample = content[:_SAMPLE]
    if len(sample) < 4 or b"\0" not in sample.rstrip(b"\0"):
        return None
    if sample[:3] == b"\0\0\0" and sample[3]:
        return "utf-32-be"
    if sample[1:4] == b"\0\0\0" and sample[0]:
        return "utf-32-le"
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < len(sample) // 20 or even == odd:
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
