"""`asli compare` and `evaluate --against`: figures against plain counting, disagreements, report, command line."""

from dataclasses import replace

import numpy as np
import pytest

from asli.detector.card import Thresholds
from asli.errors import DataError
from asli.evaluation.compare import compare
from asli.evaluation.evaluate import evaluate
from asli.evaluation.sections.side_by_side_section import comparison_report, side_by_side_sections
from asli.evaluation.side_by_side import Scored, side_by_side
from asli.files import read_json
from asli.reports.colors import Status
from tests.conftest import run_asli
from tests.schemas import require_schema


@pytest.fixture(scope="module")
def tables(sample, tmp_path_factory):
    """Scores of two commercial APIs: noisy ones, the second worse and higher."""
    folder = tmp_path_factory.mktemp("tables")
    rows = sample.rows("test")
    ids = sample.table(["id"], rows)["id"].to_pylist()
    rng = np.random.default_rng(1)
    made = {}
    for name, noise, shift in (("one", 0.3, 0.0), ("two", 0.6, 0.2)):
        scores = np.clip(sample.labels[rows] + rng.normal(shift, noise, len(rows)), 0, 1)
        lines = [f"{name},{score:.6f}" for name, score in zip(ids, scores, strict=True)]
        (folder / f"{name}.csv").write_text("filename,score\n" + "\n".join(lines) + "\n")
        made[folder / f"{name}.csv"] = np.round(scores, 6)
    return made


def test_figures_are_those_of_plain_counting(tables, sample, finished, tmp_path):
    result = compare([*tables, finished.path], sample, out=tmp_path / "report")
    labels = sample.labels[sample.rows("test")]
    beside = result.comparison.side_by_side
    called = []
    for answers, scores in zip(beside.answers, tables.values(), strict=False):
        fake = scores >= 0.5
        called.append(fake)
        assert answers.figures["false_positive_rate"].value == pytest.approx(fake[labels == 0].mean())
        assert answers.figures["false_negative_rate"].value == pytest.approx((~fake[labels == 1]).mean())
        assert answers.seconds is None
    assert beside.answers[2].seconds > 0
    two = compare(list(tables), sample).comparison.side_by_side
    assert two.conflicts == int((called[0] != called[1]).sum())
    spread = np.ptp(list(tables.values()), axis=0)[called[0] != called[1]]
    assert len(two.disagreements) == 12
    found = [np.ptp(list(one.scores.values())) for one in two.disagreements]
    assert np.allclose(found, np.sort(spread)[::-1][:12])
    for group in beside.groups:
        assert group.property in ("generator", "source")
        assert set(group.rates) == {answers.name for answers in beside.answers}
    page = (tmp_path / "report/report.html").read_text()
    for text in ("Side by side", "Where they disagree most", "Comparison", "asli compare"):
        assert text in page
    assert read_json(tmp_path / "report/compare.json") == require_schema("compare", result.to_dict())


@pytest.mark.slow
def test_a_promise_is_held_against_the_images(finished, sample, tmp_path):
    from asli.detector.calibrate import calibrate
    from asli.metrics.thresholds import Policy

    calibrate(finished.path, sample, tmp_path / "careful", Policy(name="target-fpr", target=0.05))
    result = compare([tmp_path / "careful", finished.path], sample)
    careful, plain = result.comparison.side_by_side.answers
    assert (careful.promised, plain.promised) == (0.05, None)
    assert careful.kept == (careful.figures["false_positive_rate"].low <= 0.05)
    assert "promised at most 0.05 of photographs called fake" in repr(result)


def trained_on(comparison, number, seen):
    """Return a comparison of which one detector was trained on some of the images; each promises at most 99 %."""
    beside = comparison.side_by_side
    answers = tuple(replace(one, promised=0.99, kept=True) for one in beside.answers)
    detectors = list(comparison.detectors)
    detectors[number] = replace(detectors[number], seen_in_training=seen)
    return replace(comparison, detectors=tuple(detectors), side_by_side=replace(beside, answers=answers))


def test_a_detector_trained_on_the_images_is_void_wherever_it_is_shown(tables, sample):
    result = compare(list(tables), sample)
    (first, second), images = (one.name for one in result.comparison.detectors), result.comparison.images
    pictures = {one.row: b"" for one in result.comparison.side_by_side.disagreements}

    plain = side_by_side_sections(trained_on(result.comparison, 1, 0), pictures)
    answers, promises = plain[0].tables
    assert (answers.void, promises.void) == ({}, {})
    assert [row[3].status for row in promises.rows] == [Status.GOOD, Status.GOOD]
    assert not any(table.void_columns for table in plain[1].tables)

    void = trained_on(result.comparison, 1, 5)
    beside, groups, disagreements = side_by_side_sections(void, pictures)
    answers, promises = beside.tables
    words = f"void: trained on 5 of these {images:,} images"
    assert answers.void == promises.void == {1: words}
    assert [row[3].status for row in promises.rows] == [Status.GOOD, Status.VOID]
    assert str(promises.rows[1][3]) == "void: trained on these images"
    assert "“Void” means that the detector was trained on some of these images." in promises.notes[0]
    for table in groups.tables:
        assert list(table.columns[2:]) == [first, f"{second} (void)"]
        assert table.void_columns == {3}
        assert table.notes == [f"{second} is {words}."]
    for picture in disagreements.images:
        (line,) = (text for text in picture.lines if text.startswith(f"{second}: "))
        assert line.endswith("(void)")

    content = replace(result, comparison=void)
    assert f"{second} promised at most 0.99 of photographs called fake" in repr(content)
    assert repr(content).count("void: trained on these images") == 1
    assert f"{second} (void)" in repr(content)
    page = comparison_report(content, pictures, None)
    assert str(page.warning).startswith(f"Comparisons with {second} are void")
    assert comparison_report(result, pictures, None).warning is None


def test_no_promise_counts_as_kept_on_images_of_the_training(sample):
    rows = sample.rows("test")
    thresholds = Thresholds(low=0.5, high=0.5, policy="target-fpr", n=100, calibration_hash="", target=0.05)
    perfect = sample.labels[rows].astype(np.float64)
    honest = Scored(name="a", score=perfect, thresholds=thresholds)
    seen = replace(honest, name="b", seen=True)
    assert [one.kept for one in side_by_side([honest, seen], sample, rows).answers] == [True, None]


def test_evaluate_against_holds_the_same(tables, sample):
    first, second = tables
    one = evaluate(first, sample, against=[second]).comparison
    other = compare([first, second], sample).comparison
    assert one == other


def test_the_command_and_its_errors(tables, sample, tmp_path):
    first, second = tables
    done = run_asli("compare", first, second, sample.path, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert "real called fake" in done.stdout
    assert "called real by one detector and fake by another" in done.stdout
    assert (tmp_path / "report/report.html").is_file()
    few = run_asli("compare", first, sample.path)
    assert (few.returncode, few.stderr.count("\n")) == (2, 1)
    assert "asli compare D1 D2 DATA" in few.stderr
    with pytest.raises(DataError, match="is the same as"):
        compare([first, first], sample)
    (tmp_path / "compare.json").write_text("mine")
    with pytest.raises(DataError, match="asli did not write it"):
        compare([first, second], sample, out=tmp_path)
    assert (tmp_path / "compare.json").read_text() == "mine"
