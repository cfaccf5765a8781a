import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import binomtest
from sklearn import metrics as reference

from asli.errors import DataError
from asli.metrics.calibration import fit_temperature
from asli.metrics.classification import Confusion, auroc, log_losses, score_of_logits, training_figures
from asli.metrics.intervals import bootstrap, proportion, weighted_f1, weighted_mean
from asli.metrics.thresholds import max_f1_threshold


def problem(rng, n=2000, shift=1.5, decimals=None):
    labels = rng.integers(0, 2, n).astype(np.int8)
    margin = rng.normal(shift * (2 * labels - 1), 1.5)
    margin = margin if decimals is None else np.round(margin, decimals)
    return labels, np.stack([-margin / 2, margin / 2], axis=1)


@pytest.mark.parametrize("decimals", [None, 0])
def test_figures_equal_scikit_learn(rng, decimals):
    labels, logits = problem(rng, decimals=decimals)
    scores = score_of_logits(logits)
    figures = training_figures(labels, logits)
    called = scores >= 0.5
    assert figures["precision"] == pytest.approx(reference.precision_score(labels, called))
    assert figures["recall"] == pytest.approx(reference.recall_score(labels, called))
    assert figures["f1"] == pytest.approx(reference.f1_score(labels, called))
    assert figures["accuracy"] == pytest.approx(reference.accuracy_score(labels, called))
    assert figures["auroc"] == pytest.approx(reference.roc_auc_score(labels, scores))
    assert figures["loss"] == pytest.approx(reference.log_loss(labels, scores))
    counts = Confusion.at(labels, scores, 0.5)
    assert [[counts.tn, counts.fp], [counts.fn, counts.tp]] == reference.confusion_matrix(labels, called).tolist()


def test_fake_is_positive():
    labels, scores = np.array([0, 0, 1], dtype=np.int8), np.array([0.9, 0.1, 0.8])
    counts = Confusion.at(labels, scores, 0.5)
    assert (counts.tp, counts.fp, counts.tn, counts.fn) == (1, 1, 1, 0)
    assert counts.false_positive_rate == 0.5


def test_what_is_undefined_is_none_not_a_number():
    counts = Confusion.at(np.zeros(3, np.int8), np.zeros(3), 0.5)
    assert counts.precision is None
    assert counts.recall is None
    assert counts.f1 == 0.0
    with pytest.raises(DataError, match="both"):
        auroc(np.zeros(3, np.int8), np.zeros(3))


def test_losses_of_extreme_logits_stay_finite():
    losses = log_losses(np.array([1, 0], np.int8), np.array([[1000.0, -1000.0], [1000.0, -1000.0]]))
    assert losses.tolist() == [2000.0, 0.0]


def test_temperature_is_the_minimum_of_the_likelihood(rng):
    labels, logits = problem(rng, 5000)
    for factor in (0.3, 1.0, 4.0):
        found = fit_temperature(labels, logits * factor)
        oracle = minimize(
            lambda t, f=factor: reference.log_loss(labels, score_of_logits(logits * f / np.exp(t[0]))),
            [0.0],
            method="Nelder-Mead",
        )
        assert found == pytest.approx(float(np.exp(oracle.x[0])), rel=1e-3)
        assert log_losses(labels, logits * factor / found).mean() <= log_losses(labels, logits * factor).mean()


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(0, 20)), min_size=2, max_size=60))
def test_max_f1_threshold_beats_every_other(pairs):
    labels = np.array([label for label, _ in pairs], dtype=np.int8)
    scores = np.array([score / 20 for _, score in pairs])
    chosen = Confusion.at(labels, scores, max_f1_threshold(labels, scores)).f1
    best = max(Confusion.at(labels, scores, t).f1 for t in np.linspace(-0.01, 1.01, 205))
    assert chosen == pytest.approx(best)


@pytest.mark.parametrize(("part", "whole"), [(0, 10), (10, 10), (3, 7), (963, 1000)])
def test_wilson_equals_scipy(part, whole):
    figure = proportion(part, whole)
    expected = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    assert (figure.low, figure.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert figure.value == part / whole


def test_nothing_out_of_nothing_is_undefined():
    assert str(proportion(0, 0)) == "undefined"


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(0, 5), st.integers(1, 3)), min_size=4, max_size=40))
def test_weighted_statistics_equal_repeating_images(triples):
    labels = np.array([t[0] for t in triples], dtype=np.int8)
    if len(set(labels)) < 2:
        return
    scores, weights = np.array([t[1] / 5 for t in triples]), np.array([t[2] for t in triples])
    again = np.repeat(np.arange(len(labels)), weights)
    row = weights[None].astype(float)
    called = scores >= 0.5
    expected = reference.f1_score(labels[again], called[again], zero_division=0)
    assert weighted_f1(labels, called)(row)[0] == pytest.approx(expected)
    assert weighted_mean(scores)(row)[0] == pytest.approx(scores[again].mean())


def test_bootstrap_interval_covers_the_truth_as_often_as_it_says(rng, monkeypatch):
    monkeypatch.setattr("asli.metrics.intervals.RESAMPLES", 300)
    truth, hits, rounds = 0.3, 0, 200
    for number in range(rounds):
        values = rng.exponential(truth, 150)
        figure = bootstrap(weighted_mean(values), float(values.mean()), np.arange(150), seed=number)
        hits += figure.low <= truth <= figure.high
    assert 0.89 <= hits / rounds <= 0.99


def test_duplicates_widen_the_interval(rng):
    values = rng.normal(size=200)
    alone = bootstrap(weighted_mean(values), 0.0, np.arange(200))
    doubled = bootstrap(weighted_mean(np.repeat(values, 2)), 0.0, np.repeat(np.arange(200), 2))
    as_if_independent = bootstrap(weighted_mean(np.repeat(values, 2)), 0.0, np.arange(400))
    width = lambda figure: figure.high - figure.low  # noqa: E731
    assert width(doubled) == pytest.approx(width(alone), rel=0.1)
    assert width(as_if_independent) < 0.85 * width(doubled)
