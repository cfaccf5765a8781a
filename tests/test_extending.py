"""The examples of docs/extending.md work once a package with their entry points is installed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asli.sample import golden_images

DOCS = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the examples of network, reader and kind of detector as one package; return the environment it is in."""
    site = tmp_path_factory.mktemp("site")
    blocks = re.findall(r"```(python|toml)\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    code = {
        name: block
        for name in ("Tiny", "def read", "Median")
        for kind, block in blocks
        if name in block and kind == "python"
    }
    assert len(code) == 3
    (site / "mine.py").write_text("\n".join(code.values()))
    declared = [block for kind, block in blocks if kind == "toml" and '"mine:' in block and "CHECK" not in block]
    assert len(declared) == 3
    information = site / "mine-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    points = "\n".join(declared).replace("[project.entry-points.", "[").replace('"', "")
    (information / "entry_points.txt").write_text(points)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}


def run(environment, *command):
    done = subprocess.run(
        [sys.executable, *map(str, command)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_network(installed):
    code = (
        "from asli.models.networks import create_network\n"
        "import torch\n"
        "network = create_network('tiny', size=32)\n"
        "print(tuple(network.module(torch.zeros(5, 3, 32, 32)).shape), network.head)"
    )
    assert run(installed, "-c", code) == "(5, 2) 3\n"


@pytest.mark.slow
def test_a_reader(installed, tmp_path):
    known = {}
    for number, (_, image) in enumerate(golden_images()[:8]):
        known[f"{number}.jpg"] = {"label": "real" if number % 2 else "fake", "camera": f"camera-{number}"}
        (tmp_path / f"{number}.jpg").write_bytes(image)
    (tmp_path / "lab.json").write_text(json.dumps(known))
    out = run(installed, "-m", "asli", "data", "open", tmp_path, "--dry-run")
    assert "8 images, layout my-lab" in out
    assert "camera-7" in out


@pytest.mark.slow
def test_a_kind_of_detector_opens_at_every_entry_point(installed, tmp_path):
    _, image = golden_images()[0]
    (tmp_path / "a.jpg").write_bytes(image)
    code = (
        "import asli, mine, sys\n"
        "place, one = sys.argv[1], asli.Detector.load('thumbnail')\n"
        "mine.Median({'a': one, 'b': one, 'c': one}, one.card).save(f'{place}/median')\n"
        "print(asli.Detector.load(f'{place}/median').predict(f'{place}/a.jpg').score)\n"
        "print(one.predict(f'{place}/a.jpg').score)"
    )
    score, alone = map(float, run(installed, "-c", code, tmp_path).split())
    assert score == pytest.approx(alone, abs=1e-6)  # of three alike
    out = run(installed, "-m", "asli", "predict", tmp_path / "a.jpg", "--detector", tmp_path / "median", "--json")
    assert json.loads(out)["images"][0]["score"] == pytest.approx(score, abs=1e-6)
    assert json.loads(out)["detector"]["kind"] == "median"
    assert "median of a, b, c" in run(installed, "-m", "asli", "info", tmp_path / "median")
