"""Temperature and thresholds from a table are those from arrays; a detector is calibrated on its own scan."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from asli.detector.base import Detector
from asli.errors import DataError
from asli.metrics.calibration import fit_temperature
from asli.metrics.classification import score_of_logits
from asli.metrics.constant import against_constant
from asli.metrics.thresholds import Policy, choose
from asli.sample import sample_archive
from asli.scanning.scan import scan
from asli.tables.binning import Binning
from asli.tables.calibrate_table import calibrate_table
from asli.tables.fit_table import TableFit
from asli.tables.rows import Reader
from asli.tables.tally import Collected
from tests.conftest import run_asli
from tests.tables.test_evaluate_table import drawn

POLICIES = [
    Policy(),
    Policy(name="argmax"),
    Policy(name="target-fpr", target=0.05),
    Policy(name="target-fpr", target=0.02, band=True),
]


@pytest.fixture(scope="module")
def calibration(tmp_path_factory):
    path, found = tmp_path_factory.mktemp("fit") / "scores.parquet", drawn(4000, seed=3)
    pq.write_table(found, path)
    return path, found


@pytest.mark.parametrize("duplicates", [None, "scene"])
@pytest.mark.parametrize("policy", POLICIES, ids=["max-f1", "argmax", "target-fpr", "band"])
def test_temperature_and_thresholds_are_those_of_arrays(calibration, policy, duplicates):
    path, found = calibration
    labels = pc.equal(found["label"], "fake").to_numpy().astype(np.int8)
    scores = found["score"].to_numpy()
    logits = np.stack([np.zeros(len(scores)), np.log(scores / (1 - scores))], axis=1)
    groups = np.arange(len(scores)) if duplicates is None else found["scene"].to_numpy()
    temperature = fit_temperature(labels, logits)
    scaled = score_of_logits(logits / temperature)
    band = choose(policy, labels, scaled, groups)
    with Collected(Reader.open(path, None, None, (), duplicates), Binning([]), 0.5) as collected:
        fitted, thresholds = TableFit(collected).fit(policy)
    assert fitted == pytest.approx(temperature, rel=1e-4)
    assert (thresholds.low, thresholds.high) == pytest.approx((band.low, band.high), abs=2e-4)
    called = int((scaled[labels == 0] >= band.high).sum())
    assert abs(thresholds.errors["real_called_fake"] - called) <= (0 if policy.name == "argmax" else 1)
    assert thresholds.real == len(np.unique(groups[labels == 0]))
    evidence = against_constant(labels, logits / temperature, groups)
    for name, estimate in evidence.items():
        there = getattr(thresholds.evidence, name)
        assert there.value == pytest.approx(estimate.value, abs=1e-5)
        assert there.low == pytest.approx(estimate.low, abs=0.03 * (estimate.high - estimate.low))


def test_a_promise_is_kept_on_the_table_itself(calibration):
    path, found = calibration
    real = found.filter(pc.equal(found["label"], "real"))["score"].to_numpy()
    with Collected(Reader.open(path, None, None, (), None), Binning([]), 0.5) as collected:
        fit = TableFit(collected)
        high = fit._band(Policy(name="target-fpr", target=0.05), fit.tally.counts).high
    share = (real >= high).mean()
    assert 0.03 < share <= 0.05


def test_too_few_rows_for_a_promise_are_refused(tmp_path):
    pq.write_table(drawn(60), tmp_path / "scores.parquet")
    with Collected(Reader.open(tmp_path / "scores.parquet", None, None, (), None), Binning([]), 0.5) as collected:
        fit = TableFit(collected)
        with pytest.raises(DataError, match="cannot be promised"):
            fit.fit(Policy(name="target-fpr", target=0.01))


@pytest.mark.slow
def test_a_detector_is_calibrated_on_its_own_scan(tmp_path):
    with sample_archive() as archive:
        scan(archive, tmp_path / "scores.parquet", "thumbnail", threads=1)
    ids = pq.read_table(tmp_path / "scores.parquet", columns=["id"])["id"].to_pylist()
    labels = ["fake" if "FAKE" in name else "real" for name in ids]
    pq.write_table(pa.table({"id": ids, "label": labels}), tmp_path / "labels.parquet")
    policy = Policy(name="target-fpr", target=0.05)
    places = (tmp_path / "scores.parquet", tmp_path / "labels.parquet")
    made = calibrate_table("thumbnail", *places, tmp_path / "detector", policy)
    again = Detector.load(tmp_path / "detector")
    done = run_asli("table", "evaluate", places[0], "--labels", places[1], "--detector", "thumbnail", "--json")
    evaluated = json.loads(done.stdout)
    assert evaluated["threshold"] == Detector.load("thumbnail").thresholds.high
    assert evaluated["detector"]["hash"] == Detector.load("thumbnail").hash
    assert again.card.thresholds == made.card.thresholds
    assert again.card.thresholds.n == len(ids)
    assert again.card.domain == Detector.load("thumbnail").card.domain
    with pytest.raises(DataError, match="belong to its own scores"):
        calibrate_table(again, *places, tmp_path / "third", policy)
