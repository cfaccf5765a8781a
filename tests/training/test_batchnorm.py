import dataclasses

import pytest
import torch
from torch import nn

from asli.models.networks import create_network, draw_head, set_trainable
from asli.recipe import load_recipe
from asli.training.batchnorm import reestimate
from tests.training.runs import Noise, Plain, training


def batches(count: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [3 + 2 * torch.randn(8, 3, 8, 8, generator=generator) for _ in range(count)]


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2))


def test_statistics_equal_torchs_update_bn_without_dropout():
    ours, theirs = small(), small()
    theirs[2].p = 0.0
    reestimate(ours, batches())
    torch.optim.swa_utils.update_bn(batches(), theirs)
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[name])
    assert ours[1].momentum == 0.1
    assert not ours.training


def test_it_draws_no_random_numbers_and_is_repeatable():
    first, second = small(), small()
    before = torch.get_rng_state()
    reestimate(first, batches())
    assert torch.equal(torch.get_rng_state(), before)
    reestimate(second, batches())
    assert all(torch.equal(a, b) for a, b in zip(first.buffers(), second.buffers(), strict=True))


def test_frozen_statistics_stay():
    network = create_network("cifar_resnet20", size=32)
    set_trainable(network, "head")
    before = {name: value.clone() for name, value in network.module.named_buffers()}
    reestimate(network.module, [torch.randn(4, 3, 32, 32)])
    assert all(torch.equal(value, before[name]) for name, value in network.module.named_buffers())


@pytest.mark.parametrize("name", ["efficientnet_b0", "resnet18", "cifar_resnet20"])
def test_heads_drawn_alike_lie_within_torchs_bound(name):
    network = create_network(name, size=32, seed=1)
    draw_head(network, 1)
    head = network.module.get_submodule(network.head)
    bound = head.in_features**-0.5
    weight = head.weight.detach()
    assert weight.abs().max() <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.1)


def test_settings_that_are_off_leave_hashes_as_they_were():
    paper = load_recipe("paper")
    assert paper.hash().startswith("3a33512f697e4bda")
    assert not {"select_by", "reestimate_batchnorm"} & set(paper.settings()["loop"])
    for setting in ("loop.reestimate_batchnorm=8", "loop.select_by=loss", "weights.head=uniform", "data.sample_seed=1"):
        assert load_recipe("paper", [setting]).hash() != paper.hash()
    assert dataclasses.asdict(paper)["loop"]["reestimate_batchnorm"] == 0


def test_an_evaluation_sees_the_statistics_of_the_newest_micro_batches(tmp_path):
    seen = {}

    class Normalized(Plain):
        def __init__(self):
            super().__init__()
            self.drop = nn.BatchNorm1d(8)

    def evaluate(module):
        seen.update({name: value.clone() for name, value in module.named_buffers()})
        return {"f1": 0.5, "loss": 0.5}

    settings = ["loop.reestimate_batchnorm=5", "loop.epochs=1", "loop.evaluate_every=0", "loop.accumulation=4"]
    stream, module = Noise(32, 4), Normalized()
    training(tmp_path, stream, load_recipe("paper", settings), module, evaluate).run()
    newest = [batch.inputs for update in (1, 2) for batch in stream.micro_batches(update)][:5]
    expected = Normalized()
    expected.load_state_dict(module.state_dict())
    reestimate(expected, newest)
    for name, value in expected.named_buffers():
        torch.testing.assert_close(seen[name], value)


@pytest.mark.parametrize(("by", "kept"), [("f1", 0), ("loss", 1), ("auroc", 2)])
def test_weights_are_selected_by_the_metric_the_recipe_names(tmp_path, by, kept):
    found = iter(
        [
            {"f1": 0.667, "loss": 9.0, "auroc": 0.5},  # always fake
            {"f1": 0.6, "loss": 0.5, "auroc": 0.8},
            {"f1": 0.6, "loss": 0.6, "auroc": 0.9},
        ]
    )
    settings = [f"loop.select_by={by}", "loop.epochs=1", "loop.evaluate_every=1"]
    job = training(tmp_path, Noise(32, 4), load_recipe("paper", settings), evaluate=lambda module: next(found))
    job.run()
    assert job.best_update == kept + 1
