"""Weights as coded multiples of a step: exact, small, and refused where they cannot be."""

import numpy as np
import pytest
import torch

from asli.errors import WeightsError
from asli.models.coded import STEPS, coded, decoded
from asli.models.codes import CODES
from asli.models.frozen import ClipB16Blocks, ClipB16Early


def rounded(shape, step, spread=1.3):
    """Return float32 multiples of a step, most of them small, as rounding leaves them."""
    multiples = np.rint(np.random.default_rng(3).normal(0, spread, shape)).astype(np.float32)
    return torch.from_numpy(multiples * np.float32(step))


class Two(torch.nn.Module):
    coded = ("first.weight", "second.weight")

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(40, 30), torch.nn.Linear(30, 4)


def test_a_code_holds_the_same_numbers_in_about_their_entropy():
    weight, step = rounded((400, 300), 0.013), 0.013
    code = coded(weight, step)
    share = np.unique(weight.numpy(), return_counts=True)[1] / weight.numel()
    entropy = -(share * np.log2(share)).sum()
    assert entropy <= 8 * len(code) / weight.numel() < entropy + 0.15
    tensors = {
        f"first.weight{CODES}": coded(rounded((30, 40), 0.5), 0.5),
        f"second.weight{CODES}": coded(rounded((4, 30), 0.25), 0.25),
        "first.bias": torch.ones(30),
        STEPS: torch.tensor([0.5, 0.25]),
    }
    found = decoded(tensors, Two())
    assert torch.equal(found["first.weight"], rounded((30, 40), 0.5))
    assert torch.equal(found["second.weight"], rounded((4, 30), 0.25))
    assert set(found) == {"first.weight", "second.weight", "first.bias", STEPS}


def test_changed_weights_and_a_damaged_code_are_refused():
    weight = rounded((30, 40), 0.5)
    code = coded(weight, 0.5)
    for off in (0.01, 500.0):
        changed = weight.clone()
        changed[3, 4] += off
        with pytest.raises(WeightsError, match="were changed"):
            coded(changed, 0.5)
    for damaged in (code[:-20], coded(rounded((30, 39), 0.5), 0.5)):
        with pytest.raises(WeightsError, match=r"code of first.weight is damaged"):
            decoded({f"first.weight{CODES}": damaged, STEPS: torch.tensor([0.5, 0.25])}, Two())


def test_the_early_blocks_give_the_features_of_the_whole_tower():
    torch.manual_seed(0)
    whole, early = ClipB16Blocks(2).eval(), ClipB16Early(2).eval()
    with torch.no_grad():
        for parameter in early.parameters():
            torch.nn.init.normal_(parameter, std=0.02)
    shared = {key: value for key, value in early.state_dict().items() if not key.startswith(("head", STEPS))}
    assert not whole.load_state_dict(shared, strict=False).unexpected_keys
    x = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        tokens, means = whole.encode(x).reshape(2, 12, 768)
        found = early.encode(x).reshape(2, 7, 768)
    torch.testing.assert_close(found, torch.stack([tokens[:7], means[:7]]))
    assert set(early.coded) <= set(early.state_dict())
