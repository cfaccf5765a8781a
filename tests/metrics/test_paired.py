import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score
from statsmodels.api import OLS
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from asli.metrics import paired
from asli.metrics.delong import paired_test


def drawn(rng, n, skill, shared=1.0):
    """Labels and two detectors' scores with a part in common, as two networks trained on the same data have."""
    labels = rng.integers(0, 2, n).astype(np.int8)
    common = rng.normal(size=n) * shared
    first = labels * skill[0] + common + rng.normal(size=n)
    second = labels * skill[1] + common + rng.normal(size=n)
    return labels, first, second


def plain_f1(labels, called):
    return 2 * (labels & called).sum() / (labels.sum() + called.sum())


def within(part, whole, share=0.05, errors=3.5):
    """Whether a simulated share lies within some standard errors of what it should be."""
    return abs(part / whole - share) < errors * np.sqrt(share * (1 - share) / whole)


@pytest.mark.parametrize("table", [(90, 3, 12, 20), (50, 0, 1, 5), (400, 40, 41, 30), (10, 7, 0, 2)])
def test_mcnemar_equals_statsmodels(table):
    both, first, second, none = table
    first_right = np.repeat([True, True, False, False], [both, first, second, none])
    second_right = np.repeat([True, False, True, False], [both, first, second, none])
    ours = paired.mcnemar(first_right, second_right)
    assert (ours.first_only, ours.second_only, ours.n) == (first, second, sum(table))
    assert ours.accuracy.p == pytest.approx(reference_mcnemar([[both, first], [second, none]], exact=True).pvalue)
    assert ours.accuracy.difference == pytest.approx((first - second) / sum(table))


def test_detectors_that_always_agree_do_not_differ():
    right = np.array([True, False, True])
    assert paired.mcnemar(right, right).accuracy.p == 1.0
    labels, called = np.array([1, 0, 1], np.int8), np.array([True, True, False])
    claim = paired.f1_difference(labels, called, called, np.arange(3))
    assert (claim.difference, claim.low, claim.high, claim.p) == (0, 0, 0, 1)


def test_accuracy_interval_covers(rng):
    hits = 0
    for _ in range(1000):
        kinds = rng.choice(4, 150, p=[0.8, 0.1, 0.06, 0.04])  # the true difference is .04
        claim = paired.mcnemar(kinds <= 1, (kinds == 0) | (kinds == 2)).accuracy
        hits += claim.low <= 0.04 <= claim.high
    assert 0.93 <= hits / 1000 <= 0.975


def test_f1_difference_equals_the_plain_bootstrap_over_groups(rng):
    labels, first, second = drawn(rng, 120, (2.0, 1.4))
    groups = np.repeat(np.arange(80), rng.multinomial(40, [1 / 80] * 80) + 1)[:120]
    a, b = first > 1, second > 0.8
    claim = paired.f1_difference(labels, a, b, groups)
    assert claim.difference == pytest.approx(f1_score(labels, a) - f1_score(labels, b))
    units = [np.flatnonzero(groups == unit) for unit in np.unique(groups)]
    differences = []
    for _ in range(2000):
        rows = np.concatenate([units[i] for i in rng.integers(0, len(units), len(units))])
        differences.append(plain_f1(labels[rows], a[rows]) - plain_f1(labels[rows], b[rows]))
    spread = np.std(differences)
    assert claim.low == pytest.approx(np.quantile(differences, 0.025), abs=0.2 * spread)
    assert claim.high == pytest.approx(np.quantile(differences, 0.975), abs=0.2 * spread)


@pytest.mark.slow
def test_image_tests_err_in_five_of_a_hundred_where_there_is_no_difference(rng):
    wrong = {"accuracy": 0, "auroc": 0, "f1": 0}
    for seed in range(600):
        labels, first, second = drawn(rng, 300, (1.5, 1.5))
        a, b = first > 0.75, second > 0.75
        wrong["accuracy"] += paired.mcnemar(a == labels, b == labels).accuracy.p < 0.05
        wrong["auroc"] += paired_test(labels, first, second).p < 0.05
        wrong["f1"] += paired.f1_difference(labels, a, b, np.arange(300), seed).p < 0.05
    assert within(wrong["auroc"], 600)
    assert within(wrong["f1"], 600)
    assert 0.015 < wrong["accuracy"] / 600 < 0.06  # exact tests of counts stay below their level


def test_image_tests_find_a_difference(rng):
    labels, first, second = drawn(rng, 3000, (2.5, 1.5))
    a, b = first > 1.2, second > 0.75
    for claim in (
        paired.mcnemar(a == labels, b == labels).accuracy,
        paired.f1_difference(labels, a, b, labels.cumsum()),
    ):
        assert claim.p < 0.001
        assert 0 < claim.low < claim.difference < claim.high


def test_over_seeds_equals_scipy_and_statsmodels(rng):
    a, b = rng.normal(0.9, 0.01, 5), rng.normal(0.89, 0.02, 4)
    ours = paired.over_seeds(dict(enumerate(a)), dict(enumerate(b)))
    assert ours.method == "Welch"
    assert ours.result.p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    low, high = CompareMeans(DescrStatsW(a), DescrStatsW(b)).tconfint_diff(usevar="unequal")
    assert (ours.result.low, ours.result.high) == pytest.approx((low, high))
    same = paired.over_seeds(dict(zip((3, 1, 2, 0), a[:4], strict=True)), dict(zip((3, 1, 2, 0), b, strict=True)))
    reference = stats.ttest_rel(a[:4], b)
    assert same.method == "paired"
    assert same.result.p == pytest.approx(reference.pvalue)
    assert (same.result.low, same.result.high) == pytest.approx(tuple(reference.confidence_interval()))


@pytest.mark.parametrize("method", ["paired", "Welch"])
def test_over_seeds_errs_in_five_of_a_hundred(rng, method):
    seeds = (range(3), range(3) if method == "paired" else range(10, 14))
    wrong = 0
    for _ in range(1500):
        common = rng.normal(size=3)
        first = {seed: common[seed % 3] + rng.normal() for seed in seeds[0]}
        second = {seed: (common[seed] if method == "paired" else rng.normal()) + rng.normal() for seed in seeds[1]}
        result = paired.over_seeds(first, second)
        assert result.method == method
        wrong += result.result.p < 0.05
    assert within(wrong, 1500)


def test_cells_of_equal_spread_are_compared_as_a_linear_model_does(rng):
    """With the same variance everywhere Satterthwaite's freedom nears that of a pooled error, statsmodels' contrast."""
    values = rng.normal(0.9, 0.01, (8, 40)) + rng.normal(0, 0.1, (8, 1))
    ours = paired.over_cells(values[:4], values[4:])
    cells = np.repeat(np.eye(8), 40, axis=0)
    reference = OLS(values.ravel(), cells).fit().t_test([0.25] * 4 + [-0.25] * 4)
    assert ours.result.difference == pytest.approx(reference.effect.item())
    assert ours.result.high - ours.result.low == pytest.approx(np.ptp(reference.conf_int()), rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("spreads", [(1, 1, 1, 1), (5, 1, 1, 0.2)])
def test_a_contrast_of_cells_errs_in_at_most_five_of_a_hundred(rng, spreads):
    """Three runs a cell, means and spreads all different, no difference between the two means."""
    means = np.array([[3.0, -3.0], [1.0, -1.0]])
    wrong = 0
    for _ in range(3000):
        first, second = means[..., None] + np.reshape(spreads, (2, 2, 1)) * rng.normal(size=(2, 2, 3))
        wrong += paired.over_cells(first, second).result.p < 0.05
    assert wrong / 3000 < 0.06


@pytest.mark.parametrize("size", [0.4, 0.9, 1.7, 4.0])
def test_seeds_needed_equals_statsmodels(size):
    alone = TTestPower().solve_power(effect_size=size, alpha=0.05, power=0.8)
    assert paired.seeds_needed(size, 1.0, 1) == np.ceil(alone)
    two = TTestIndPower().solve_power(effect_size=size, alpha=0.05, power=0.8)
    assert paired.seeds_needed(size, np.sqrt(2), 2) == np.ceil(two)


@pytest.mark.slow
def test_seeds_needed_reach_their_power_in_simulation(rng):
    needed = paired.seeds_needed(0.01, np.hypot(0.008, 0.008), 2)
    found = 0
    for _ in range(2000):
        a, b = rng.normal(0.91, 0.008, needed), rng.normal(0.90, 0.008, needed)
        found += paired.over_seeds(dict(enumerate(a)), dict(enumerate(b, 100))).result.p < 0.05
    assert 0.79 <= found / 2000 <= 0.87  # whole seeds overshoot a little
    assert paired.seeds_needed(0.0, 1.0, 2) is None
    assert paired.seeds_needed(1e-6, 1.0, 1) is None


def test_recipes_without_spread():
    same = {0: 0.9, 1: 0.9}
    assert paired.over_seeds(same, same).result.p == 1.0
    assert paired.over_seeds(same, {0: 0.8, 1: 0.8}).result.p == 0.0


def test_holm_equals_statsmodels_and_keeps_its_promise(rng):
    p = [0.01, 0.2, 0.01, 0.04, 1.0, 0.0004]
    assert paired.holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist())
    assert paired.holm([]) == []
    wrong = sum(min(paired.holm(rng.uniform(size=6).tolist())) < 0.05 for _ in range(2000))
    assert within(wrong, 2000)
