"""The promise for each group: its bound is Clopper-Pearson's, its correction Bonferroni's, and it holds."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from asli.errors import DataError
from asli.metrics.thresholds import Policy
from asli.metrics.worst_group import OTHERS, threshold_for_groups

FIVE = Policy(name="target-fpr", target=0.05)


def promise(scores, names, policy=FIVE):
    return threshold_for_groups(scores, scores, np.arange(len(scores)), names, policy)


def test_the_worst_group_decides_and_its_bound_is_clopper_and_pearsons(rng):
    names = ["easy"] * 300 + ["hard"] * 200
    scores = np.concatenate([rng.uniform(0, 0.5, 300), rng.uniform(0.3, 1, 200)])
    held = promise(scores, names)
    assert held.images == {"easy": 300, "hard": 200}
    assert held.confidence == pytest.approx(0.975)
    called = int((scores[300:] >= held.high).sum())
    bounds = [
        binomtest(k, 200, alternative="less").proportion_ci(held.confidence, method="exact").high
        for k in (called, called + 1)
    ]
    assert bounds[0] <= 0.05 < bounds[1]  # not one error less than the promise allows
    assert not (scores[:300] >= held.high).any()


def test_small_groups_count_as_one_and_which_they_are_depends_on_sizes_alone(rng):
    names = ["a"] * 200 + [f"small {n}" for n in range(20) for _ in range(5)] + [None] * 10
    scores = rng.uniform(size=len(names))
    held = promise(scores, names)
    assert held.images == {"a": 200, OTHERS: 110}
    assert len(held.pooled) == 20
    assert promise(rng.permutation(scores), names).images == held.images


def test_duplicates_count_once_and_too_few_images_promise_nothing(rng):
    scores = rng.uniform(size=100)
    with pytest.raises(DataError, match="59 independent real"):
        threshold_for_groups(scores, scores, np.arange(100) // 2, ["a"] * 100, FIVE)


def test_the_promise_holds_over_calibration_sets(rng):
    """Of 400 calibrations at most about 5 % may break the promise in any of four groups; 7.7 % is three deviations."""
    names, broken = [name for name in "abcd" for _ in range(150)], 0
    shifts = np.repeat([0.0, 0.1, 0.2, 0.3], 150)
    for _ in range(400):
        high = promise(rng.normal(size=600) + shifts, names).high
        broken += any(norm.sf(high - shift) > 0.05 for shift in (0.0, 0.1, 0.2, 0.3))
    assert broken / 400 < 0.083
