"""What the full budget needs, asked of a hub that answers, one that does not, and one with other tensors."""

import pytest
from torch import nn

from asli.errors import WeightsError
from asli.models import hub
from asli.models.networks import create_network
from asli.recipe import load_recipe
from asli.study.paper.run_study import open_study, plan_text
from asli.study.sweep.preflight import activations, check_weights, needs_of


def shapes(name: str, size: int = 224) -> dict[str, tuple[int, ...]]:
    module = create_network(name, size=size, num_classes=1000).module
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def test_weights_that_fit_are_named_with_their_commit(monkeypatch):
    monkeypatch.setattr(hub, "header_of", lambda name: hub.Header("c" * 40, shapes("resnet18"), 46_000_000))
    found = check_weights("hub:someone/resnet-18", "resnet18")
    assert found.fits
    assert found.commit == "c" * 40
    assert "all of the network's body" in found.says


def test_a_missing_body_tensor_and_another_shape_are_named(monkeypatch):
    lacking = {key: shape for key, shape in shapes("resnet18").items() if key != "layer2.0.conv1.weight"}
    monkeypatch.setattr(hub, "header_of", lambda name: hub.Header("c" * 40, lacking, 1))
    found = check_weights("hub:someone/resnet-18", "resnet18")
    assert found.fits is False
    assert "lacks 1 of" in found.says
    assert "layer2.0.conv1.weight" in found.says
    wider = {**shapes("resnet18"), "layer1.0.conv1.weight": (128, 64, 3, 3)}
    monkeypatch.setattr(hub, "header_of", lambda name: hub.Header("c" * 40, wider, 1))
    assert "layer1.0.conv1.weight differs" in check_weights("hub:someone/resnet-18", "resnet18").says


def test_plan_of_the_full_budget_trains_nothing_and_says_what_it_needs(sample, tmp_path, monkeypatch):
    asked = []

    def unreachable(name: str):
        asked.append(name)
        raise WeightsError(f"'{name}': the hub does not answer")

    monkeypatch.setattr(hub, "header_of", unreachable)
    study = open_study("full", sample, tmp_path / "out", device="cpu", threads=1)
    text = plan_text(study, only=["*-pretrained-resnet18", "residual-scratch-resnet18", "*googlenet"])
    assert "hub:microsoft/resnet-18: not reachable: 'microsoft/resnet-18'" in text
    assert "network-pretrained-googlenet not run: the hub has no safetensors file" in " ".join(text.split())
    assert "0 of 1 weight files can be had and fit" in text
    assert "nothing was trained" in text
    assert len(asked) == 2  # once for the commit, once for the header; not again for each cell
    assert not (tmp_path / "out/runs").exists()


def test_needs_follow_from_tensors():
    recipe = load_recipe("study/full", ["model.name=resnet18", "weights.start=scratch"])
    module = create_network("resnet18", size=224).module
    weights = 4 * sum(p.numel() for p in module.parameters())
    need = needs_of(recipe, 90_000, 50_000)
    assert need.kept == weights
    assert need.memory > 4 * weights
    assert need.hours == pytest.approx(need.hours)
    double = needs_of(recipe, 180_000, 100_000)
    assert double.hours == pytest.approx(2 * need.hours)
    convolution = next(m for m in module.modules() if isinstance(m, nn.Conv2d))
    assert activations("resnet18", 224) > 4 * convolution.out_channels * 112 * 112
