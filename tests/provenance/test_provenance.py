"""What files say of their origin: read structurally, checked by the standard's library, apart from the score."""

import io
import json
import sys

import pytest
from PIL import Image, PngImagePlugin

from asli.datasets.images import decode
from asli.detector.predict import predict
from asli.errors import ImageError
from asli.provenance import read
from asli.provenance.credentials import _manifests
from asli.provenance.read import provenance
from asli.sample import golden_images
from asli.scanning.scan import scan
from asli.scanning.score_table import read as read_table
from tests.compare import differences
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
    found = provenance(data)
    return [(claim.source, claim.field, claim.says) for claim in (found.claims if found else ())]


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


def test_generators_are_looked_for_where_software_is_named_and_by_whole_names():
    made = {"Software": "Midjourney 6", "Source": "Stable Diffusion XL"}
    assert all("AI-generated" in said for _, _, said in says(file("PNG", pnginfo=text(**made))))
    shown = {"Title": "Midjourney's head office", "Comment": "not by DALL-E", "Software": "Imagenomic Portraiture"}
    shown["Source"] = "Firefly, a television series"
    assert {said for _, _, said in says(file("PNG", pnginfo=text(**shown)))} == {None}


def test_text_after_the_pixels_is_read_and_that_of_animations_without_their_frames(monkeypatch):
    late = PngImagePlugin.PngInfo()
    late.add(b"tEXt", b"parameters\0" + SETTINGS.encode("latin-1"), after_idat=True)
    assert len(says(file("PNG", pnginfo=late))) == 1
    frames = [Image.effect_noise((48, 32), 40) for _ in range(4)]
    stream = io.BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:], pnginfo=text(parameters=SETTINGS))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "seek", lambda *_: pytest.fail("frames were walked"))
    assert len(says(stream.getvalue())) == 1


def test_xml_bombs_and_damage_are_named_as_unread():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x:xmpmeta>&b;</x:xmpmeta>'
    nested = XMP.format(attributes=f'Iptc4xmpExt:DigitalSourceType="{TYPE}digitalCapture"', elements="<a>" * 20_000)
    for packet in (bomb, bomb.decode().encode("utf-16"), b"<x", b"\xff\xfe\x00", nested.encode()):
        found = provenance(file("TIFF", tiffinfo={700: packet}))
        assert (found.not_understood, [part.source for part in found.unread]) == (1, ["XMP packet"])
        assert found.says[-1].startswith("XMP packet that could not be read: ")
    assert provenance(file("JPEG", xmp=b"")) is None


def test_damaged_exif_does_not_hide_the_rest():
    packet = XMP.format(attributes=f'Iptc4xmpExt:DigitalSourceType="{TYPE}digitalCapture"', elements="")
    assert ("XMP", "DigitalSourceType", "camera") in says(
        file("JPEG", xmp=packet.encode(), exif=b"Exif\0\0II*\0\xff\xff\xff")
    )


def test_what_is_opened_is_a_list_of_image_formats():
    with pytest.raises(ImageError, match="not an image of a kind that is read"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")


@pytest.mark.parametrize(("form", "kind"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_content_credentials_are_checked(signed, form, kind):
    data = signed(file(form), kind)
    found = provenance(data).credentials
    assert (found.state, found.why, found.signer) == ("valid", None, "Makers of tests")
    assert found.made_with == ["Easel 1", "Painter 3"]
    assert [claim.says for claim in found.claims] == ["AI-generated"]


def test_a_picture_changed_after_signing_is_found_out(signed):
    data = bytearray(signed(file("JPEG"), "image/jpeg"))
    data[-20] ^= 255
    found = provenance(bytes(data)).credentials
    assert found.state == "invalid"
    assert "dataHash.mismatch" in found.why


def test_without_the_extra_it_says_that_there_is_something_unchecked(signed, monkeypatch):
    data = signed(file("JPEG"), "image/jpeg")
    monkeypatch.setitem(sys.modules, "c2pa", None)
    found = provenance(data)
    assert found.credentials.state == "unchecked"
    (said,) = found.says
    assert said.startswith("content credentials (C2PA) that were not checked: install")
    assert "asli[provenance]" in said
    assert not read.names_a_source(found.to_dict())


def test_of_a_picture_signed_again_the_earlier_version_is_heard(signed):
    first = signed(file("JPEG"), "image/jpeg")
    again = signed(first, "image/jpeg", edited=True)
    found = provenance(signed(again, "image/jpeg", edited=True))
    assert found.credentials.state == "valid"
    assert [(claim.source, claim.says) for claim in found.credentials.claims] == [
        ("C2PA, earlier version", "AI-generated")
    ]
    assert found.says == (
        "AI-generated; C2PA, earlier version, unchanged since signing by someone named Makers of tests, whose identity"
        " was not checked",
    )


def test_versions_in_a_circle_are_heard_once():
    maker = {"assertions": [], "ingredients": [{"relationship": "parentOf", "active_manifest": "b"}]}
    store = {"active_manifest": "a", "manifests": {"a": maker, "b": maker}}
    assert len(list(_manifests(store))) == 2


def test_a_flood_of_claims_is_cut_and_a_deep_one_is_no_crash():
    names = "".join(f"<rdf:Description xmp:CreatorTool='Midjourney {n}'/>" for n in range(900))
    packet = XMP.format(attributes="", elements=names).encode()
    assert len(provenance(file("JPEG", xmp=packet[:60_000].rpartition(b"<rdf")[0] + packet[-90:])).claims) == 50
    assert says(file("PNG", pnginfo=text(workflow="[" * 100_000))) == [("PNG text", "workflow", None)]


@pytest.mark.parametrize("wrong", [{"assertions": 3}, {"signature_info": "me"}, ["no manifest"]])
def test_credentials_of_another_shape_are_unchecked_and_not_a_crash(signed, monkeypatch, wrong):
    import c2pa

    data = signed(file("JPEG"), "image/jpeg")
    store = json.dumps({"active_manifest": "a", "manifests": {"a": wrong}})
    monkeypatch.setattr(c2pa.Reader, "json", lambda _: store)
    assert provenance(data).credentials.state == "unchecked"


@pytest.mark.slow
def test_it_stands_beside_the_score_and_never_in_it(finished, signed, tmp_path):
    original = golden_images()[0][1]
    (tmp_path / "plain.jpg").write_bytes(original)
    (tmp_path / "signed.jpg").write_bytes(signed(original, "image/jpeg"))
    plain, marked = predict([tmp_path / "plain.jpg", tmp_path / "signed.jpg"], finished.path).to_dict()["images"]
    assert plain["provenance"] is None
    assert marked["provenance"]["credentials"]["state"] == "valid"
    assert differences({**plain, "path": 0, "provenance": 0}, {**marked, "path": 0, "provenance": 0}) == []
    done = run_asli("predict", "signed.jpg", "--detector", finished.path, cwd=tmp_path)
    said = "AI-generated; C2PA, unchanged since signing by someone named Makers of tests, whose"
    assert f"  file metadata: {said} identity was not checked\n" in done.stdout


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_scan_keeps_and_counts_it(finished, signed, tmp_path, ending):
    (tmp_path / "in").mkdir()
    original = golden_images()[0][1]
    files = {
        "a-plain.jpg": original,
        "b-signed.jpg": signed(original, "image/jpeg"),
        "c-text.png": file("PNG", pnginfo=text(parameters=SETTINGS)),
        "d-shown.png": file("PNG", pnginfo=text(Title="a cat")),
    }
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    page = tmp_path / "page.html"
    result = scan([tmp_path / "in"], tmp_path / f"t.{ending}", finished.path, html=page)
    assert result.to_dict()["provenance"] == {
        "count": 2,
        "says": {
            "AI-generated; C2PA, unchanged since signing by someone named Makers of tests, whose"
            " identity was not checked": 1,
            "AI-generated (settings of a Stable Diffusion interface); PNG text parameters, not signed": 1,
        },
        "not_understood": 1,
    }
    rows = [line for batch in read_table(tmp_path / f"t.{ending}", ["provenance"]) for line in batch.to_pylist()]
    expected = predict(sorted((tmp_path / "in").iterdir()), finished.path).to_dict()["images"]
    assert [row["provenance"] and json.loads(row["provenance"]) for row in rows] == [
        image["provenance"] for image in expected
    ]
    assert "AI-generated (settings of a Stable Diffusion interface)" in page.read_text()
