"""Photographs of any size, decoded on demand."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as reference

from asli.datasets.build import open_folders
from asli.datasets.pixels import FilePixels, PackedPixels
from asli.datasets.sources import Folder
from asli.errors import DataError, Interrupted
from asli.evaluation.evaluate import evaluate
from asli.files import sha256_of_file
from asli.pipeline import train
from asli.recipe import AugmentSettings, LoopSettings
from asli.training.batches import TrainingBatches
from asli.training.callbacks import ProgressBar
from asli.transforms.preprocessing import Preprocessing
from asli.transforms.views import random_views

CPU = torch.device("cpu")
PLAIN = Preprocessing(48, "bicubic", (0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Eighty pictures of many sizes and kinds; fakes are smooth, photographs are not; one is turned by EXIF."""
    rng, root = np.random.default_rng(5), tmp_path_factory.mktemp("photos")
    for number in range(80):
        label = ("real", "fake")[number % 2]
        (root / "files" / label).mkdir(parents=True, exist_ok=True)
        height, width = rng.integers(50, 130, 2)
        coarse = rng.integers(0, 256, (height, width, 3) if label == "real" else (4, 5, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((int(width), int(height)), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = 6 if number == 4 else 1
        image.save(root / "files" / label / f"{number:03d}.{('jpg', 'png', 'webp')[number % 3]}", exif=exif)
    return open_folders(root / "files", root / "data")


def test_sizes_are_upright(photos):
    rows = np.arange(len(photos))
    shapes = [photos.pixels.image(row).shape[:2] for row in rows]
    assert np.array_equal(photos.pixels.sizes(rows), shapes)
    assert photos.info["packed"] is None
    assert isinstance(photos.pixels, FilePixels)


@pytest.mark.parametrize("crop", ["none", "random", "random-resized"])
def test_views_equal_torchvision_on_pillow_images(photos, crop):
    rows = np.arange(24)
    sizes = photos.pixels.sizes(rows)
    views = random_views(AugmentSettings(crop=crop), sizes, size=48, seed=3, epoch=1, samples=rows)
    shown = photos.pixels.seen(rows, views, 48, "bicubic").on(CPU)
    for row, box, flip, result in zip(rows, views.boxes.tolist(), views.flips, shown, strict=True):
        image = Image.fromarray(photos.pixels.image(row))
        expected = reference.resized_crop(image, *box, [48, 48], reference.InterpolationMode.BICUBIC)
        expected = reference.hflip(expected) if flip else expected
        assert np.array_equal(result.permute(1, 2, 0).numpy(), np.asarray(expected))


def test_random_crop_takes_pixels_as_they_are(photos):
    row = np.array([7])
    views = random_views(
        AugmentSettings(crop="random", flip=0), photos.pixels.sizes(row), size=48, seed=3, epoch=0, samples=row
    )
    top, left = views.boxes[0, :2]
    shown = photos.pixels.seen(row, views, 48, "bicubic").on(CPU)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(shown, photos.pixels.image(7)[top : top + 48, left : left + 48])


def test_packed_and_file_pixels_show_the_same(tmp_path, sample):
    for number in range(6):
        Image.fromarray(sample.images[number]).save(tmp_path / f"{number}.png")
    rows, sizes = np.arange(6), np.full((6, 2), 32)
    files = FilePixels(Folder(tmp_path), [f"{n}.png" for n in range(6)], sizes)
    packed = PackedPixels(sample.images)
    for crop in ("none", "random", "random-resized", "padded"):
        views = random_views(AugmentSettings(crop=crop), sizes, size=32, seed=1, epoch=0, samples=rows)
        a, b = (p.seen(rows, views, 32, "bilinear").on(CPU).to(torch.float32) for p in (files, packed))
        assert (a - b).abs().max() <= 1.0  # Pillow rounds to 8 bits
        same = packed.seen(rows, views, 32, "bilinear", "pillow").on(CPU)
        assert torch.equal(same, files.seen(rows, views, 32, "bilinear", "pillow").on(CPU))
    for a, b in zip(files.fitted(rows, PLAIN), packed.fitted(rows, PLAIN), strict=True):
        assert np.array_equal(a, b)


def test_batches_do_not_depend_on_the_number_of_threads(photos, monkeypatch):
    rows, everything = photos.rows("train"), np.arange(len(photos))
    names = photos.table(["id"])["id"].to_pylist()
    source, sizes = Folder(photos.path.parent / "files"), photos.pixels.sizes(everything)
    made = []
    for threads in (1, 5):
        monkeypatch.setattr(photos, "pixels", FilePixels(source, names, sizes, threads))
        stream = TrainingBatches(photos, rows, AugmentSettings(crop="random"), PLAIN, LoopSettings(micro_batch=8), CPU)
        made.append(torch.cat([batch.inputs for batch in stream.micro_batches(0)]))
    assert torch.equal(*made)


SETTINGS = [
    *("data.size=48", "data.sample=0", "augment.crop=random", "loop.max_updates=4", "loop.epochs=4"),
    *("loop.micro_batch=8", "loop.checkpoint_every=0", "loop.evaluate_every=0"),
]


@pytest.mark.slow
@pytest.mark.parametrize("window", ["mirrored", "tiles"])
def test_training_on_photos_resumes_bit_exactly_and_is_judged(photos, tmp_path, monkeypatch, window):
    settings = [*SETTINGS, f"data.crop_mode={window}"]
    whole = train("smoke", photos, tmp_path / "whole", settings=settings)
    original = ProgressBar.on_update

    def stopping(self, *, update, **measured):
        original(self, update=update, **measured)
        if update == 3:
            raise Interrupted("now")

    monkeypatch.setattr(ProgressBar, "on_update", stopping)
    with pytest.raises(Interrupted):
        train("smoke", photos, tmp_path / "cut", settings=settings, recovery_minutes=0)  # saved after two updates
    monkeypatch.setattr(ProgressBar, "on_update", original)
    assert [folder.name for folder in (tmp_path / "cut/checkpoints/recovery").iterdir()] == ["step-000002"]
    cut = train("smoke", photos, tmp_path / "cut", settings=settings, resume=True)
    for name in ("detector/model.safetensors", "metrics.jsonl"):
        assert sha256_of_file(whole.path / name) == sha256_of_file(cut.path / name)
    result = evaluate(cut.path, photos)
    assert result.data.images == len(photos.rows("test"))


def test_padded_crop_of_photos_is_refused(photos, tmp_path):
    with pytest.raises(DataError, match="set augment.crop=random"):
        train("smoke", photos, tmp_path / "run", settings=["augment.crop=padded"])
    assert not (tmp_path / "run").exists()


def test_a_file_that_vanished_or_changed_is_named(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (20, 30)).save(stream, "PNG")
    (tmp_path / "a.png").write_bytes(stream.getvalue())
    pixels = FilePixels(Folder(tmp_path), ["a.png", "b.png"], np.array([[30, 21], [30, 20]]))
    with pytest.raises(DataError, match="a.png has changed"):
        pixels.fitted(np.array([0]), PLAIN)
    with pytest.raises(DataError, match="b.png can no longer be read"):
        pixels.fitted(np.array([1]), PLAIN)
