"""Decisions about GPUs, on a machine without one: torch's answers about it are replaced."""

import pytest
import torch

from asli.errors import AsliError
from asli.models import device
from asli.pipeline import train
from tests.conftest import run_asli
from tests.schemas import require_schema

CU128 = ["sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
CU126 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((6, 0), CU126, True),
        ((6, 1), CU126, True),  # a later minor version of the same major one
        ((6, 0), CU128, False),
        ((7, 5), CU128, True),
        ((8, 9), CU128, True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a"], False),
        ((12, 1), ["sm_80", "compute_90"], True),
        ((6, 0), ["compute_70"], False),
        ((10, 3), CU128, True),
    ],
)
def test_which_gpus_a_torch_has_kernels_for(capability, built, runs):
    assert device.has_kernels(capability, built) is runs


@pytest.fixture
def p100(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda place=None: (6, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda place=None: "Tesla P100-PCIE-16GB")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: CU128)


def test_a_gpu_without_kernels_is_refused_before_anything_is_written(sample, tmp_path, p100):
    with pytest.raises(AsliError, match=r"no kernels for Tesla P100.*6\.0.*whl/cu126") as refused:
        train("smoke", sample, tmp_path / "run")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_on_kaggle_the_other_accelerator_is_named(p100, monkeypatch):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert "GPU T4 x2" in device.kernel_problem(torch.device("cuda"))


def test_other_commands_pass_such_a_gpu_over_with_a_warning(p100, caplog):
    assert device.pick_device() == torch.device("cpu")
    assert "computing on the CPU" in caplog.text
    with pytest.raises(AsliError, match="no kernels"):
        device.pick_device("cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_training_on_the_cpu_of_a_gpu_notebook_is_loud(monkeypatch, caplog):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert device.training_device().type == "cpu"
    assert "TRAINING ON THE CPU" in caplog.text
    assert "Accelerator" in caplog.text
    caplog.clear()
    assert device.training_device("cpu").type == "cpu"  # asked for
    assert not caplog.text


@pytest.mark.slow
def test_every_run_logs_its_device(sample, tmp_path):
    done = run_asli("train", "smoke", "--data", sample.path, "--out", tmp_path / "run", "--threads", 1)
    assert "device: CPU, 1 thread" in done.stderr
    assert "device: CPU, 1 thread" in (tmp_path / "run/train.log").read_text()


def test_doctor_prints_what_the_machine_offers():
    done = run_asli("doctor", "--offline", "--json")
    found = require_schema("doctor", done.stdout)
    topics = {finding["topic"]: finding for finding in found["findings"]}
    assert {"asli", "libraries", "extras", "torch build", "CPU", "CPUs", "hub", "Kaggle", "disk here"} <= set(topics)
    assert torch.__version__.split("+")[0] in topics["libraries"]["found"]
    assert topics["Kaggle"]["found"] == "not asked: --offline"
    assert done.returncode == (1 if found["problems"] else 0)
