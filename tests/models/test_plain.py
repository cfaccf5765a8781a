"""Networks without shortcuts."""

import copy
import math

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import resnet
from torch import nn

from asli.models import cifar_resnet
from asli.models.gradients import gradients_by_stage
from asli.models.networks import OWN, create_network, set_trainable
from asli.models.plain import PlainBasicBlock, PlainBottleneck, PlainCifarBlock
from asli.models.weights import load_start_weights
from asli.transforms.preprocessing import Preprocessing

PLAIN = [name for name in OWN if name.startswith("plain_")]


@pytest.mark.parametrize(
    ("residual", "plain", "shapes", "last"),
    [
        (resnet.BasicBlock, PlainBasicBlock, (8, 8), "act2"),
        (resnet.Bottleneck, PlainBottleneck, (32, 8), "act3"),
        (cifar_resnet.BasicBlock, PlainCifarBlock, (8, 8, 1), None),
        (cifar_resnet.BasicBlock, PlainCifarBlock, (8, 16, 2), None),
    ],
)
def test_plain_block_is_the_residual_one_minus_the_shortcut_before_the_last_activation(
    residual, plain, shapes, last, monkeypatch
):
    torch.manual_seed(0)
    with_shortcut, without = residual(*shapes).eval(), plain(*shapes).eval()
    without.load_state_dict(with_shortcut.state_dict())
    x = torch.randn(2, shapes[0], 6, 6)
    expected = without(x)
    if last:  # take the last activation away and subtract
        setattr(with_shortcut, last, nn.Identity())
        before = with_shortcut(x.clone()) - x
    else:
        shortcut = with_shortcut.shortcut(x)
        with monkeypatch.context() as patch:
            real = cifar_resnet.F.relu
            calls = iter([real, lambda value, inplace: value])
            patch.setattr(cifar_resnet.F, "relu", lambda value, inplace: next(calls)(value, inplace=inplace))
            before = with_shortcut(x) - shortcut
    assert torch.allclose(expected, torch.relu(before), atol=1e-6)
    assert not torch.allclose(expected, torch.relu(before + 0.1), atol=1e-3)


def test_projection_is_what_a_plain_opening_block_lacks():
    """In a whole network: subtracting the projection from the residual block gives the plain one."""
    residual = timm.create_model("resnet50", num_classes=2).eval()
    plain = create_network("plain_resnet50_stage", size=32).module.eval()
    plain.load_state_dict(residual.state_dict(), strict=False)
    x = torch.randn(1, 256, 8, 8)
    block = copy.deepcopy(residual.layer2[0])
    block.act3 = nn.Identity()
    assert torch.allclose(plain.layer2[0](x), torch.relu(block(x.clone()) - block.downsample(x)), atol=1e-5)
    y = plain.layer2[0](x)
    assert torch.allclose(plain.layer2[1](y), residual.layer2[1](y), atol=1e-6)


DEEP = ("101", "152")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if any(d in n for d in DEEP) else n for n in PLAIN]
)
def test_gradient_reaches_every_parameter_of_every_plain_network(name, pixels_and_labels):
    network = create_network(name, size=32)
    pixels, labels = pixels_and_labels
    found = gradients_by_stage(network, pixels, labels)
    print(name, {stage: f"{norm:.3g}" for stage, norm in found.norms.items()})
    assert all(math.isfinite(norm) and norm > 0 for norm in found.norms.values())
    assert found.without == []
    assert all(p.grad is None for p in network.module.parameters())
    assert not network.module.bn1.running_mean.any()  # left as it was


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_a_plain_network_learns_over_several_updates(depth, sample):
    """The deeper it is, the slower and rougher its start, so it may take its time.

    A head alone would stay near 0.693, the loss of a coin: the labels are balanced.
    """
    rows = sample.rows("train")[:: len(sample.rows("train")) // 64]
    preprocessing = Preprocessing(32, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    pixels = preprocessing.batch(sample.images[rows], torch.device("cpu"))
    labels = torch.from_numpy(sample.labels[rows].astype("int64"))
    module = create_network(f"plain_cifar_resnet{depth}", size=32).module
    optimizer = torch.optim.AdamW(module.parameters(), 1e-3)
    losses: list[float] = []
    while len(losses) < 300 and (not losses or losses[-1] > 0.55):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(pixels), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"plain_cifar_resnet{depth}: loss {losses[0]:.3f} -> {losses[-1]:.3f} in {len(losses)} updates")
    assert losses[-1] <= 0.55


def test_timms_usual_start_would_kill_a_plain_network():
    """Why `zero_init_last=False`: with timm's default only the head's bias gets a gradient."""
    module = timm.create_model("resnet18", num_classes=2, block=PlainBasicBlock)
    module(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert [key for key, p in module.named_parameters() if p.grad is not None and p.grad.any()] == ["fc.bias"]


@pytest.mark.parametrize(
    ("name", "residual", "gone"),
    [
        ("plain_resnet50", "resnet50", 16),
        ("plain_resnet50_stage", "resnet50", 4),
        ("plain_resnet18_stage", "resnet18", 4),
        ("plain_cifar_resnet20", "cifar_resnet20", 9),
        ("plain_cifar_resnet20_stage", "cifar_resnet20", 3),
    ],
)
def test_which_blocks_are_plain_and_the_residual_weights_load(name, residual, gone, tmp_path):
    source = create_network(residual, size=32, num_classes=10, seed=1).module
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    network, report = load_start_weights(create_network(name, size=32), str(tmp_path / "w.safetensors"))
    plain = [
        key
        for key, module in network.module.named_modules()
        if isinstance(module, PlainBasicBlock | PlainBottleneck | PlainCifarBlock)
    ]
    assert len(plain) == gone
    assert {f"layer{i}.0" for i in range(1, 5) if hasattr(source, f"layer{i}")} <= set(plain)
    assert report.missing == []
    assert all(".downsample." in key for key in report.unexpected)
    assert report.replaced == [f"{network.head}.bias", f"{network.head}.weight"]
    own = network.module.state_dict()
    assert all(
        torch.equal(own[key], value) for key, value in source.state_dict().items() if key in own and "layer" in key
    )


def test_a_plain_networks_upper_stages_train():
    network = create_network("plain_resnet18", size=32)
    set_trainable(network, "stages:1")
    assert {key.split(".")[0] for key, p in network.module.named_parameters() if p.requires_grad} == {"layer4", "fc"}
