"""Unsigned statements in every field and encoding in use; each file is made in the test."""

import io
import json
import struct
import zlib

import pytest
from PIL import Image, PngImagePlugin

from asli.provenance.read import provenance

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SETTINGS = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"
COMFY = json.dumps({"3": {"class_type": "KSampler", "inputs": {"text": "Jörg 猫"}}})
LABEL = '{"Label":"1","ContentProducer":"x","ProduceID":"1"}'
KIND = f"<I:DigitalSourceType>{AI}</I:DigitalSourceType>"
ADOBE, EXTENSION = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"


def packet(inside=KIND, space='xmlns:I="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:c="urn:c"'):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f"<rdf:Description {space}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def file(form="JPEG", **options):
    stream = io.BytesIO()
    Image.effect_noise((48, 32), 40).convert("RGB").save(stream, form, **options)
    return stream.getvalue()


def segment(marker, content, jpeg=None):
    jpeg = jpeg or file()
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


def xmp(content):
    return segment(0xE1, ADOBE + content)


def chunk(kind, content):
    png = file("PNG")
    made = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return png[:33] + made + png[33:]


def exif(form="JPEG", *, ifd=None, **tags):
    made = Image.Exif()
    for tag, value in tags.items():
        made[int(tag[1:], 16)] = value
    for tag, value in (ifd or {}).items():
        made.get_ifd(0x8769)[tag] = value
    return file(form, exif=made)


def iim(*fields):
    return b"".join(b"\x1c\2" + bytes([number]) + struct.pack(">H", len(value)) + value for number, value in fields)


def resource(number, content):
    return (
        b"8BIM"
        + struct.pack(">H", number)
        + b"\0\0"
        + struct.pack(">I", len(content))
        + content
        + b"\0" * (len(content) % 2)
    )


def extended():
    """XMP of 130,000 bytes in two extension segments, the second first."""
    whole = packet(f"<c:history>{'x' * 130_000}</c:history>{KIND}").encode()
    head = EXTENSION + b"0" * 32 + struct.pack(">I", len(whole))
    jpeg = segment(0xE1, head + struct.pack(">I", 0) + whole[:60_000])
    jpeg = segment(0xE1, head + struct.pack(">I", 60_000) + whole[60_000:120_000], jpeg)
    jpeg = segment(0xE1, head + struct.pack(">I", 120_000) + whole[120_000:], jpeg)
    return segment(0xE1, ADOBE + packet("").encode(), jpeg)


def gif(label, content):
    made = file("GIF")
    return made[:-1] + b"\x21" + bytes([label]) + content + b";"


def gif_xmp():
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    return gif(0xFF, b"\x0bXMP DataXMP" + packet().encode() + trailer)


def raw_profile(kind, content):
    text = f"\n{kind}\n{len(content):8d}\n{content.hex()}\n"
    return chunk(b"zTXt", b"Raw profile type " + kind.encode() + b"\0\0" + zlib.compress(text.encode()))


def info(**entries):
    made = PngImagePlugin.PngInfo()
    for key, value in entries.items():
        made.add_itxt(key.replace("_", " "), value, zip=True)
    return file("PNG", pnginfo=made)


WIDE = "utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-32-be", "utf-32"
CASES = {
    **{f"XMP in {name}": lambda name=name: xmp(packet(f"<c:a>J\xf6rg</c:a>{KIND}").encode(name)) for name in WIDE},
    "XMP in Latin-1": lambda: xmp(packet(f"<c:a>J\xf6rg</c:a>{KIND}").encode("latin-1")),
    "XMP declared as Latin-1": lambda: xmp(
        b'<?xml version="1.0" encoding="ISO-8859-1"?>' + packet(f"<c:a>\xf6</c:a>{KIND}").encode("latin-1")
    ),
    "XMP of undeclared names": lambda: xmp(packet(space="").encode()),
    "XMP with garbage behind": lambda: xmp(packet().encode() + b"\0\0x<y"),
    "XMP with control characters": lambda: xmp(packet(f"<c:a>a\x03b</c:a>{KIND}").encode()),
    "XMP cut off": lambda: xmp(packet(KIND + "<c:a>").encode()[:-60]),
    "XMP with its field broken": lambda: xmp(packet(f"<c:a><I:DigitalSourceType>{AI}</c:a>").encode()),
    "XMP in many segments": extended,
    "XMP behind the end": lambda: file() + packet().encode(),
    "XMP in compressed iTXt": lambda: chunk(
        b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet(f"<c:h>{'x' * 2_000_000}</c:h>{KIND}").encode())
    ),
    "XMP in WebP": lambda: file("WEBP", xmp=packet().encode()),
    "XMP in GIF": gif_xmp,
    "XMP in TIFF": lambda: file("TIFF", tiffinfo={700: packet().encode()}),
    "XMP in BigTIFF": lambda: file("TIFF", tiffinfo={700: packet().encode()}, big_tiff=True),
    "XMP in AVIF": lambda: file("AVIF", xmp=packet().encode()),
    "XMP among Photoshop's resources": lambda: segment(0xED, b"Photoshop 3.0\0" + resource(0x0424, packet().encode())),
    "XMP as a raw profile": lambda: raw_profile("xmp", packet().encode()),
    "type by its short code": lambda: xmp(packet(KIND.replace(AI, "digsrctype:trainedAlgorithmicMedia")).encode()),
    "type by its name": lambda: xmp(packet(KIND.replace(AI, "Created using Generative AI")).encode()),
    "type as https": lambda: xmp(packet(KIND.replace("http:", "https:")).encode()),
    "type in an unknown field": lambda: xmp(packet(f"<c:kind>{AI}</c:kind>").encode()),
    "agent in a history": lambda: xmp(
        packet('<c:History><rdf:Seq><rdf:li c:softwareAgent="Adobe Firefly 3"/></rdf:Seq></c:History>').encode()
    ),
    "label of China in XMP": lambda: xmp(packet(f"<T:AIGC>{LABEL}</T:AIGC>", 'xmlns:T="urn:t"').encode()),
    "label of China as an attribute": lambda: xmp(packet("", f"T:AIGC='{LABEL}' xmlns:T='urn:t'").encode()),
    "label of China in EXIF": lambda: exif(ifd={0x9286: b"ASCII\0\0\0" + f'{{"AIGC":{LABEL}}}'.encode()}),
    "label of China in a PNG": lambda: info(AIGC=LABEL),
    "label of China in a comment": lambda: segment(0xFE, f"AIGC={LABEL}".encode()),
    "UserComment in UTF-16 of the other order": lambda: exif(ifd={0x9286: b"UNICODE\0" + COMFY.encode("utf-16-be")}),
    "UserComment of Chinese in UTF-16": lambda: exif(
        ifd={0x9286: b"UNICODE\0" + ("一只猫在看着你" + SETTINGS).encode("utf-16-le")}
    ),
    "UserComment in UTF-8 without prefix": lambda: exif(ifd={0x9286: COMFY.encode()}),
    "UserComment in UTF-8 that says UNICODE": lambda: exif(ifd={0x9286: b"UNICODE\0" + SETTINGS.encode()}),
    "XPComment": lambda: exif(x9C9C=SETTINGS.encode("utf-16-le")),
    "ImageDescription": lambda: exif(x010E=f"Workflow: {COMFY}"),
    "Make in WebP": lambda: exif("WEBP", x010F=f"workflow:{COMFY}"),
    "Software in TIFF": lambda: file("TIFF", tiffinfo={0x0131: "Midjourney 6"}),
    "Software in AVIF": lambda: exif("AVIF", x0131="AI generated;txt2img;flux"),
    "EXIF in PNG": lambda: exif("PNG", x010E=SETTINGS),
    "EXIF as a raw profile": lambda: raw_profile("exif", b"Exif\0\0" + _tiff_of(0x0131, "NovelAI")),
    "IPTC's credit": lambda: segment(
        0xED, b"Photoshop 3.0\0" + resource(0x0404, iim((120, b"a cat"), (110, b"Made with Google AI")))
    ),
    "IPTC's program in TIFF": lambda: file("TIFF", tiffinfo={33723: iim((65, b"Midjourney"))}),
    "comment in JPEG": lambda: segment(0xFE, SETTINGS.encode("latin-1")),
    "comment in GIF": lambda: file("GIF", comment=SETTINGS.encode()),
    "comment in PPM": lambda: file("PPM").replace(b"P6\n", b"P6\n# Steps: 20, Sampler: Euler\n", 1),
    "tEXt in UTF-8": lambda: chunk(b"tEXt", b"workflow\0" + COMFY.encode()),
    "tEXt in Latin-1": lambda: chunk(b"tEXt", b"parameters\0J\xf6rg\nSteps: 20, Sampler: Euler"),
    "zTXt beyond a megabyte": lambda: chunk(
        b"zTXt", b"workflow\0\0" + zlib.compress(json.dumps({"nodes": ["x" * 2_000_000]}).encode())
    ),
    "text behind a damaged one": lambda: chunk(b"zTXt", b"a\0\0xx")[:-12] + chunk(b"tEXt", b"Dream\0a cat -s 50")[33:],
    "InvokeAI": lambda: info(invokeai_metadata='{"app_version":"4","generation_mode":"txt2img"}'),
    "NovelAI": lambda: info(Comment='{"prompt":"a cat","steps":28,"scale":5.0,"sampler":"k_euler","uc":"bad"}'),
    "Fooocus": lambda: exif(ifd={0x9286: json.dumps({"base_model": "x", "prompt": "a", "steps": 30}).encode()}),
    "SwarmUI in JPEG": lambda: exif(ifd={0x9286: b"UNICODE\0" + '{"sui_image_params": {}}'.encode("utf-16-be")}),
    "Draw Things in XMP": lambda: xmp(
        packet('<c:UserComment>{"c":"a cat","sampler":"DDIM","steps":20,"seed":3}</c:UserComment>').encode()
    ),
    "label of China as a structure": lambda: xmp(
        packet(
            "<T:AIGC><T:Label>1</T:Label><T:ContentProducer>x</T:ContentProducer></T:AIGC>", 'xmlns:T="urn:t"'
        ).encode()
    ),
    "label of China in small letters": lambda: exif(x010E='{"aigc":{"label":1,"contentProducer":"x"}}'),
    "workflow that was cut off": lambda: exif(x010E='prompt: {"3": {"class_type": "KSampler", "inputs": {"se'),
    "keyword in XMP": lambda: xmp(
        packet("<c:subject><rdf:Bag><rdf:li>cat</rdf:li><rdf:li>Generative AI</rdf:li></rdf:Bag></c:subject>").encode()
    ),
    "keyword of IPTC": lambda: segment(0xED, b"Photoshop 3.0\0" + resource(0x0404, iim((25, b"AI-generated")))),
    "Midjourney's job": lambda: info(Description="a cat --v 6 Job ID: 12345678-1234-1234-1234-123456789abc"),
}


def _tiff_of(tag, text):
    content = text.encode() + b"\0"
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, tag, 2, len(content), 26, 0) + content


@pytest.mark.parametrize("case", CASES)
def test_statements_of_ai_origin_are_said_in_every_field_and_encoding(case):
    found = provenance(CASES[case]())
    assert found.says[0].startswith(("AI-generated", "partly AI-generated"))
    assert any(claim.ai for claim in found.claims)


NOTHING = {
    "a caption": lambda: exif(x010E="Steps: up to the temple. Midjourney is not used here"),
    "a title": lambda: info(Title="Stable Diffusion explained", Comment='{"steps": 3}'),
    "a camera": lambda: exif(x010F="Canon", x0110="EOS R6", x0131="Adobe Photoshop 26.0"),
    "keywords of a picture about AI": lambda: info(Keywords="AI, not AI generated"),
    "no AI": lambda: exif(x0131="not AI-generated"),
    "a web manifest": lambda: segment(0xFE, b'{"name": "x", "model": "y", "prompt": "z"}'),
    "a label that says no": lambda: info(AIGC='{"Label":"0"}'),
}


@pytest.mark.parametrize("case", NOTHING)
def test_other_texts_are_shown_and_not_taken_for_statements(case):
    found = provenance(NOTHING[case]())
    assert not any(claim.ai for claim in found.claims)
    assert found.not_understood == sum(claim.says is None for claim in found.claims)


def test_what_cannot_be_read_is_named_and_counted():
    damaged = segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff")
    found = provenance(damaged)
    assert ([part.source for part in found.unread], found.not_understood) == (["EXIF"], 1)
    assert found.says[0].startswith("EXIF that could not be read: ")
    missing = segment(0xE1, EXTENSION + b"0" * 32 + struct.pack(">II", 9_999, 0) + b"<x")
    assert any("parts are missing" in part.source for part in provenance(missing).unread)
    huge = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(20 << 20)))
    (part,) = provenance(huge).unread
    assert (part.source, part.why) == ("PNG text workflow", "damaged or longer than 16,777,216 bytes")


def test_an_unknown_source_type_and_a_link_are_shown():
    unknown = xmp(packet(KIND.replace("trainedAlgorithmicMedia", "fromTomorrow")).encode())
    (said,) = provenance(unknown).says
    assert said.startswith("DigitalSourceType 'http")
    assert "which asli does not know" in said
    link = xmp(packet("<d:provenance>https://example.org/x.c2pa</d:provenance>", 'xmlns:d="urn:d"').encode())
    assert "content credentials (C2PA) are kept elsewhere" in provenance(link).says[0]
    assert provenance(link).claims[0].ai is None


def test_a_file_made_to_cost_time_costs_none():
    many = b"<x:xmpmeta" * 500_000
    assert provenance(file() + many) is None
    texts = file("PNG")
    one = struct.pack(">I", 3) + b"tEXtk\0v" + struct.pack(">I", zlib.crc32(b"tEXtk\0v"))
    texts = texts[:33] + one * 3_000 + texts[33:]
    assert provenance(texts).unread[0].why == "more than 2,000 parts; the rest was not looked at"
    deep = xmp(packet("<a>" * 9_000).encode())
    assert len(provenance(deep).unread) == 1
