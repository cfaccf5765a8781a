import pytest

from asli.metrics.intervals import Estimate, proportion
from asli.reports.kit import BaseRate
from asli.reports.numbers import decimals, interval_text, percent_counted, percent_text, value_text


def test_a_rate_has_its_counts_and_as_many_digits_as_the_images_support():
    assert percent_counted(proportion(21, 200)) == "10.5 % (21 of 200)"
    assert percent_counted(proportion(2, 20)) == "10 % (2 of 20)"
    assert percent_counted(proportion(2345, 20_000)) == "11.72 % (2,345 of 20,000)"
    assert percent_text(proportion(21, 200)) == "10.5 % (21 of 200; 95 % CI 7.0 % to 15.5 %)"
    assert percent_counted(proportion(0, 0)) == "undefined"


@pytest.mark.parametrize(
    ("low", "high", "digits"),
    [(0.93, 0.95, 3), (0.943, 0.950, 4), (0.7, 0.9, 2), (0.1, 0.9, 2), (5, 40, 0), (0.5, 0.5, 4), (None, None, 4)],
)
def test_a_value_ends_where_its_standard_error_ends(low, high, digits):
    assert decimals(low, high) == digits


def test_dicts_and_dataclasses_are_read_alike():
    figure = Estimate(0.94637, 0.943, 0.950, 2000)
    for one in (figure, {"value": 0.94637, "low": 0.943, "high": 0.950, "n": 2000}):
        assert value_text(one) == "0.9464"
        assert interval_text(one) == "0.9430 to 0.9500"


def rates_of(recall, alarms, missed=(0.0, 0.0, 0.0), cleared=(0.0, 0.0, 0.0)):
    return BaseRate(recall=recall, false_positive_rate=alarms, missed=missed, cleared=cleared, photographs=20, fakes=40)


def test_false_alarms_follow_bayes_rule():
    rates = rates_of((0.9, 0.8, 1.0), (0.1, 0.05, 0.2))
    value, low, high = rates.false_alarms(0.01)
    assert value == pytest.approx(0.99 * 0.1 / (0.99 * 0.1 + 0.01 * 0.9))
    assert low == pytest.approx(0.99 * 0.05 / (0.99 * 0.05 + 0.01 * 1.0))
    assert high == pytest.approx(0.99 * 0.2 / (0.99 * 0.2 + 0.01 * 0.8))
    assert rates_of((0.0, 0.0, 0.1), (0.0, 0.0, 0.1)).false_alarms(0.01) is None


def test_wrong_verdicts_real_follow_bayes_rule_and_are_counted():
    rates = rates_of((0.9, 0.8, 1.0), (0.1, 0.05, 0.2), missed=(0.05, 0.02, 0.2), cleared=(0.8, 0.6, 0.9))
    value, low, high = rates.wrong_reals(0.01)
    assert value == pytest.approx(0.01 * 0.05 / (0.01 * 0.05 + 0.99 * 0.8))
    assert low == pytest.approx(0.01 * 0.02 / (0.01 * 0.02 + 0.99 * 0.9))
    assert high == pytest.approx(0.01 * 0.2 / (0.01 * 0.2 + 0.99 * 0.6))
    assert rates.measured == {"false": 2, "alarms": 2 + 36, "wrong": 2, "reals": 2 + 16}
    assert rates_of((0.9, 0.8, 1.0), (0.1, 0.05, 0.2)).wrong_reals(0.5) is None  # nothing is called real
