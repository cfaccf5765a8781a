"""transformers' Trainer as oracle: the same network, batches and recipe give the same rates, losses and weights.

Trainer runs timm's network in its TimmWrapper, which tells Trainer that its loss is a plain mean (transformers' own
ResNets do not, and get gradients too large by the number of accumulated micro-batches: transformers issue 47688).
Both run in float32 on the same batches. On the machine this was written on they agree to the bit; the tolerances leave
room for another order of additions elsewhere. They are sharp: an eps of 1e-6 in place of 1e-8 puts the losses 4.5e-3
apart.
"""

import copy
import json
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset, Sampler

from asli.models.cifar_resnet import IMAGENET_MEAN, IMAGENET_STD
from asli.recipe import recipe_from_dict
from asli.tracking.jsonl import JsonLines
from asli.training.batches import TrainingBatches
from asli.training.callbacks import Callback
from asli.training.loop import Training
from asli.transforms.preprocessing import Preprocessing

transformers = pytest.importorskip("transformers", reason="needs the extra hf")
pytest.importorskip("accelerate", reason="needs the extra hf")


EPOCHS, MICRO_BATCH, ACCUMULATION, SIZE = 2, 6, 4, 32
RECIPE = recipe_from_dict(
    {
        "data": {"size": SIZE},
        "augment": {"crop": "random-resized"},
        "optim": {"lr": 1e-3, "clip": 1.0},
        "schedule": {"shape": "linear", "warmup": 0.3},
        "loop": {"epochs": EPOCHS, "micro_batch": MICRO_BATCH, "accumulation": ACCUMULATION, "seed": 7},
    }
)
NETWORK = {"layers": [1, 1, 1, 1], "channels": [16, 16, 32, 32]}


class Images(Dataset):
    """Every image of every epoch, in our order and with our augmentation."""

    def __init__(self, batches):
        made = [
            batch for update in range(EPOCHS * batches.updates_per_epoch) for batch in batches.micro_batches(update)
        ]
        self.inputs = torch.cat([batch.inputs for batch in made])
        self.targets = torch.cat([batch.targets for batch in made])

    def __len__(self):
        return len(self.targets) // EPOCHS

    def __getitem__(self, index):
        return {"pixel_values": self.inputs[index], "labels": self.targets[index]}


class OneEpochAfterTheOther(Sampler):
    def __init__(self, length):
        self.length, self.epoch = length, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.length

    def __iter__(self):
        return iter(range(self.epoch * self.length, (self.epoch + 1) * self.length))


class Trainer(transformers.Trainer):
    def _get_train_sampler(self, train_dataset=None):
        self.in_order = OneEpochAfterTheOther(len(self.train_dataset))
        return self.in_order


class Watch(transformers.TrainerCallback):
    """Keeps the rate each update ran at, and tells the sampler the epoch."""

    def __init__(self):
        self.rates, self.trainer = [], None

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.trainer.in_order.set_epoch(round(state.epoch))

    def on_pre_optimizer_step(self, args, state, control, optimizer, **kwargs):
        self.rates.append(optimizer.param_groups[0]["lr"])


def sum_over_the_groups_images(outputs, labels, num_items_in_batch):
    return F.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch


def ours(module, batches, folder):
    job = Training(
        module,
        RECIPE,
        batches,
        lambda module: {"f1": 0.0, "loss": 0.0},
        folder=folder / "checkpoints",
        log=JsonLines(folder / "metrics.jsonl"),
        callbacks=Callback(),
        machine={},
        recovery_minutes=10,
    )
    job.run()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "train"]


def theirs(model, images, folder, compute_loss_func):
    watch = Watch()
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=MICRO_BATCH,
        gradient_accumulation_steps=ACCUMULATION,
        num_train_epochs=EPOCHS,
        learning_rate=RECIPE.optim.lr,
        lr_scheduler_type="linear",
        warmup_steps=RECIPE.schedule.warmup,  # below 1 it is a share of all updates
        weight_decay=RECIPE.optim.weight_decay,
        max_grad_norm=RECIPE.optim.clip,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model, args=arguments, train_dataset=images, callbacks=[watch], compute_loss_func=compute_loss_func
    )
    watch.trainer = trainer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no accelerator to pin memory for
        trainer.train()
    return watch.rates, [line for line in trainer.state.log_history if "loss" in line]


@pytest.mark.parametrize(
    ("count", "compute_loss_func"),
    [
        pytest.param(60, None, id="last group of 2 micro-batches, Trainer's own loss"),
        pytest.param(63, sum_over_the_groups_images, id="last micro-batch of 3 images, loss by images as ours"),
    ],
)
def test_trainer_and_we_train_the_same_network(sample, tmp_path, count, compute_loss_func):
    config = transformers.TimmWrapperConfig(architecture="resnet18", model_args=NETWORK, num_labels=2)
    torch.manual_seed(0)
    model = transformers.TimmWrapperForImageClassification(config)
    preprocessing = Preprocessing(SIZE, "bilinear", IMAGENET_MEAN, IMAGENET_STD)
    rows = sample.rows("train")[:: len(sample.rows("train")) // count][:count]
    batches = TrainingBatches(sample, rows, RECIPE.augment, preprocessing, RECIPE.loop, torch.device("cpu"))
    start = {key: value.clone() for key, value in model.timm_model.state_dict().items()}
    module = copy.deepcopy(model.timm_model)
    lines = ours(module, batches, tmp_path)
    rates, logged = theirs(model, Images(batches), tmp_path / "trainer", compute_loss_func)

    assert len(lines) == len(rates) == EPOCHS * 3
    assert rates == pytest.approx([line["lr"] for line in lines], rel=1e-12, abs=0)
    assert rates[0] == 0  # as in the paper's time, the first update of a warm-up runs at rate 0
    found = {
        "loss": max(abs(a["loss"] - b["loss"]) for a, b in zip(lines, logged, strict=True)),
        "gradient norm": max(abs(a["grad_norm"] / b["grad_norm"] - 1) for a, b in zip(lines, logged, strict=True)),
        "weight": 0.0,
    }
    moved = 0.0
    for key, other in model.timm_model.state_dict().items():
        value = module.state_dict()[key].double()
        found["weight"] = max(found["weight"], float((value - other).abs().max()))
        if "running" not in key and "batches" not in key:
            moved = max(moved, float((value - start[key]).abs().max()))
    print({**found, "moved": moved})
    assert np.ptp([line["loss"] for line in lines]) > 0.01
    assert found["loss"] < 1e-5
    assert found["gradient norm"] < 1e-4
    assert found["weight"] < 1e-5 < 1e-3 < moved
