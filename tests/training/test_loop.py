"""The loop's promises: exact accumulation, the schedule of Hugging Face's Trainer, and which weights are kept."""

import dataclasses
import json
import shutil

import pytest
import torch
from torch.nn import functional as F

from asli.errors import RecipeError, RunError
from asli.pipeline import train
from asli.recipe import load_recipe, recipe_from_dict
from asli.training.callbacks import Callback, ProgressBar
from asli.training.ema import EMA
from asli.training.schedule import Schedule
from tests.training.runs import Noise, Plain, training


@pytest.mark.parametrize("portions", [(32, 4), (8, 16), (50, 2)])
def test_accumulated_gradients_are_the_large_batchs_ragged_group_included(tmp_path, portions):
    micro, count = portions
    whole = micro * count
    seen = {}
    for name, batches in (("parts", Noise(*portions)), ("whole", Noise(whole, 1))):
        job = training(tmp_path / name, batches)
        gradients = []
        job.optimizer.step = lambda job=job, out=gradients: out.append([p.grad.clone() for p in job.parameters])
        for _ in range(3):
            job.one_update()
        seen[name] = gradients
    assert len(Noise(*portions).group(2)) < count or len(Noise(*portions).group(2)[-1]) < micro
    for parts, all_at_once in zip(seen["parts"], seen["whole"], strict=True):
        for a, b in zip(parts, all_at_once, strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def test_logged_loss_is_the_mean_over_the_updates_images(tmp_path):
    batches, module = Noise(32, 4), Plain()
    images = torch.cat([batches.images[rows] for rows in batches.group(2)])
    labels = torch.cat([batches.labels[rows] for rows in batches.group(2)])
    expected = F.cross_entropy(module(images), labels).item()
    job = training(tmp_path, batches, module=module)
    job.update = 2
    job.one_update()
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.33])
def test_schedule_is_trainers(warmup):
    from math import ceil

    from transformers import get_linear_schedule_with_warmup

    settings = dataclasses.replace(load_recipe("paper").schedule, warmup=warmup)
    ours = Schedule(settings, 5e-5, 3520)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=5e-5)
    theirs = get_linear_schedule_with_warmup(optimizer, ceil(warmup * 3520), 3520)
    for update in range(3520):
        assert ours(update) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()
    assert ours(0) == (0.0 if warmup else 5e-5)


def test_other_shapes():
    constant = Schedule(dataclasses.replace(load_recipe("paper").schedule, shape="constant"), 1.0, 100)
    cosine = Schedule(dataclasses.replace(load_recipe("paper").schedule, shape="cosine"), 1.0, 100)
    assert [constant(u) for u in (5, 10, 99)] == [0.5, 1.0, 1.0]
    assert [round(cosine(u), 6) for u in (5, 10, 55)] == [0.5, 1.0, 0.5]
    assert 0 < cosine(99) < 0.01


def test_decay_spares_vectors(tmp_path):
    job = training(tmp_path, Noise(32, 4), recipe_from_dict({"optim": {"weight_decay": 0.1}}))
    decays = {p.ndim > 1: group["weight_decay"] for group in job.optimizer.param_groups for p in group["params"]}
    assert decays == {True: 0.1, False: 0.0}


def test_averaged_weights_are_the_moving_average(tmp_path):
    module = Plain()
    average = EMA(module, 0.5)
    expected = module.head.weight.detach().clone()
    for update in range(20):
        with torch.no_grad():
            module.head.weight.add_(1.0)
        average.update(module, update)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * module.head.weight.detach()
        assert torch.allclose(average.module.head.weight, expected)


def test_best_is_kept_the_moment_it_improves_and_older_ones_go(tmp_path):
    recipe = recipe_from_dict({"loop": {"epochs": 4, "evaluate_every": 2, "checkpoint_every": 6, "ema": 0.9}})
    figures = iter([0.5, 0.8, 0.7, 0.9, 0.6, 0.6])
    watched = []

    class Watch(Callback):
        def on_update(self, *, update, metrics, images):
            folder = tmp_path / "checkpoints"
            watched.append((folder / "best").read_text().strip() if (folder / "best").exists() else None)

    job = training(
        tmp_path, Noise(32, 4), recipe, evaluate=lambda m: {"f1": next(figures), "loss": 0.1}, callbacks=Watch()
    )
    job.run()
    assert watched[2:10:2] == ["step-000002", "step-000004", "step-000004", "step-000008"]
    kept = sorted(p.name for p in (tmp_path / "checkpoints").glob("step-*"))
    assert kept == ["step-000006", "step-000008", "step-000012"]
    assert (tmp_path / "checkpoints/last").read_text().strip() == "step-000012"
    assert {p.name for p in (tmp_path / "checkpoints/step-000008").iterdir()} == {"ema.safetensors", "state.json"}


@pytest.mark.parametrize(
    ("by", "values", "best"),
    [
        ("f1", [0.6667, 0.6667, 0.6, 0.5], 2),
        ("loss", [0.69, 0.75, 0.6, 0.65], 6),
        ("auroc", [0.5, 0.4, 0.7, 0.8], 8),
    ],
)
def test_weights_are_selected_by_the_figure_the_recipe_names(tmp_path, by, values, best):
    loop = {"epochs": 4, "max_updates": 8, "evaluate_every": 2, "checkpoint_every": 0, "select_by": by}
    figures = iter(values)
    fixed = {"f1": 0.6667, "loss": 0.5, "auroc": 0.5}
    job = training(
        tmp_path, Noise(32, 4), recipe_from_dict({"loop": loop}), evaluate=lambda m: {**fixed, by: next(figures)}
    )
    job.run()
    assert (tmp_path / "checkpoints/best").read_text().strip() == f"step-{best:06}"


def test_a_checkpoint_of_the_first_version_goes_on(tmp_path):
    recipe = recipe_from_dict({"loop": {"epochs": 2, "evaluate_every": 3, "checkpoint_every": 3}})
    figures = iter([0.8, 0.7])
    training(tmp_path, Noise(32, 4), recipe, evaluate=lambda m: {"f1": next(figures), "loss": 0.1}).run()
    state = tmp_path / "checkpoints/step-000003/state.json"
    content = json.loads(state.read_text())
    content["best_f1"] = content.pop("best")
    state.write_text(json.dumps(content))
    shutil.rmtree(tmp_path / "checkpoints/step-000006")
    again = training(tmp_path, Noise(32, 4), recipe, evaluate=lambda m: {"f1": 0.75, "loss": 0.1})
    again.resume()
    assert (again.update, again.best, again.best_update) == (3, 0.8, 3)
    again.run()
    assert (tmp_path / "checkpoints/best").read_text().strip() == "step-000003"


def test_a_loss_that_blows_up_says_what_to_do(tmp_path):
    batches = Noise(32, 4)
    batches.images[5] = float("nan")
    with pytest.raises(RunError, match="not finite at update 1; try a lower optim.lr"):
        training(tmp_path, batches).run()


def test_the_bar_counts_what_will_be_trained_on(monkeypatch, caplog):
    monkeypatch.setattr("asli.progress.LINE_SECONDS", 0.0)
    with caplog.at_level("INFO", logger="asli"):
        bar = ProgressBar(images=1000, images_per_update=10)
        bar.on_start(update=1, total=3)
        bar.on_update(update=2, metrics={"loss": 0.5}, images=10)
        bar.on_end()
    assert "training: 20/30 images (67%)" in caplog.text


def test_dropout_is_a_function_of_the_update(tmp_path):
    seen = []
    for _ in range(2):
        job = training(tmp_path / str(len(seen)), Noise(32, 4), module=None)
        torch.manual_seed(1)
        job = training(tmp_path / f"{len(seen)}b", Noise(32, 4), module=Plain(dropout=0.5))
        torch.rand(len(seen) * 7)  # whatever else drew numbers
        job.one_update()
        job.one_update()
        seen.append(job.module.head.weight.detach().clone())
    assert torch.equal(*seen)


def test_settings_beside_a_ready_recipe_are_refused(sample, tmp_path):
    with pytest.raises(RecipeError, match="put them into this one yourself"):
        train(load_recipe("smoke"), sample, tmp_path / "run", settings=["loop.max_updates=2"])
    assert not (tmp_path / "run").exists()
