import numpy as np
import pytest

from asli.metrics.classification import auroc
from asli.metrics.delong import auroc_covariance, auroc_interval, paired_test


def brute_force(labels, scores):
    """DeLong's covariance straight from its definition: every fake against every real."""
    structure = []
    for row in scores:
        fake, real = row[labels == 1], row[labels == 0]
        wins = (fake[:, None] > real) + 0.5 * (fake[:, None] == real)
        structure.append((wins.mean(1), wins.mean(0), wins.mean()))
    fakes = np.cov([s[0] for s in structure]) / (labels == 1).sum()
    reals = np.cov([s[1] for s in structure]) / (labels == 0).sum()
    return np.array([s[2] for s in structure]), fakes + reals


@pytest.mark.parametrize("digits", [1, 6])
def test_equals_the_definition_with_and_without_ties(rng, digits):
    labels = rng.integers(0, 2, 90)
    scores = np.round(rng.normal(size=(2, 90)) + 0.7 * labels, digits)
    areas, covariance = auroc_covariance(labels, scores)
    expected, spread = brute_force(labels, scores)
    # Images of their own never share a fake and a real, so the cross term must vanish.
    assert np.allclose(areas, expected)
    assert np.allclose(covariance, spread)
    assert areas[0] == pytest.approx(auroc(labels, scores[0]))


def test_one_image_of_a_label_says_nothing_and_copies_add_nothing(rng):
    labels, scores = np.array([1] + [0] * 50), rng.normal(size=51)
    figure = auroc_interval(labels, scores)
    assert (figure.low, figure.high) == (0, 1)
    copies = auroc_interval(np.repeat([0, 1], 50), np.repeat([0.1, 0.9], 50), np.repeat([3, 4], 50))
    assert (copies.value, copies.low, copies.high) == (1, 0, 1)
    # Twenty groups of five with nothing out of order are worth twenty images, not a hundred.
    apart = np.repeat([0.1, 0.9], 100)
    grouped = auroc_interval(np.repeat([0, 1], 100), apart, np.repeat(np.arange(40), 5))
    assert grouped.low == pytest.approx(auroc_interval(np.repeat([0, 1], 20), np.repeat([0.1, 0.9], 20)).low)


def test_doubling_every_image_as_a_group_changes_no_interval(rng):
    labels = rng.integers(0, 2, 200)
    scores = rng.normal(size=200) + labels
    once = auroc_interval(labels, scores)
    twice = auroc_interval(np.tile(labels, 2), np.tile(scores, 2), np.tile(np.arange(200), 2))
    naive = auroc_interval(np.tile(labels, 2), np.tile(scores, 2))
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high), abs=1e-9)
    assert naive.high - naive.low < 0.75 * (once.high - once.low)


def test_interval_covers_the_truth_about_95_times_in_100(rng):
    from scipy.stats import norm

    truth, labels = norm.cdf(1 / np.sqrt(2)), np.repeat([0, 1], 60)
    inside = 0
    for _ in range(400):
        figure = auroc_interval(labels, rng.normal(size=120) + labels)
        inside += figure.low <= truth <= figure.high
    assert 0.92 <= inside / 400 <= 0.98


def test_no_overlap_still_has_an_interval():
    figure = auroc_interval(np.repeat([0, 1], 20), np.arange(40.0))
    assert figure.value == figure.high == 1.0
    assert 0.8 < figure.low < 0.9


def test_paired_test(rng):
    labels = np.repeat([0, 1], 300)
    good, copy = rng.normal(size=600) + 1.5 * labels, rng.normal(size=600)
    assert paired_test(labels, good, good).p == 1.0
    result = paired_test(labels, good, copy)
    assert result.p < 1e-6
    assert result.low < auroc(labels, good) - auroc(labels, copy) < result.high
