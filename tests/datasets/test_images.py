import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from asli.datasets.images import EXTENSIONS, SIDEWAYS, decode, is_image, perceptual_hashes, pixel_sha256, thumbnail
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


@pytest.mark.parametrize(("data", "words"), [(b"", "empty file"), (b"<html>not found</html>", "not an image")])
def test_what_is_no_image_is_an_error(data, words):
    with pytest.raises(ImageError, match=words):
        decode(data)


def test_giant_image_is_refused_before_it_is_decoded():
    tiny_file = encoded(Image.new("1", (20_000, 6_000)), "PNG")
    with pytest.raises(ImageError, match="more than 100,000,000"):
        decode(tiny_file)


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
