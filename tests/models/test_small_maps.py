import copy

import pytest
import torch
from torch import nn

from asli.models.small_maps import TrimmedConv2d, trim_kernels


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 3), (2, 5), (3, 3), (4, 4), (9, 8)])
def test_result_and_gradients_equal_the_whole_kernels(kernel, stride, shape):
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 6, kernel, stride, kernel // 2)
    trimmed = copy.deepcopy(plain)
    trim_kernels(nn.Sequential(trimmed))
    assert type(trimmed) is TrimmedConv2d
    x = torch.randn(3, 4, *shape)
    results = []
    for conv in (plain, trimmed):
        image = x.clone().requires_grad_()
        out = conv(image)
        out.square().sum().backward()
        results.append((out, image.grad, conv.weight.grad, conv.bias.grad))
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        assert torch.allclose(plain(x), trimmed(x), atol=1e-5)


def test_only_padded_ungrouped_convolutions_change():
    kept = [
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding="same"),
    ]
    kept += [nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")]
    trim_kernels(nn.Sequential(*kept))
    assert {type(conv) for conv in kept} == {nn.Conv2d}
