"""The paper's networks: what they cost, and that each of them trains and scores."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from asli.cli import main
from asli.detector.building import fold_temperature
from asli.detector.runtimes import TorchRuntime, logits_of_rows
from asli.errors import RecipeError
from asli.models.networks import create_network, set_trainable, stages
from asli.models.profile import PRINTED, known_networks, print_table, profile
from asli.recipe import recipe_from_dict
from asli.tracking.jsonl import JsonLines
from asli.training.batches import TrainingBatches
from asli.training.callbacks import Callback
from asli.training.loop import Training
from asli.transforms.preprocessing import Preprocessing
from tests.schemas import require_schema

SIZES = {"inception_v3": 75}
CPU = torch.device("cpu")


# The other ResNets are these in another depth; test_plain and test_networks have them.
TRAINED = [*(set(PRINTED) - {"resnet18", "resnet50", "resnet101"}), "bird_lotfi", "plain_resnet50"]


QUICK = ("bird_lotfi", "resnet34", "googlenet")  # one of our own, one of timm's, one of torchvision's


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in sorted(TRAINED)]
)
def test_one_update_and_one_evaluation_on_real_images(name, sample, tmp_path):
    size = SIZES.get(name, 32)
    network = create_network(name, size=size)
    recipe = recipe_from_dict(
        {
            "data": {"size": size},
            "optim": {"name": "sgd", "betas": [0.0, 0.0], "lr": 0.01},  # AdamW's state of VGG-16 would take 1 GB
            "schedule": {"shape": "constant", "warmup": 0.0},
            "loop": {"micro_batch": 4, "accumulation": 1, "epochs": 1},
        }
    )
    preprocessing = Preprocessing(size, "bilinear", network.mean, network.std)
    head = network.module.get_submodule(network.head)
    before = head.weight.detach().clone()
    Training(
        network.module,
        recipe,
        TrainingBatches(sample, sample.rows("train"), recipe.augment, preprocessing, recipe.loop, CPU),
        lambda module: {"f1": 0.0, "loss": 0.0},
        folder=tmp_path,
        log=JsonLines(tmp_path / "metrics.jsonl"),
        callbacks=Callback(),
        machine={},
        recovery_minutes=10,
    ).one_update()
    metrics = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert math.isfinite(metrics["loss"])
    assert metrics["grad_norm"] > 0
    assert not torch.equal(head.weight, before)
    runtime, rows = TorchRuntime(network.module, preprocessing, CPU), sample.rows("validation")[:6]
    logits = np.concatenate(list(logits_of_rows(runtime, sample.pixels, rows, preprocessing)))
    assert logits.shape == (6, 2)
    assert np.isfinite(logits).all()
    fold_temperature(network, 2.0)
    folded = np.concatenate(list(logits_of_rows(runtime, sample.pixels, rows, preprocessing)))
    assert np.allclose(folded, logits / 2, atol=1e-4 * max(1, np.abs(logits).max()))
    set_trainable(network, "stages:1")
    trained = [key for key, p in network.module.named_parameters() if p.requires_grad]
    assert set(trained) == {*stages(network)[-1], *(f"{network.head}.{leaf}" for leaf in ("weight", "bias"))}


@pytest.mark.parametrize("name", [name for name, printed in PRINTED.items() if printed])
def test_parameters_are_those_the_paper_prints(name):
    assert profile(name).agrees


def test_counts_and_flops_against_other_people_s():
    # torchvision's documentation of its weights: parameters and multiply-adds ("GFLOPS") of one 224 px image.
    for name, parameters, giga in [
        ("googlenet", 6_624_904, 1.50),
        ("densenet121", 7_978_856, 2.83),
        ("vgg16", 138_357_544, 15.47),
    ]:
        found = profile(name)
        assert found.parameters_1000 == parameters
        assert found.flops / 2e9 == pytest.approx(giga, rel=0.01)


def test_counts_on_the_meta_device_are_the_real_ones():
    for name in ("bird_lotfi", "plain_cifar_resnet20", "vit_tiny_patch16_224"):
        found = profile(name)
        assert found.parameters == create_network(name, size=found.size).parameters


def test_bird_and_lotfis_network_is_the_sum_of_its_layers():
    assert profile("bird_lotfi").parameters == 896 + 9248 + (32 * 6 * 6 + 1) * 64 + 65 * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "advice"),
    [
        ("inception_v3", 32, "75 or more"),
        ("bird_lotfi", 64, "between 30 and 33"),
        ("bird_lotfi", 16, "30 or more"),
    ],
)
def test_a_size_a_network_cannot_take_is_refused_with_one_it_can(name, size, advice):
    with pytest.raises(RecipeError, match=f"cannot take images of {size} x {size} pixels; set data.size to {advice}"):
        create_network(name, size=size)
    create_network("bird_lotfi", size=32)


def test_checking_the_size_leaves_the_network_alone():
    network = create_network("resnet18", size=32)
    assert network.module.training
    assert all(tensor.device == CPU for tensor in network.module.state_dict().values())
    assert not network.module.bn1.running_mean.any()


def test_a_network_without_a_linear_head_is_refused():
    with pytest.raises(RecipeError, match="no single linear head"):
        create_network("levit_128s", size=224)


@pytest.mark.slow
def test_models_command_measures_in_a_process_of_its_own_and_speaks_json(capsys):
    main(["models", "resnet18", "--size", "32", "--runs", "3", "--threads", "1", "--json"])
    (found,) = require_schema("models", capsys.readouterr().out)
    measured = found["measured"]
    assert (measured["threads"], measured["runs"]) == (1, 3)
    assert 0 < measured["fastest"] <= measured["seconds"] <= measured["slowest"] < 10
    if Path("/proc/self/clear_refs").exists():
        weights = 4 * found["parameters"]
        assert weights < measured["peak_memory_bytes"] < 5 * weights
    assert list(found["gradients"]["norms"]) == ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"]
    # timm starts the last BatchNorm of each block at 0, so at first the residual branches get nothing.
    assert all(key.startswith("layer") for key in found["gradients"]["without"])


def test_table_is_plain_where_nobody_looks_and_names_what_differs(capsys, monkeypatch):
    monkeypatch.setitem(PRINTED, "resnet18", 12.0)
    print_table([profile("resnet18"), profile("resnet50"), profile("bird_lotfi")])
    out = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in out.splitlines()}
    assert lines["resnet50"][1:5] == ["224", "25.6", "25.557", "23.512"]
    assert lines["bird_lotfi"][2] == "-"
    assert "not what the paper prints: resnet18" in out
    assert out.isascii()


def test_known_networks_are_the_papers_and_our_own():
    names = known_networks()
    assert len(names) == len(set(names))
    assert {"resnet152", "plain_resnet152_stage", "googlenet", "bird_lotfi"} <= set(names)
