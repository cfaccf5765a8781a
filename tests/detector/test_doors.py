"""One detector behind every door: torch, ONNX, int8, Python, the command line, the hub."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from asli.detector.base import Detector
from asli.detector.building import fold_temperature
from asli.detector.calibrate import calibrate
from asli.detector.classifier import Classifier
from asli.detector.predict import predict
from asli.detector.runtimes import OnnxRuntime, TorchRuntime, usable_threads
from asli.detector.store import identity
from asli.errors import DetectorError, MissingExtraError
from asli.evaluation.evaluate import evaluate
from asli.exporting import onnx as exporting
from asli.exporting.int8 import export_int8
from asli.exporting.onnx import export_onnx
from tests.compare import SAME
from tests.conftest import run_asli
from tests.detector.conftest import scores
from tests.images import png_of_16_bits


def test_golden_images_have_one_score_at_every_door(exported, finished, files):
    assert len(files) == 100
    python = scores(predict(files, finished.path))
    onnx = scores(predict(files, exported, runtime="onnx", threads=1))
    done = run_asli("predict", *files, "--detector", exported, "--json")
    assert done.returncode == 0, done.stderr
    assert np.ptp(python) > 0.5
    assert np.abs(onnx - python).max() < SAME
    assert np.abs(scores(json.loads(done.stdout)) - onnx).max() < SAME


def test_onnx_is_another_form_of_the_same_detector(exported, finished):
    opened = Detector.load(exported)
    assert opened.hash == Detector.load(finished.path).hash
    assert isinstance(opened.runtime("cpu"), OnnxRuntime)
    assert isinstance(opened.runtime("cpu", "torch"), TorchRuntime)
    assert isinstance(Detector.load(finished.path).runtime("cpu"), TorchRuntime)
    with pytest.raises(DetectorError, match="asli export DETECTOR"):
        Detector.load(finished.path).runtime("cpu", "onnx")
    with pytest.raises(DetectorError, match="ONNX runs on the CPU"):
        opened.runtime("cuda", "onnx")
    assert "uint8, n x 32 x 32 x 3" in (exported / "README.md").read_text()


def test_a_saved_detector_writes_its_card_without_its_network(finished, exported, monkeypatch):
    parameters = Detector.load(finished.detector).network.parameters
    opened, known = Detector.load(exported), Detector.load(exported)
    monkeypatch.setattr("asli.models.networks.create_network", None)
    card = opened.model_card()
    assert f"{parameters:,} parameters" in card
    monkeypatch.undo()
    del known._info["parameters"]  # as an earlier version saved it
    assert known.model_card() == card
    assert identity(known._info) == known.hash


@pytest.mark.parametrize("name", ["exported", "default"])  # the default has a thumbnail and a photograph to answer for
def test_predict_by_onnx_imports_neither_torch_nor_the_slow_libraries(name, exported, files, tmp_path):
    place, given = str(exported) if name == "exported" else name, [str(files[0])]
    if name == "default":
        Image.effect_noise((300, 300), 40).convert("RGB").save(tmp_path / "large.jpg")
        given.append(str(tmp_path / "large.jpg"))
    code = (
        "import sys\nfrom asli.detector.predict import predict\n"
        f"assert predict({given!r}, {place!r}).failed == []\n"
        "print(sorted({'torch', 'timm', 'sklearn', 'scipy', 'pyarrow', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_wrong_graph_is_refused_and_nothing_written(finished, tmp_path, monkeypatch):
    forward = exporting.Exported.forward
    monkeypatch.setattr(exporting.Exported, "forward", lambda self, images: forward(self, images) * 1.001)
    with pytest.raises(DetectorError, match="does not give the network's scores"):
        export_onnx(finished.detector, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_graph_says_nothing_of_the_machine_it_was_made_on(exported):
    import onnx

    graph = onnx.load(exported / "model.onnx").graph
    parts = [graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]
    assert not any(part.metadata_props or part.doc_string for part in parts)
    assert str(Path(__file__).parents[2]).encode() not in (exported / "model.onnx").read_bytes()


def test_graph_that_knows_one_batch_only_is_refused(finished):
    class Stuck:
        def logits(self, fitted):
            return whole.logits([*fitted, *fitted][: max(len(fitted), 2)])[: len(fitted)] + (len(fitted) == 7)

    detector = Detector.load(finished.path)
    whole = detector.runtime("cpu", "torch")
    with pytest.raises(DetectorError, match="does not give"):
        exporting.compare(Stuck(), whole, detector)


def test_onnx_file_that_was_changed_missing_or_foreign_is_refused(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "d")
    file = tmp_path / "d/model.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DetectorError, match="not the file detector.json describes"):
        Detector.load(tmp_path / "d").runtime("cpu")
    assert isinstance(Detector.load(tmp_path / "d").runtime("cpu", "torch"), TorchRuntime)
    with pytest.raises(DetectorError, match="cannot be run"):
        OnnxRuntime(tmp_path / "d/detector.json", Detector.load(exported).preprocessing)
    file.unlink()
    with pytest.raises(DetectorError, match="model.onnx is missing"):
        Detector.load(tmp_path / "d").runtime("cpu")


def test_export_goes_only_where_it_may(exported, tmp_path):
    with pytest.raises(DetectorError, match="exists; give another folder by --out"):
        export_onnx(exported, exported)
    with pytest.raises(DetectorError, match="not yours to change"):
        export_onnx("thumbnail")
    for arguments in (["--int8"], ["--onnx", "--int8"]):
        done = run_asli("export", exported, *arguments)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_missing_library_is_named(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"asli\[onnx\]"):
        OnnxRuntime(exported / "model.onnx", Detector.load(exported).preprocessing)


@pytest.mark.slow
def test_int8_is_a_detector_of_its_own(exported, sample, files, tmp_path):
    done = export_int8(exported, sample, tmp_path / "int8", threads=1)
    small, large = Detector.load(tmp_path / "int8"), Detector.load(exported)
    assert small.hash != large.hash
    assert small.quantized
    assert not (tmp_path / "int8/model.safetensors").exists()
    assert done.bytes < (exported / "model.onnx").stat().st_size / 2
    assert small.card.thresholds.calibration_hash == sample.hash
    ((name, figures),) = small.card.figures.items()
    assert str(large.hash) in name
    assert figures["verdicts_changed"].value == pytest.approx(done.flips / done.images)
    assert figures["f1_lost"].value == pytest.approx(done.f1_lost)
    assert "verdicts changed" in (tmp_path / "int8/README.md").read_text()
    # near the detector it was made of, at another rounding: 256 levels an activation
    rows = sample.rows("validation")
    logits = [d.runtime("cpu").logits(sample.pixels.fitted(rows, d.preprocessing)) for d in (small, large)]
    assert np.corrcoef(logits[0][:, 1], logits[1][:, 1])[0, 1] > 0.98
    assert not np.array_equal(*logits)
    alone = predict(files[:3], tmp_path / "int8")
    assert scores(alone) == pytest.approx(scores(predict(files[:9], tmp_path / "int8"))[:3], abs=1e-5)
    judged = evaluate(tmp_path / "int8", sample, split="validation", out=tmp_path / "report", against=[exported])
    assert judged.detector.hash == small.hash
    assert len(judged.comparison.pairs) == 1
    assert f"{large.network.parameters:,} parameters" in (tmp_path / "report/model_card.md").read_text()
    with pytest.raises(DetectorError, match="int8 one"):
        small.runtime("cpu", "torch")
    with pytest.raises(DetectorError, match="is an ONNX file already"):
        export_onnx(tmp_path / "int8", tmp_path / "again")


@pytest.mark.slow
def test_one_with_an_onnx_form_is_calibrated_as_one_without(finished, sample, tmp_path):
    opened = Detector.load(finished.detector)
    fold_temperature(opened.network, 3.0)
    Classifier(opened.network, opened.preprocessing, opened.card).save(tmp_path / "torch")
    export_onnx(tmp_path / "torch", tmp_path / "onnx")
    torch_card, onnx_card = (calibrate(tmp_path / n, sample, tmp_path / f"{n}-new").card for n in ("torch", "onnx"))
    assert torch_card.temperature < 0.5 * opened.card.temperature
    for name, figures in torch_card.figures.items():
        for key, figure in figures.items():
            assert onnx_card.figures[name][key].value == pytest.approx(figure.value, abs=1e-4), key


def test_threads_that_torch_was_given_are_onnx_runtimes_too():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert usable_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert usable_threads() == before


def test_stability_is_the_range_over_views(exported, files):
    from asli.datasets.images import decode
    from asli.detector.stability import VIEWS
    from asli.transforms.corruptions import jpeg

    (image,) = predict(files[:1], exported, stability=True).to_dict()["images"]
    span = image["stability"]
    values = [image["score"], *span["views"].values()]
    assert (span["low"], span["high"]) == (min(values), max(values))
    assert list(span["views"]) == list(VIEWS)
    runtime = Detector.load(exported).runtime("cpu")
    saved_again = runtime.logits([jpeg(decode(files[0].read_bytes())[0], 75)[None]])[0]
    assert span["views"]["JPEG 75"] == pytest.approx(1 / (1 + np.exp(saved_again[0] - saved_again[1])), abs=SAME)
    assert predict(files[:1], exported).to_dict()["images"][0]["stability"] is None


def test_folder_given_to_predict_names_scan(exported, files):
    (image,) = predict([files[0].parent], exported).to_dict()["images"]
    assert "asli scan" in image["error"]


def test_sixteen_bit_color_keeps_the_upper_bits():
    from asli.datasets.images import decode

    pixels, facts = decode(png_of_16_bits(np.array([[[0x1234, 0xABCD, 0xFFFF]] * 32] * 32, dtype=np.uint16)))
    assert pixels[0, 0].tolist() == [0x12, 0xAB, 0xFF]
    assert facts.mode == "RGB;16"


def test_heic_is_read_with_its_extra_and_named_without(monkeypatch, rng):
    heif = pytest.importorskip("pillow_heif")
    from asli.datasets import images

    heif.register_heif_opener()
    picture = Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)).resize((96, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    picture.save(stream, "HEIF", quality=95, exif=exif.tobytes())
    pixels, facts = images.decode(stream.getvalue())
    turned = np.rot90(np.asarray(picture), -1).astype(int)
    assert pixels.shape == (96, 64, 3)
    assert np.abs(pixels - turned).mean() < 8
    assert facts.format == "HEIF"
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(images.ImageError, match=r"asli\[heif\]"):
        images.decode(stream.getvalue())


def test_floating_point_image_is_refused():
    from asli.datasets.images import ImageError, decode

    stream = io.BytesIO()
    Image.new("F", (8, 8), 0.5).save(stream, "TIFF")
    with pytest.raises(ImageError, match="floating-point"):
        decode(stream.getvalue())


def test_stability_of_a_picture_longer_than_jpeg_holds_leaves_those_views_out(exported, tmp_path):
    Image.new("L", (65_600, 40), 128).save(tmp_path / "strip.png")
    (image,) = predict([tmp_path / "strip.png"], exported, stability=True).to_dict()["images"]
    left_out = {name for name, score in image["stability"]["views"].items() if score is None}
    assert left_out == {"JPEG 95", "JPEG 85", "JPEG 75", "JPEG 60", "WebP 80"}
