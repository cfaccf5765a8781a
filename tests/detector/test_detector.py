import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from asli.detector.base import Detector
from asli.detector.card import Thresholds
from asli.detector.domain import Domain
from asli.detector.predict import predict
from asli.errors import DetectorError
from asli.metrics.classification import log_losses, score_of_logits
from asli.pipeline import train
from asli.sample import sample_images
from tests.compare import SAME

CPU = torch.device("cpu")


def logits_of(detector, images):
    return detector.runtime(CPU).logits([detector.preprocessing.to_input(image) for image in images])


@pytest.fixture
def bundle(finished, tmp_path):
    shutil.copytree(finished.detector, tmp_path / "detector")
    return tmp_path / "detector"


def test_saved_and_opened_it_is_the_same_detector(finished, sample, tmp_path):
    first = Detector.load(finished.path)
    first.save(tmp_path / "copy")
    second = Detector.load(tmp_path / "copy")
    images = sample.images[:50]
    assert score_of_logits(logits_of(first, images)) == pytest.approx(
        score_of_logits(logits_of(second, images)), abs=SAME
    )
    weights = second.network.module.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in first.network.module.state_dict().items())
    assert (first.card, first.preprocessing) == (second.card, second.preprocessing)
    assert first.hash == second.hash == Detector.load(tmp_path / "copy").hash
    assert len({path.stat().st_mode for path in second.folder.iterdir()}) == 1, "whoever may read one file may read all"


def test_temperature_is_folded_into_the_head_and_fits_the_calibration_part(finished, sample):
    from asli.metrics.calibration import fit_temperature
    from asli.training import checkpoint

    detector = Detector.load(finished.path)
    raw = checkpoint.load(checkpoint.pointed(finished.checkpoints, "best"), "model")
    temperature = detector.card.temperature
    assert temperature != 1.0
    assert torch.allclose(detector.network.module.linear.weight, raw["linear.weight"] / temperature)
    assert torch.allclose(detector.network.module.linear.bias, raw["linear.bias"] / temperature)
    rows = sample.rows("calibration")
    logits = logits_of(detector, sample.images[rows])
    assert fit_temperature(sample.labels[rows], logits) == pytest.approx(1.0, abs=0.01)
    assert log_losses(sample.labels[rows], logits).mean() < log_losses(sample.labels[rows], logits * temperature).mean()


def test_threshold_is_the_calibration_parts_best(finished, sample):
    from asli.metrics.classification import Confusion

    detector, rows = Detector.load(finished.path), sample.rows("calibration")
    scores = score_of_logits(logits_of(detector, sample.images[rows]))
    at = Confusion.at(sample.labels[rows], scores, detector.card.thresholds.high).f1
    assert at == pytest.approx(max(Confusion.at(sample.labels[rows], scores, t).f1 for t in scores))


def test_score_does_not_depend_on_the_company(finished, sample):
    detector = Detector.load(finished.path)
    together = score_of_logits(logits_of(detector, sample.images[:64]))
    alone = [score_of_logits(logits_of(detector, sample.images[i : i + 1]))[0] for i in range(64)]
    assert np.abs(together - alone).max() < 1e-5


@pytest.mark.slow
def test_timm_network_opens_in_timm_and_transformers_with_the_same_score(sample, tmp_path):
    import timm
    from transformers import pipeline

    settings = ["model.name=resnet18", "data.size=64", "data.interpolation=bicubic", "loop.max_updates=2"]
    run = train("smoke", sample, tmp_path / "run", settings=settings)
    ids = sample.table(["id"], sample.rows("test")[::40])["id"].to_pylist()
    files = sample_images(ids, tmp_path / "images")
    ours = [image["score"] for image in predict(files, run.path).to_dict()["images"]]
    assert np.ptp(ours) > 1e-4

    model = timm.create_model(f"local-dir:{run.detector}", pretrained=True).eval()
    chain = timm.data.create_transform(**timm.data.resolve_data_config(model=model))
    with torch.inference_mode():
        batch = torch.stack([chain(Image.open(file)) for file in files])
        theirs = model(batch).double().softmax(dim=1)[:, 1].tolist()
    assert ours == pytest.approx(theirs, abs=1e-5)

    classify = pipeline("image-classification", model=str(run.detector))
    answers = [{a["label"]: a["score"] for a in classify(str(file))}["fake"] for file in files]
    assert ours == pytest.approx(answers, abs=1e-5)


def damage(folder, **changes):
    info = json.loads((folder / "detector.json").read_text())
    (folder / "detector.json").write_text(json.dumps({**info, **changes}))


def test_newer_foreign_and_damaged_bundles_are_refused(bundle, tmp_path):
    with pytest.raises(DetectorError, match="no detector.json"):
        Detector.load(tmp_path / "nowhere")
    damage(bundle, version=99)
    with pytest.raises(DetectorError, match="update asli"):
        Detector.load(bundle)
    damage(bundle, version=1, labels=["fake", "real"])
    with pytest.raises(DetectorError, match="has labels"):
        Detector.load(bundle)
    damage(bundle, labels=["real", "fake"], card={})
    with pytest.raises(DetectorError, match="damaged or foreign"):
        Detector.load(bundle)
    (bundle / "detector.json").write_text("{")
    with pytest.raises(DetectorError, match="is damaged"):
        Detector.load(bundle)


def test_changed_weights_are_refused(bundle):
    weights = bytearray((bundle / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (bundle / "model.safetensors").write_bytes(weights)
    with pytest.raises(DetectorError, match="not the file detector.json describes"):
        Detector.load(bundle)


def test_unfinished_run_says_how_to_finish(finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/detector")
    with pytest.raises(DetectorError, match="--resume"):
        Detector.load(tmp_path / "run")
    train("demo", _data_of(finished), tmp_path / "run", settings=_settings(finished), resume=True)
    again, before = Detector.load(tmp_path / "run"), Detector.load(finished.path)
    assert again.hash == before.hash


def _data_of(run):
    from asli.datasets.folder import DataFolder

    # the session's sample lies beside the runs
    return DataFolder.open(next(run.path.parents[1].glob("data*/sample")))


def _settings(run):
    return [f"loop.{key}={getattr(run.recipe.loop, key)}" for key in ("epochs", "evaluate_every", "checkpoint_every")]


def test_predict_gives_the_contracts_objects(finished, sample, tmp_path):
    ids = sample.table(["id"], sample.rows("test")[[0, -1]])["id"].to_pylist()
    files = [*sample_images(ids, tmp_path), tmp_path / "missing.jpg", tmp_path / "broken.jpg"]
    files[-1].write_bytes(files[0].read_bytes()[:300])
    result = predict(files, finished.path).to_dict()
    for image in result["images"]:
        assert set(image) == {
            *("path", "score", "verdict", "reasons", "thresholds"),
            *("stability", "domain", "provenance", "member", "error"),
        }
    good, bad = result["images"][:2], result["images"][2:]
    rows = sample.rows("test")[[0, -1]]
    direct = score_of_logits(logits_of(Detector.load(finished.path), sample.images[rows]))
    assert [image["score"] for image in good] == pytest.approx(direct.tolist(), abs=SAME)
    assert all(image["domain"]["inside"] and image["verdict"] in ("real", "fake") for image in good)
    assert [image["verdict"] for image in bad] == [None, None]
    assert bad[0]["error"].startswith("cannot be read: No such file")
    assert bad[1]["error"].startswith("cannot be decoded")


def test_picture_of_another_kind_is_unsure_unless_forced(finished, tmp_path, rng):
    photo = tmp_path / "photo.jpg"
    Image.fromarray(rng.integers(0, 256, (600, 800, 3), dtype=np.uint8)).save(photo, quality=75)
    (image,) = predict([photo], finished.path).to_dict()["images"]
    assert image["verdict"] == "unsure"
    assert "800 x 600 pixels; supported are images of 32 px" in image["reasons"][0]
    forced = predict([photo], finished.path, force_domain=True).to_dict()
    assert forced["detector"]["force_domain"] is True
    assert forced["images"][0]["verdict"] in ("real", "fake")
    assert forced["images"][0]["reasons"] == image["reasons"]


def test_domain_looks_at_format_and_quality():
    from asli.datasets.images import Facts

    domain = Domain(formats=("JPEG",), sizes=(32, 32), qualities=(75, 75), generators=())
    facts = Facts(format="JPEG", width=32, height=32, quality=75)
    pixels = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    changes = ({}, {"quality": 90}, {"format": "PNG", "quality": None}, {"height": 31})
    inside, *others = domain.why_all_outside([replace(facts, **change) for change in changes], [pixels] * 4)
    assert inside is None
    for words, why in zip(("quality 90", "PNG file", "32 x 31"), others, strict=True):
        assert words in why


def test_verdict_band():
    thresholds = Thresholds(low=0.2, high=0.8, policy="p", n=1, calibration_hash="")
    assert [thresholds.verdict(s) for s in (0.0, 0.19, 0.2, 0.79, 0.8, 1.0)] == [
        *("real", "real", "unsure", "unsure", "fake", "fake")
    ]


def test_windows_of_an_image_are_averaged(finished, sample):
    detector = Detector.load(finished.path)
    parts = logits_of(detector, sample.images[:5])
    runtime = detector.runtime(CPU)
    averaged = runtime.logits([sample.images[:2], sample.images[2:5]])
    expected = np.stack([parts[:2].mean(axis=0), parts[2:].mean(axis=0)])
    assert score_of_logits(averaged) == pytest.approx(score_of_logits(expected), abs=SAME)
    assert averaged == pytest.approx(expected, abs=1e-4)
