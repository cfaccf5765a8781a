import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from asli.detector.card import Thresholds
from asli.evaluation.evaluate import evaluate
from asli.evaluation.mistakes import KINDS, find_mistakes, pictures_of
from asli.evaluation.sections.mistakes_section import gallery_sections
from asli.metrics.appearance import measure

HALF = Thresholds(low=0.5, high=0.5, policy="argmax", n=0, calibration_hash="")


def test_colorfulness_equals_the_papers_formula(rng):
    image = rng.integers(0, 256, (40, 30, 3), np.uint8)
    red, green, blue = image.reshape(-1, 3).astype(float).T
    rg, yb = red - green, 0.5 * (red + green) - blue
    expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert measure(image).colorfulness == pytest.approx(expected)
    gray = np.repeat(image[..., :1], 3, axis=2)
    assert measure(gray).colorfulness == pytest.approx(0, abs=1e-9)


def test_texture_is_the_mean_step_between_neighbours():
    ramp = np.repeat((np.arange(32) * 4).astype(np.uint8)[None, :, None], 32, axis=0).repeat(3, axis=2)
    assert measure(ramp).texture == pytest.approx(4 / np.sqrt(2), rel=0.02)  # steps of 4 across, none down
    assert measure(np.full((32, 32, 3), 90, np.uint8)).texture == pytest.approx(0, abs=1e-9)


def test_flatness_looks_along_the_edge_alone(rng):
    plain = np.full((32, 32, 3), 120, np.uint8)
    thing = plain.copy()
    thing[4:28, 4:28] = rng.integers(0, 256, (24, 24, 3))
    assert measure(plain).flatness == measure(thing).flatness == 1.0
    busy = rng.integers(0, 256, (32, 32, 3), np.uint8)
    assert measure(busy).flatness == 0.0
    busy[:4] = 7  # the upper row of blocks: 8 of 28
    assert measure(busy).flatness == pytest.approx(8 / 28)


def test_any_size_can_be_measured(rng):
    for height, width in ((1, 1), (3, 40), (33, 17), (700, 300)):
        values = measure(rng.integers(0, 256, (height, width, 3), np.uint8))
        assert np.isfinite([values.colorfulness, values.texture]).all()
        assert 0 <= values.flatness <= 1
    smooth = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((512, 512)))
    half = np.asarray(Image.fromarray(smooth).resize((256, 256), Image.Resampling.BOX))
    assert measure(smooth) == measure(half)  # large pictures are looked at with their shorter side at 256


@pytest.fixture(scope="module")
def rows(sample):
    return np.sort(np.concatenate([sample.rows("validation"), sample.rows("calibration")]))


def scores_wrong_where(data, rows, wrong):
    """Confident scores, right but for some images."""
    fake = data.labels[rows] == 1
    return np.where(fake ^ wrong, 0.9, 0.1) + np.arange(len(rows)) * 1e-5


def test_claims_equal_scipy_scikit_and_statsmodels(sample, rows, rng):
    wrong = rng.uniform(size=len(rows)) < 0.2
    part = find_mistakes(sample, rows, scores_wrong_where(sample, rows, wrong), HALF)
    found = [measure(sample.images[row]) for row in rows]
    p = []
    for test in part.tests:
        chosen = sample.labels[rows] == KINDS.index(test.kind)
        values = np.array([getattr(value, test.measure) for value in found])[chosen]
        assert test.mistakes == wrong[chosen].sum()
        assert test.area.value == pytest.approx(roc_auc_score(wrong[chosen], values))
        p.append(mannwhitneyu(values[wrong[chosen]], values[~wrong[chosen]], method="asymptotic").pvalue)
        assert test.p == pytest.approx(p[-1])
    assert [test.p_holm for test in part.tests] == pytest.approx(multipletests(p, method="holm")[1].tolist())


def test_mistakes_by_chance_show_nothing_and_mistakes_by_color_do(sample, rows, rng):
    shown = 0
    for _ in range(40):
        wrong = rng.uniform(size=len(rows)) < 0.15
        part = find_mistakes(sample, rows[::4], scores_wrong_where(sample, rows[::4], wrong[::4]), HALF)
        shown += any(test.direction != "not shown" for test in part.tests)
    assert shown <= 7  # 2 of 40 expected at the 5% level over all six claims; more than 7 has a chance of 1 in 1000
    vivid = np.array([measure(sample.images[row]).colorfulness for row in rows])
    wrong = (vivid > np.quantile(vivid, 0.8)) & (sample.labels[rows] == 0)
    part = find_mistakes(sample, rows, scores_wrong_where(sample, rows, wrong), HALF)
    (test,) = (t for t in part.tests if (t.kind, t.measure) == ("real called fake", "colorfulness"))
    assert test.direction == "higher"
    sections = gallery_sections(part, pictures_of(sample, part))
    assert "colorfulness higher in photographs called fake" in str(sections[0].headline[0])
    assert "paper" not in str(sections[0])  # a user's report is not about the paper
    assert [row[4] for row in sections[0].tables[1].rows] == [""] * 3  # no fake was called real: nothing to test
    assert [section.id for section in sections] == ["mistakes", "mistakes-real"]


def test_the_most_confident_mistakes_are_shown(sample, rows, rng):
    wrong = rng.uniform(size=len(rows)) < 0.3
    score = scores_wrong_where(sample, rows, wrong)
    part = find_mistakes(sample, rows, score, HALF)
    for code, kind in enumerate(KINDS):
        mistakes = score[wrong & (sample.labels[rows] == code)]
        expected = np.sort(mistakes)[::-1][:12] if code == 0 else np.sort(mistakes)[:12]
        assert [mistake.score for mistake in part.worst[kind]] == expected.tolist()
        for mistake in part.worst[kind]:
            assert sample.labels[mistake.row] == code


def test_of_duplicates_one_is_shown_and_counted(duplicated):
    rows = duplicated.rows("test")
    groups = duplicated.groups(rows)
    wrong = np.isin(groups, [group for group in np.unique(groups) if (groups == group).sum() == 2])
    part = find_mistakes(duplicated, rows, scores_wrong_where(duplicated, rows, wrong), HALF)
    assert wrong.sum() == 32
    assert part.independent == len(rows) - 16
    for kind in KINDS:
        shown = np.array([mistake.row for mistake in part.worst[kind]])
        assert len(shown) == len(np.unique(duplicated.groups(shown))) == 8


def test_report_shows_the_pictures_themselves(finished, sample, tmp_path):
    result = evaluate(finished.path, sample, split="validation", out=tmp_path / "out")
    page = Path(tmp_path / "out/report.html").read_text()
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    mistakes = [mistake for kind in result.mistakes.worst.values() for mistake in kind]
    assert len(sources) == len(mistakes) > 5
    for source, mistake in zip(sources, mistakes, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
        np.testing.assert_array_equal(pixels, sample.images[mistake.row])
        assert mistake.id.split("/")[-1] in page
    counts = result.confusion
    assert result.mistakes.counts == {"real called fake": counts.fp, "fake called real": counts.fn}


def test_what_is_unsure_is_no_mistake(sample, rows, rng):
    wrong = rng.uniform(size=len(rows)) < 0.2
    score = scores_wrong_where(sample, rows, wrong)
    score[::3] = 0.5
    band = Thresholds(low=0.3, high=0.7, policy="target-fpr", n=0, calibration_hash="")
    part = find_mistakes(sample, rows, score, band)
    labels, sure = sample.labels[rows], score != 0.5
    assert part.unsure == (~sure).sum()
    assert part.counts == {kind: (wrong & sure & (labels == code)).sum() for code, kind in enumerate(KINDS)}
    for test in part.tests:
        assert test.right == (~wrong & sure & (labels == KINDS.index(test.kind))).sum()
    assert f"without the {(~sure).sum()} called unsure" in gallery_sections(part, pictures_of(sample, part))[0].notes[0]


def test_a_detector_without_mistakes_has_an_empty_gallery(sample):
    rows = sample.rows("validation")
    part = find_mistakes(sample, rows, scores_wrong_where(sample, rows, np.zeros(len(rows), bool)), HALF)
    assert part.counts == {"real called fake": 0, "fake called real": 0}
    (section,) = gallery_sections(part, {})
    assert section.headline == []
    assert all("not judged" in " ".join(row) for table in section.tables for row in table.rows)
