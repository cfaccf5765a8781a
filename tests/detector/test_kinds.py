"""Ensembles and families from every entry point."""

import json
import shutil

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import asli
from asli.detector.base import Detector
from asli.detector.classifier import Classifier
from asli.detector.domain import Domain
from asli.detector.ensemble import COMBINERS, fit_combination
from asli.errors import DetectorError
from asli.metrics.classification import auroc, score_of_logits
from asli.sample import sample_images
from asli.serving.app import create_app
from tests.compare import SAME
from tests.conftest import run_asli
from tests.detector.upload_hub import upload_hub

SECOND = ["model.name=compact_resnet8x32", "loop.epochs=1", "loop.evaluate_every=0", "loop.seed=3"]


@pytest.fixture(scope="module")
def second(sample, tmp_path_factory):
    return asli.train("demo", sample, tmp_path_factory.mktemp("runs") / "second", settings=SECOND).detector


@pytest.fixture(scope="module")
def ensemble(finished, second, sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("kinds") / "ensemble"
    asli.combine([finished.detector, second], out, sample, names=["one", "two"])
    return out


@pytest.fixture(scope="module")
def large(finished, sample, tmp_path_factory):
    """A detector for PNG files of 40 to 400 px, with the weights of the other one."""
    small = Detector.load(finished.path)
    domain = Domain(formats=("PNG",), sizes=(40, 400), qualities=None, generators=())
    thresholds = asli.Detector.load(finished.path).card.thresholds
    from dataclasses import replace

    card = replace(small.card, domain=domain, thresholds=replace(thresholds, low=0.25, high=0.75))
    out = tmp_path_factory.mktemp("kinds") / "large"
    Classifier(small.network, small.preprocessing, card).save(out)
    return out


@pytest.fixture(scope="module")
def family(finished, large, tmp_path_factory):
    out = tmp_path_factory.mktemp("kinds") / "family"
    asli.combine([finished.detector, large], out, names=["thumbnails", "large"])
    return out


@pytest.fixture(scope="module")
def pictures(sample, tmp_path_factory):
    ids = sample.table(["id"], sample.rows("test")[::50])["id"].to_pylist()
    return sample_images(ids, tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def mixed(pictures, tmp_path_factory):
    """Two thumbnails, one larger PNG, one JPEG that no member takes."""
    place = tmp_path_factory.mktemp("mixed")
    with Image.open(pictures[2]) as picture:
        picture.resize((100, 80)).save(place / "c.png")
        picture.resize((1000, 800)).save(place / "d.jpg")
    return [*pictures[:2], place / "c.png", place / "d.jpg"]


@pytest.mark.slow
def test_an_ensemble_is_what_its_formula_says(ensemble, finished, second, sample):
    opened = Detector.load(ensemble)
    rows = sample.rows("test")[:64]
    odds = []
    for detector in (finished.detector, second):
        member = Detector.load(detector)
        logits = member.runtime("cpu").logits(sample.pixels.fitted(rows, member.preparation))
        odds.append(logits[:, 1] - logits[:, 0])
    expected = 1 / (1 + np.exp(-opened.combination.combine(np.stack(odds, axis=1))))
    found = score_of_logits(opened.runtime("cpu").logits(sample.pixels.fitted(rows, opened.preparation)))
    assert found == pytest.approx(expected, abs=SAME)
    labels = sample.labels[sample.rows("test")]
    result = asli.evaluate(opened, sample)
    members = [asli.evaluate(one, sample).metrics["auroc"].value for one in (finished.detector, second)]
    assert result.metrics["auroc"].value >= min(members)
    assert len(labels) == result.data.images


@pytest.mark.parametrize("method", list(COMBINERS))
def test_combinations_keep_what_members_agree_on(method):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 300)
    odds = np.stack([rng.normal(2 * labels - 1, 1.5), rng.normal(6 * labels + 5, 4)], axis=1)
    combination = fit_combination(method, odds, labels)
    combined = combination.combine(odds)
    assert auroc(labels, combined) > max(auroc(labels, odds[:, 0]), auroc(labels, odds[:, 1])) - 0.02
    scores = 1 / (1 + np.exp(-combined))
    assert scores[labels == 1].mean() == pytest.approx(1 - scores[labels == 0].mean(), abs=0.1)  # calibrated


def test_a_family_gives_each_image_to_the_member_whose_domain_holds_it(family, finished, large, mixed):
    answers = Detector.load(family).predict(mixed)
    assert [answer.member for answer in answers] == ["thumbnails", "thumbnails", "large", "large"]
    alone = [Detector.load(finished.path).predict(mixed[0]), Detector.load(large).predict(mixed[2])]
    assert [answers[0].score, answers[2].score] == pytest.approx([one.score for one in alone], abs=SAME)
    for answer, detector in ((answers[2], large), (answers[0], finished.path)):
        theirs = Detector.load(detector).thresholds
        assert (answer.thresholds.low, answer.thresholds.high) == (theirs.low, theirs.high)
    assert [answer.domain.inside for answer in answers] == [True, True, True, False]
    assert answers[3].verdict == "unsure"
    # that of the member nearest in size
    assert answers[3].domain.why == "1000 x 800 pixels; supported are images of 40 to 400 px a side"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ensemble", "family"])
def test_every_entry_point_gives_the_same_scores(kind, request, mixed, sample, tmp_path):
    folder = request.getfixturevalue(kind)
    detector = Detector.load(folder)
    expected = [answer.score for answer in detector.predict(mixed)]
    members = [answer.member for answer in detector.predict(mixed)]
    done = run_asli("predict", *mixed, "--detector", folder, "--json")
    assert done.returncode == 0, done.stderr
    images = json.loads(done.stdout)["images"]
    assert [image["score"] for image in images] == pytest.approx(expected, abs=SAME)
    assert [image["member"] for image in images] == members
    asli.scan(mixed, tmp_path / "scores.parquet", folder)
    table = {row["path"].rsplit("/", 1)[-1]: row for row in pq.read_table(tmp_path / "scores.parquet").to_pylist()}
    rows = [table[path.name] for path in mixed]
    assert [row["score"] for row in rows] == pytest.approx(expected, abs=SAME)
    assert [row["member"] for row in rows] == members
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(detector, max_bytes=10**7, max_images=9)), base_url="http://x"
    )

    async def ask():
        async with client:
            files = [("images", (path.name, path.read_bytes())) for path in mixed]
            return (await client.post("/v1/predict", files=files)).json()

    import asyncio

    served = asyncio.run(ask())["images"]
    assert [image["score"] for image in served] == pytest.approx(expected, abs=SAME)
    asli.evaluate(detector, sample, split="validation", out=tmp_path / "report")
    evaluated = pq.read_table(tmp_path / "report/scores.parquet").slice(0, 5).to_pydict()
    alone = detector.predict(sample_images(evaluated["id"], tmp_path / "evaluated"))
    assert [answer.score for answer in alone] == pytest.approx(evaluated["score"], abs=SAME)
    if kind == "family":
        explained = asli.explain(mixed[:1], detector, out=tmp_path / "maps", method="occlusion").images[0]
        assert explained.explanation.picture
        assert explained.prediction.score == pytest.approx(expected[0], abs=SAME)
    with upload_hub(tmp_path / "cache") as hub:
        pushed = run_asli("push", folder, "owner/mine", **hub)
        assert pushed.returncode == 0, pushed.stderr
        fetched = run_asli("predict", *mixed, "--detector", "hub:owner/mine", "--json", **hub)
    assert fetched.returncode == 0, fetched.stderr
    assert [image["score"] for image in json.loads(fetched.stdout)["images"]] == pytest.approx(expected, abs=SAME)


def test_what_a_kind_cannot_do_is_one_line(ensemble, family, sample, mixed, tmp_path):
    with pytest.raises(DetectorError, match="an explanation needs a single network"):
        asli.explain(mixed[:1], ensemble, out=tmp_path / "maps")
    with pytest.raises(DetectorError, match="ONNX export needs a single network, and this is of kind 'family'"):
        asli.export_onnx(family)
    with pytest.raises(DetectorError, match="int8 needs a single network"):
        asli.export_int8(ensemble, sample, tmp_path / "int8")
    with pytest.raises(DetectorError, match="a family has no preprocessing and thresholds of its own"):
        asli.calibrate(family, sample, tmp_path / "new")
    assert asli.evaluate(family, sample, split="validation").metrics["auroc"].value > 0.6  # all are thumbnails
    made = asli.calibrate(ensemble, sample, tmp_path / "careful", asli.Policy(name="target-fpr", target=0.2))
    assert Detector.load(tmp_path / "careful").hash == made.hash
    assert made.thresholds.policy == "target-fpr"


def test_a_damaged_member_is_named(family, tmp_path):
    shutil.copytree(family, tmp_path / "family")
    weights = tmp_path / "family/members/large/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(DetectorError, match=r"members/large/model\.safetensors is not the file"):
        Detector.load(tmp_path / "family")
    shutil.rmtree(tmp_path / "family/members/large")
    with pytest.raises(DetectorError, match="members/large is missing"):
        Detector.load(tmp_path / "family")


def test_a_kind_that_is_not_installed_is_named(ensemble, tmp_path):
    shutil.copytree(ensemble, tmp_path / "other")
    info = json.loads((tmp_path / "other/detector.json").read_text())
    (tmp_path / "other/detector.json").write_text(json.dumps({**info, "kind": "oracle"}))
    with pytest.raises(DetectorError, match="of kind 'oracle'; installed are adopted, classifier, ensemble, family"):
        Detector.load(tmp_path / "other")


def test_combine_and_info_on_the_command_line(finished, second, sample, tmp_path):
    made = run_asli(
        *["combine", finished.detector, second, "--data", sample.path, "--out", tmp_path / "e", "--method", "maximum"]
    )
    assert made.returncode == 0, made.stderr
    shown = run_asli("info", tmp_path / "e")
    assert shown.returncode == 0, shown.stderr
    assert "(ensemble)" in shown.stdout
    assert "member detector" not in shown.stdout  # named after their runs
    alone = run_asli("combine", finished.detector, "--out", tmp_path / "x")
    assert (alone.returncode, alone.stderr.count("\n")) == (1, 1)
    assert "two detectors or more" in alone.stderr


def test_saving_replaces_a_detector_as_a_whole_and_keeps_other_files(finished, tmp_path, monkeypatch):
    place = tmp_path / "detector"
    shutil.copytree(finished.detector, place)
    (place / "notes.txt").write_text("mine")
    before = {file.name: file.read_bytes() for file in place.iterdir()}
    detector = Detector.load(place)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("asli.detector.store.write_text", fail)
        with pytest.raises(OSError, match="No space"):
            detector.save(place)
    assert {file.name: file.read_bytes() for file in place.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["detector"]
    detector.save(place)
    assert (place / "notes.txt").read_text() == "mine"
    assert Detector.load(place).hash == detector.hash
