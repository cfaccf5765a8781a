import numpy as np
import pytest
import torch

from asli.transforms.cutmix import cutmix


def mixed(count, share=1.0, **key):
    """Images of which each is one number all over, so that a pixel tells whose it is."""
    images = torch.arange(count, dtype=torch.float32)[:, None, None, None].expand(-1, 3, 32, 32)
    targets = torch.arange(count) % 2
    return cutmix(images, targets, share, **{"seed": 3, "epoch": 0, "samples": np.arange(count), **key})


def test_labels_are_the_shares_of_the_pixels():
    images, targets = mixed(200)
    for number, (image, target) in enumerate(zip(images, targets, strict=True)):
        own = float((image[0] == number).float().mean())
        assert set(image.unique().tolist()) <= {number, (number - 1) % 200}
        assert target[number % 2].item() == pytest.approx(own)
        assert target.sum().item() == pytest.approx(1)


def test_what_is_cut_is_a_rectangle_and_all_sizes_come():
    images, _ = mixed(400)
    areas = []
    for number, image in enumerate(images):
        foreign = image[0] != number
        lines, columns = foreign.any(dim=1).sum(), foreign.any(dim=0).sum()
        assert foreign.sum() == lines * columns
        areas.append(float(foreign.float().mean()))
    assert min(areas) < 0.02
    assert max(areas) > 0.8
    assert 0.2 < np.mean(areas) < 0.5  # less than half: what reaches beyond the image is lost


def test_the_share_is_kept_and_the_rest_is_untouched():
    images, targets = mixed(1000, share=0.3)
    touched = (images[:, 0].flatten(1) != torch.arange(1000)[:, None]).any(dim=1)
    assert 0.22 < touched.float().mean() < 0.34
    assert torch.equal(targets[~touched].argmax(dim=1), (torch.arange(1000) % 2)[~touched])


def test_it_depends_on_seed_epoch_and_row_alone():
    assert torch.equal(mixed(50)[0], mixed(50)[0])
    assert not torch.equal(mixed(50)[0], mixed(50, epoch=1)[0])
    assert not torch.equal(mixed(50)[0], mixed(50, seed=4)[0])


def test_batches_hand_on_shares_of_labels_where_it_is_on(sample, padded_batch):
    (rows, off), (_, on) = padded_batch(), padded_batch(cutmix=0.5)
    assert off.targets.tolist() == sample.labels[rows].tolist()
    assert on.targets.shape == (64, 2)
    alone = (on.inputs == off.inputs).flatten(1).all(dim=1)
    assert 0.3 < alone.float().mean() < 0.8
    assert torch.equal(on.targets[alone].argmax(dim=1), off.targets[alone])
