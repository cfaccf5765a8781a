"""Blocks of metadata in image files, found in the structure of the file."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

from asli.datasets.containers import PNG, gif_extensions, inflate, jpeg_segments, png_chunks, riff_chunks
from asli.datasets.images import opened
from asli.errors import ImageError

MOST = 16 << 20
"""Bytes of one block that are read, decompressed; longer ones are named as not read."""

_XMP, _EXTENDED = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_COMPARED = 4096
"""Bytes that tell a packet: a long one lies in parts in a JPEG file, with other bytes between them."""

_PACKETS = 8
"""Packets outside the known places that are read."""


class Block(NamedTuple):
    """A piece of metadata.

    Attributes:
        kind: How it is read.
        source: What holds it, in words: PNG text, EXIF, XMP, IPTC, JPEG comment and the like.
        field: Its name there.
        content: Content, as it lies in the file, decompressed; None where it is damaged or longer than `MOST`.
    """

    kind: Literal["text", "exif", "xmp", "iptc"]
    source: str
    field: str
    content: bytes | None


def blocks(data: bytes) -> Iterator[Block]:
    """Yield every block of metadata of an image file; of a damaged file, those before the damage.

    Args:
        data: The file's bytes.
    """
    packets: list[bytes] = []
    for block in _finder(data)(data):
        if block.kind == "xmp" and block.content:
            packets.append(block.content)
        yield block
    # XMP is made to be found by searching; some writers append it where no format has a place for it.
    start = -1
    for _ in range(_PACKETS):
        start = data.find(b"<x:xmpmeta", start + 1)
        end = data.find(b"</x:xmpmeta>", start, start + MOST)
        if start < 0 or end < 0:
            return
        packet = data[start : end + 12]
        if not any(packet in known or packet[:_COMPARED] in known for known in packets):
            yield Block("xmp", "XMP outside the format", "packet", packet)


def _finder(data: bytes) -> Callable[[bytes], Iterator[Block]]:
    if data.startswith(b"\xff\xd8"):
        return _jpeg
    if data.startswith(PNG):
        return _png
    if data.startswith(b"RIFF"):
        return _webp
    if data.startswith(b"GIF8"):
        return _gif
    if re.match(rb"P[1-6]\s", data):
        return _ppm
    return _by_pillow


def _jpeg(data: bytes) -> Iterator[Block]:
    extended: dict[bytes, dict[int, bytes]] = {}
    lengths: dict[bytes, int] = {}
    resources = b""
    for marker, content in jpeg_segments(data):
        if marker == 0xE1 and content.startswith(b"Exif\0"):
            yield Block("exif", "EXIF", "", content)
        elif marker == 0xE1 and content.startswith(_EXTENDED):
            head = content[len(_EXTENDED) :]
            lengths[head[:32]] = int.from_bytes(head[32:36])
            extended.setdefault(head[:32], {})[int.from_bytes(head[36:40])] = head[40:]
        elif marker == 0xE1 and (content.startswith(_XMP[:-1]) or b"<x:xmpmeta" in content or b"<rdf:RDF" in content):
            yield Block("xmp", "XMP", "packet", content.partition(b"\0")[2] if content.startswith(b"http") else content)
        elif marker == 0xED and content.startswith(_PHOTOSHOP):
            resources += content[len(_PHOTOSHOP) :]
        elif marker == 0xFE:
            yield Block("text", "JPEG comment", "comment", content)
    yield from photoshop(resources)
    for digest, parts in extended.items():
        whole = b"".join(parts[place] for place in sorted(parts))
        if len(whole) < lengths[digest]:
            yield Block("xmp", "XMP", "extended packet, of which parts are missing", None)
        yield Block("xmp", "XMP", "extended packet", whole)


def _png(data: bytes) -> Iterator[Block]:
    for kind, start, end in png_chunks(data):
        content = data[start:end]
        key, _, rest = content.partition(b"\0")
        name = key.decode("latin-1")
        text: bytes | None = rest
        if kind == b"zTXt":
            text = inflate(rest[1:], MOST)
        elif kind == b"iTXt":
            packed = rest[:1] == b"\1"
            rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
            text = inflate(rest, MOST) if packed else rest
        elif kind == b"eXIf":
            yield Block("exif", "EXIF", "", content)
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            continue
        if name.lower().startswith("raw profile type "):  # ImageMagick's way to keep other metadata
            yield from _raw_profile(name, text)
        elif name == "XML:com.adobe.xmp":
            yield Block("xmp", "XMP", "packet", text)
        else:
            yield Block("text", "PNG text", name, text)


def _raw_profile(name: str, text: bytes | None) -> Iterator[Block]:
    """Yield what a text of PNG holds in hexadecimal: a line with its type, a line with its length, the digits."""
    kind = name.rpartition(" ")[2].lower()
    content = None
    with suppress(ValueError, IndexError, AttributeError):
        content = bytes.fromhex("".join(text.split(maxsplit=2)[2].decode("ascii").split())) if text else None
    if kind in ("exif", "app1") and not (content or b"").startswith(_XMP[:-1]):
        yield Block("exif", "EXIF", "", content)
    elif kind in ("xmp", "app1"):
        yield Block("xmp", "XMP", "packet", (content or b"").removeprefix(_XMP) or None)
    elif kind in ("iptc", "8bim", "app13") and content:
        content = content.removeprefix(_PHOTOSHOP)
        yield from photoshop(content) if content.startswith(b"8BIM") else [Block("iptc", "IPTC", "", content)]


def _webp(data: bytes) -> Iterator[Block]:
    for kind, content in riff_chunks(data):
        if kind == b"EXIF":
            yield Block("exif", "EXIF", "", content)
        elif kind[:3] == b"XMP":
            yield Block("xmp", "XMP", "packet", content)


def _gif(data: bytes) -> Iterator[Block]:
    for label, content, raw in gif_extensions(data):
        if label == 0xFE:
            yield Block("text", "GIF comment", "comment", content)
        elif label == 0xFF and raw[1:12] == b"XMP DataXMP":  # not in sub-blocks: a trailer leads readers behind it
            yield Block("xmp", "XMP", "packet", raw[12:])


def _ppm(data: bytes) -> Iterator[Block]:
    for line in data[:10_000].split(b"\n")[1:]:
        if not line.startswith(b"#"):
            return
        yield Block("text", "PPM comment", "comment", line[1:])


def _by_pillow(data: bytes) -> Iterator[Block]:
    """TIFF, AVIF and HEIF: what Pillow finds in them without decoding."""
    try:
        image = opened(data)
    except ImageError:
        return
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        for tag, kind in ((700, "xmp"), (33723, "iptc"), (34377, "photoshop")):
            content = tags.get(tag)
            content = bytes(content) if isinstance(content, tuple) and kind != "iptc" else content
            if isinstance(content, bytes) and kind == "photoshop":
                yield from photoshop(content)
            elif isinstance(content, bytes):
                yield Block("xmp" if kind == "xmp" else "iptc", kind.upper(), "packet", content)
        yield Block("exif", "EXIF", "", data)
        return
    for kind in ("exif", "xmp"):
        content = image.info.get(kind)
        if isinstance(content, bytes) and content:
            yield Block("exif" if kind == "exif" else "xmp", kind.upper(), "packet", content)


def photoshop(resources: bytes) -> Iterator[Block]:
    """Yield the metadata among Photoshop's image resources: 8BIM, number, name, length, content, each padded."""
    place = 0
    while resources[place : place + 4] == b"8BIM" and place + 8 <= len(resources):
        number = int.from_bytes(resources[place + 4 : place + 6])
        place += 6 + (resources[place + 6] + 2) // 2 * 2
        length = int.from_bytes(resources[place : place + 4])
        content = resources[place + 4 : place + 4 + length]
        place += 4 + length + length % 2
        if number == 0x0404:
            yield Block("iptc", "IPTC", "", content)
        elif number == 0x0422:
            yield Block("exif", "EXIF", "", content)
        elif number == 0x0424:
            yield Block("xmp", "XMP", "packet", content)
