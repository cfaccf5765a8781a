import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from asli.recipe import AugmentSettings
from asli.transforms.apply import crop, resized, to_input
from asli.transforms.preprocessing import Preprocessing
from asli.transforms.views import Views, random_views

CPU = torch.device("cpu")


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [7, 20, 32, 64, 224])
def test_resampling_equals_torchvision_edges_included(rng, interpolation, size):
    images = rng.integers(0, 256, (40, 32, 36, 3), dtype=np.uint8)
    sizes = np.tile([32, 36], (40, 1))
    views = random_views(AugmentSettings(crop="random-resized"), sizes, size=32, seed=1, epoch=0, samples=np.arange(40))
    views.boxes[0] = [0, 0, 32, 36]  # the whole image
    views.boxes[1] = [31, 35, 1, 1]  # one pixel in the corner
    ours = resized(images, views, size, interpolation).on(CPU)
    for image, box, flip, result in zip(images, views.boxes.tolist(), views.flips, ours, strict=True):
        tensor = torch.from_numpy(image).permute(2, 0, 1).to(torch.float32)
        mode = InterpolationMode(interpolation)
        expected = reference.resized_crop(tensor, *box, [size, size], interpolation=mode, antialias=True)
        expected = reference.hflip(expected) if flip else expected
        assert (result - expected).abs().max() < 1e-3  # of 255: float32 rounding


def test_lanczos_equals_pillow(rng):
    images = rng.integers(90, 166, (4, 32, 32, 3), dtype=np.uint8)  # mid-range: Pillow clips between its two passes
    views = Views(np.array([[0, 0, 32, 32], [3, 5, 20, 9], [0, 0, 8, 8], [1, 1, 31, 31]]), np.zeros(4, bool))
    ours = resized(images, views, 24, "lanczos").on(CPU).clamp(0, 255)
    for image, (top, left, height, width), result in zip(images, views.boxes, ours, strict=True):
        cut = Image.fromarray(image[top : top + height, left : left + width])
        expected = np.asarray(cut.resize((24, 24), Image.Resampling.LANCZOS), dtype=float)
        error = np.abs(result.permute(1, 2, 0).numpy() - expected)
        assert error.max() <= 1.25  # Pillow rounds after each pass: 0.5, and 0.5 times the sum of the absolute weights


def test_padded_crop_equals_torchvision(rng):
    images = rng.integers(0, 256, (60, 12, 10, 3), dtype=np.uint8)
    sizes = np.tile([12, 10], (60, 1))
    views = random_views(
        AugmentSettings(crop="padded", padding=4), sizes, size=32, seed=2, epoch=0, samples=np.arange(60)
    )
    for image, box, flip, result in zip(images, views.boxes, views.flips, crop(images, views), strict=True):
        padded = reference.pad(torch.from_numpy(image).permute(2, 0, 1), [4])
        expected = reference.crop(padded, int(box[0]) + 4, int(box[1]) + 4, 12, 10)
        expected = reference.hflip(expected) if flip else expected
        assert np.array_equal(result, expected.permute(1, 2, 0).numpy())


def test_normalization_equals_torchvision(rng):
    pixels = torch.from_numpy(rng.integers(0, 256, (3, 3, 5, 5), dtype=np.uint8))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = reference.normalize(reference.to_dtype(pixels, torch.float32, scale=True), mean, std)
    assert torch.allclose(to_input(pixels, mean, std), expected, atol=1e-6)
    assert to_input(pixels.to(memory_format=torch.channels_last), mean, std).is_contiguous()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("shape", [(32, 32), (48, 31), (31, 48), (224, 300), (500, 333)])
@pytest.mark.parametrize("size", [32, 64])
def test_evaluation_equals_timms_transform_to_the_bit(rng, interpolation, shape, size):
    from timm.data import create_transform

    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    theirs = create_transform(
        (3, size, size), interpolation=interpolation, mean=mean, std=std, crop_pct=1.0, crop_mode="center"
    )
    expected = theirs(Image.fromarray(image))
    preprocessing = Preprocessing(size, interpolation, mean, std)
    ours = preprocessing.batch(preprocessing.to_input(image), CPU)[0]
    assert (ours - expected).abs().max() < 1e-6


def test_image_of_the_right_size_is_not_touched(rng):
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    preprocessing = Preprocessing(32, "bilinear", (0.5,) * 3, (0.5,) * 3)
    assert np.array_equal(preprocessing.to_input(image), image[None])


def window(name, size=32):
    return Preprocessing(size, "bilinear", (0.5,) * 3, (0.5,) * 3, name)


def test_center_crop_does_not_resample(rng):
    image = rng.integers(0, 256, (50, 71, 3), dtype=np.uint8)
    assert np.array_equal(window("center-crop").to_input(image), image[None, 9:41, 20:52])


def test_tiles_cover_an_image_from_edge_to_edge_without_resampling(rng):
    image = rng.integers(0, 256, (64, 90, 3), dtype=np.uint8)
    tiles = window("tiles").to_input(image)
    corners = [(top, left) for top in (0, 32) for left in (0, 29, 58)]
    assert np.array_equal(tiles, np.stack([image[t : t + 32, x : x + 32] for t, x in corners]))
    assert len(window("tiles").to_input(np.zeros((3000, 2000, 3), np.uint8))) == 16


def test_mirrored_sees_what_resize_sees_and_its_mirror_image(rng):
    image = rng.integers(0, 256, (50, 71, 3), dtype=np.uint8)
    (square,), pair = window("resize").to_input(image), window("mirrored").to_input(image)
    assert np.array_equal(pair, np.stack([square, square[:, ::-1]]))


@pytest.mark.parametrize("name", ["resize", "mirrored", "center-crop", "tiles"])
def test_smaller_image_is_enlarged(rng, name):
    assert window(name).to_input(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).shape[1:] == (32, 32, 3)
