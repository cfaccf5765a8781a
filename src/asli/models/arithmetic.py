"""How exactly torch computes: TensorFloat-32 and deterministic algorithms, set for a while and put back."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from asli.errors import RecipeError
from asli.models.device import emulates_bfloat16
from asli.recipe import PrecisionSettings

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""cuBLAS reads it when it starts; without it, some of its sums have no fixed order."""

logger = logging.getLogger("asli")


def fix_workspace(precision: PrecisionSettings) -> None:
    """Give cuBLAS a fixed workspace where a recipe asks for the same bits again; call it before CUDA is used.

    A workspace that the environment sets is kept.
    """
    if not precision.deterministic or WORKSPACE in os.environ:
        return
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        logger.warning("%s was not set before CUDA was used here: bits may differ between runs", WORKSPACE)
    os.environ[WORKSPACE] = ":4096:8"


def require_precision(precision: PrecisionSettings, device: torch.device) -> None:
    """Refuse arithmetic that a device only emulates.

    Raises:
        RecipeError: bfloat16 on a GPU without it.
    """
    if precision.dtype == "bfloat16" and emulates_bfloat16(device):
        name = torch.cuda.get_device_name(device)
        raise RecipeError(f"{name} only emulates bfloat16, slower than float32; use --set precision.dtype=float16")


@contextmanager
def arithmetic(precision: PrecisionSettings, device: torch.device) -> Iterator[None]:
    """Compute as a recipe states; torch's settings are put back at the end.

    Args:
        precision: The recipe's section.
        device: Where to compute.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, torch.get_float32_matmul_precision()
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if device.type == "cuda":
        fix_workspace(precision)
    cudnn.allow_tf32 = precision.tf32 != "off"
    torch.set_float32_matmul_precision("high" if precision.tf32 == "all" else "highest")
    if precision.deterministic:
        cudnn.deterministic, cudnn.benchmark = True, False
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = before[:3]
        torch.set_float32_matmul_precision(before[3])
        torch.use_deterministic_algorithms(algorithms[0], warn_only=algorithms[1])


@contextmanager
def full_float32(device: torch.device | str) -> Iterator[None]:
    """Compute float32 without TensorFloat-32, so that a GPU's scores equal the CPU's to 1e-5."""
    if torch.device(device).type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, torch.get_float32_matmul_precision()
    cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        cudnn.allow_tf32 = before[0]
        torch.set_float32_matmul_precision(before[1])
