"""An adopted detector at every entry point: the hub, the command line, the server, without transformers."""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from http.server import ThreadingHTTPServer

import httpx
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from asli.adopting.adopt import adopt
from asli.detector.base import Detector
from asli.detector.calibrate import calibrate
from asli.detector.combine import combine
from asli.detector.predict import predict
from asli.detector.runtimes import OnnxRuntime
from asli.errors import DetectorError
from asli.evaluation.evaluate import evaluate
from asli.explanation.explain import explain
from asli.exporting.int8 import export_int8
from asli.metrics.thresholds import Policy
from asli.sample import golden_images
from asli.scanning.scan import scan
from tests.adopting import networks
from tests.conftest import run_asli
from tests.models.test_hub import COMMITS, Hub
from tests.schemas import require_schema

NAME = "owner/detector"
CARD = "---\nlicense: mit\ndatasets: [owner/pictures]\nbase_model: microsoft/resnet-18\n---\n# A detector\n"


@pytest.fixture(scope="module")
def author(tmp_path_factory):
    folder = networks.save("resnet", tmp_path_factory.mktemp("author") / "resnet")
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def adopted(author, tmp_path_factory):
    place = tmp_path_factory.mktemp("adopted") / "detector"
    adopt(author, place)
    return place


@pytest.fixture(scope="module")
def calibrated(adopted, sample, tmp_path_factory):
    place = tmp_path_factory.mktemp("calibrated") / "detector"
    calibrate(adopted, sample, place, Policy(name="target-fpr", target=0.1))
    return place


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, (_, data) in enumerate(golden_images()[::10]):
        (folder / f"{number}.jpg").write_bytes(data)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def hub(author, tmp_path_factory):
    """The server of the tests of start weights, with one detector; and the client's environment."""

    files = {NAME: {file.name: file.read_bytes() for file in author.iterdir()}}
    detectors = type("Detectors", (Hub,), {"files": files, "requests": Counter()})
    COMMITS[NAME] = hashlib.sha1(b"detector").hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), detectors)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path_factory.mktemp("cache")),
        "HF_HUB_OFFLINE": "0",
    }
    server.shutdown()
    server.server_close()


def scores(predictions):
    return np.array([prediction.score for prediction in predictions])


@pytest.mark.slow
def test_a_detector_is_adopted_from_the_hub_with_its_commit_and_license(hub, adopted, pictures, tmp_path):
    done = run_asli("adopt", f"hub:{NAME}", tmp_path / "detector", "--no-onnx", "--json", **hub)
    assert done.returncode == 0, done.stderr
    said = require_schema("adopt", done.stdout)
    assert said["origin"]["commit"] == COMMITS[NAME]
    assert (said["origin"]["author"], said["origin"]["license"]) == ("owner", "mit")
    assert said["origin"]["parity"]["largest_score_difference"] < 1e-4
    assert said["caveats"] == ["not calibrated: scores are the network's own, 0.5 is its author's threshold"]
    assert np.abs(scores(predict(pictures, tmp_path / "detector")) - scores(predict(pictures, adopted))).max() < 1e-5
    described = run_asli("info", tmp_path / "detector").stdout
    for text in ("hub:owner/detector, commit", "mit", "owner/pictures", "not calibrated", "fake: artificial"):
        assert text in described
    card = (tmp_path / "detector/README.md").read_text()
    assert f"hub:owner/detector, commit {COMMITS[NAME]}" in card
    missing = run_asli("adopt", "hub:owner/nothing", tmp_path / "other", **hub)
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)


@pytest.mark.slow
def test_prediction_needs_no_transformers(adopted, pictures):
    code = (
        "import sys, json\nsys.modules['transformers'] = None\n"  # an import then fails as if it were not installed
        "from asli.detector.predict import predict\n"
        f"found = predict({[str(path) for path in pictures]!r}, {str(adopted)!r})\n"
        "print(json.dumps([one.score for one in found]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert np.abs(json.loads(done.stdout) - scores(predict(pictures, adopted, runtime="torch"))).max() < 1e-5
    refused = subprocess.run(
        [sys.executable, "-c", code.replace(f"{str(adopted)!r})", f"{str(adopted)!r}, runtime='torch')")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "transformers is not installed; install it with: pip install 'asli[hf]'" in refused.stderr


@pytest.mark.slow
def test_calibration_keeps_network_and_onnx_form(adopted, calibrated, pictures):
    before, after = Detector.load(adopted), Detector.load(calibrated)
    assert isinstance(after.runtime("cpu"), OnnxRuntime)
    temperature = after.card.temperature
    assert temperature != 1
    assert np.allclose(before.logits(pictures) / temperature, after.logits(pictures), atol=1e-4)
    onnx, torch_ = (scores(predict(pictures, calibrated, runtime=kind)) for kind in ("onnx", "torch"))
    assert np.abs(onnx - torch_).max() < 1e-5
    assert after.card.thresholds.target == 0.1
    assert after.card.domain.formats == ("JPEG",)
    assert not before.card.domain.formats
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        assert (calibrated / name).read_bytes() == (adopted / name).read_bytes()


def test_data_calibrates_at_once(author, calibrated, sample, tmp_path):
    made = adopt(author, tmp_path / "detector", sample, Policy(name="target-fpr", target=0.1), onnx=False)
    ours, theirs = made.card.thresholds, Detector.load(calibrated).card.thresholds  # one by torch, one by ONNX
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-5)
    for name, figure in ours.evidence.to_dict().items():
        assert figure == pytest.approx(theirs.evidence.to_dict()[name], abs=1e-4), name
    same = {"low": 0.0, "high": 0.0, "evidence": None}  # compared above
    assert dataclasses.replace(ours, **same) == dataclasses.replace(theirs, **same)


def test_evaluate_scan_and_explain(calibrated, sample, pictures, tmp_path):
    result = evaluate(calibrated, sample, out=tmp_path / "report")
    assert result.detector.origin.license == "mit"
    rows = sample.rows("test")
    again = Detector.load(calibrated).predict([sample.pixels.image(int(row)) for row in rows[:20]])
    kept = result.attachments.scores["score"].to_numpy()[:20]
    assert np.abs(kept - scores(again)).max() < 1e-5
    scan(pictures[0].parent, tmp_path / "scores.parquet", calibrated)
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    expected = dict(zip((path.name for path in pictures), scores(predict(pictures, calibrated)), strict=True))
    assert len(table) == len(pictures)
    for row in table:
        name = next(str(value) for key, value in row.items() if str(value).endswith(".jpg"))
        assert abs(row["score"] - expected[name.rpartition("/")[2]]) < 1e-5
    (one,) = explain(pictures[:1], calibrated, out=tmp_path / "explained", check=True).images
    assert one.explanation.layer.startswith("network.resnet.encoder.stages")
    assert -1 <= one.explanation.check.likeness_to_random <= 1
    assert 0 <= one.explanation.check.beats <= 1


@pytest.mark.slow
def test_the_server_gives_the_same_score(calibrated, pictures):
    process = subprocess.Popen(
        [sys.executable, "-m", "asli", "serve", "--detector", str(calibrated), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        found = (re.match(r"(http://127\.0\.0\.1:\d+)/ is the page", line) for line in process.stderr)
        address = next(one[1] for one in found if one)
        threading.Thread(target=process.stderr.read, daemon=True).start()  # so that it never waits for a reader
        files = [("images", (path.name, path.read_bytes())) for path in pictures]
        answer = httpx.post(f"{address}/v1/predict", files=files, timeout=60).json()
        assert answer["detector"]["origin"]["license"] == "mit"
        served = np.array([image["score"] for image in answer["images"]])
        assert np.abs(served - scores(predict(pictures, calibrated))).max() < 1e-5
    finally:
        process.terminate()
        process.wait(60)


def test_a_family_may_hold_it_and_int8_is_refused(adopted, calibrated, sample, pictures, tmp_path):
    combine(["thumbnail", adopted], tmp_path / "family", names=["thumbnail", "theirs"])
    family = Detector.load(tmp_path / "family")
    assert [prediction.member for prediction in family.predict(pictures)] == ["thumbnail"] * len(pictures)
    large = np.asarray(Image.open(pictures[0]).convert("RGB").resize((300, 200)))
    prediction = family.predict(large)
    assert prediction.member == "theirs"
    assert prediction.score == pytest.approx(Detector.load(adopted).predict(large).score, abs=1e-6)
    with pytest.raises(DetectorError, match="adopted network, kept as its author saved it"):
        export_int8(calibrated, sample, tmp_path / "int8")


def test_a_changed_weight_file_is_found(adopted, tmp_path):
    copy = shutil.copytree(adopted, tmp_path / "detector")
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    with pytest.raises(DetectorError, match="is not the file detector.json describes"):
        Detector.load(copy)


def adopt_bare(folder, settings, tmp_path, **how):
    """Adopt weights without a configuration, with preprocessing from a file."""
    (tmp_path / "preprocessing.json").write_text(json.dumps(settings))
    return adopt(
        folder,
        tmp_path / "detector",
        architecture="timm:test_vit",
        strip_prefix="vit.",
        fake_labels=["LABEL_0"],
        preprocessing=tmp_path / "preprocessing.json",
        onnx=False,
        **how,
    )


def test_a_bare_state_dict_with_a_prefix(pictures, tmp_path):
    """As Community Forensics publishes its networks: one output, its sigmoid is P(fake)."""
    import timm
    from timm.data import create_transform, resolve_data_config

    folder, model = networks.save_bare(tmp_path / "author")
    settings = {"input_size": [3, 160, 160], "crop_pct": 0.87, "interpolation": "bilinear", "mean": [0.5, 0.4, 0.3]}
    detector = adopt_bare(folder, settings, tmp_path)
    config = {**timm.get_pretrained_cfg("test_vit").to_dict(), **settings}
    transform = create_transform(**resolve_data_config({}, pretrained_cfg=config), is_training=False)
    with torch.inference_mode():
        inputs = torch.stack([transform(ImageOps.exif_transpose(Image.open(path))) for path in pictures])
        expected = torch.sigmoid(model(inputs))[:, 0].numpy()
    assert np.ptp(expected) > 0.02
    assert np.abs(scores(detector.predict(pictures)) - expected).max() < 1e-4


def test_a_bare_state_dict_with_the_preprocessing_of_transformers(pictures, tmp_path):
    folder, model = networks.save_bare(tmp_path / "author")
    size = {"height": 160, "width": 160}
    settings = {"size": size, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.5, 0.5], "resample": 2}
    detector = adopt_bare(folder, settings, tmp_path, processor="slow")
    resized = [Image.open(path).convert("RGB").resize((160, 160), Image.Resampling.BILINEAR) for path in pictures]
    inputs = torch.tensor(np.array(resized)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(settings[key]).view(3, 1, 1) for key in ("image_mean", "image_std"))
    with torch.inference_mode():
        expected = torch.sigmoid(model((inputs - mean) / std))[:, 0].numpy()
    assert np.ptp(expected) > 0.02
    assert np.abs(scores(detector.predict(pictures)) - expected).max() < 1e-4


@pytest.mark.slow
def test_an_onnx_file_with_its_preprocessing(author, pictures, tmp_path):
    import transformers

    model = transformers.AutoModelForImageClassification.from_pretrained(author).eval()

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, images):
            return torch.softmax(self.model(images).logits, 1)

    with contextlib.redirect_stdout(None):
        torch.onnx.export(
            Logits(),
            (torch.zeros(2, 3, 64, 64),),
            tmp_path / "author.onnx",
            dynamo=True,
            dynamic_shapes={"images": {0: torch.export.Dim("n", min=1)}},
            external_data=False,
        )
    with pytest.raises(DetectorError, match="does not state its preprocessing: give --preprocessing FILE"):
        adopt(tmp_path / "author.onnx", tmp_path / "detector")
    settings = json.loads((author / "preprocessor_config.json").read_text()) | {"labels": ["human", "artificial"]}
    file = tmp_path / "preprocessing.json"
    file.write_text(json.dumps(settings))
    with pytest.raises(DetectorError, match="add up to one, so they are probabilities"):
        adopt(tmp_path / "author.onnx", tmp_path / "detector", preprocessing=file)
    file.write_text(json.dumps(settings | {"outputs": "probabilities"}))
    detector = adopt(tmp_path / "author.onnx", tmp_path / "detector", preprocessing=file)
    pipe = transformers.pipeline("image-classification", model=str(author))
    expected = [{one["label"]: one["score"] for one in pipe(str(path))}["artificial"] for path in pictures]
    assert np.abs(scores(detector.predict(pictures)) - expected).max() < 1e-4
    (one,) = explain(pictures[:1], detector, out=tmp_path / "explained", method="occlusion").images
    cells = np.array(one.explanation.cells)
    assert (one.explanation.method, one.explanation.layer) == ("occlusion", None)
    assert np.isfinite(cells).all()
    assert np.ptp(cells) > 0
    with pytest.raises(DetectorError, match="only the onnx runtime computes it"):
        explain(pictures[:1], detector, out=tmp_path / "explained")
