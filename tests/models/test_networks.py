import pytest
import torch

from asli.errors import RecipeError
from asli.models.networks import create_network, set_trainable, stages


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_cifar_resnets_have_the_papers_parameters(depth, millions):
    # He et al. 2015, table 6, with 10 classes.
    network = create_network(f"cifar_resnet{depth}", size=32, num_classes=10)
    assert round(network.parameters / 1e6, 2) == millions


def test_shortcut_subsamples_and_pads_with_zeros():
    block = create_network("cifar_resnet20", size=32).module.layer2[0]
    x = torch.randn(2, 16, 8, 8)
    out = block.shortcut(x)
    assert out.shape == (2, 32, 4, 4)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


def test_initial_weights_are_a_function_of_the_seed():
    def weights(seed, name):
        return torch.cat([p.flatten() for p in create_network(name, size=32, seed=seed).module.parameters()])

    for name in ("cifar_resnet20", "resnet18"):
        torch.rand(3)
        assert torch.equal(weights(1, name), weights(1, name))
        assert not torch.equal(weights(1, name), weights(2, name))


@pytest.mark.parametrize("name", ["cifar_resnet20", "resnet18", "tf_efficientnet_lite0", "vit_tiny_patch16_224"])
def test_head_only_trains_the_head(name):
    network = create_network(name, size=32)
    set_trainable(network, "head")
    trained = {key for key, p in network.module.named_parameters() if p.requires_grad}
    assert trained == {f"{network.head}.weight", f"{network.head}.bias"}


def test_upper_stages_train_and_frozen_statistics_stay():
    network = create_network("resnet18", size=32)
    assert [group[0].split(".")[0] for group in stages(network)] == ["conv1", "layer1", "layer2", "layer3", "layer4"]
    set_trainable(network, "stages:2")
    prefixes = {key.split(".")[0] for key, p in network.module.named_parameters() if p.requires_grad}
    assert prefixes == {"layer3", "layer4", "fc"}
    before = {key: value.clone() for key, value in network.module.named_buffers()}
    network.module.train()
    network.module(torch.randn(4, 3, 32, 32))
    moved = {key.split(".")[0] for key, value in network.module.named_buffers() if not torch.equal(value, before[key])}
    assert moved == {"layer3", "layer4"}


def test_cifar_stages():
    network = create_network("cifar_resnet20", size=32)
    assert [group[0] for group in stages(network)] == [
        "conv1.weight",
        "layer1.0.conv1.weight",
        "layer2.0.conv1.weight",
        "layer3.0.conv1.weight",
    ]
    with pytest.raises(RecipeError, match="has 4 stages"):
        set_trainable(network, "stages:5")


def test_unknown_network_suggests_near_names():
    with pytest.raises(RecipeError, match="resnet152"):
        create_network("resnet153", size=32)


def test_compact_resnet_starts_as_its_shortcuts_and_sees_every_pixel():
    network = create_network("compact_resnet8x32", size=32)
    module = network.module.eval()
    x = torch.rand(1, 3, 32, 32, requires_grad=True)
    block = module.layer2[0]
    inputs = torch.rand(2, 32, 16, 16)
    assert torch.allclose(block(inputs), torch.relu(block.shortcut(inputs)))
    module(x)[0, 1].backward()
    assert (x.grad.abs().sum(dim=1) > 0).all()
    convolutions = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size != (1, 1)]
    assert len(convolutions) + 1 == 8  # with the linear layer
