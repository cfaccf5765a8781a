from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asli.datasets.splits import Shares, assign_splits, stratified_sample
from asli.errors import DataError

USUAL = Shares()


def draw(ids, groups=None, named="train", strata=None, shares=USUAL):
    groups = np.full(len(ids), -1) if groups is None else np.array(groups)
    return assign_splits(ids, strata or ["s"] * len(ids), [named] * len(ids), groups, shares=shares)


def test_shares_are_exact_in_each_stratum():
    ids = [f"{i}.jpg" for i in range(3000)]
    strata = ["a" if i < 1000 else "b" for i in range(3000)]
    splits = draw(ids, strata=strata)
    counts = Counter(zip(strata, splits, strict=True))
    assert counts["a", "validation"] == counts["a", "calibration"] == 50
    assert counts["b", "validation"] == counts["b", "calibration"] == 100


def test_many_small_strata_together_have_their_share():
    strata = [f"{label}/{category}" for label in ("real", "fake") for category in range(100) for _ in range(7)]
    splits = draw([f"{i}.jpg" for i in range(1400)], named=None, strata=strata)
    counts = Counter((s.partition("/")[0], split) for s, split in zip(strata, splits, strict=True))
    for label in ("real", "fake"):
        assert counts[label, "validation"] == counts[label, "calibration"] == 35
        assert counts[label, "test"] == 70
    tested = Counter(s for s, split in zip(strata, splits, strict=True) if split == "test")
    assert max(tested.values()) == 1


def test_strata_of_one_image_each_fill_every_split():
    splits = draw([f"{i}.jpg" for i in range(200)], named=None, strata=[f"real/{i}" for i in range(200)])
    assert Counter(splits) == {"train": 160, "test": 20, "validation": 10, "calibration": 10}


def test_named_splits_stay_and_test_is_made_only_where_nothing_is_named():
    ids = [f"{i}" for i in range(100)]
    groups = np.full(100, -1)
    named = ["train"] * 50 + ["validation"] * 25 + ["test"] * 25
    splits = assign_splits(ids, ["s"] * 100, named, groups, shares=USUAL)
    assert splits[50:] == named[50:]
    assert set(splits[:50]) == {"train", "calibration"}
    assert Counter(draw(ids, named=None)) == {"train": 80, "test": 10, "validation": 5, "calibration": 5}


def test_other_images_barely_move_an_image():
    ids = [f"{i}" for i in range(2000)]
    before, after = draw(ids), draw(ids[:-1])
    assert sum(a != b for a, b in zip(before, after, strict=False)) <= 2


@given(st.lists(st.integers(-1, 8), min_size=1, max_size=200))
def test_duplicates_are_never_parted(groups):
    splits = draw([f"{i}" for i in range(len(groups))], groups)
    for group in set(groups) - {-1}:
        assert len({s for s, g in zip(splits, groups, strict=True) if g == group}) == 1


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=200), st.integers(1, 250))
def test_sample_has_the_asked_size_and_the_strata_in_proportion(strata, count):
    chosen = stratified_sample(strata, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(strata))
    for stratum, size in Counter(strata).items():
        got = sum(strata[i] == stratum for i in chosen)
        assert abs(got - size * min(count, len(strata)) / len(strata)) <= 1


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (60, (30, 9, 9, 12)),
        (500, (250, 75, 75, 100)),
        (1000, (700, 100, 100, 100)),
        (2000, (1600, 100, 100, 200)),
        (50_000, (40_000, 2500, 2500, 5000)),
    ],
)
def test_small_folders_hold_out_larger_shares_and_large_ones_the_usual(each, expected):
    ids = [f"{i}" for i in range(2 * each)]
    strata = ["real/" if i < each else "fake/" for i in range(2 * each)]
    counts = Counter(zip(strata, draw(ids, named=None, strata=strata, shares=None), strict=True))
    for stratum in ("real/", "fake/"):
        assert tuple(counts[stratum, s] for s in ("train", "validation", "calibration", "test")) == expected


def test_the_rarer_label_decides_on_the_shares():
    strata = ["real/"] * 5000 + ["fake/"] * 500
    counts = Counter(draw([f"{i}" for i in range(5500)], strata=strata, shares=None))
    assert counts["calibration"] == 0.15 * 5500


def test_fractions_are_taken_and_a_named_part_falls_to_train():
    ids = [f"{i}" for i in range(200)]
    shares = Shares(0.5, 0.1, 0.25, 0.15)
    assert Counter(draw(ids, named=None, shares=shares)) == {
        "train": 100,
        "validation": 20,
        "calibration": 50,
        "test": 30,
    }
    assert Counter(draw(ids, named="train", shares=shares)) == {"train": 130, "validation": 20, "calibration": 50}
    assert Counter(draw(ids, named=None, shares=Shares(1.0, 0.0, 0.0, 0.0))) == {"train": 200}


@pytest.mark.parametrize(
    ("parts", "words"),
    [((0.5, 0.1, 0.1, 0.1), "sum to 0.8"), ((0, 0.5, 0.25, 0.25), "left for train"), ((1.2, -0.2, 0, 0), "0 to 1")],
)
def test_fractions_that_make_no_sense_are_refused(parts, words):
    with pytest.raises(DataError, match=words):
        Shares(*parts)
