"""The structure of image files: segments, chunks and blocks, followed to a format's own end without decoding pixels.

What lies behind that end (the video of a motion photo, further pictures) belongs to no picture and is not looked at.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from asli.files import LFS_POINTER

PNG = b"\x89PNG\r\n\x1a\n"

MOST_TEXT = 1 << 20
"""Bytes of one compressed text or profile of a PNG file, decompressed, that Pillow takes."""

_ALL_TEXT = 32 << 20
"""Bytes of all of them; Pillow takes twice as many."""

_MOST_PAGES = 10_000
"""Pages of a TIFF file that are counted."""

_BEARS_ON_PIXELS = frozenset({b"tRNS", b"acTL", b"fcTL", b"fdAT"})
"""Auxiliary chunks of PNG that change the picture: these stay, damaged or not."""

_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
"""A marker of JPEG, but not the zero after an FF in coded data, nor a restart marker (there may be millions)."""

_ARCHIVES = (
    (0, b"PK\3\4", "zip"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\7", "RAR"),
    (0, b"\x1f\x8b\x08", "gzip"),
    (257, b"ustar", "tar"),
)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def no_image(data: bytes) -> str | None:
    """Return what a file is in place of an image, and what to do; None where its first bytes do not show it."""
    if data.startswith(LFS_POINTER):
        return "a Git LFS pointer, not the image itself; fetch it with: git lfs pull"
    kind = next((kind for start, mark, kind in _ARCHIVES if data.startswith(mark, start)), None)
    return (
        f"a {kind} archive, not an image; score the images in it with: asli scan ARCHIVE -o scores.csv"
        if kind
        else None
    )


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment of a JPEG file's first picture, up to its end (ITU T.81, annex B).

    Args:
        data: The file, or as much of it as there is.
    """
    place = 2
    while found := _MARKER.search(data, place):
        marker, place = found[1][0], found.end()
        if marker == 0xD9:  # end of image
            return
        if marker in (0x01, 0xD8):  # these have no content
            continue
        length = int.from_bytes(data[place : place + 2])
        yield marker, data[place + 2 : place + length]
        place += max(length, 2)


def without_faulty_segments(data: bytes) -> bytes:
    """Leave out metadata of a JPEG file for which Pillow may refuse the picture; EXIF stays, for its orientation.

    Args:
        data: A JPEG file.
    """
    place = 2
    kept = [data[:2]]
    while (found := _MARKER.match(data, place)) and found[1][0] != 0xDA:
        marker, start = found[1][0], found.end()
        end = start + max(int.from_bytes(data[start : start + 2]), 2)
        # Adobe's segment states how colors are stored, in twelve bytes.
        bears = data.startswith(b"Adobe", start + 2) and end - start >= 14 if marker == 0xEE else False
        exif = marker == 0xE1 and data.startswith(b"Exif\0", start + 2)
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or bears or exif:
            kept.append(data[place:end])
        place = end
        while data[place : place + 2] == b"\xff\xff":  # fill bytes
            place += 1
    return b"".join([*kept, data[place:]])


def jpeg_scans(data: bytes) -> int:
    """Count the scans of a JPEG file's first picture: passes over its pixels."""
    return sum(marker == 0xDA for marker, _ in jpeg_segments(data))


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the content of each whole chunk of a PNG file, up to its end (PNG 3, section 5)."""
    place = len(PNG)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        start, end = place + 8, place + 8 + length
        if end + 4 > len(data) or not kind.isalpha():
            return
        yield kind, start, end
        if kind == b"IEND":
            return
        place = end + 4


def without_faulty_chunks(data: bytes) -> bytes:
    """Leave out what Pillow would refuse a whole PNG picture for: auxiliary chunks that are damaged or very long.

    Args:
        data: A PNG file.

    Returns:
        The file; the same object where nothing is left out.
    """
    kept, after, text = [], 0, 0
    for kind, start, end in png_chunks(data):
        if kind[:1].isupper() or kind in _BEARS_ON_PIXELS:
            continue
        length = _text_length(kind, data[start:end])
        text += length or 0
        whole = int.from_bytes(data[end : end + 4]) == zlib.crc32(data[start - 4 : end])
        if not whole or length is None or text > _ALL_TEXT or end - start < _LENGTHS.get(kind, 0):
            text -= length or 0
            kept.append(data[after : start - 8])
            after = end + 4
    return b"".join([*kept, data[after:]]) if kept else data


def has_profile(data: bytes) -> bool:
    """Return whether a PNG file has a color profile, readable or not."""
    return any(kind == b"iCCP" for kind, _, _ in png_chunks(data))


def _text_length(kind: bytes, content: bytes) -> int | None:
    """Return the length of a text or profile, decompressed; 0 for other chunks, None where Pillow would refuse it."""
    if kind == b"tEXt":
        return len(content)
    if kind not in (b"zTXt", b"iTXt", b"iCCP"):
        return 0
    _, _, rest = content.partition(b"\0")
    if kind == b"iTXt":
        if rest[:2] != b"\1\0":  # not compressed
            return len(rest)
        packed = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif rest[:1] != b"\0":  # no known compression
        return None
    else:
        packed = rest[1:]
    found = inflate(packed, MOST_TEXT)
    return None if found is None else len(found)


def inflate(packed: bytes, most: int) -> bytes | None:
    """Decompress deflated bytes, of damaged ones what comes before the damage; None where they are more than `most`."""
    unpacker, found = zlib.decompressobj(), b""
    try:
        found = unpacker.decompress(packed, most)
        return None if unpacker.unconsumed_tail else found
    except zlib.error:
        return found


def riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of each chunk of a WebP file, up to the end that its head names."""
    place, end = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while place + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, place)
        yield kind, data[place + 8 : min(place + 8 + length, end)]
        place += 8 + length + length % 2


def gif_extensions(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield label, content and raw bytes of each extension of a GIF file, up to its end (GIF89a, sections 20 to 27).

    The content is that of the sub-blocks joined; raw are the bytes as they lie there, lengths included.
    """

    def color_table(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    def sub_blocks(place: int) -> tuple[list[bytes], int]:
        blocks = []
        while place < len(data) and (length := data[place]):
            blocks.append(data[place + 1 : place + 1 + length])
            place += 1 + length
        return blocks, place + 1

    place = 13 + color_table(data[10]) if len(data) > 10 else len(data)
    while place + 1 < len(data):
        kind, start = data[place], place + 2
        if kind == 0x21:
            blocks, place = sub_blocks(start)
            yield data[start - 1], b"".join(blocks), data[start:place]
        elif kind == 0x2C and place + 10 < len(data):
            _, place = sub_blocks(place + 11 + color_table(data[place + 9]))
        else:
            return


def tiff_pages(tiff: bytes) -> int | None:
    """Count the pages of a TIFF file (TIFF 6.0, section 2; BigTIFF); None above `_MOST_PAGES`.

    Pillow looks for each page among all that came before it: the square of what a crafted file holds.
    """
    order = "<" if tiff[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", tiff, 2)[0] == 43
    count, offset, entry = (f"{order}Q", f"{order}Q", 20) if big else (f"{order}H", f"{order}I", 12)
    seen: set[int] = set()
    (place,) = struct.unpack_from(offset, tiff, 8 if big else 4)
    while place and place not in seen:
        if len(seen) == _MOST_PAGES:
            return None
        seen.add(place)
        try:
            (entries,) = struct.unpack_from(count, tiff, place)
            (place,) = struct.unpack_from(offset, tiff, place + struct.calcsize(count) + entries * entry)
        except struct.error:  # the file ends here
            break
    return len(seen)


def is_heif(data: bytes) -> bool:
    """Return whether a file is HEIC; AVIF files may begin with the same general brand and name their own further on."""
    if data[4:8] != b"ftyp" or data[8:12] not in _HEIF_BRANDS:
        return False
    brands = data[16 : min(int.from_bytes(data[:4]), 256)]
    return not (data[8:12] in (b"mif1", b"msf1") and any(brands[n : n + 4] == b"avif" for n in range(0, 240, 4)))
