import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference

from asli.errors import AsliError
from asli.evaluation.evaluate import evaluate
from asli.metrics import registry
from asli.metrics.built_in import BUILT_IN, built_in
from asli.metrics.intervals import Estimate
from asli.metrics.metric import Bootstrap, LabeledScores, Metric
from asli.metrics.registry import measure, register, unregister

DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def scored(rng):
    labels = rng.integers(0, 2, 300).astype(np.int8)
    return LabeledScores.of(labels, 1 / (1 + np.exp(-rng.normal(1.5 * (2 * labels - 1)))))


def metric(compute, name="theirs", **settings):
    return Metric(name=name, title=name, needs="scores", compute=compute, description="For a test.", **settings)


def package(folder, metric_source, name="mcc", target="metrics_of_others:MCC"):
    """Install a package as pip would: a module and the metadata with its entry point."""
    folder.mkdir()
    (folder / "metrics_of_others.py").write_text(metric_source)
    info = folder / "others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[asli.metrics]\n{name} = {target}\n")
    return folder


def run(code, folder):
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_metric_is_described_and_named_once():
    assert len({m.name for m in BUILT_IN}) == len(BUILT_IN)
    for m in BUILT_IN:
        assert m.description.endswith(".")
        assert m.interval
        assert f"{0.5:{m.format}}"


def test_shared_resamples_give_what_each_metric_alone_gives(scored):
    together = measure(BUILT_IN, scored)
    assert list(together) == [m.name for m in BUILT_IN]
    for m in BUILT_IN:
        assert measure([m], scored)[m.name] == together[m.name], m.name


def test_a_bootstrapped_metric_needs_its_statistic_only(scored):
    def share(of):
        called = of.called.astype(float)
        return Bootstrap(lambda weights: (weights @ called) / weights.sum(axis=1))

    register(metric(share))
    found = measure(registry.registered().values(), scored)["theirs"]
    assert found.value == pytest.approx(scored.called.mean())
    assert found.low < found.value < found.high
    with pytest.raises(AsliError, match="there is a metric 'theirs' already"):
        register(metric(share))
    unregister("theirs")
    assert "theirs" not in registry.registered()
    for name in ("theirs", "auroc"):
        with pytest.raises(AsliError, match=f"no metric '{name}' was registered"):
            unregister(name)


@pytest.mark.parametrize(
    ("compute", "words"),
    [
        (lambda of: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda of: 0.5, "returned 0.5 instead of an Estimate or a Bootstrap"),
        (lambda of: Bootstrap(lambda weights: weights @ np.ones(7)), "ValueError"),
    ],
)
def test_a_metric_that_fails_is_undefined_with_a_warning(scored, compute, words, caplog):
    found = measure([*built_in("auroc"), metric(compute)], scored)
    assert found["theirs"] == Estimate.undefined(300)
    assert found["auroc"].value > 0.5
    assert "metric 'theirs' is undefined" in caplog.text
    assert words in caplog.text


def test_numbers_that_json_does_not_know_are_undefined(scored):
    nan = metric(lambda of: Estimate(float("nan"), -np.inf, np.float32(1), np.int64(3)))
    found = measure([nan], scored)["theirs"]
    assert found == Estimate(None, None, 1.0, 3)
    assert (type(found.high), type(found.n)) == (float, int)


def test_a_metric_of_both_labels_is_not_computed_without_one(scored):
    reals = scored.where(~scored.fake)
    assert measure([metric(lambda of: 1 / 0)], reals)["theirs"].value is None


@pytest.mark.slow
def test_the_documented_metric_works_from_a_package_of_its_own(tmp_path):
    (source,) = re.findall(
        r"^```py\n(# metrics_of_others\.py\n.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )
    folder = package(tmp_path / "site", source)
    code = (
        "import asli, numpy as np\n"
        "rng = np.random.default_rng(0); labels = rng.integers(0, 2, 400)\n"
        "scores = 1 / (1 + np.exp(-rng.normal(labels - 0.5)))\n"
        "result = asli.evaluate_scores(labels, scores)\n"
        f"page = result.save({str(tmp_path / 'report')!r}).read_text()\n"
        "assert result.definitions['mcc'].title in page\n"
        "assert result.to_dict()['figures']['threshold']['mcc']['n'] == 400\n"
        "found = result.metrics['mcc']; print(found.value, found.low, found.high)\n"
    )
    done = run(code, folder)
    assert done.returncode == 0, done.stderr
    value, low, high = map(float, done.stdout.split())
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    called = 1 / (1 + np.exp(-rng.normal(labels - 0.5))) >= 0.5
    assert value == pytest.approx(reference.matthews_corrcoef(labels, called))
    assert low < value < high


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("raise ImportError('needs more')", "metrics_of_others:MCC", "cannot be loaded (ImportError: needs more)"),
        ("MCC = 3", "metrics_of_others:MCC", "'metrics_of_others:MCC' of package others is no asli Metric"),
        ("from asli.metrics.built_in import BUILT_IN\nfrom dataclasses import replace\nMCC = replace(BUILT_IN[0])",
         "metrics_of_others:MCC", "metric 'f1' of package others exists already"),
    ],
)  # fmt: skip
def test_a_broken_package_is_named(source, target, words, tmp_path):
    folder = package(tmp_path / "site", source, target=target)
    done = run("import asli; asli.evaluate_scores([0, 1], [0.2, 0.8])", folder)
    assert done.returncode == 1
    assert words in done.stderr


def test_metrics_are_loaded_before_anything_is_scored(sample, monkeypatch):
    def broken():
        raise AsliError("metric 'x' of package others cannot be loaded")

    monkeypatch.setattr("asli.evaluation.evaluate.registered", broken)
    openings = len(sample.ledger())
    with pytest.raises(AsliError, match="cannot be loaded"):
        evaluate("default", sample)
    assert len(sample.ledger()) == openings


def test_the_card_of_a_detector_holds_metrics_of_asli_alone(tmp_path):
    """Its hash covers them: it may not depend on which packages are installed."""
    from asli.detector.calibrate import CARD_METRICS

    assert set(CARD_METRICS) <= {m.name for m in BUILT_IN}
