"""Threads: what a command sets before any library is loaded, and how it counts the CPUs others leave free."""

import os
import re
import subprocess
import sys

import pytest

from asli import threads
from asli.sample import golden_images
from asli.threads import CpuTimes, choose_threads, configure_process, cpu_times, environment, free_cpus, usable_cpus
from tests.processes import read_early

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux states the CPU use of others")
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_", "OPENBLAS_", "ORT_"))}
LOADED = """
import sys
from sklearn.ensemble import HistGradientBoostingClassifier
import torch
torch.rand(300, 300) @ torch.rand(300, 300)
"""


def test_what_asli_sets_does_not_keep_tests_from_forking_commands():
    """Once a network had run by ONNX, each further command of the session began with seconds of imports."""
    assert read_early(threads.SETTINGS) == {}


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env={**CLEAN, **environment}, capture_output=True, text=True, check=True
    )


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "10000"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
)
def test_every_copy_of_libgomp_in_a_command_spins_shortly_unless_the_user_chose(given, spins):
    code = f"from asli.threads import configure_process\nconfigure_process()\n{LOADED}"
    found = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", python(code, OMP_DISPLAY_ENV="verbose", **given).stderr)
    assert len(found) >= 2, "torch and scikit-learn each bring one"
    assert set(found) == {spins}


@pytest.mark.slow
@LINUX
def test_the_command_line_prepares_its_process_and_an_import_changes_nothing():
    code = f"import os, asli.cli\nBODY\nprint(sorted(set(os.environ) & {set(threads.SETTINGS)}))"
    everything = "import asli.pipeline, asli.detector.predict, asli.auditing.audit, asli.serving.serve"
    assert python(code.replace("BODY", everything)).stdout.strip() == "[]"
    command = "try: asli.cli.main(['recipes', 'demo'])\nexcept SystemExit: pass"
    assert python(code.replace("BODY", command)).stdout.splitlines()[-1] == str(sorted(threads.SETTINGS))


def test_settings_of_the_user_win(monkeypatch):
    for name in (*threads.SETTINGS, "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    assert {name: environment()[name] for name in threads.SETTINGS} == threads.SETTINGS
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert environment()["OPENBLAS_NUM_THREADS"] == "5"
    assert "GOMP_SPINCOUNT" not in environment()


def test_free_cpus_are_those_that_others_do_not_use(monkeypatch):
    monkeypatch.setattr(threads, "affinity", lambda: set(range(8)))
    start = CpuTimes(at=100.0, everyone=50.0, own=1.0)
    assert free_cpus(start, CpuTimes(at=102.0, everyone=58.0, own=3.0)) == pytest.approx(8 - (8 - 2) / 2)
    assert free_cpus(start, CpuTimes(at=102.0, everyone=52.0, own=3.1)) == 8  # ticks are coarse: never more than all
    assert free_cpus(start, CpuTimes(at=100.1, everyone=51.0, own=1.1)) == 8  # too short to say


@LINUX
def test_the_cpu_use_of_another_process_is_seen_and_that_of_finished_children_is_ones_own():
    spin = "import time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\ninput()"
    before = cpu_times()
    with subprocess.Popen([sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        during = cpu_times()
        child.communicate(b"\n")
    after = cpu_times()
    assert (during.everyone - before.everyone) - (during.own - before.own) > 0.4
    assert after.own - before.own > 0.4


@pytest.mark.parametrize(("used", "chosen"), [(0.0, 8), (1.4, 7), (2.8, 5), (7.7, 4)])
def test_a_command_leaves_busy_cpus_to_others_but_takes_half(monkeypatch, used, chosen):
    monkeypatch.delenv("OMP_NUM_THREADS")
    for name in threads.SETTINGS:
        monkeypatch.setenv(name, "1")  # so that what is set here is taken back
    monkeypatch.setattr(threads, "affinity", lambda: set(range(8)))
    monkeypatch.setattr(threads, "usable_cpus", lambda: 8)
    moments = iter([CpuTimes(10.0, 0.0, 0.0), CpuTimes(12.0, 2 * used + 2, 2.0)])
    monkeypatch.setattr(threads, "cpu_times", lambda: next(moments))
    configure_process()
    assert [choose_threads(most) for most in (8, 2, 1)] == [chosen, 2, 1], "chosen once, from what was seen so far"
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert choose_threads(8) == 8, "the user did"


def test_a_library_call_does_not_choose():
    code = (
        "import torch\nfrom asli.models.device import set_threads\nprint(torch.get_num_threads() == set_threads(None))"
    )
    assert python(code).stdout.strip() == "True"


def test_usable_cpus_are_at_least_one_and_no_more_than_there_are():
    assert 1 <= usable_cpus() <= os.cpu_count()


CALLS = {
    "command": "sys.argv = ['asli', 'predict', {picture!r}]\nfrom asli.cli import main\nmain()",
    "library": "import asli\nlist(asli.predict([{picture!r}]))",
}


@pytest.mark.parametrize("call", CALLS)
def test_onnx_runtime_reports_nothing_and_stores_no_identifier(call, tmp_path):
    (picture := tmp_path / "a.jpg").write_bytes(golden_images()[0][1])
    code = "import atexit, sys\natexit.register(lambda: print('onnxruntime' in sys.modules))\n"
    done = python(code + CALLS[call].format(picture=str(picture)), XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path))
    assert done.stdout.endswith("True\n")
    assert list(tmp_path.iterdir()) == [picture]
