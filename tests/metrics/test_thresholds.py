import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from statsmodels.stats.proportion import proportion_confint

from asli.errors import DataError
from asli.metrics.thresholds import Policy, allowed_errors, choose, images_needed, upper_bound

ONE_PERCENT = Policy(name="target-fpr")


def calibration(rng, reals, fakes, decimals=None):
    labels = np.repeat([0, 1], [reals, fakes]).astype(np.int8)
    scores = norm.cdf(rng.normal(1.2 * (2 * labels - 1.0)))
    return labels, scores if decimals is None else np.round(scores, decimals)


def own(labels):
    return np.arange(len(labels))


@pytest.mark.parametrize(("errors", "n"), [(0, 299), (3, 1000), (17, 2500), (40, 40)])
def test_bound_is_clopper_and_pearsons(errors, n):
    for confidence in (0.9, 0.95, 0.99):
        oracle = binomtest(errors, n).proportion_ci(2 * confidence - 1, method="exact").high
        assert upper_bound(errors, n, confidence) == pytest.approx(oracle, abs=1e-9)
        other = proportion_confint(errors, n, alpha=2 * (1 - confidence), method="beta")[1]
        assert upper_bound(errors, n, confidence) == pytest.approx(other, abs=1e-9)


@given(st.integers(1, 4000), st.sampled_from([0.001, 0.01, 0.05, 0.3]), st.sampled_from([0.8, 0.95]))
def test_allowed_errors_is_the_largest_that_keeps_the_promise(n, target, confidence):
    allowed = allowed_errors(n, target, confidence)
    if allowed is None:
        assert upper_bound(0, n, confidence) > target
    else:
        assert upper_bound(allowed, n, confidence) <= target < upper_bound(allowed + 1, n, confidence)


def test_too_few_images_promise_nothing(rng):
    assert images_needed(0.01, 0.95) == 299
    assert images_needed(0.001, 0.95) == 2995
    labels, scores = calibration(rng, 298, 500)
    with pytest.raises(DataError, match=r"takes 299 independent real calibration images .* there are 298"):
        choose(ONE_PERCENT, labels, scores, own(labels))
    labels, scores = calibration(rng, 299, 200)
    band = choose(ONE_PERCENT, labels, scores, own(labels))
    assert band.high > scores[labels == 0].max()
    with pytest.raises(DataError, match="fake calibration images"):
        choose(Policy(name="target-fpr", band=True), labels, scores, own(labels))


def test_a_smaller_promise_that_is_offered_can_be_kept(rng):
    labels, scores = calibration(rng, 120, 120)
    with pytest.raises(DataError, match=r"no less than 0\.0247"):
        choose(ONE_PERCENT, labels, scores, own(labels))
    choose(Policy(name="target-fpr", target=0.0247), labels, scores, own(labels))


@pytest.mark.parametrize("decimals", [None, 2, 1])
def test_no_more_real_images_than_allowed_reach_the_threshold(rng, decimals):
    labels, scores = calibration(rng, 2500, 2500, decimals)
    if decimals == 1:  # a tenth of all real images share the highest score: it can never be fake
        scores[labels == 0] = np.minimum(scores[labels == 0], 0.9)
    band = choose(ONE_PERCENT, labels, scores, own(labels))
    called = int((scores[labels == 0] >= band.high).sum())
    allowed = allowed_errors(2500, 0.01, 0.95)
    assert called <= allowed
    if decimals is None:
        assert called == allowed


def test_a_detector_whose_highest_score_says_nothing_is_refused(rng):
    labels, scores = calibration(rng, 1000, 1000)
    scores[:100] = 1.0
    with pytest.raises(DataError, match="no threshold keeps the error rate"):
        choose(ONE_PERCENT, labels, scores, own(labels))


def test_duplicates_count_once(rng):
    labels, scores = calibration(rng, 299, 299)
    doubled = np.tile(labels, 2), np.tile(scores, 2), np.tile(own(labels), 2)
    assert choose(ONE_PERCENT, *doubled) == choose(ONE_PERCENT, labels, scores, own(labels))
    few = np.tile(labels[100:], 2), np.tile(scores[100:], 2), np.tile(own(labels)[100:], 2)
    with pytest.raises(DataError, match="there are 199"):
        choose(ONE_PERCENT, *few)


def test_band_is_the_same_bound_from_both_sides(rng):
    labels, scores = calibration(rng, 3000, 3000)
    policy = Policy(name="target-fpr", band=True)
    band = choose(policy, labels, scores, own(labels))
    mirrored = choose(policy, 1 - labels, 1 - scores, own(labels))
    assert band.low < band.high
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((band.low, band.high))


def test_band_collapses_where_both_promises_hold_anyway(rng):
    labels = np.repeat([0, 1], 3000).astype(np.int8)
    scores = norm.cdf(rng.normal(4 * (2 * labels - 1.0)))
    band = choose(Policy(name="target-fpr", band=True), labels, scores, own(labels))
    assert band.low == band.high
    assert (scores[labels == 0] >= band.high).mean() < 0.01
    assert (scores[labels == 1] < band.low).mean() < 0.01


@pytest.mark.parametrize(("confidence", "reals"), [(0.95, 299), (0.95, 1500), (0.8, 1500)])
def test_promise_is_kept_as_often_as_it_says(rng, confidence, reals):
    """Over 1,000 simulated calibrations; the true rate of a threshold is known exactly."""
    policy, rounds, kept = Policy(name="target-fpr", confidence=confidence), 1000, 0
    labels = np.repeat([0, 1], [reals, 400]).astype(np.int8)
    for _ in range(rounds):
        z = rng.normal(1.2 * (2 * labels - 1.0))
        kept += norm.sf(choose(policy, labels, z, own(labels)).high + 1.2) <= policy.target
    at_least = binomtest(kept, rounds, confidence, alternative="less").pvalue
    assert at_least > 0.001
    assert kept / rounds < confidence + 0.07  # nor is the promise bought with needless caution


def test_nonsense_is_refused(rng):
    for settings in ({"target": 0.0}, {"confidence": 1.0}, {"name": "max-f2"}, {"name": "max-f1", "band": True}):
        with pytest.raises(DataError):
            Policy(**{"name": "target-fpr", **settings})
    with pytest.raises(DataError, match="no fake images"):
        choose(Policy(), np.zeros(5, np.int8), rng.random(5), np.arange(5))


def test_argmax_is_a_half(rng):
    labels, scores = calibration(rng, 50, 50)
    band = choose(Policy(name="argmax"), labels, scores, own(labels))
    assert (band.low, band.high) == (0.5, 0.5)
