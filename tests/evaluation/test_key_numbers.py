"""The numbers in large type: a check mark stands only where a promise was kept or chance was beaten."""

import pytest

from asli.evaluation.sections.overview import base_rate, key_numbers, summary
from asli.metrics.intervals import proportion
from asli.reports.colors import Status
from asli.reports.kit import Report
from asli.reports.render import write_report


def figure(value, low, high):
    return {"value": value, "low": low, "high": high, "n": 400}


def numbers(alarms, recall, target, split="test"):
    at = {"false_positive_rate": figure(*alarms), "recall": figure(*recall)}
    at |= {"accuracy": figure(0.8, 0.7, 0.9), "f1": figure(0.8, 0.7, 0.9)}
    result = {
        "figures": {"threshold": at, "threshold_free": {"auroc": figure(0.9, 0.8, 0.95)}},
        "detector": {"thresholds": {"target": target}, "scores": False},
        "data": {"split": split, "images": 800, "real": 400, "fake": 400},
        "seen_in_training": 0,
    }
    return {number.title.key.removeprefix("report.key_"): number for number in key_numbers(result)}


def statuses(*given, **settings):
    found = numbers(*given, **settings)
    assert all(bool(str(one.meaning)) == (one.status is not Status.NEUTRAL) for one in found.values())
    return {key: one.status for key, one in found.items()}


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


def test_every_symbol_has_its_meaning_in_words():
    found = numbers((0.21, 0.17, 0.25), (0.9, 0.85, 0.95), 0.1)
    assert str(found["flagged"].meaning) == "over the promise of at most 10 %"
    assert str(found["found"].meaning) == "better than chance"
    assert numbers((0.11, 0.08, 0.15), (0.9, 0.85, 0.95), 0.1)["flagged"].meaning.text("id") == (
        "di atas janji paling banyak 10 %, mungkin kebetulan"
    )
    found = numbers((0.05, 0.04, 0.06), (0.9, 0.85, 0.95), 0.1, split="calibration")
    assert str(found["auroc"].meaning) == "optimistic: see the warning"


def in_words(alarms, found, unsure, tmp_path, seen=0):
    reals, fakes = 54, 70
    result = {
        "figures": {
            "threshold": {
                "false_positive_rate": proportion(alarms, reals).to_dict(),
                "recall": proportion(found, fakes).to_dict(),
            },
            "threshold_free": {"auroc": figure(0.9, 0.8, 0.95)},
        },
        "verdicts": {
            "real": {
                "unsure": proportion(unsure, reals).to_dict(),
                "real": proportion(reals - alarms, reals).to_dict(),
            },
            "fake": {"unsure": proportion(7, fakes).to_dict(), "real": proportion(fakes - found, fakes).to_dict()},
        },
        "data": {"real": reals, "fake": fakes, "split": "test"},
        "detector": {"scores": False},
        "seen_in_training": seen,
    }
    report = Report(title="", origin="", sections=[], summary=summary(result), base_rate=base_rate(result))
    return write_report(tmp_path, report).read_text(), [str(line) for line in report.summary]


def test_none_and_all_are_called_so_with_what_the_interval_leaves_open(tmp_path):
    page, (flagged, found, unsure, _) = in_words(0, 70, 0, tmp_path)
    assert flagged == (
        "None of 54 photographs was called fake. Of 100 photographs like these, at most 6.6 would be (95 % CI)."
    )
    assert found == "All 70 AI-generated images were called fake. Of 100 like these, at least 95 would be (95 % CI)."
    assert unsure == "No verdict (unsure): none of 54 photographs, about 10 of 100 AI-generated images (7 of 70)."
    assert "Still, if 1 picture in 100 is AI-generated, up to 87 of 100 alarms may be false (95\u00a0% CI)." in page
    assert "about 0 of 100" not in page
    # 5.2 % of 70 fakes may be missed, 93.4 % of 54 photographs be cleared.
    assert "None of 70 AI-generated images was called real. Still, if 1 picture in 100 is AI-generated, up to" in page
    assert "0 of 70 alarms were false; 0 of 54 pictures called real were AI-generated." in page
    _, (flagged, *_) = in_words(1, 70, 0, tmp_path)
    assert flagged.startswith("Of 100 photographs like these, about 1.9 would be called fake")


def test_what_was_trained_on_is_not_called_better_than_chance(tmp_path):
    _, (*_, chance) = in_words(1, 60, 0, tmp_path)
    assert chance.startswith("Better than chance: yes")
    _, (*_, chance) = in_words(1, 60, 0, tmp_path, seen=3)
    assert chance.startswith("Better than chance: cannot be told, because the detector was trained on some of these")
