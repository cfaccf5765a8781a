"""Text chunks, comments, EXIF, XMP and IPTC fields: unsigned, so anyone can have written them."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image

from asli.datasets.images import opened
from asli.provenance.blocks import MOST, Block, blocks
from asli.provenance.claims import Claim, claim, distinct, meaning, plain
from asli.provenance.texts import repaired, text_of, user_comment
from asli.provenance.xmp import XmpError, properties

_SHOWN_EXIF = frozenset(
    (
        *("Make", "Model", "Software", "Artist", "ImageDescription", "DateTimeOriginal", "UserComment"),
        *("ProcessingSoftware", "HostComputer", "DocumentName", "XPTitle", "XPComment", "XPSubject", "XPAuthor"),
        *("XPKeywords", "ImageTitle", "ImageEditingSoftware", "MetadataEditingSoftware", "CameraFirmware"),
    )
)
_NEW_EXIF = {  # Exif 3.0
    0xA436: "ImageTitle",
    0xA437: "Photographer",
    0xA438: "ImageEditor",
    0xA439: "CameraFirmware",
    0xA43A: "RAWDevelopingSoftware",
    0xA43B: "ImageEditingSoftware",
    0xA43C: "MetadataEditingSoftware",
}
_WIDE = range(0x9C9B, 0x9CA0)
"""EXIF tags XPTitle to XPSubject: UTF-16, little-endian."""

_SHOWN_XMP = frozenset(
    (
        *("digitalsourcetype", "digitalsourcefiletype", "aisystemused", "aisystemversionused", "aipromptinformation"),
        *("aipromptwritername", "creatortool", "softwareagent", "credit", "aigc", "provenance"),
    )
)
_IPTC = {
    5: "ObjectName",
    25: "Keywords",
    40: "SpecialInstructions",
    65: "OriginatingProgram",
    80: "By-line",
    105: "Headline",
    110: "Credit",
    115: "Source",
    116: "CopyrightNotice",
    120: "Caption",
}
"""Datasets of record 2 (IPTC IIM 4.2, section 6)."""

_UNREAD = 10
_MOST_BLOCKS = 2_000
"""Blocks of a file that are read: writers make a dozen."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Metadata that are there and could not be read.

    Attributes:
        source: What holds them: EXIF, XMP and the like.
        why: What is wrong with them.
    """

    source: str
    why: str


def metadata_claims(data: bytes) -> tuple[list[Claim], list[Unread]]:
    """Return what the metadata of an image file state of its origin, and which of them could not be read.

    Args:
        data: The file's bytes.
    """
    found: list[Claim] = []
    unread: list[Unread] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of corrupt EXIF
        try:
            for number, block in enumerate(blocks(data)):
                if number == _MOST_BLOCKS:
                    unread.append(Unread("metadata", f"more than {_MOST_BLOCKS:,} parts; the rest was not looked at"))
                    break
                _read(block, found, unread)
        except Exception as error:  # the structure of a damaged file; its pixels may be whole all the same
            unread.append(Unread("metadata", _line(error)))
    return distinct(found), list(dict.fromkeys(unread))[:_UNREAD]


def _read(block: Block, found: list[Claim], unread: list[Unread]) -> None:
    name = f"{block.source} {block.field}".strip()
    if block.content is None:
        unread.append(Unread(name, f"damaged or longer than {MOST:,} bytes"))
        return
    if not block.content.strip(b"\0 \r\n\t"):
        return
    try:
        found.extend(_READERS[block.kind](block, block.content))
    except _Partly as error:
        found.extend(error.claims)
        unread.append(Unread(name, error.why))
    except Exception as error:  # Pillow's reader of EXIF raises almost anything on damaged ones
        unread.append(Unread(name, _line(error)))


class _Partly(Exception):  # noqa: N818 - it carries what was read
    def __init__(self, claims: list[Claim], why: str) -> None:
        super().__init__(why)
        self.claims, self.why = claims, why


def _text(block: Block, content: bytes) -> Iterator[Claim]:
    if text := text_of(content):
        yield claim(block.source, block.field, text)


def _exif(_: Block, content: bytes) -> Iterator[Claim]:
    exif = Image.Exif()
    if content[:4] in (b"II+\0", b"MM\0+"):  # a BigTIFF file, which Pillow's reader of EXIF alone does not take
        exif = opened(content).getexif()
    else:
        exif.load(content)
    values: dict[int, Any] = {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}
    for tag, value in values.items():
        name = ExifTags.TAGS.get(tag) or _NEW_EXIF.get(tag) or f"tag {tag:#06x}"
        text = _exif_text(tag, value, big_endian=exif.endian == ">")
        if text and (name in _SHOWN_EXIF or meaning(name, text)):
            yield claim("EXIF", name, text)


def _exif_text(tag: int, value: Any, *, big_endian: bool) -> str:
    if isinstance(value, tuple) and value and all(isinstance(v, int) and 0 <= v < 256 for v in value):
        value = bytes(value)
    if isinstance(value, str):
        return repaired(value).strip("\0 ")
    if not isinstance(value, bytes) or tag in (700, 33723, 34377, 34675):  # blocks of their own; a color profile
        return ""
    if tag == ExifTags.Base.UserComment:
        return user_comment(value, big_endian=big_endian)
    return text_of(value, "utf-16-le" if tag in _WIDE else "utf-8")


def _xmp(block: Block, content: bytes) -> list[Claim]:
    found: list[Claim] = []
    packet: list[tuple[str, str]] = []
    try:
        for name, value in properties(content):
            packet.append((name, value))
            # A field `Source` of Photoshop names software; `source` of Dublin Core is a work this one derives from.
            if plain(name) in _SHOWN_XMP or name == "Source" or (name != "source" and meaning(name, value)):
                found.append(claim(block.source, name, value))
        found += _label(packet)
    except XmpError as error:
        if not any(claim.says for claim in found) and (said := meaning("text", text_of(content))):
            found.append(Claim(block.source, "packet", text_of(content)[:200], *said))
        raise _Partly(found, str(error)) from error
    return found


def _label(packet: list[tuple[str, str]]) -> list[Claim]:
    """Return China's label where it is a structure of XMP, whose fields stand by themselves."""
    said = {plain(name): value for name, value in packet}
    if "contentproducer" not in said or "label" not in said:
        return []
    return [claim("XMP", "AIGC", f"Label: {said['label']}, ContentProducer: {said['contentproducer']}")]


def _iptc(_: Block, content: bytes) -> Iterator[Claim]:
    place = 0
    while content[place : place + 1] == b"\x1c" and place + 5 <= len(content):
        record, dataset = content[place + 1], content[place + 2]
        length = int.from_bytes(content[place + 3 : place + 5])
        place += 5
        if length & 0x8000:  # the length of the length
            size = length & 0x7FFF
            length = int.from_bytes(content[place : place + size])
            place += size
        if record == 2 and dataset in _IPTC and (text := text_of(content[place : place + length])):
            name = _IPTC[dataset]
            if name in ("OriginatingProgram", "Credit", "Source") or meaning(name, text):
                yield claim("IPTC", name, text)
        place += length


_READERS = {"text": _text, "exif": _exif, "xmp": _xmp, "iptc": _iptc}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
