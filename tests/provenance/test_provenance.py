"""What files say of their origin: read structurally, checked by the standard's library, apart from the score."""

import io
import json
import sys

import pytest
from PIL import Image, PngImagePlugin

from asli.detector.predict import predict
from asli.provenance.read import provenance
from asli.sample import golden_images
from tests.conftest import run_asli

SETTINGS = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def file(form, **options):
    stream = io.BytesIO()
    Image.effect_noise((48, 32), 40).convert("RGB").save(stream, form, **options)
    return stream.getvalue()


def text(**entries):
    info = PngImagePlugin.PngInfo()
    for key, value in entries.items():
        info.add_itxt(key, value)
    return info


def says(data):
    return [
        (claim["source"], claim["field"], claim["says"]) for claim in (provenance(data) or {"claims": []})["claims"]
    ]


def test_a_file_that_says_nothing_gives_nothing():
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"):
        assert provenance(file(form)) is None


def test_settings_that_generators_leave_in_png_are_understood():
    comfy = json.dumps({"3": {"class_type": "KSampler", "inputs": {}}})
    found = {field: said for _, field, said in says(file("PNG", pnginfo=text(parameters=SETTINGS, prompt=comfy)))}
    assert "Stable Diffusion" in found["parameters"]
    assert "ComfyUI" in found["prompt"]
    assert says(file("PNG", pnginfo=text(prompt="write a poem", Software="GIMP 3"))) == [
        ("PNG text", "prompt", None),
        ("PNG text", "Software", None),
    ]


@pytest.mark.parametrize("encoding", ["UNICODE-be", "UNICODE-le", "ASCII"])
def test_settings_in_exif_are_understood_in_each_encoding(encoding):
    coded = {
        "UNICODE-be": b"UNICODE\0" + SETTINGS.encode("utf-16-be"),
        "UNICODE-le": b"UNICODE\0" + SETTINGS.encode("utf-16-le"),
        "ASCII": b"ASCII\0\0\0" + SETTINGS.encode(),
    }
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = coded[encoding]
    exif[0x010F], exif[0x0110] = "Canon", "EOS R6"
    found = says(file("JPEG", exif=exif))
    assert ("EXIF", "Make", None) in found  # shown, and proof of nothing
    assert [said for _, field, said in found if field == "UserComment"] == [
        "AI-generated (settings of a Stable Diffusion interface)"
    ]


@pytest.mark.parametrize(
    ("attributes", "elements"),
    [
        ('Iptc4xmpExt:DigitalSourceType="TYPE"', ""),
        ("", "<Iptc4xmpExt:DigitalSourceType>TYPE</Iptc4xmpExt:DigitalSourceType>"),
        ("", '<Iptc4xmpExt:DigitalSourceType rdf:resource="TYPE"/>'),
        (
            "",
            "<Iptc4xmpExt:DigitalSourceType><rdf:Bag><rdf:li>TYPE</rdf:li></rdf:Bag></Iptc4xmpExt:DigitalSourceType>",
        ),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG", "TIFF"])
def test_xmp_is_read_however_it_is_written(attributes, elements, form):
    packet = XMP.format(attributes=attributes, elements=elements).replace("TYPE", TYPE + "trainedAlgorithmicMedia")
    options = {"pnginfo": text(**{"XML:com.adobe.xmp": packet})} if form == "PNG" else {"xmp": packet.encode()}
    if form == "TIFF":
        options = {"tiffinfo": {700: packet.encode()}}
    assert says(file(form, **options)) == [("XMP", "DigitalSourceType", "AI-generated")]


def test_other_source_types_are_not_taken_for_generated():
    packet = XMP.format(attributes=f'Iptc4xmpExt:DigitalSourceType="{TYPE}digitalCapture"', elements="")
    assert says(file("JPEG", xmp=packet.encode())) == [("XMP", "DigitalSourceType", "camera")]
    packet = XMP.format(attributes='xmp:CreatorTool="Adobe Firefly 2.0"', elements="")
    assert "firefly" in says(file("JPEG", xmp=packet.encode()))[0][2]


def test_xml_bombs_and_damage_are_passed_over():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    for packet in (bomb, b"<x", b"\xff\xfe\x00", b""):
        assert provenance(file("JPEG", xmp=packet)) is None
    whole = file("PNG", pnginfo=text(parameters=SETTINGS))
    assert provenance(whole[: len(whole) // 2]) in (None, {"claims": [], "credentials": None})
    assert provenance(b"no image") is None


@pytest.mark.parametrize(("form", "kind"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_content_credentials_are_checked(signed, form, kind):
    data = signed(file(form), kind)
    found = provenance(data)["credentials"]
    assert (found["state"], found["why"], found["signer"]) == ("valid", None, "Makers of tests")
    assert found["made_with"] == ["Easel 1", "Painter 3"]
    assert [claim["says"] for claim in found["claims"]] == ["AI-generated"]


def test_a_picture_changed_after_signing_is_found_out(signed):
    data = bytearray(signed(file("JPEG"), "image/jpeg"))
    data[-20] ^= 255
    found = provenance(bytes(data))["credentials"]
    assert found["state"] == "invalid"
    assert "dataHash.mismatch" in found["why"]


def test_without_the_extra_it_says_that_there_is_something_unchecked(signed, monkeypatch):
    data = signed(file("JPEG"), "image/jpeg")
    monkeypatch.setitem(sys.modules, "c2pa", None)
    found = provenance(data)["credentials"]
    assert found["state"] == "unchecked"
    assert "asli[provenance]" in found["why"]


def test_it_stands_beside_the_score_and_never_in_it(finished, signed, tmp_path):
    original = golden_images()[0][1]
    (tmp_path / "plain.jpg").write_bytes(original)
    (tmp_path / "signed.jpg").write_bytes(signed(original, "image/jpeg"))
    plain, marked = predict([tmp_path / "plain.jpg", tmp_path / "signed.jpg"], finished.path)["images"]
    assert plain["provenance"] is None
    assert marked["provenance"]["credentials"]["state"] == "valid"
    assert {**plain, "path": 0, "provenance": 0} == {**marked, "path": 0, "provenance": 0}
    done = run_asli("predict", "signed.jpg", "--detector", finished.path, cwd=tmp_path)
    assert "its content credentials say: AI-generated (signed by Makers of tests, valid)" in done.stdout
