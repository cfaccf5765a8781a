import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from asli.auditing.checks import balance, near_duplicates
from asli.auditing.checks.check import Severity
from asli.auditing.duplicates import Duplicates
from asli.auditing.evidence import Evidence
from asli.auditing.findings import PairCounts

DOCS = Path(__file__).parents[2] / "docs" / "extending.md"


def evidence(**parts):
    empty = dict.fromkeys(Evidence.__dataclass_fields__)
    return Evidence(**(empty | {"counts": {"split": {}, "category": {}, "generator": {}}} | parts))


@pytest.mark.parametrize(
    ("split", "severity"),
    [
        ({"real": 50, "fake": 50}, Severity.PASS),
        ({"real": 50, "fake": 76}, Severity.WARNING),
        ({"real": 50, "fake": 0}, Severity.FAIL),
    ],
)
def test_balance(split, severity):
    found = balance.CHECK.run(evidence(counts={"split": {"train": split}, "category": {}, "generator": {}}))
    assert found.severity is severity
    assert bool(found.remedy) == (severity is not Severity.PASS)
    assert json.loads(json.dumps(found.to_dict()))["severity"] == str(severity)


@pytest.mark.parametrize(("test_images", "severity"), [(9, Severity.WARNING), (10, Severity.FAIL)])
def test_near_duplicates_fail_from_one_test_image_in_a_hundred(test_images, severity):
    counts = dict.fromkeys(PairCounts.__dataclass_fields__, 0)
    counts |= {"pairs": 20, "across_splits": 10, "test_images": test_images}
    near = SimpleNamespace(counts=PairCounts(**counts), rms_limit=30.0, not_searched=0, candidates_not_looked_at=0)
    summary = SimpleNamespace(near=near, test_total=1000)
    duplicates = Duplicates(summary, *[None] * 4)
    assert near_duplicates.CHECK.run(evidence(duplicates=duplicates)).severity is severity


def audited(tmp_path, module, entry):
    """Run the command with a package that registers a check, as pip installs one."""
    root = tmp_path / "pictures"
    for label in ("real", "fake"):
        (root / label).mkdir(parents=True)
        for shade in range(4):
            Image.new("RGB", (32, 32), (60 * shade, 90, 0 if label == "real" else 200)).save(
                root / label / f"{shade}.png"
            )
    site = tmp_path / "site"
    information = site / "mine-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "mine.py").write_text(module)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[asli.checks]\n{entry}\n")
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "asli", "audit", str(root), "--json"]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_check_of_the_documentation_runs_once_its_package_is_installed(tmp_path):
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    first = next(number for number, block in enumerate(blocks) if "Check(" in block)
    module, declared = blocks[first : first + 2]
    entry = declared.splitlines()[-1].replace('"', "")
    done = audited(tmp_path, module, entry)
    assert done.returncode == 0, done.stderr
    *_, finding = json.loads(done.stdout)["findings"]
    assert finding["check"] == "small-images"
    assert finding["severity"] == "warning"
    assert "8 of 8" in finding["finding"]


@pytest.mark.slow
def test_a_check_that_raises_an_exception_costs_no_audit(tmp_path):
    module = (
        "from asli.auditing.checks.check import Check\n"
        "CHECK = Check(name='broken', title='Broken', meaning='', remedy='', examine=lambda evidence: 1 / 0)\n"
    )
    done = audited(tmp_path, module, "broken = mine:CHECK")
    assert done.returncode == 0, done.stderr
    *_, finding = json.loads(done.stdout)["findings"]
    assert (finding["check"], finding["severity"]) == ("broken", "not checked")
    assert "ZeroDivisionError" in finding["finding"]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("CHECK = 1\n", "'mine:CHECK' of package mine is no asli Check"),
        ("import nothing_of_this_name\n", "check 'mine' of package mine cannot be loaded (ModuleNotFoundError"),
        (
            "from asli.auditing.checks.balance import CHECK\n",
            "check 'balance' of package mine exists already; uninstall one",
        ),
    ],
)
def test_what_is_no_check_is_refused_in_one_line(tmp_path, module, message):
    done = audited(tmp_path, module, "mine = mine:CHECK")
    assert done.returncode == 1
    assert message in done.stderr.strip().splitlines()[-1]
