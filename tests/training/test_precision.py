"""float16's loss scaling against torch's own, overflow, resume, and settings that are put back."""

import dataclasses
import json
import os
import warnings

import pytest
import torch
from torch import nn

from asli.errors import RecipeError, RunError
from asli.models import arithmetic as arithmetic_module
from asli.models.arithmetic import WORKSPACE, arithmetic, fix_workspace, require_precision
from asli.recipe import PrecisionSettings, load_recipe
from asli.training import scaling
from asli.training.callbacks import Callback
from asli.training.scaling import LossScaler
from tests.training.runs import Noise, Plain, training

FLOAT16 = load_recipe("paper", ["precision.dtype=float16", "loop.epochs=4", "loop.evaluate_every=0", "optim.lr=1e-3"])


class Overflowing(Plain):
    """Its gradients overflow float16 in the micro-batches asked for, by a factor that the forward pass cancels."""

    def __init__(self, overflow=()):
        torch.manual_seed(1)
        super().__init__()
        self.norm = nn.BatchNorm2d(8)
        self.overflow, self.passes = set(overflow), 0

    def forward(self, x):
        features = torch.relu(self.norm(self.conv(x))).mean(dim=(2, 3))
        if self.training:
            if self.passes in self.overflow:
                features = features * 1e30 / 1e30  # the scaled gradient passes 1e30 * 65536 in float16
                features.register_hook(lambda gradient: gradient * 1e38 * 1e38)
            self.passes += 1
        return self.head(features)


def test_the_scale_moves_as_torchs_own(monkeypatch):
    assert torch.amp.GradScaler("cpu").get_growth_interval() == scaling.INTERVAL
    monkeypatch.setattr(scaling, "INTERVAL", 20)
    ours = LossScaler()
    theirs = torch.amp.GradScaler("cpu", growth_interval=20)
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(150):
        finite = bool(torch.rand((), generator=generator) > 0.04)
        theirs.scale(torch.ones(()))  # makes its state
        weight.grad = torch.tensor([1.0 if finite else float("inf")])
        theirs.step(optimizer)
        theirs.update()
        ours.adjust(finite=finite)
        assert ours.scale == theirs.get_scale()
    assert ours.skipped > 0


def test_overflow_skips_the_update_and_leaves_the_network_as_it_was(tmp_path):
    skipped = []

    class Watch(Callback):
        def on_skipped(self, *, update, metrics, images):
            skipped.append((update, metrics, images))

    module = Overflowing(overflow=[5])
    job = training(tmp_path, Noise(32, 4), FLOAT16, module, callbacks=Watch())
    job.one_update()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    job.one_update()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    job.one_update()
    assert not torch.equal(module.head.weight, before["head.weight"])
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["update"], line["loss_scale"]) for line in lines] == [
        ("train", 1, 65536.0),
        ("skipped", 2, 65536.0),
        ("train", 3, 32768.0),
    ]
    assert skipped == [(2, {"loss_scale": 65536.0}, 128)]


def test_the_scalers_state_is_resumed(tmp_path, caplog):
    recipe = dataclasses.replace(FLOAT16, loop=dataclasses.replace(FLOAT16.loop, checkpoint_every=6))
    whole = training(tmp_path / "whole", Noise(32, 4), recipe, Overflowing(overflow=[5, 9]))
    whole.run()

    class Breaking(Callback):
        def on_update(self, *, update, metrics, images):
            if update == 7:
                raise MemoryError("the machine went away")

    half = training(tmp_path / "half", Noise(32, 4), recipe, Overflowing(overflow=[5, 9]), callbacks=Breaking())
    with pytest.raises(MemoryError):
        half.run()
    again = training(tmp_path / "half", Noise(32, 4), recipe, Overflowing())
    again.resume()
    assert again.update == 6
    again.run()
    assert caplog.text.count("float16: 2 of 12 updates were skipped") == 2  # those before the interruption count
    assert all(torch.equal(a, b) for a, b in zip(whole.module.parameters(), again.module.parameters(), strict=True))
    assert (tmp_path / "whole/metrics.jsonl").read_text() == (tmp_path / "half/metrics.jsonl").read_text()


def test_an_overflow_that_no_scale_cures_ends_in_one_line(tmp_path):
    job = training(tmp_path, Noise(32, 4), FLOAT16, Overflowing(overflow=range(999)))
    job.total = job.planned = 99
    with pytest.raises(RunError, match="without any loss scaling; set precision.dtype"):
        job.run()


def test_float16_learns_what_float32_learns(tmp_path):
    losses = {}
    for dtype in ("float32", "float16"):
        recipe = load_recipe("paper", [f"precision.dtype={dtype}", "loop.epochs=4", "optim.lr=1e-2"])
        job = training(tmp_path / dtype, Noise(32, 4), recipe)
        job.run()
        lines = [json.loads(line) for line in (tmp_path / dtype / "metrics.jsonl").read_text().splitlines()]
        losses[dtype] = [line["loss"] for line in lines if line["kind"] == "train"]
    assert losses["float16"] == pytest.approx(losses["float32"], abs=2e-3)


def test_emulated_bfloat16_is_refused_with_the_type_to_use(monkeypatch):
    monkeypatch.setattr(arithmetic_module, "emulates_bfloat16", lambda device: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Tesla T4")
    with pytest.raises(RecipeError, match=r"Tesla T4 only emulates bfloat16.*precision.dtype=float16"):
        require_precision(PrecisionSettings(dtype="bfloat16"), torch.device("cuda"))
    require_precision(PrecisionSettings(dtype="float16"), torch.device("cuda"))


@pytest.mark.parametrize(("used", "warned"), [(False, 0), (True, 1)])
def test_the_workspace_is_fixed_and_a_warning_given_only_where_cuda_was_used(monkeypatch, caplog, used, warned):
    monkeypatch.setenv(WORKSPACE, "x")  # so that it is put back
    monkeypatch.delenv(WORKSPACE)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    fix_workspace(PrecisionSettings())
    assert WORKSPACE not in os.environ
    fix_workspace(PrecisionSettings(deterministic=True))
    assert os.environ[WORKSPACE] == ":4096:8"
    assert len(caplog.records) == warned
    monkeypatch.setenv(WORKSPACE, ":16:8")
    fix_workspace(PrecisionSettings(deterministic=True))
    assert os.environ[WORKSPACE] == ":16:8"
    assert len(caplog.records) == warned


def settings():
    return (
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.deterministic,
    )


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (PrecisionSettings(), (True, "highest", False, False)),  # torch's own: what recipes without the keys ran with
        (PrecisionSettings(tf32="off"), (False, "highest", False, False)),
        (PrecisionSettings(tf32="all", deterministic=True), (True, "high", True, True)),
    ],
)
def test_arithmetic_is_set_and_put_back(precision, expected):
    before = settings()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with arithmetic(precision, torch.device("cpu")):
            assert settings() == expected
    assert settings() == before


def test_new_settings_leave_hashes_as_they_were():
    assert load_recipe("paper").hash().startswith("3a33512f697e4bda")
    for setting in ("precision.tf32=off", "precision.deterministic=true", "precision.dtype=float16"):
        assert load_recipe("paper", [setting]).hash() != load_recipe("paper").hash()
