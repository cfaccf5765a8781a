"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save_file

from asli.errors import RunError
from asli.files import read_json, sync, write_text, writing

Tensors = dict[str, torch.Tensor]

FORMER_NAMES = {"optimizer": "optimiser", "ema": "average"}
"""Names of the files of tensors in checkpoints that asli 0.1.0 wrote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Where a run stands; with the tensors, all that resuming needs.

    Attributes:
        update: Updates done.
        best: Best value so far of the validation figure that `loop.select_by` names, or None.
        best_update: When it was reached, or None.
        metrics_bytes: Length of metrics.jsonl at that moment; resuming cuts the rest off.
        seconds: Wall time of training so far, evaluations included.
        machine: Versions, threads, processes and CPU capability; on others the last bits may differ.
        loss_scaler: State of float16's loss scaling; None with other types.
    """

    update: int
    best: float | None
    best_update: int | None
    metrics_bytes: int
    seconds: float
    machine: dict[str, Any]
    loss_scaler: dict[str, Any] | None = None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a checkpoint's state, also one that asli 0.1.0 wrote: its `best_f1` is the best of `select_by` f1."""
        state = read_json(folder / "state.json")
        state.setdefault("best", state.pop("best_f1", None))
        return cls(**state)


def step_name(update: int) -> str:
    """Return the name of the checkpoint after an update."""
    return f"step-{update:06d}"


def save(folder: Path, state: State, **tensors: Tensors) -> None:
    """Write a checkpoint aside and rename it; one of that name is replaced.

    Args:
        folder: Where it goes.
        state: Kept as `state.json`.
        tensors: Each kept as `NAME.safetensors`.
    """
    aside = folder.with_name(f".{folder.name}.part")
    with writing(folder):
        shutil.rmtree(aside, ignore_errors=True)
        try:
            aside.mkdir(parents=True)
            for name, values in tensors.items():
                contiguous = {key: value.detach().contiguous() for key, value in values.items()}
                save_file(contiguous, aside / f"{name}.safetensors")
            (aside / "state.json").write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")
            for file in [*aside.iterdir(), aside]:
                sync(file)
            if folder.exists():
                shutil.rmtree(folder)
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)  # on a full disk its room is needed


def load(folder: Path, name: str) -> Tensors:
    """Read one of a checkpoint's files of tensors.

    Raises:
        RunError: It is damaged or missing.
    """
    try:
        tensors: Tensors = load_file(tensor_file(folder, name))
    except Exception as error:
        raise RunError(f"checkpoint {folder} is damaged ({error}); delete it to go on from an earlier one") from error
    return tensors


def tensor_file(folder: Path, name: str) -> Path:
    """Return the path of one of a checkpoint's files of tensors, under the name it has there."""
    file = folder / f"{name}.safetensors"
    former = folder / f"{FORMER_NAMES.get(name, name)}.safetensors"
    return former if former.exists() and not file.exists() else file


def point(folder: Path, name: str, target: str) -> None:
    """Let a small pointer file (`last`, `best`) name a checkpoint beside it."""
    write_text(folder / name, target + "\n")


def pointed(folder: Path, name: str) -> Path | None:
    """Return the checkpoint a pointer file names, or None."""
    pointer = folder / name
    if not pointer.is_file():
        return None
    target = folder / pointer.read_text(encoding="utf-8").strip()
    return target if target.is_dir() else None


def newest(folder: Path) -> Path | None:
    """Return the resumable checkpoint with the most updates, or None."""
    candidates = [
        f for f in [*folder.glob("step-*"), *folder.glob("recovery/step-*")] if tensor_file(f, "optimizer").is_file()
    ]
    return max(candidates, key=lambda f: f.name, default=None)


def keep_newest(folder: Path, count: int) -> None:
    """Remove resumable checkpoints but the newest `count`; what `last` and `best` name stays.

    Args:
        folder: Folder of the checkpoints.
        count: 0 keeps all.
    """
    if not count:
        return
    named = {pointed(folder, name) for name in ("last", "best")}
    resumable = sorted(f for f in folder.glob("step-*") if tensor_file(f, "optimizer").is_file())
    for old in resumable[:-count]:
        if old not in named:
            shutil.rmtree(old)
