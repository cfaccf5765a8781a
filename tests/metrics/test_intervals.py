import numpy as np
import pytest
from scipy.stats import binomtest, norm
from sklearn import metrics as reference
from statsmodels.stats.proportion import proportion_confint

from asli.metrics import intervals
from asli.metrics.classification import Confusion, losses_of_scores


def images(rng, n=400):
    labels = rng.integers(0, 2, n).astype(np.int8)
    return labels, np.round(np.clip(0.5 + 0.2 * (2 * labels - 1) + rng.normal(0, 0.25, n), 0, 1), 2)


def test_wilson_equals_statsmodels():
    for part, whole in ((0, 7), (7, 7), (13, 40), (963, 1000)):
        figure = intervals.proportion(part, whole)
        assert (figure.low, figure.high) == pytest.approx(proportion_confint(part, whole, method="wilson"), abs=1e-9)
        assert figure.low <= figure.value <= figure.high


def test_duplicates_are_worth_one_image(rng):
    labels, scores = images(rng)
    hits, groups = scores[labels == 1] >= 0.5, np.arange(int((labels == 1).sum()))
    once = intervals.share_of(hits, groups)
    twice = intervals.share_of(np.tile(hits, 2), np.tile(groups, 2))
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high))
    assert intervals.effective_number(np.array([1, 1, 2, 3])) == pytest.approx(16 / 6)


def test_f1_interval_follows_from_its_share_and_never_collapses(rng):
    labels, scores = images(rng)
    called = scores >= 0.5
    figure = intervals.f1_interval(labels, called, np.arange(400))
    counts = Confusion.at(labels, scores, 0.5)
    assert figure.value == pytest.approx(reference.f1_score(labels, called))
    wilson = binomtest(counts.tp, counts.tp + counts.fp + counts.fn).proportion_ci(0.95, method="wilson")
    assert (figure.low, figure.high) == pytest.approx([2 * j / (1 + j) for j in (wilson.low, wilson.high)])
    perfect = intervals.f1_interval(labels, labels == 1, np.arange(400))
    assert perfect.value == perfect.high == 1.0
    assert 0.97 < perfect.low < 0.995
    bootstrap = intervals.bootstrap(intervals.weighted_f1(labels, called), figure.value, np.arange(400))
    assert (figure.low, figure.high) == pytest.approx((bootstrap.low, bootstrap.high), abs=0.012)


def test_balanced_accuracy_equals_scikit_learn(rng):
    labels, scores = images(rng)
    called = scores >= 0.5
    shares = [intervals.share_of((called == labels)[labels == c], np.arange(400)[labels == c]) for c in (0, 1)]
    figure = intervals.mean_of(*shares)
    assert figure.value == pytest.approx(reference.balanced_accuracy_score(labels, called))
    assert figure.high - figure.low < min(share.high - share.low for share in shares)


def test_predictive_value_is_bayes(rng):
    labels, scores = images(rng)
    called, groups = scores >= 0.5, np.arange(400)
    hit, miss = (intervals.share_of(called[labels == c], groups[labels == c]) for c in (1, 0))
    figure = intervals.predictive_value(float((labels == 1).mean()), hit, miss)
    assert figure.value == pytest.approx(reference.precision_score(labels, called))
    rare = intervals.predictive_value(0.001, hit, miss)
    assert rare.low < rare.value < rare.high < 0.1
    nothing = intervals.proportion(0, 0)
    assert intervals.predictive_value(0.5, nothing, miss).value is None


@pytest.mark.parametrize("decimals", [1, 9])
def test_weighted_precision_equals_scikit_learn_on_repeated_images(rng, decimals):
    labels, _ = images(rng, 120)
    scores = np.round(labels + rng.normal(0, 0.9, 120), decimals)
    weights = rng.integers(0, 4, 120)
    again = np.repeat(np.arange(120), weights)
    found = intervals.weighted_precision(labels, scores)(weights[None].astype(float))[0]
    assert found == pytest.approx(reference.average_precision_score(labels[again], scores[again]))


@pytest.mark.parametrize("decimals", [1, 9])
@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3, 1.0])
def test_share_above_is_the_roc_curve_inside_its_interval(rng, decimals, rate):
    labels, _ = images(rng, 120)
    scores = np.round(labels + rng.normal(0, 0.9, 120), decimals)
    false, true, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    real, fake, groups = scores[labels == 0], scores[labels == 1], np.arange(120)
    found = intervals.share_above(real, fake, min(rate, 1 - 1e-6), groups[labels == 0], groups[labels == 1])
    assert found.value == pytest.approx(true[false <= min(rate, 1 - 1e-6) + 1e-12].max())
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert rate > 0.001 or found.low == 0  # of sixty real images none need lie above that score


def test_share_above_holds_where_the_truth_is_known():
    held = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        real, fake = random.normal(0, 1, 300), random.normal(2, 1, 300)
        source = np.arange(300)
        source[:60] = random.integers(60, 300, 60)  # a fifth are duplicates
        found = intervals.share_above(real[source], fake[source], 0.05, source, source)
        held += found.low <= norm.sf(norm.isf(0.05) - 2) <= found.high
    assert held >= 0.93 * 300


def test_losses_of_scores_equal_scikit_learn_and_are_infinite_where_a_score_rules_the_truth_out(rng):
    labels, scores = images(rng)
    inside = np.clip(scores, 0.01, 0.99)
    assert losses_of_scores(labels, inside).mean() == pytest.approx(reference.log_loss(labels, inside))
    assert losses_of_scores(np.array([1], np.int8), np.array([0.0]))[0] == np.inf


def test_resampling_is_the_same_whatever_fits_in_memory(rng, monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 50)
    values, groups = rng.normal(size=90), rng.integers(0, 60, 90)
    drawn = intervals.resampled(intervals.weighted_mean(values), groups)
    assert drawn.shape == (50,)
    means = np.bincount(np.unique(groups, return_inverse=True)[1], values)
    assert drawn.mean() == pytest.approx(values.mean(), abs=4 * means.std() / len(means) ** 0.5 / 50**0.5 + 0.05)


def test_coverage_where_the_truth_is_known():
    """Recall and F1 of 300 simulated sets of 400 images, a fifth of them duplicates."""
    held = np.zeros(2)
    for seed in range(300):
        random = np.random.default_rng(seed)
        labels = random.integers(0, 2, 400).astype(np.int8)
        called = random.random(400) < np.where(labels == 1, 0.9, 0.1)
        source = np.arange(400)
        again = np.flatnonzero(random.random(400) < 0.2)
        source[again] = random.integers(0, 400, len(again))
        labels, called = labels[source], called[source]
        recall = intervals.share_of(called[labels == 1], source[labels == 1])
        f1 = intervals.f1_interval(labels, called, source)
        held += [recall.low <= 0.9 <= recall.high, f1.low <= 0.9 <= f1.high]
    assert all(0.92 <= share <= 0.985 for share in held / 300), held
