import numpy as np
import pytest
import torch

from asli.recipe import LoopSettings
from asli.transforms.color import color


def changed(images, strength=0.35, **key):
    return color(images, strength, **{"seed": 3, "epoch": 0, "samples": np.arange(len(images)), **key})


@pytest.fixture
def noise():
    return torch.randn(300, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_every_pixel_of_an_image_goes_through_one_affine_map(noise):
    for before, after in zip(noise[:20].double(), changed(noise[:20]).double(), strict=True):
        pixels = torch.cat([before.flatten(1).T, torch.ones(64, 1, dtype=torch.float64)], dim=1)
        fit = torch.linalg.lstsq(pixels, after.flatten(1).T)
        assert torch.allclose(pixels @ fit.solution, after.flatten(1).T, atol=1e-5)
        assert not torch.allclose(fit.solution[:3], torch.eye(3, dtype=torch.float64), atol=0.01)


def test_gray_stays_of_one_hue_but_for_the_white_balance():
    # Saturation does nothing to gray: what is left is gain and shift, within the bounds the docstring gives.
    ramp = torch.linspace(-2, 2, 64).reshape(1, 1, 8, 8).expand(500, 3, 8, 8)
    after = changed(ramp)
    shift = (after[:, :, 0, 0] + after[:, :, -1, -1]) / 2
    gain = (after[:, :, -1, -1] - after[:, :, 0, 0]) / 4
    assert shift.abs().max() < 0.35 * 1.5
    assert gain.log().abs().max() < 0.35 * 1.4 + 1e-5
    between = (gain.log() - gain.log().mean(dim=1, keepdim=True)).std()
    assert 0.1 * gain.log().std() < between < 0.6 * gain.log().std()


def test_its_scale_is_the_strength(noise):
    assert torch.allclose(changed(noise, 0.0), noise, atol=1e-6)
    weak, strong = ((changed(noise, s) - noise).abs().mean() for s in (0.01, 0.1))
    assert strong / weak == pytest.approx(10, rel=0.1)


def test_it_depends_on_seed_epoch_and_row_alone(noise):
    assert torch.equal(changed(noise), changed(noise))
    assert not torch.equal(changed(noise), changed(noise, epoch=1))
    assert not torch.equal(changed(noise), changed(noise, seed=4))
    some = np.array([7, 2])
    assert torch.allclose(changed(noise[some], samples=some), changed(noise)[some], atol=1e-6)


def test_batches_change_colors_where_it_is_on_and_no_labels(padded_batch):
    (rows, off), (_, on) = padded_batch(), padded_batch(color=0.35)
    assert torch.equal(off.targets, on.targets)
    assert not (on.inputs == off.inputs).flatten(1).all(dim=1).any()
    expected = color(off.inputs, 0.35, seed=LoopSettings().seed, epoch=1, samples=rows)
    assert torch.equal(on.inputs, expected)
