"""PNG text, EXIF and XMP: unsigned, so anyone can have written them."""

import io
import warnings
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from PIL import ExifTags, Image

from asli.provenance.claims import Claim, claim

_PNG_TEXT = (
    *("parameters", "prompt", "workflow", "invokeai_metadata", "invokeai_graph", "sd-metadata", "fooocus_scheme"),
    *("Software", "Source", "Author", "Title", "Description", "Comment"),
)
_EXIF = {
    "Make": ExifTags.Base.Make,
    "Model": ExifTags.Base.Model,
    "Software": ExifTags.Base.Software,
    "Artist": ExifTags.Base.Artist,
    "ImageDescription": ExifTags.Base.ImageDescription,
    "DateTimeOriginal": ExifTags.Base.DateTimeOriginal,
    "UserComment": ExifTags.Base.UserComment,
}
_XMP = {
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": (
        *("DigitalSourceType", "AISystemUsed", "AIPromptInformation", "AIPromptWriterName"),
    ),
    "http://ns.adobe.com/xap/1.0/": ("CreatorTool",),
    "http://ns.adobe.com/photoshop/1.0/": ("Credit", "Source"),
}
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
LARGEST_XMP = 4_000_000
"""Bytes; larger packets are not parsed."""


def metadata_claims(data: bytes) -> list[Claim]:
    """Return what the metadata of an image file say of its origin; nothing where they are damaged.

    Args:
        data: The file's bytes. Only its head and metadata are read, no pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of corrupt EXIF
            image = Image.open(io.BytesIO(data))
            return [*_text(image), *_exif(image), *_xmp(image)]
    except Exception:  # Pillow's plugins raise almost anything on damaged files, which `decode` has to name
        return []


def _text(image: Image.Image) -> Iterator[Claim]:
    if image.format == "PNG":
        found: dict[str, Any] = image.text  # type: ignore[attr-defined]  # reads the file to its end
        yield from (claim("PNG text", key, str(found[key])) for key in _PNG_TEXT if found.get(key))


def _exif(image: Image.Image) -> Iterator[Claim]:
    exif = image.getexif()
    values = {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}
    for name, tag in _EXIF.items():
        value = values.get(tag)
        text = _decoded(value) if isinstance(value, bytes) else value
        if isinstance(text, str) and text.strip("\0 "):
            yield claim("EXIF", name, text.strip("\0 "))


def _decoded(comment: bytes) -> str:
    """Return the text of a UserComment, whose first eight bytes name its encoding (Exif 2.32, 4.6.5)."""
    kind, text = comment[:8], comment[8:]
    if kind.startswith(b"UNICODE"):
        # The byte order is the file's own; writers do not agree. Text of Western letters tells which it is.
        return text.decode("utf-16-be" if text[:1] == b"\0" else "utf-16-le", "replace")
    return text.decode("utf-8", "replace") if kind.startswith((b"ASCII", b"\0")) else comment.decode("utf-8", "replace")


def _xmp(image: Image.Image) -> Iterator[Claim]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    packet = packet.encode() if isinstance(packet, str) else packet
    # XMP has no document type; one would be there to define entities that expand without end.
    if not packet or len(packet) > LARGEST_XMP or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return
    try:
        tree = ElementTree.fromstring(packet.strip(b"\0 \n\r\t"))  # noqa: S314 - see above
    except ElementTree.ParseError:
        return
    for element in tree.iter():
        for name, value in [*element.attrib.items(), (element.tag, _value(element))]:
            space, _, field = name.removeprefix("{").partition("}")
            if value and field in _XMP.get(space, ()):
                yield claim("XMP", field, value)


def _value(element: ElementTree.Element) -> str:
    """Return a property's text: its own, its resource, or the items of its list."""
    items = [item.text or "" for item in element.iter(f"{_RDF}li")]
    return (element.text or "").strip() or element.get(f"{_RDF}resource", "") or "; ".join(filter(None, items))
