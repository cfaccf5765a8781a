import io
import struct
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.fft import dctn

from asli.datasets import images
from asli.datasets.hashes import perceptual_hashes, pixel_sha256, thumbnail
from asli.datasets.images import EXTENSIONS, SIDEWAYS, decode, is_image
from asli.errors import ImageError


def encoded(image: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def photo(rng, height=40, width=60) -> Image.Image:
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def test_exif_orientation_is_applied(rng):
    image = photo(rng)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    pixels, facts = decode(encoded(image, "PNG", exif=exif))
    assert pixels.shape == (60, 40, 3)
    assert np.array_equal(pixels, np.rot90(np.asarray(image), -1))
    assert (facts.width, facts.height, facts.orientation, facts.has_exif) == (60, 40, 6, True)


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8, 9, 65535])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_size_and_orientation_tell_the_shape_of_the_pixels(rng, form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, facts = decode(encoded(photo(rng), form, exif=exif))
    assert facts.orientation == (orientation if orientation < 9 else None)
    stored = (facts.height, facts.width)
    assert stored == (40, 60)
    assert pixels.shape[:2] == (stored[::-1] if facts.orientation in SIDEWAYS else stored)


def test_transparency_is_laid_over_white():
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    image.paste((0, 0, 200, 255), (0, 0, 4, 8))
    pixels, facts = decode(encoded(image, "PNG"))
    assert facts.mode == "RGBA"
    assert pixels[0, 0].tolist() == [0, 0, 200]
    assert pixels[0, 7].tolist() == [255, 255, 255]


def test_palette_with_transparency_is_laid_over_white():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    pixels, _ = decode(encoded(image, "PNG", transparency=1))
    assert (pixels == 255).all()


def test_sixteen_bit_gray_is_scaled():
    wide = np.array([[0, 257, 65535]], dtype=np.uint16)
    pixels, facts = decode(encoded(Image.fromarray(wide), "PNG"))
    assert facts.mode == "I;16"
    assert pixels[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize("mode", ["L", "CMYK", "1", "YCbCr"])
def test_other_modes_become_rgb(rng, mode):
    image = photo(rng).convert(mode)
    pixels, facts = decode(encoded(image, "TIFF"))
    assert facts.mode == mode
    assert np.array_equal(pixels, np.asarray(image.convert("RGB")))


def test_of_an_animation_the_first_frame_is_taken(rng):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    pixels, facts = decode(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    assert facts.frames == 2
    assert pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"])
def test_truncated_file_is_an_error(rng, form):
    data = encoded(photo(rng, 200, 300), form)
    with pytest.raises(ImageError):
        decode(data[: len(data) * 2 // 3])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"<html>not found</html>", "not an image"),
        (b"version https://git-lfs.github.com/spec/v1\n", "fetch it with: git lfs pull"),
        (b"PK\3\4 x", "a zip archive, not an image; score the images in it with: asli scan"),
    ],
)
def test_what_is_no_image_is_an_error(data, words):
    with pytest.raises(ImageError, match=words):
        decode(data)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_giant_image_is_refused_before_it_is_decoded_in_one_wording(form):
    size = (16_383, 16_383) if form == "WEBP" else (20_000, 20_000)  # the latter is beyond Pillow's own limit, too
    if form == "WEBP":
        data = bytearray(encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True))
        data[21:25] = struct.pack("<I", (size[0] - 1) | (size[1] - 1) << 14)  # width and height of VP8L
    else:
        data = encoded(Image.new("1", size), form, **({"compression": "group4"} if form == "TIFF" else {}))
    with pytest.raises(ImageError, match=f"^{size[0]} x {size[1]} pixels, more than the limit of 250 megapixels; make"):
        decode(bytes(data))


def test_pictures_of_phones_with_200_megapixels_are_read():
    phone = Image.new("L", (16_320, 12_240), 90)
    phone.paste(200, (16_000, 12_000, 16_320, 12_240))
    data = encoded(phone, "JPEG")
    del phone
    pixels, facts = decode(data)
    assert (pixels.shape, facts.width, facts.height) == ((12_240, 16_320, 3), 16_320, 12_240)
    assert (pixels[0, 0, 0], pixels[-1, -1, 2]) == (90, 200)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_pictures_are_converted_strip_by_strip_as_if_at_once(rng, monkeypatch, orientation):
    image = photo(rng, 41, 60).convert("RGBA")
    image.putalpha(Image.fromarray(rng.integers(0, 256, (41, 60), dtype=np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image, "PNG", exif=exif)
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    white.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(white))
    assert np.array_equal(decode(data)[0], expected)
    monkeypatch.setattr(images, "STRIP", 60 * 7)
    assert np.array_equal(decode(data)[0], expected)


@pytest.mark.parametrize("mode", ["I;16", "P", "CMYK", "1", "L", "LA"])
def test_strips_of_other_modes_give_the_same(rng, monkeypatch, mode):
    image = Image.fromarray(rng.integers(0, 65536, (40, 60), dtype=np.uint16)) if mode == "I;16" else None
    data = encoded(image or photo(rng).convert(mode), "TIFF" if mode == "CMYK" else "PNG")
    whole = decode(data)[0]
    monkeypatch.setattr(images, "STRIP", 100)
    assert np.array_equal(decode(data)[0], whole)


def test_of_very_large_images_one_is_decoded_at_a_time(rng, monkeypatch):
    monkeypatch.setattr(images, "GIANT", 100)
    data, at_once, most = encoded(photo(rng), "JPEG"), [], []

    def use(_):
        with images.decoding(data):
            at_once.append(1)
            most.append(len(at_once))
            time.sleep(0.01)
            at_once.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(8)))
    assert max(most) == 1


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 90, 95, 100])
def test_jpeg_facts(rng, quality):
    for option, name in ((0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")):
        _, facts = decode(encoded(photo(rng), "JPEG", quality=quality, subsampling=option))
        assert (facts.format, facts.quality, facts.subsampling) == ("JPEG", quality, name)
        assert facts.frames == 1


def test_quantization_hash_tells_tables_apart(rng):
    image = photo(rng)
    hashes = {decode(encoded(image, "JPEG", quality=q))[1].quantization for q in (70, 75, 80, 75)}
    assert len(hashes) == 3
    assert decode(encoded(image, "PNG"))[1].quantization is None


def test_perceptual_hash_is_the_sign_of_low_dct_coefficients(rng):
    images = rng.integers(0, 256, (4, 32, 32), dtype=np.uint8)
    for image, value in zip(images, perceptual_hashes(images), strict=True):
        low = dctn(image.astype(float))[:8, :8].ravel()
        # scipy's DCT-II scales every coefficient by 2 in each direction, which moves no sign.
        bits = "".join("1" if c > np.median(low) else "0" for c in low)
        assert f"{value:064b}" == bits


def test_perceptual_hash_survives_recompression_and_parts_other_pictures(rng):
    def hashed(image):
        return int(perceptual_hashes(thumbnail(decode(encoded(*image))[0])[None])[0])

    first, second = photo(rng, 200, 300), photo(rng, 200, 300)
    near = hashed((first, "JPEG")) ^ hashed((first.resize((150, 100)), "PNG"))
    far = hashed((first, "JPEG")) ^ hashed((second, "JPEG"))
    assert near.bit_count() <= 8 < far.bit_count()


def test_pixel_hash_depends_on_shape():
    assert pixel_sha256(np.zeros((2, 3, 3), np.uint8)) != pixel_sha256(np.zeros((3, 2, 3), np.uint8))


def test_a_jpeg_of_hundreds_of_scans_is_refused_before_it_is_decoded(rng):
    data = encoded(photo(rng), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    assert decode(data[:end] + 3 * data[start:end] + b"\xff\xd9")[0].shape == (40, 60, 3)
    with pytest.raises(ImageError, match=r"scans, more than 100"):
        decode(data[:end] + 300 * data[start:end] + b"\xff\xd9")


@pytest.mark.parametrize("big", [False, True])
def test_pages_of_a_tiff_are_counted(rng, big):
    pages = [photo(rng) for _ in range(3)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], big_tiff=big)
    assert decode(data)[1].frames == Image.open(io.BytesIO(data)).n_frames == 3


def test_pages_of_a_tiff_without_end_are_not_counted(rng):
    data = encoded(photo(rng), "TIFF")
    (first,) = struct.unpack_from("<I", data, 4)
    link = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    empty = b"".join(struct.pack("<HI", 0, len(data) + 6 * n) for n in range(1, 20_001))
    chained = data[:link] + struct.pack("<I", len(data)) + data[link + 4 :] + empty
    assert decode(chained)[1].frames is None
    circle = data[:link] + struct.pack("<I", first) + data[link + 4 :]
    assert decode(circle)[1].frames == 1


def test_exif_that_cannot_be_written_anew_hinders_no_turning(rng):
    entries = [struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0), struct.pack("<HHI4s", 0x011A, 2, 4, b"odd\0")]
    exif = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + b"".join(entries) + bytes(4)  # a resolution that is a text
    image = photo(rng)
    pixels, facts = decode(encoded(image, "PNG", exif=exif))
    assert facts.orientation == 6
    assert np.array_equal(pixels, np.rot90(np.asarray(image), -1))


def test_gray_of_32_bits_that_does_not_fit_is_refused():
    fits = Image.fromarray(np.array([[0, 65535]], dtype=np.int32))
    assert decode(encoded(fits, "TIFF"))[0][0, :, 0].tolist() == [0, 255]
    with pytest.raises(ImageError, match="65,535"):
        decode(encoded(Image.fromarray(np.array([[0, 65536]], dtype=np.int32)), "TIFF"))


def test_a_jpeg_with_more_pictures_behind_it_is_a_jpeg(rng):
    data = encoded(photo(rng), "MPO", save_all=True, append_images=[photo(rng)])
    facts = decode(data)[1]
    assert (facts.format, facts.frames, facts.quality) == ("JPEG", 2, 75)


def test_avif_under_a_general_brand_is_no_heic(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = encoded(photo(rng), "AVIF")
    assert data[8:12] == b"avif"
    assert decode(data[:8] + b"mif1" + data[12:])[1].format == "AVIF"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "PPM", "MPO"])
def test_an_image_is_known_by_its_first_bytes_where_its_name_does_not_say(rng, form):
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    head = encoded(photo(rng), form)[:32]
    assert all(is_image(name, head) for name in ("a/0001", "photo.jpg.bak", "x.data", "shot.jpg?v=2"))
    assert not is_image("a/0001")
    assert not is_image("a/0001", head[:2])
    assert not is_image("raw.nef", head)


def test_names_tell_and_other_files_are_no_images():
    assert all(is_image(f"A.B/x{ending.upper()}", b"") for ending in EXTENSIONS)
    assert {".jpe", ".jif", ".jfif", ".tif", ".heic"} <= EXTENSIONS
    others = {
        "notes": b"BM is short for bitmap, said the author",
        "P6": b"P6 of the plan is to rest",
        "clip": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "a.wav": b"RIFF\x24\0\0\0WAVEfmt ",
        "folder.jpg/readme": b"Read me",
        "jpg": b"",
        "page.html": b"<html><img src=x.jpg>",
    }
    assert not any(is_image(name, head) for name, head in others.items())


def motion_photo(jpeg, seed):
    """Return a JPEG with a video behind it whose bytes look like hundreds of scans."""
    body = np.random.default_rng(seed).integers(0, 256, 1_000_000, dtype=np.uint8).tobytes() + b"\xff\xda\0\x02" * 500
    return (
        jpeg + struct.pack(">I", 24) + b"ftypmp42\0\0\0\0mp42isom" + struct.pack(">I", 8 + len(body)) + b"mdat" + body
    )


@pytest.mark.parametrize("progressive", [False, True])
def test_what_lies_behind_a_jpeg_or_within_its_segments_is_no_scan(rng, progressive):
    jpeg = encoded(photo(rng), "JPEG", progressive=progressive)
    expected = decode(jpeg)[0]
    assert np.array_equal(decode(motion_photo(jpeg, 1))[0], expected)
    thumbnails = encoded(photo(rng), "JPEG", progressive=True) * 30  # as signed histories keep them: 300 scans
    for marker in (0xE2, 0xEB, 0xFE):
        parts = [thumbnails[n : n + 60_000] for n in range(0, len(thumbnails), 60_000)]
        inside = b"".join(struct.pack(">BBH", 0xFF, marker, len(part) + 2) + part for part in parts)
        assert np.array_equal(decode(jpeg[:2] + inside + jpeg[2:])[0], expected)


def test_restart_markers_are_no_scans_and_hide_none(rng):
    jpeg = encoded(photo(rng, 400, 600), "JPEG", restart_marker_blocks=1)
    assert decode(jpeg)[0].shape == (400, 600, 3)
    start, end = jpeg.rindex(b"\xff\xda"), jpeg.rindex(b"\xff\xd9")
    with pytest.raises(ImageError, match=r"scans, more than 100"):
        decode(jpeg[:end] + 300 * jpeg[start:end] + b"\xff\xd9" + b"x" * 1000)


def png_chunk(kind, content, checksum=None):
    right = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", right if checksum is None else checksum)


FAULTY = {
    "text of 2 MB": png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(2_000_000))),
    "international text of 2 MB": png_chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "plain text of 70 MB": png_chunk(b"tEXt", b"a\0" + bytes(70_000_000)),
    "many texts": png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000))) * 80,
    "profile of 2 MB": png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2_000_000))),
    "profile of unknown compression": png_chunk(b"iCCP", b"a\0\7xx"),
    "text of unknown compression": png_chunk(b"zTXt", b"a\0\7xx"),
    "damaged text": png_chunk(b"zTXt", b"a\0\0no zlib"),
    "wrong checksum": png_chunk(b"tEXt", b"a\0b", checksum=1),
    "wrong checksum of a private chunk": png_chunk(b"prVt", b"a", checksum=1),
    "short chunks": b"".join(png_chunk(kind, b"\0") for kind in (b"gAMA", b"cHRM", b"pHYs", b"sBIT", b"tIME", b"bKGD")),
    "damaged EXIF": png_chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
    "no EXIF": png_chunk(b"eXIf", b"garbage"),
}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("case", FAULTY)
def test_auxiliary_chunks_never_make_a_png_unreadable(rng, case, behind):
    png = encoded(photo(rng), "PNG")
    expected, facts = decode(png)
    place = len(png) - 12 if behind else 33
    found, with_it = decode(png[:place] + FAULTY[case] + png[place:])
    assert np.array_equal(found, expected)
    assert (with_it.mode, with_it.width, with_it.orientation) == (facts.mode, facts.width, None)
    assert with_it.icc == ("profile" in case)


def test_a_damaged_picture_stays_an_error_beside_faulty_chunks(rng):
    png = encoded(photo(rng, 200, 300), "PNG")
    marked = png[:33] + FAULTY["wrong checksum"] + png[33:]
    assert decode(marked)[0].shape == (200, 300, 3)
    with pytest.raises(ImageError):
        decode(marked[: len(marked) // 2])


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
@pytest.mark.parametrize("segment", [b"\xe0JFIF\0", b"\xe2ICC_PROFILE\0", b"\xeeAdobe\0", b"\xe0JFXX"])
def test_damaged_segments_never_make_a_jpeg_unreadable(rng, mode, segment):
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg = encoded(photo(rng).convert(mode), "JPEG", exif=exif)
    faulty = jpeg[:2] + b"\xff" + segment[:1] + struct.pack(">H", len(segment) + 1) + segment[1:] + jpeg[2:]
    assert np.array_equal(decode(faulty)[0], decode(jpeg)[0])


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_damaged_metadata_never_make_an_image_unreadable(rng, form):
    image = photo(rng)
    expected = decode(encoded(image, form))[0]
    for wrong in (b"garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        options = {"exif": wrong, "icc_profile": b"none", **({} if form == "PNG" else {"xmp": b"\xff<x"})}
        assert np.array_equal(decode(encoded(image, form, **options))[0], expected)
