import numpy as np
import pytest

from asli.recipe import AugmentSettings
from asli.transforms.randomness import derived_seed, order, uniforms
from asli.transforms.views import random_views


def views(augment, sizes, samples=None, epoch=0):
    samples = np.arange(len(sizes)) if samples is None else samples
    return random_views(augment, np.asarray(sizes), size=24, seed=7, epoch=epoch, samples=samples)


def test_a_view_depends_on_its_image_and_epoch_alone():
    augment, sizes = AugmentSettings(crop="random-resized"), np.full((50, 2), 32)
    together = views(augment, sizes)
    alone = views(augment, sizes[:1], samples=np.array([17]))
    assert np.array_equal(together.boxes[17], alone.boxes[0])
    assert together.flips[17] == alone.flips[0]
    assert not np.array_equal(together.boxes, views(augment, sizes, epoch=1).boxes)


def test_random_resized_crop_draws_as_torchvision_does():
    import torch
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    image = torch.zeros(3, 40, 60)
    theirs = np.array([RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(20_000)])
    ours = views(AugmentSettings(crop="random-resized"), np.tile([40, 60], (20_000, 1))).boxes
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, 0] + ours[:, 2] <= 40).all()
    assert (ours[:, 1] + ours[:, 3] <= 60).all()
    for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
        difference = np.quantile(ours, quantile, axis=0) - np.quantile(theirs, quantile, axis=0)
        assert np.abs(difference).max() <= 1
    assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).max() < 0.5


@pytest.mark.parametrize("size", [(10, 100), (100, 10)])
def test_crop_that_never_fits_falls_back_to_the_center(size):
    import torch
    from torchvision.transforms import RandomResizedCrop

    augment = AugmentSettings(crop="random-resized", scale=(1.0, 1.0))
    ours = views(augment, [size]).boxes[0]
    theirs = RandomResizedCrop.get_params(torch.zeros(3, *size), [1.0, 1.0], [3 / 4, 4 / 3])
    assert ours.tolist() == list(theirs)


def test_padded_crop_shifts_evenly_up_to_the_padding():
    boxes = views(AugmentSettings(crop="padded", padding=4), np.full((9000, 2), 32)).boxes
    values, counts = np.unique(boxes[:, 0], return_counts=True)
    assert values.tolist() == list(range(-4, 5))
    assert counts.min() > 850
    assert (boxes[:, 2:] == 32).all()


def test_random_crop_is_a_square_of_the_networks_size_anywhere():
    boxes = views(AugmentSettings(crop="random"), np.tile([40, 60], (5000, 1))).boxes
    assert (boxes[:, 2:] == 24).all()
    assert (boxes[:, 0].min(), boxes[:, 0].max()) == (0, 16)
    assert (boxes[:, 1].min(), boxes[:, 1].max()) == (0, 36)
    assert views(AugmentSettings(crop="random"), [(10, 60)]).boxes[0, 2:].tolist() == [10, 10]


def test_no_crop_is_the_central_square_as_at_evaluation():
    assert views(AugmentSettings(), [(32, 32), (40, 60)]).boxes.tolist() == [[0, 0, 32, 32], [0, 10, 40, 40]]


def test_flips_have_their_probability():
    for probability in (0.0, 0.3, 1.0):
        flips = views(AugmentSettings(flip=probability), np.full((5000, 2), 32)).flips
        assert flips.mean() == pytest.approx(probability, abs=0.03)


def test_draws_are_uniform_and_independent():
    draws = uniforms(3, 1, np.arange(50_000), 4)
    assert (draws >= 0).all()
    assert (draws < 1).all()
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.01
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.02
    neighbours = np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]
    assert abs(neighbours) < 0.02


def test_order_is_a_permutation_that_changes_with_seed_and_epoch():
    orders = [tuple(order(seed, epoch, 100)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert all(sorted(o) == list(range(100)) for o in orders)
    assert order(0, 0, 100).tolist() == order(0, 0, 100).tolist()


def test_derived_seeds_differ_in_every_part():
    seeds = {derived_seed(a, b, c, d) for a in range(4) for b in range(4) for c in range(4) for d in range(4)}
    assert len(seeds) == 256
    assert all(0 <= seed < 2**63 for seed in seeds)
