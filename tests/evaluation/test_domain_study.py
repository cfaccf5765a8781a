import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

from asli.datasets.build import open_folders
from asli.detector.base import Detector
from asli.errors import DataError
from asli.evaluation.domain_study import domain_study
from asli.evaluation.domain_study_result import PHOTOGRAPHS
from asli.metrics.classification import score_of_logits
from asli.models.device import pick_device
from asli.transforms.corruptions import KERNELS, jpeg, resized
from tests.conftest import run_asli
from tests.schemas import require_schema


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Parts of two photographs, as many of noise for fakes, and one no larger than the detector's size."""
    root = tmp_path_factory.mktemp("pictures")
    corners = [(y, x) for y in (0, 200) for x in (0, 210, 420)]
    parts = [p[y : y + 200, x : x + 210] for p in load_sample_images().images for y, x in corners]
    random = np.random.default_rng(0)
    for i, part in enumerate(parts):
        for label, pixels in (("real", part), ("fake", random.integers(0, 256, part.shape, dtype=np.uint8))):
            (root / "in" / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / "in" / label / f"{i}.png")
    Image.fromarray(parts[0][:32, :32]).save(root / "in" / "real" / "small.png")
    return open_folders(root / "in", root / "data", generator="noise")


def test_every_kernel_and_source_is_judged_as_by_hand(finished, pictures):
    result = domain_study(finished.path, pictures, device="cpu")
    assert list(result.kernels) == list(KERNELS)
    assert result.data.pictures == 24
    assert result.data.too_small == 1
    detector = Detector.load(finished.path)
    rows = [row for row in range(len(pictures)) if pictures.pixels.image(row).shape[0] > 32]
    squares = [pictures.pixels.image(row)[:, 5:205] for row in rows]
    labels = pictures.labels[rows]
    small = [jpeg(resized(square, (32, 32), "lanczos"), 75)[None] for square in squares]
    scores = score_of_logits(detector.runtime(pick_device("cpu")).logits(small))
    found = result.kernels["lanczos"]
    called = scores >= detector.card.thresholds.high
    assert found.sources[PHOTOGRAPHS].called_fake.value == pytest.approx(called[labels == 0].mean())
    assert found.sources["noise"].called_fake.value == pytest.approx(called[labels == 1].mean())
    assert found.auroc["noise"].value == pytest.approx(roc_auc_score(labels, scores))
    # Noise is nothing the detector knows.
    assert found.sources["noise"].outside.value == 1
    assert found.sources["noise"].called_fake_with_rule.value == 0


def test_the_ledger_says_that_test_pictures_were_scored(finished, pictures):
    before = len(pictures.ledger())
    domain_study(finished.path, pictures, device="cpu")
    (line,) = pictures.ledger()[before:]
    large = [row for row in pictures.rows("test") if pictures.pixels.image(int(row)).shape[0] > 32]
    assert (line["split"], line["images"]) == ("test", len(large))
    assert line["detector_hash"] == Detector.load(finished.path).hash


def test_the_spread_is_that_of_the_false_alarms(finished, pictures):
    result = domain_study(finished.path, pictures, device="cpu")
    shares = {k: v.sources[PHOTOGRAPHS].called_fake.value for k, v in result.kernels.items()}
    assert result.false_alarms.spread == pytest.approx(max(shares.values()) - min(shares.values()))
    assert shares[result.false_alarms.highest] == max(shares.values())
    text = result.describe()
    assert "photographs" in text
    areas = [f"{found.auroc['noise'].value:.3f}" for found in result.kernels.values()]
    assert [line.split()[1:] for line in text.splitlines() if line.startswith("noise")][-1] == areas


def test_small_pictures_only_are_refused(finished, sample):
    with pytest.raises(DataError, match="no picture larger than the detector's 32 px"):
        domain_study(finished.path, sample)


@pytest.mark.slow
def test_command_writes_what_it_prints(finished, pictures, tmp_path):
    done = run_asli(
        "domain-study", str(finished.path), str(pictures.path), "--out", str(tmp_path / "study.json"), "--json"
    )
    assert done.returncode == 0, done.stderr
    assert require_schema("domain-study", done.stdout) == json.loads((tmp_path / "study.json").read_text())


@pytest.mark.slow
def test_its_figures_go_into_the_card_once_for_each_data_and_leave_the_hash(finished, pictures, tmp_path):
    copy = tmp_path / "detector"
    shutil.copytree(finished.detector, copy)
    before = Detector.load(copy)
    for _ in range(2):
        done = run_asli("domain-study", copy, pictures.path, "--card", "--json")
        assert done.returncode == 0, done.stderr
    after, share = Detector.load(copy), json.loads(done.stdout)["kernels"]["box"]["sources"][PHOTOGRAPHS]["called_fake"]
    assert after.hash == before.hash
    card = (copy / "README.md").read_text()
    assert card.count("### Ordinary pictures of") == 1
    (line,) = [line for line in card.splitlines() if line.startswith("| photographs | 12 |")]
    box = line.split("|")[3 + list(KERNELS).index("box")]
    assert box.split() == [f"{share['value']:.2f}", f"[{share['low']:.2f},", f"{share['high']:.2f}]"]
