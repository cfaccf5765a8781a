import numpy as np
import torch

from asli.recipe import AugmentSettings, LoopSettings
from asli.training.batches import TrainingBatches
from asli.transforms.degrade import degrade
from asli.transforms.preprocessing import Preprocessing

NOTHING = {"brightness": 0.0, "rescale": 1.0, "blur": 0.0, "sharpen": 0.0, "noise": 0.0, "quality": (100, 100)}


def degraded(images, rows, epoch=0, **settings):
    return degrade(images, AugmentSettings(**{"degrade": 1.0, **settings}), seed=3, epoch=epoch, samples=rows)


def test_an_image_is_degraded_the_same_in_any_company(sample):
    rows = sample.rows("train")[:40]
    together = degraded(sample.images[rows], rows)
    alone = np.concatenate([degraded(sample.images[row : row + 1], np.array([row])) for row in rows])
    assert np.array_equal(together, alone)
    assert not np.array_equal(together, degraded(sample.images[rows], rows, epoch=1))


def test_the_share_is_kept_and_the_originals_are_untouched(sample):
    rows = sample.rows("train")[:400]
    before = sample.images[rows]
    images = before.copy()
    after = degraded(images, rows, degrade=0.3, sharpen=5.0, blur=3.0)
    assert np.array_equal(images, before)
    changed = (after != before).any(axis=(1, 2, 3)).mean()
    assert 0.22 < changed < 0.38


def test_strengths_of_nothing_change_next_to_nothing(sample):
    rows = sample.rows("train")[:100]
    images = sample.images[rows]
    off = degraded(images, rows, **NOTHING).astype(int) - images
    # What is left is the chroma that JPEG's subsampling averages, even at quality 100.
    assert np.abs(off).mean() < 4
    assert np.abs(degraded(images, rows).astype(int) - images).mean() > 8


def test_blur_lowers_and_sharpening_raises_detail(sample):
    rows = sample.rows("train")[:100]
    images = sample.images[rows]

    def detail(pixels):
        return np.abs(np.diff(pixels.astype(float), axis=2)).mean(axis=(1, 2, 3))

    blurred = detail(degraded(images, rows, **{**NOTHING, "blur": 2.0})) < 0.8 * detail(images)
    sharpened = detail(degraded(images, rows, **{**NOTHING, "sharpen": 3.0})) > 1.2 * detail(images)
    # Half of them draw the one, half the other, of any strength.
    assert 0.25 < blurred.mean() < 0.55
    assert 0.25 < sharpened.mean() < 0.55


def test_batches_are_degraded_after_their_view(sample):
    rows = sample.rows("train")[:64]
    preprocessing = Preprocessing(32, "bilinear", (0.0,) * 3, (1.0,) * 3)
    augment = AugmentSettings(flip=0.0, degrade=0.5)
    stream = TrainingBatches(sample, rows, augment, preprocessing, LoopSettings(seed=3), torch.device("cpu"))
    batch = stream.make(rows, epoch=2)
    seen = (batch.inputs * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(seen, degrade(sample.images[rows], augment, seed=3, epoch=2, samples=rows))
