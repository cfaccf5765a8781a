import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve

from asli.metrics.calibration import calibration_error, ece_if_calibrated, equal_mass, fit_temperature
from asli.metrics.classification import log_losses


def calibrated(rng, n, temperature=1.0):
    z = rng.normal(0, 2, n)
    return (rng.random(n) < expit(z)).astype(np.int8), expit(z / temperature)


def test_bins_equal_scikit_learns_quantile_bins(rng):
    labels, scores = calibrated(rng, 3000)
    bins = equal_mass(labels, scores, 10)
    shares, means = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    assert bins.counts.tolist() == [300] * 10
    assert np.allclose(bins.shares, shares, atol=0.004)  # scikit-learn interpolates its edges
    assert np.allclose(bins.scores, means, atol=0.004)


def test_equal_scores_are_never_parted(rng):
    labels, scores = calibrated(rng, 1000)
    scores = np.round(scores, 1)
    bins = equal_mass(labels, scores)
    for score in np.unique(scores):
        assert len(np.unique(bins.of[scores == score])) == 1
    assert bins.counts.sum() == 1000


def test_ece_of_calibrated_scores_is_what_chance_gives(rng):
    found = []
    for _ in range(40):
        labels, scores = calibrated(rng, 800)
        bins = equal_mass(labels, scores)
        found.append((bins.ece, *ece_if_calibrated(scores, np.arange(800), bins)))
    ece, mean, high = np.array(found).T
    assert ece.mean() == pytest.approx(mean.mean(), rel=0.1)
    assert mean.mean() > 0.02  # far from 0: this is the bias
    assert (ece <= high).mean() >= 0.85


def test_debiased_error_is_nothing_for_calibrated_scores_and_right_for_others(rng):
    squares = []
    for _ in range(200):
        labels, scores = calibrated(rng, 600)
        figure = calibration_error(labels, scores, np.arange(600), equal_mass(labels, scores))
        squares.append(figure.low)
    assert np.mean(np.array(squares) == 0) > 0.93
    labels, scores = calibrated(rng, 200_000, temperature=2)
    bins = equal_mass(labels, scores)
    truth = np.bincount(bins.of, expit(2 * logit(scores)) - scores) / bins.counts
    figure = calibration_error(labels, scores, np.arange(200_000), bins)
    assert figure.value == pytest.approx(np.sqrt((truth**2).mean()), rel=0.03)
    assert figure.low < figure.value < figure.high


def test_doubling_every_image_as_duplicates_changes_no_interval(rng):
    labels, scores = calibrated(rng, 600, temperature=3)
    once = calibration_error(labels, scores, np.arange(600), equal_mass(labels, scores))
    twice = np.tile(labels, 2), np.tile(scores, 2)
    doubled = calibration_error(*twice, np.tile(np.arange(600), 2), equal_mass(*twice))
    assert (doubled.value, doubled.low, doubled.high) == pytest.approx((once.value, once.low, once.high))


def test_temperature_is_one_where_none_helps():
    logits = np.zeros((10, 2))
    labels = np.array([0, 1] * 5, np.int8)
    assert fit_temperature(labels, logits) == 1.0


def test_temperature_never_raises_the_loss(rng):
    for _ in range(20):
        logits, labels = rng.normal(size=(30, 2)) * 3, rng.integers(0, 2, 30).astype(np.int8)
        found = fit_temperature(labels, logits)
        assert log_losses(labels, logits / found).mean() <= log_losses(labels, logits).mean()
