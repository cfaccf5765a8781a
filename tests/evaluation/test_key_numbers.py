"""The numbers in large type: a check mark stands only where a promise was kept or chance was beaten."""

import pytest

from asli.evaluation.sections.overview import key_numbers
from asli.reports.colors import Status


def figure(value, low, high):
    return {"value": value, "low": low, "high": high, "n": 400}


def statuses(alarms, recall, target, split="test"):
    at = {"false_positive_rate": figure(*alarms), "recall": figure(*recall)}
    at |= {"accuracy": figure(0.8, 0.7, 0.9), "f1": figure(0.8, 0.7, 0.9)}
    result = {
        "figures": {"threshold": at, "threshold_free": {"auroc": figure(0.9, 0.8, 0.95)}},
        "detector": {"thresholds": {"target": target}, "scores": False},
        "data": {"split": split, "images": 800, "real": 400, "fake": 400},
        "seen_in_training": 0,
    }
    return {number.title.key.removeprefix("report.key_"): number.status for number in key_numbers(result)}


@pytest.mark.parametrize(
    ("alarms", "target", "status"),
    [
        ((0.21, 0.17, 0.25), None, Status.NEUTRAL),  # nothing was promised of it
        ((0.21, 0.17, 0.25), 0.1, Status.BAD),
        ((0.11, 0.08, 0.15), 0.1, Status.CAUTION),
        ((0.09, 0.06, 0.12), 0.1, Status.GOOD),
    ],
)
def test_false_alarms_are_held_against_what_was_promised(alarms, target, status):
    found = statuses(alarms, (0.9, 0.85, 0.95), target)
    assert (found["flagged"], found["found"]) == (status, Status.GOOD)


def test_a_detector_that_flags_both_labels_alike_is_bad_whatever_was_promised():
    assert statuses((0.05, 0.04, 0.06), (0.02, 0.01, 0.03), 0.1)["flagged"] is Status.BAD


def test_what_is_optimistic_gets_no_check_mark():
    assert statuses((0.05, 0.04, 0.06), (0.9, 0.85, 0.95), 0.1, split="calibration")["flagged"] is Status.CAUTION
