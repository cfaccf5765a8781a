import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from asli.errors import WeightsError
from asli.models.networks import create_network
from asli.models.weights import load_start_weights


def saved(network, path):
    save_file({k: v.contiguous() for k, v in network.module.state_dict().items()}, path)
    return str(path)


def test_file_of_another_head_loads_all_but_the_head(tmp_path):
    source = create_network("resnet18", size=32, num_classes=1000, seed=1)
    network, report = load_start_weights(
        create_network("resnet18", size=32, seed=2), saved(source, tmp_path / "w.safetensors")
    )
    assert report.replaced == ["fc.bias", "fc.weight"]
    assert report.missing == report.unexpected == []
    assert torch.equal(network.module.layer4[1].conv2.weight, source.module.layer4[1].conv2.weight)
    assert "replaced: fc.bias, fc.weight" in report.describe()


def test_what_did_not_load_is_listed(tmp_path):
    tensors = {k: v.clone() for k, v in create_network("resnet18", size=32).module.state_dict().items()}
    tensors["extra.weight"] = tensors.pop("fc.bias")
    save_file(tensors, tmp_path / "w.safetensors")
    _, report = load_start_weights(create_network("resnet18", size=32), str(tmp_path / "w.safetensors"))
    assert report.missing == ["fc.bias"]
    assert report.unexpected == ["extra.weight"]


def test_a_missing_tensor_of_the_body_is_an_error(tmp_path):
    tensors = {k: v.clone() for k, v in create_network("resnet18", size=32).module.state_dict().items()}
    del tensors["layer1.0.conv1.weight"]
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"lacks 1 of \d+ tensors of its body \(first: layer1.0.conv1.weight\)"):
        load_start_weights(create_network("resnet18", size=32), str(tmp_path / "w.safetensors"))


@pytest.mark.slow
def test_torchvisions_vgg_loads_whole_and_answers_alike(tmp_path):
    import torchvision

    torch.manual_seed(0)
    theirs = torchvision.models.vgg11(num_classes=2).eval()
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    network, report = load_start_weights(create_network("vgg11", size=224), str(tmp_path / "w.safetensors"))
    assert report.loaded == len(theirs.state_dict())
    assert report.missing == report.unexpected == report.replaced == []
    images = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(network.module.eval()(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_googlenets_published_weights_see_the_normalization_they_were_trained_with(tmp_path):
    """torchvision turns ImageNet's normalization into another one inside the network (`transform_input`)."""
    from torchvision.models import GoogLeNet

    torch.manual_seed(0)
    theirs = GoogLeNet(num_classes=2, aux_logits=False, transform_input=True, init_weights=False).eval()
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    network, _ = load_start_weights(create_network("googlenet", size=64), str(tmp_path / "w.safetensors"))
    pixels = torch.rand(2, 3, 64, 64)

    def normalized(mean, std):
        return (pixels - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)

    with torch.inference_mode():
        expected = theirs(normalized((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        torch.testing.assert_close(network.module.eval()(normalized(network.mean, network.std)), expected)


def test_hub_format_folder_brings_its_own_normalization(tmp_path):
    model = timm.create_model("resnet18", num_classes=10)
    config = {
        "architecture": "resnet18",
        "num_classes": 10,
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    network, report = load_start_weights(create_network("resnet18", size=32), str(tmp_path))
    assert (network.mean, network.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert report.replaced == ["fc.bias", "fc.weight"]


def test_transformers_resnet_is_the_same_network_under_other_names(tmp_path):
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(layer_type="bottleneck", depths=[3, 4, 6, 3], num_labels=2)
    theirs = ResNetForImageClassification(config).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # fresh statistics would hide a swapped pair
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 1.5)
    theirs.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    network, report = load_start_weights(create_network("resnet50", size=64), str(tmp_path))
    assert report.missing == report.unexpected == report.replaced == []
    assert network.mean == (0.5, 0.5, 0.5)
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(network.module.eval()(x), theirs(x).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("nowhere.safetensors", "no start weights"),
        ("hub:nobody/nothing", "not in the cache .* and HF_HUB_OFFLINE is set"),
        (__file__, "not a .safetensors"),
    ],
)
def test_missing_weights_say_what_is_missing(start, words):
    with pytest.raises(WeightsError, match=words):
        load_start_weights(create_network("cifar_resnet20", size=32), start)


def test_weights_of_another_network_are_refused(tmp_path):
    path = saved(create_network("resnet34", size=32), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="does not fit"):
        load_start_weights(create_network("resnet50", size=32), path)
    deeper = saved(create_network("cifar_resnet32", size=32), tmp_path / "deeper.safetensors")
    with pytest.raises(WeightsError, match=r"the network has no block layer1\.3"):
        load_start_weights(create_network("cifar_resnet20", size=32), deeper)
    shallower = saved(create_network("cifar_resnet32", size=32), tmp_path / "shallower.safetensors")
    with pytest.raises(WeightsError, match=r"the file has no block layer1\.5"):
        load_start_weights(create_network("cifar_resnet44", size=32), shallower)
    (tmp_path / "bad.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        load_start_weights(create_network("resnet18", size=32), str(tmp_path / "bad.safetensors"))


@pytest.mark.shared
@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_genuine_cifar10_weights_load_strictly(shared: Path, depth):
    network = create_network(f"cifar_resnet{depth}", size=32, num_classes=10)
    network.module.load_state_dict(load_file(shared / "weights" / f"cifar10_resnet{depth}.safetensors"), strict=False)
    _, report = load_start_weights(network, str(shared / "weights" / f"cifar10_resnet{depth}.safetensors"))
    assert report.missing == report.unexpected == report.replaced == []


@pytest.mark.shared
def test_genuine_cifar10_weights_recognise_cifar10(shared: Path):
    """The block, its shortcut and the normalization are right: the weights reach the accuracy their origin states."""
    import io
    import zipfile

    import numpy as np
    from PIL import Image

    from asli.transforms.preprocessing import Preprocessing

    network = create_network("cifar_resnet20", size=32, num_classes=10)
    network, _ = load_start_weights(network, str(shared / "weights" / "cifar10_resnet20.safetensors"))
    images, categories = [], []
    with zipfile.ZipFile(shared / "data" / "cifake" / "cifake_test_REAL.zip") as archive:
        for category in range(10):
            suffix = f" ({category + 1})" if category else ""
            for number in range(40):
                data = archive.read(f"test/REAL/{number:04d}{suffix}.jpg")
                images.append(np.asarray(Image.open(io.BytesIO(data))))
                categories.append(category)
    batch = Preprocessing(32, "bilinear", network.mean, network.std).batch(np.stack(images), torch.device("cpu"))
    with torch.inference_mode():
        answers = network.module.eval()(batch).argmax(dim=1).numpy()
    assert (answers == np.array(categories)).mean() == pytest.approx(0.81, abs=0.05)
