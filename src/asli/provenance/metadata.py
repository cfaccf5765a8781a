"""PNG text, EXIF and XMP: unsigned, so anyone can have written them."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from xml.etree import ElementTree

from PIL import ExifTags, Image, PngImagePlugin

from asli.provenance.claims import Claim, claim, distinct

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
LARGEST_XMP = 256_000
"""Bytes; larger packets are not parsed."""


def metadata_claims(image: Image.Image) -> list[Claim]:
    """Return what the metadata of an image say of its origin; of damaged ones, what comes before the damage.

    Args:
        image: Loaded, so that text after the pixels is known without decoding them again.
    """
    found: list[Claim] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of corrupt EXIF
        for read in (_text, _exif, _xmp):
            # Pillow's readers raise almost anything on damaged metadata; the picture is whole all the same.
            with suppress(Exception):
                found.extend(read(image))
    return distinct(found)


def _text(image: Image.Image) -> Iterator[Claim]:
    if isinstance(image, PngImagePlugin.PngImageFile):
        yield from (claim("PNG text", key, str(image.text[key])) for key in _PNG_TEXT if image.text.get(key))


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
    said = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    packet = (said.encode() if isinstance(said, str) else said).strip(b"\0 \n\r\t")
    # XMP has no document type; one would be there to define entities that expand without end. Zero bytes would be an
    # encoding in which one is written otherwise; XMP inside image files is UTF-8 (part 3 of its specification).
    if len(packet) > LARGEST_XMP or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet or b"\0" in packet:
        return
    try:
        tree = ElementTree.fromstring(packet)  # noqa: S314 - see above
    except ElementTree.ParseError:
        return
    for element in tree.iter():
        for name in (*element.attrib, element.tag):
            space, _, field = name.removeprefix("{").partition("}")
            if field not in _XMP.get(space, ()):
                continue
            if value := element.get(name) or _value(element):
                yield claim("XMP", field, value)


def _value(element: ElementTree.Element) -> str:
    """Return a property's text: its own, its resource, or the items of its list."""
    items = [item.text or "" for item in element.findall(f"*/{_RDF}li")]
    return (element.text or "").strip() or element.get(f"{_RDF}resource", "") or "; ".join(filter(None, items))
