import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from asli.datasets.images import decode
from asli.errors import ImageError
from asli.transforms import corruptions
from asli.transforms.ladder import LADDER, corrupted


@pytest.fixture(scope="module")
def image(sample):
    return np.array(sample.images[3])


@pytest.fixture(scope="module")
def photo():
    """A picture with structure whose sides differ."""
    y, x = np.mgrid[:61, :83]
    return np.stack([(3 * x + y) % 256, (x * y // 7) % 256, (255 - 2 * y) % 256], axis=2).astype(np.uint8)


SAME_SIZE = {"JPEG", "WebP", "down and up again", "blur", "sharpening", "noise", "darker", "brighter"}


@pytest.mark.parametrize("corruption", LADDER, ids=lambda corruption: corruption.name)
def test_each_rung_is_a_pure_function_that_changes_the_image_and_leaves_its_input(corruption, image, photo):
    for pixels in (image, photo):
        before = pixels.copy()
        results = [corrupted(pixels, corruption, level, seed=1, row=7) for level in corruption.levels]
        again = [corrupted(pixels, corruption, level, seed=1, row=7) for level in reversed(corruption.levels)]
        for one, two in zip(results, reversed(again), strict=True):
            np.testing.assert_array_equal(one, two)
            assert one.dtype == np.uint8
            assert one.shape[2] == 3
            assert one.shape != pixels.shape or (one != pixels).any()
        assert len({one.tobytes() for one in results}) == len(results)  # no two levels are the same
        np.testing.assert_array_equal(pixels, before)


def test_names_and_levels_are_unique():
    assert len({corruption.name for corruption in LADDER}) == len(LADDER)
    for corruption in LADDER:
        assert len(set(corruption.levels)) == len(corruption.levels)


def test_mild_levels_come_first(image):
    """Each level moves further from the image; only where the size stays can pixels be compared."""
    fresh = corruptions.sharpen(image, 0.5)  # CIFAKE's own JPEG at 75 would hardly be changed by another at 75
    for corruption in LADDER:
        if corruption.name in SAME_SIZE:
            moved = [
                np.abs(corrupted(fresh, corruption, level, seed=0, row=0).astype(int) - fresh).mean()
                for level in corruption.levels
            ]
            assert moved == sorted(moved), (corruption.name, moved)
    smaller = next(c for c in LADDER if c.name == "smaller input")
    assert corrupted(image, smaller, 0.75, seed=0, row=0).shape == (24, 24, 3)


def test_chance_depends_on_seed_and_row_alone(image):
    for name in ("noise", "crop"):
        corruption = next(c for c in LADDER if c.name == name)
        level = corruption.levels[-1]
        results = {
            corrupted(image, corruption, level, seed=seed, row=row).tobytes() for seed in (0, 1) for row in range(8)
        }
        assert len(results) > 12  # of 16; a crop has 169 places


def test_noise_has_its_sigma_and_no_pattern(monkeypatch):
    gray = np.full((96, 80, 3), 128, np.uint8)
    drawn = corruptions.noise(gray, 8.0, key=5).astype(float) - 128
    assert abs(drawn.mean()) < 0.3  # standard error .053
    assert drawn.std() == pytest.approx(8.0, rel=0.03)
    flat = drawn.reshape(-1)
    for lag in (1, 3, 240):
        assert abs(np.corrcoef(flat[:-lag], flat[lag:])[0, 1]) < 0.03  # standard error .0066
    monkeypatch.setattr(corruptions, "DRAWN_AT_ONCE", 1000)  # however it is portioned
    np.testing.assert_array_equal(corruptions.noise(gray, 8.0, key=5) - 128.0, drawn)


def test_codecs_do_what_their_files_say(image):
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=60, subsampling=subsampling)
        pixels, facts = decode(buffer.getvalue())
        assert (facts.quality, facts.subsampling) == (60, subsampling)
        np.testing.assert_array_equal(corruptions.jpeg(image, 60, subsampling), pixels)
    with pytest.raises(ImageError, match="16,383"):
        corruptions.webp(np.zeros((1, 16_384, 3), np.uint8), 50)
    with pytest.raises(ImageError, match="JPEG holds"):
        corruptions.jpeg(np.zeros((1, 65_501, 3), np.uint8), 50)


def test_sizes(photo):
    assert corruptions.rescale(photo, 0.5, "lanczos").shape == photo.shape
    assert corruptions.scaled(photo, 0.5, "box").shape == (30, 42, 3)
    assert corruptions.resized(photo, (10, 20), "hamming").shape == (10, 20, 3)
    assert corruptions.screenshot(photo, 1.25).shape == (76, 104, 3)
    assert corruptions.scaled(photo, 0.001, "box").shape == (1, 1, 3)


def test_crops_lie_where_they_should(photo):
    np.testing.assert_array_equal(corruptions.crop(photo, 0.5, (0, 0)), photo[:30, :42])
    np.testing.assert_array_equal(corruptions.crop(photo, 0.5, (1, 1)), photo[31:, 41:])
    np.testing.assert_array_equal(corruptions.crop(photo, 1.0), photo)


def test_blur_sharpening_and_light_against_their_formulas(image):
    exact = gaussian_filter(image.astype(float), (1.5, 1.5, 0), mode="nearest")
    assert np.abs(corruptions.blur(image, 1.5) - exact).mean() < 1.5  # Pillow approximates by three boxes
    soft = corruptions.blur(image, 1.0).astype(int)
    sharp = np.clip(image + 0.5 * (image.astype(int) - soft), 0, 255)
    assert np.abs(corruptions.sharpen(image, 0.5) - sharp).max() <= 1
    np.testing.assert_allclose(corruptions.brightness(image, 0.75), image * 0.75, atol=1)
    gray = round(float(np.asarray(Image.fromarray(image).convert("L")).mean()))
    np.testing.assert_allclose(corruptions.contrast(image, 0.5), (image.astype(float) + gray) / 2, atol=1)
