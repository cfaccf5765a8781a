import numpy as np
import torch

from asli.recipe import AugmentSettings, LoopSettings
from asli.training.batches import TrainingBatches
from asli.transforms.preprocessing import Preprocessing

PLAIN = Preprocessing(32, "bilinear", (0.0,) * 3, (1.0,) * 3)


def batches(sample, augment=None, preprocessing=PLAIN, rows=None, **loop):
    rows = sample.rows("train")[:501] if rows is None else rows
    settings = LoopSettings(**{"micro_batch": 32, "accumulation": 4, **loop})
    return rows, TrainingBatches(
        sample, rows, augment or AugmentSettings(flip=0.0), preprocessing, settings, torch.device("cpu")
    )


def test_an_epoch_shows_every_image_once_in_another_order_each_time(sample):
    rows, stream = batches(sample)
    assert stream.updates_per_epoch == 4  # 16 micro-batches of 32, the last of 21
    groups = [stream.group(update) for update in range(8)]
    first = np.concatenate([part for group in groups[:4] for part in group])
    second = np.concatenate([part for group in groups[4:] for part in group])
    assert sorted(first) == sorted(second) == sorted(rows)
    assert not np.array_equal(first, second)
    assert [len(part) for part in groups[3]] == [32, 32, 32, 21]


def test_table_1_has_2813_micro_batches_and_704_updates_an_epoch(sample):
    _, stream = batches(sample, rows=np.zeros(90_000, dtype=np.int64))
    assert stream.updates_per_epoch == 704


def test_unaugmented_batches_are_the_images(sample):
    _, stream = batches(sample)
    part = stream.group(1)[2]
    batch = list(stream.micro_batches(1))[2]
    assert torch.equal(
        (batch.inputs * 255).round().to(torch.uint8).permute(0, 2, 3, 1), torch.from_numpy(sample.images[part])
    )
    assert batch.targets.tolist() == sample.labels[part].tolist()


def test_a_batch_is_a_pure_function_of_the_update(sample):
    augment = AugmentSettings(crop="random-resized")
    _, one = batches(sample, augment)
    _, other = batches(sample, augment)
    list(one.micro_batches(0))  # what came before does not matter
    for a, b in zip(one.micro_batches(5), other.micro_batches(5), strict=True):
        assert torch.equal(a.inputs, b.inputs)


def test_an_image_looks_the_same_in_any_micro_batch(sample):
    augment = AugmentSettings(crop="padded")
    _, small = batches(sample, augment, micro_batch=8, accumulation=16)
    _, large = batches(sample, augment, micro_batch=128, accumulation=1)
    together = torch.cat([b.inputs for b in small.micro_batches(0)])
    assert torch.equal(together, next(iter(large.micro_batches(0))).inputs)


def test_packed_images_can_be_enlarged(sample):
    for crop in ("none", "padded", "random-resized"):
        _, stream = batches(sample, AugmentSettings(crop=crop), Preprocessing(48, "bicubic", (0.5,) * 3, (0.5,) * 3))
        assert next(iter(stream.micro_batches(0))).inputs.shape == (32, 3, 48, 48)
