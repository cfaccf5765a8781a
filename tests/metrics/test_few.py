"""Statistics where a label has a dozen images: intervals in range that hold, and p-values a person can believe."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, roc_auc_score

from asli.evaluation.comparison import Contender, compare
from asli.evaluation.sections.comparison_section import headline
from asli.metrics.built_in import built_in
from asli.metrics.delong import auroc_interval, paired_test
from asli.metrics.differences import auroc_swap_test, difference_interval
from asli.metrics.intervals import Estimate, logit_interval, mean_interval, percentile, proportion
from asli.metrics.metric import LabeledScores
from asli.metrics.paired import f1_difference, mcnemar
from asli.metrics.registry import measure


def threshold_free(labels, scores, losses, groups):
    of = LabeledScores.of(labels, scores, groups, losses=losses)
    return measure(built_in("auroc", "average_precision", "loss", "brier"), of)


def drawn(rng, each, shifts):
    labels = np.repeat([0, 1], each).astype(np.int8)
    common = rng.normal(size=2 * each)
    return labels, *((common + rng.normal(size=2 * each)) / np.sqrt(2) + s * (2 * labels - 1) for s in shifts)


@pytest.mark.parametrize(("real", "fake"), [(10, 10), (100, 10)])
@pytest.mark.parametrize("area", [0.7, 0.95])
def test_auroc_interval_holds_with_ten_images_of_a_label(rng, real, fake, area):
    labels, held = np.repeat([0, 1], [real, fake]), 0
    for _ in range(600):
        z = rng.normal(size=real + fake) * np.where(labels, 2, 1) + labels * np.sqrt(5) * stats.norm.ppf(area)
        figure = auroc_interval(labels, z)
        assert 0 <= figure.low <= figure.value <= figure.high <= 1
        held += figure.low <= area <= figure.high
    assert held / 600 > 0.92


def test_a_dozen_images_cannot_give_a_tiny_p_or_an_impossible_interval():
    """The comparison that once printed [-1.02, -0.43] and p = 5e-6: 12 images, one detector wrong on nearly all."""
    labels = np.repeat([0, 1], 6).astype(np.int8)
    good, bad = np.linspace(0, 1, 12), np.linspace(1, 0, 12)
    for first, second in ((good, bad), (bad, good)):
        test = paired_test(labels, first, second)
        assert abs(test.difference) == 1
        assert -1 <= test.low <= test.difference <= test.high <= 1
        assert test.high - test.low > 0.4
        assert test.p >= 2 / 2**12
        claim = f1_difference(labels, first >= 0.5, second >= 0.5, np.arange(12))
        assert -1 <= claim.low <= claim.high <= 1
        accuracy = mcnemar((first >= 0.5) == labels, (second >= 0.5) == labels).accuracy
        assert -1 <= accuracy.low <= accuracy.difference <= accuracy.high <= 1


def test_p_of_an_auroc_difference_counts_every_exchange(rng):
    labels, first, second = drawn(rng, 4, (1.0, 0.3))
    ranks = [stats.rankdata(scores) for scores in (first, second)]
    true, reached = abs(roc_auc_score(labels, first) - roc_auc_score(labels, second)), 0
    for swap in product([False, True], repeat=8):
        a, b = np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
        reached += abs(roc_auc_score(labels, a) - roc_auc_score(labels, b)) >= true - 1e-9
    assert auroc_swap_test(labels, first, second, np.arange(8)) == reached / 2**8
    assert paired_test(labels, first, second).p == reached / 2**8


def test_duplicates_are_exchanged_together(rng):
    labels, first, second = drawn(rng, 5, (1.5, 0.5))
    once = auroc_swap_test(labels, first, second, np.arange(10))
    twice = auroc_swap_test(np.tile(labels, 2), np.tile(first, 2), np.tile(second, 2), np.tile(np.arange(10), 2))
    assert twice == once


@pytest.mark.slow
def test_p_of_an_f1_difference_counts_exchanges(rng):
    labels, first, second = drawn(rng, 5, (1.5, 0.2))
    a, b = first >= 0, second >= 0
    true, reached = abs(f1_score(labels, a) - f1_score(labels, b)), 0
    for swap in product([False, True], repeat=10):
        one, other = np.where(swap, b, a), np.where(swap, a, b)
        difference = f1_score(labels, one, zero_division=0) - f1_score(labels, other, zero_division=0)
        reached += abs(difference) >= true - 1e-9
    assert f1_difference(labels, a, b, np.arange(10)).p == pytest.approx(reached / 2**10, abs=0.02)


@pytest.mark.parametrize("each", [10, 30])
def test_tests_of_few_images_err_in_at_most_five_of_a_hundred(rng, each, monkeypatch):
    monkeypatch.setattr("asli.metrics.differences.SWAPS", 400)
    rounds, wrong = 150, {"auroc": 0, "f1": 0, "accuracy": 0}
    for seed in range(rounds):
        labels, first, second = drawn(rng, each, (1.0, 1.0))
        groups = np.arange(2 * each)
        wrong["auroc"] += auroc_swap_test(labels, first, second, groups, seed) < 0.05
        wrong["f1"] += f1_difference(labels, first >= 0, second >= 0, groups, seed).p < 0.05
        wrong["accuracy"] += mcnemar((first >= 0) == labels, (second >= 0) == labels).accuracy.p < 0.05
    assert max(wrong.values()) <= stats.binom.ppf(0.999, rounds, 0.05)


def test_large_samples_give_delongs_p(rng):
    labels, first, second = drawn(rng, 60, (1.0, 0.8))
    exchanged = auroc_swap_test(labels, first, second, np.arange(120))
    assert paired_test(labels, first, second).p == pytest.approx(exchanged, abs=0.05)


def test_difference_interval_is_newcombes_square_and_add_without_correlation():
    first, second = proportion(56, 70), proportion(48, 80)  # Newcombe 1998, table II (a): .0524 to .3339
    assert difference_interval(first, second, 0.0) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    same = difference_interval(Estimate(0.9, 0.8, 0.95, 50), Estimate(0.9, 0.8, 0.95, 50), 1.0)
    assert max(map(abs, same)) <= 0.0501


def test_means_have_students_interval_on_the_log_scale(rng):
    values, labels = rng.exponential(size=4000), np.tile([0, 1], 2000).astype(np.int8)
    figure = mean_interval(values, labels, np.arange(4000))
    error = stats.sem(values)
    assert (figure.low, figure.high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), rel=2e-3
    )
    doubled = mean_interval(np.tile(values, 2), np.tile(labels, 2), np.tile(np.arange(4000), 2))
    assert (doubled.low, doubled.high) == pytest.approx((figure.low, figure.high))
    assert mean_interval(np.zeros(4), np.array([0, 1, 0, 1], np.int8), np.arange(4)).high == 0.0
    one_label = mean_interval(values[:10], np.zeros(10, np.int8), np.arange(10))
    assert 0 < one_label.low < one_label.high


def test_a_perfect_ranking_of_few_images_still_has_an_interval():
    labels = np.repeat([0, 1], 10).astype(np.int8)
    scores = np.linspace(0.05, 0.95, 20)
    figures = threshold_free(labels, scores, -np.log(np.where(labels, scores, 1 - scores)), np.arange(20))
    assert figures["auroc"].value == pytest.approx(1.0)
    assert figures["average_precision"].value == 1.0
    assert figures["average_precision"].low == pytest.approx(proportion(10, 10).low)
    half = logit_interval(np.array([0.4, 0.5, 0.6]), 0.5, labels, np.arange(20))
    assert half.low + half.high == pytest.approx(1.0)


def test_percentiles_are_expanded_for_few_images_alone(rng):
    resamples = rng.normal(size=20_000)
    plain, few, many = (percentile(resamples, 0.0, 10, n) for n in (None, 10, 100_000))
    assert few.low == pytest.approx(np.sqrt(10 / 9) * stats.t.ppf(0.025, 9), abs=0.1)
    assert many.low == pytest.approx(plain.low, abs=0.01)


def test_the_headline_names_the_surest_of_what_was_shown(rng):
    labels = np.repeat([0, 1], 40).astype(np.int8)
    ranked = np.sort(rng.random(80))
    rows = np.arange(80)
    # Both call everything fake, so F1 and accuracy are equal; one ranks perfectly, the other at random.
    mine = Contender(name="mine", hash="m", rows=rows, score=rng.permutation(ranked) / 2 + 0.5, threshold=0.4)
    theirs = Contender(name="theirs", hash="t", rows=rows, score=ranked / 2 + 0.5, threshold=0.4)
    (line,) = map(str, headline(compare(mine, [theirs], labels, rows)))
    assert "No, worse (AUROC)" in line
    assert "AUROC is worse" in line
    assert "F1" not in line
    (line,) = map(str, headline(compare(mine, [replace(mine, name="same", hash="s")], labels, rows)))
    assert "not shown: F1 (difference +0.0000" in line


def test_the_headline_names_a_detector_that_was_trained_on_these_images(rng):
    labels, rows = np.repeat([0, 1], 40).astype(np.int8), np.arange(80)
    mine = Contender(name="mine", hash="m", rows=rows, score=rng.random(80), threshold=0.5, seen=rows < 0)
    theirs = Contender(name="theirs", hash="t", rows=rows, score=rng.random(80), threshold=0.5, seen=rows < 60)
    part = compare(mine, [theirs], labels, rows)
    assert [line.seen_in_training for line in part.detectors] == [0, 60]
    first, *_ = map(str, headline(part))
    assert first.startswith("theirs was trained on 60 of these 80 images")
