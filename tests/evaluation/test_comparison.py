import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from asli.detector.base import Detector
from asli.errors import DataError, DetectorError
from asli.evaluation.comparison import Contender, compare
from asli.evaluation.evaluate import evaluate
from asli.evaluation.result import present_figures
from asli.evaluation.sections.comparison_section import comparison_section, draw
from asli.files import read_json
from asli.metrics.paired import holm
from asli.recipe import load_recipe
from asli.reports.colors import REAL, VOID, Status


def judged(rng, labels, name, skill, family=None, seed=None):
    score = 1 / (1 + np.exp(-(rng.normal(size=len(labels)) + skill * (2 * labels - 1))))
    rows = np.arange(len(labels))
    return Contender(name=name, hash=name, rows=rows, score=score, threshold=0.5, family=family, seed=seed)


@pytest.fixture
def labels(rng):
    return rng.integers(0, 2, 2000).astype(np.int8)


def test_a_better_detector_is_found_better_and_an_equal_one_is_not(rng, labels):
    first, worse, equal = (judged(rng, labels, name, skill) for name, skill in (("a", 2), ("b", 1), ("c", 2)))
    part = compare(first, [worse, equal], labels, np.arange(2000))
    assert [pair.other for pair in part.pairs] == ["b", "c"]
    assert all(test.shown and test.low > 0 for test in part.pairs[0].tests.values())
    assert not any(test.shown for test in part.pairs[1].tests.values())
    right = (first.score >= 0.5) == (labels == 1)
    other = (worse.score >= 0.5) == (labels == 1)
    assert part.pairs[0].first_only == (right & ~other).sum()
    assert part.pairs[0].tests["accuracy"].difference == pytest.approx(right.mean() - other.mean())


def test_holm_runs_over_all_claims(rng, labels):
    runs = [judged(rng, labels, f"a{seed}", 1.5, "A", seed) for seed in range(3)]
    rivals = [judged(rng, labels, f"b{seed}", 1.4, "B", seed) for seed in range(3)]
    part = compare(runs[0], [*runs[1:], *rivals], labels, np.arange(2000))
    tests = [test for block in (*part.pairs, *part.recipes) for test in block.tests.values()]
    assert part.tests == len(tests) == 3 * 3 + 3
    assert [test.p_holm for test in tests] == holm([test.p for test in tests])


def test_seeds_are_units_where_both_recipes_have_two(rng, labels):
    runs = [judged(rng, labels, f"a{seed}", 2.0, "A", seed) for seed in (1, 2, 3)]
    rivals = [judged(rng, labels, f"b{seed}", 1.0, "B", seed) for seed in (1, 2, 3)]
    lonely = judged(rng, labels, "c", 1.0, "C", 1)
    part = compare(runs[0], [*runs[1:], *rivals, lonely], labels, np.arange(2000))
    (line,) = part.recipes
    assert (line.first, line.other) == (("a1", "a2", "a3"), ("b1", "b2", "b3"))
    figures = {d.name: d.figures["accuracy"] for d in part.detectors}
    means = [np.mean([figures[f"{letter}{seed}"] for seed in (1, 2, 3)]) for letter in "ab"]
    test = line.tests["accuracy"]
    assert test.method == "paired"
    assert test.means == pytest.approx(means)
    assert test.difference == pytest.approx(means[0] - means[1])
    assert test.seeds_needed >= 2
    assert [pair.other for pair in part.pairs] == ["b1", "b2", "b3", "c"]  # its own seeds serve the seeds alone
    section = comparison_section(part)
    assert len(section.tables) == 3
    assert all(len(row) == len(table.columns) for table in section.tables for row in table.rows)
    (claims, *_) = section.tables
    told = part.to_dict()
    assert len(claims.rows) == told["tests"]
    assert all(row[2].drawing.startswith("<svg") for row in claims.rows)
    shown = [claim["shown"] for block in (*told["pairs"], *told["recipes"]) for claim in block["tests"].values()]
    assert [str(row[1]) != "not shown" for row in claims.rows] == shown
    assert "Is it better over seeds (3 against 3 runs)? Yes" in str(section.headline[-1])


def test_a_detector_trained_on_the_images_makes_its_comparisons_void(rng, labels):
    part = compare(judged(rng, labels, "a", 2.0), [judged(rng, labels, "b", 1.0)], labels, np.arange(2000))
    assert {str(row[1]) for row in comparison_section(part).tables[0].rows} == {"shown: better"}
    seen = replace(part, detectors=(part.detectors[0], replace(part.detectors[1], seen_in_training=5)))
    section = comparison_section(seen)
    claims, detectors = section.tables[:2]
    assert {str(row[1]) for row in claims.rows} == {"void: trained on these images"}
    assert {row[1].status for row in claims.rows} == {Status.VOID}
    assert claims.void == dict.fromkeys(range(3), "")
    assert all('fill="var(--ground)"' in row[2].drawing and "dasharray" in row[2].drawing for row in claims.rows)
    assert detectors.void == {1: "void: trained on 5 of these 2,000 images"}
    assert "b was trained on 5 of these" in str(section.headline[0])
    assert str(section.headline[1]) == (  # and no numbers, which would prove nothing
        "Is a better than b on the same images? It cannot be told, because one of them was trained on these images."
    )


def points(part):
    """Return the drawn points: color, face, and how their intervals are dashed; and what resting on them shows."""
    figure = draw(part)
    *lines, _zero, _hover = figure.axes[0].lines
    return (
        {(one.get_color(), one.get_markerfacecolor()) for one in lines[1::2]},
        {one.get_linestyle() for one in lines[::2]},
        [text for texts in figure.hover_texts.values() for text in texts],
    )


def test_a_void_comparison_is_drawn_hollow_gray_and_dashed_and_called_void(rng, labels):
    first, others = judged(rng, labels, "a", 2.0), [judged(rng, labels, name, 1.0) for name in "bc"]
    part = compare(first, others, labels, np.arange(2000))
    drawn, dashes, texts = points(part)
    assert (drawn, dashes) == ({(REAL, REAL)}, {"-"})
    assert not any("void" in text for text in texts)
    assert "void" not in comparison_section(part).figures[0].note
    *_, last = part.detectors
    seen = replace(part, detectors=(*part.detectors[:2], replace(last, seen_in_training=5)))
    drawn, dashes, texts = points(seen)
    assert (drawn, dashes) == ({(REAL, REAL), (VOID, "none")}, {"-", "--"})
    assert [text.split("\n")[0] for text in texts[3:]] == [f"{name}, c (void)" for name in ("F1", "accuracy", "AUROC")]
    assert all(text.endswith("void: trained on these images") for text in texts[3:])
    assert not any("void" in text for text in texts[:3])
    assert "Gray and dashed: void" in comparison_section(seen).figures[0].note


def test_over_seeds_one_run_that_was_trained_on_the_images_makes_the_test_void(rng, labels):
    runs = [judged(rng, labels, f"a{seed}", 2.0, "A", seed) for seed in (1, 2)]
    rivals = [judged(rng, labels, f"b{seed}", 1.0, "B", seed) for seed in (1, 2)]
    part = compare(runs[0], [runs[1], *rivals], labels, np.arange(2000))
    assert comparison_section(part).tables[2].void == {}
    seen = replace(part, detectors=(*part.detectors[:3], replace(part.detectors[3], seen_in_training=1)))
    claims, _, seeds = comparison_section(seen).tables
    assert seeds.void == dict.fromkeys(range(3), "void: trained on these images")
    assert sorted(claims.void) == [3, 4, 5, 6, 7, 8]  # the pair with b2, and the recipes
    assert str(comparison_section(seen).headline[-1]).startswith(
        "Is it better over seeds (2 against 2 runs)? It cannot"
    )


def test_two_seeds_of_one_recipe_are_compared_as_models_and_said_to_be_that(rng, labels):
    runs = [judged(rng, labels, f"a{seed}", 1.5, "A", seed) for seed in range(2)]
    part = compare(*[runs[0], runs[1:]], labels, np.arange(2000))
    assert part.pairs[0].same_recipe
    assert part.recipes == ()
    assert "same recipe, other seed" in str(comparison_section(part).headline[0])
    with pytest.raises(DataError, match="same recipe and seed"):
        compare(runs[0], [judged(rng, labels, "again", 1.5, "A", 0)], labels, np.arange(2000))


def test_duplicates_count_once(rng, labels):
    first, other = (judged(rng, labels, name, 1.5) for name in "ab")
    once = compare(first, [other], labels, np.arange(2000)).pairs[0]
    double = [replace(d, rows=np.arange(4000), score=np.tile(d.score, 2)) for d in (first, other)]
    twice = compare(double[0], double[1:], np.tile(labels, 2), np.tile(np.arange(2000), 2)).pairs[0]
    for name in ("accuracy", "auroc", "f1"):
        assert twice.tests[name].p == pytest.approx(once.tests[name].p, abs=1e-9), name
        assert twice.tests[name].low == pytest.approx(once.tests[name].low, abs=1e-9), name


def test_family_is_the_recipe_without_its_seed():
    assert load_recipe("paper", ["loop.seed=7"]).family() == load_recipe("paper").family()
    assert load_recipe("paper", ["loop.seed=7"]).hash() != load_recipe("paper").hash()
    assert load_recipe("paper", ["optim.lr=1e-3"]).family() != load_recipe("paper").family()


@pytest.fixture(scope="module")
def shaken(finished, tmp_path_factory):
    """A run of the same recipe but for its seed, whose network was shaken: a second, worse detector."""
    folder = tmp_path_factory.mktemp("runs") / "shaken"
    folder.mkdir()
    text = (finished.path / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(text.replace("seed = 42", "seed = 43"))
    shutil.copy(finished.metrics, folder)
    detector = Detector.load(finished.path)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in detector.network.module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15 * parameter.abs().mean())
    detector.save(folder / "detector")
    return folder


@pytest.mark.slow
def test_evaluate_against_another_run(finished, sample, shaken, tmp_path):
    result = evaluate(finished.path, sample, split="validation", out=tmp_path / "out", against=[shaken])
    (pair,) = result.comparison.pairs
    assert pair.other.endswith("/shaken")
    mine, theirs = result.comparison.detectors
    assert mine.family == theirs.family
    for key in ("f1", "accuracy"):
        assert mine.figures[key] == pytest.approx(result.metrics[key].value)
        difference = mine.figures[key] - theirs.figures[key]
        assert pair.tests[key].difference == pytest.approx(difference)
    alone = evaluate(shaken / "detector", sample, split="validation", out=tmp_path / "alone")
    assert theirs.figures["f1"] == pytest.approx(alone.metrics["f1"].value)
    page = (tmp_path / "out/report.html").read_text()
    assert "Comparison" in page
    assert "McNemar" in page


def test_what_cannot_be_compared_is_refused_before_anything_is_scored(finished, sample, shaken, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(DataError, match="is the same as the one evaluated"):
        evaluate(finished.path, sample, split="validation", out=out, against=[finished.detector])
    shutil.copytree(shaken, tmp_path / "copy")
    with pytest.raises(DataError, match="is the same as"):
        evaluate(finished.path, sample, split="validation", out=out, against=[shaken, tmp_path / "copy"])
    with pytest.raises(DetectorError, match="no detector"):
        evaluate(finished.path, sample, split="validation", out=out, against=[tmp_path])
    text = (shaken / "recipe.toml").read_text()
    (tmp_path / "copy/recipe.toml").write_text(text.replace("seed = 43", "seed = 42"))
    with pytest.raises(DataError, match="same recipe and seed 42"):
        evaluate(finished.path, sample, split="validation", out=out, against=[tmp_path / "copy"])
    assert not out.exists()


@pytest.mark.slow
def test_each_detector_opens_test_for_itself(finished, shaken, tmp_path):
    from asli.sample import open_sample

    data = open_sample(tmp_path / "data")
    evaluate(finished.path, data, out=tmp_path / "out", against=[shaken])
    assert len({line["detector_hash"] for line in data.ledger()}) == len(data.ledger()) == 2


@pytest.mark.slow
def test_tables_of_scores_can_be_compared_with(finished, sample, shaken, tmp_path):
    """asli's own table brings its threshold; anyone's is cut at one half; images without a score are left out."""
    alone = evaluate(shaken, sample, split="validation", out=tmp_path / "alone")
    whole = evaluate(finished.path, sample, split="validation", out=tmp_path / "whole", against=[shaken])
    own = tmp_path / "alone/scores.parquet"
    again = evaluate(finished.path, sample, split="validation", out=tmp_path / "again", against=[own])
    ours, theirs = (result.comparison.pairs[0].tests for result in (whole, again))
    assert ours == theirs
    table = pq.read_table(own).to_pylist()[10:]
    lines = [f"{line['id']},{line['score']!r}" for line in table]
    (tmp_path / "theirs.csv").write_text("\n".join(["filename,score", *lines]))
    foreign = evaluate(
        finished.path, sample, split="validation", out=tmp_path / "foreign", against=[tmp_path / "theirs.csv"]
    ).comparison
    assert (foreign.images, foreign.left_out) == (alone.data.images - 10, 10)
    assert foreign.detectors[1].threshold == 0.5
    right = [(line["score"] >= 0.5) == (line["label"] == "fake") for line in table]
    assert foreign.detectors[1].figures["accuracy"] == pytest.approx(np.mean(right))
    reverse = evaluate(
        own, sample, split="validation", out=tmp_path / "reverse", against=[finished.path], threshold=0.5
    ).comparison
    assert reverse.detectors[0].family is None
    assert reverse.pairs[0].tests["auroc"].difference == pytest.approx(-ours["auroc"].difference)
    with pytest.raises(DataError, match="needs the detector itself"):
        evaluate(own, sample, split="validation", out=tmp_path / "no", robustness=10)


@pytest.mark.slow
def test_results_of_version_2_are_still_read(finished, sample, shaken, tmp_path):
    """asli 0.1.0 wrote this `metrics.json`, less its curves, gallery and most groups."""
    former = Path(__file__).parent / "metrics-version-2.json"
    alone = evaluate(shaken, sample, split="validation", out=tmp_path / "alone")
    shutil.copy(former, alone.folder / "metrics.json")
    table = alone.folder / "scores.parquet"
    compared = evaluate(finished.path, sample, split="validation", against=[table]).comparison
    assert compared.detectors[1].threshold == read_json(former)["threshold"] == 0.6
    figures = present_figures(read_json(former)["figures"])
    assert set(figures) == {"threshold", "argmax", "threshold_free"}
    assert 0 < figures["threshold_free"]["auroc"]["value"] < 1
    alone.save(alone.folder)  # an earlier report of asli is replaced
    assert read_json(alone.folder / "metrics.json") == alone.to_dict()
