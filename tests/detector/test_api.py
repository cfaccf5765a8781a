"""The Python API: what may be scored, what comes back, and that it agrees with every other way."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

import asli
from asli.detector.base import Detector
from asli.detector.prediction import Prediction, Predictions
from asli.errors import DataError, ImageError
from asli.metrics.classification import score_of_logits
from asli.sample import golden_images
from tests.compare import SAME


@pytest.fixture(scope="module")
def detector(finished):
    return Detector.load(finished.path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("images") / "golden"
    place.mkdir()
    for number, (_, data) in enumerate(golden_images()[:12]):
        (place / f"{number:02}.jpg").write_bytes(data)
    return place


@pytest.fixture(scope="module")
def expected(detector, folder):
    return [detector.predict(path).score for path in sorted(folder.iterdir())]


def scores(predictions):
    return [prediction.score for prediction in predictions]


def test_every_form_of_an_image_has_one_score(detector, folder, expected):
    path = sorted(folder.iterdir())[0]
    data = path.read_bytes()
    with path.open("rb") as stream, Image.open(path) as picture:
        forms = [path, str(path), data, bytearray(data), io.BytesIO(data), stream, picture]
        forms.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        answers = [detector.predict(form) for form in forms]
    assert all(isinstance(answer, Prediction) for answer in answers)
    assert scores(answers) == pytest.approx([expected[0]] * len(forms), abs=SAME)
    assert len({answer.verdict for answer in answers}) == 1


def test_several_images_come_back_in_their_order(detector, folder, expected):
    paths = sorted(folder.iterdir())
    arrays = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    for given in (paths, iter(paths), (path.read_bytes() for path in paths), folder, str(folder), arrays):
        answers = detector.predict(given, batch_size=5)
        assert isinstance(answers, Predictions)
        assert scores(answers) == pytest.approx(expected, abs=SAME)
    assert scores(detector.stream(paths, batch_size=1)) == pytest.approx(expected, abs=SAME)
    logits = detector.logits(paths, batch_size=7)
    assert (logits.dtype, logits.shape) == (np.float64, (12, 2))
    assert score_of_logits(logits).tolist() == pytest.approx(expected, abs=SAME)


def test_a_stream_reads_no_further_than_it_must(detector, folder):
    paths, taken = sorted(folder.iterdir()), []

    def endless():
        while True:
            taken.append(None)
            yield paths[0]

    stream = detector.stream(endless(), batch_size=8)
    assert next(stream).error is None
    assert len(taken) <= 8 * 4
    stream.close()


def test_tables_hold_what_the_objects_hold(detector, folder):
    broken = b"no image"
    answers = detector.predict([*sorted(folder.iterdir()), broken], stability=True)
    assert answers[-1].error.startswith("not an image")
    assert len(answers.failed) == 1
    table, frame = answers.to_arrow(), answers.to_pandas()
    assert table.num_rows == len(frame) == 13
    assert table["path"].to_pylist() == frame["path"].tolist() == [answer.path for answer in answers]
    assert table["score"].to_pylist() == [answer.score for answer in answers]
    assert table["error"].to_pylist()[:12] == [None] * 12
    low, high = answers[0].stability.low, answers[0].stability.high
    assert low <= answers[0].score <= high
    assert (frame["stability_low"][0], frame["stability_high"][0]) == (low, high)
    content = answers.to_dict()
    assert content["detector"]["hash"] == detector.hash
    assert [image["path"] for image in content["images"]] == [answer.path for answer in answers]
    assert isinstance(answers[2:4], Predictions)


def test_what_is_no_image_is_named(detector, rng):
    assert "float64" in detector.predict(np.zeros((4, 4, 3))).error
    assert "4 x 4 x 4" in detector.predict(np.zeros((4, 4, 4), np.uint8)).error
    assert "binary" in detector.predict(io.StringIO("text")).error
    assert detector.predict("nowhere.jpg").error == "cannot be read: No such file or directory"
    with pytest.raises(DataError, match="int is no image"):
        detector.predict(3)
    with pytest.raises(DataError, match="image 1 is of type int"):
        detector.predict([rng.integers(0, 256, (32, 32, 3), dtype=np.uint8), 3])
    with pytest.raises(ImageError, match=r"nowhere\.jpg: cannot be read"):
        detector.logits(["nowhere.jpg"])
    with pytest.raises(ValueError, match="batch_size"):
        next(detector.stream([], batch_size=-1))
    assert len(detector.predict([])) == 0
    assert detector.logits([]).shape == (0, 2)


def test_a_single_path_is_one_image_wherever_paths_are_taken(finished, folder, tmp_path):
    path = str(sorted(folder.iterdir())[0])
    assert asli.predict(path, finished.path).verdict in ("real", "fake")
    assert len(asli.explain(path, finished.path, out=tmp_path / "maps", method="occlusion").images) == 1
    assert asli.scan(path, tmp_path / "scores.parquet", finished.path).images == 1


def test_one_detector_answers_several_threads_at_once(finished, folder, expected):
    detector, paths, found = Detector.load(finished.path), sorted(folder.iterdir()), {}

    def work(number):
        found[number] = scores(detector.predict(paths, batch_size=4))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for answers in found.values():
        assert answers == pytest.approx(expected, abs=SAME)


def test_objects_show_themselves(detector, folder):
    one = detector.predict(sorted(folder.iterdir())[0])
    many = detector.predict(folder)
    assert one.path in repr(one)
    assert one.verdict in repr(one)
    assert "12 images" in repr(many)
    assert detector.hash[:16] in repr(detector)
    for shown in (one, many, detector):
        assert shown._repr_html_().startswith("<table>")
    assert "<b>" not in detector.predict("<b>.jpg")._repr_html_()


def test_results_of_other_verbs_show_themselves(finished, sample, folder, tmp_path):
    scanned = asli.scan(folder, tmp_path / "scores.parquet", finished.path)
    for shown, words in (
        (sample, "3,300 images"),
        (asli.info(finished.path), "supported input"),
        (finished, "resnet20"),
        (scanned, "12 images"),
    ):
        assert words in shown._repr_html_()
        assert len(repr(shown)) < 2000


def test_outside_the_domain_no_score_is_shown_but_kept(detector, rng):
    large = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    answer = detector.predict(large)
    assert (answer.verdict, answer.domain.inside) == ("unsure", False)
    assert 0 <= answer.score <= 1
    assert "score" not in repr(answer)
    assert detector.predict(large, force_domain=True).verdict in ("real", "fake")


def test_every_verb_is_exported_and_no_package_hides_it():
    import importlib
    import pkgutil

    from asli.cli.common import app

    for info in pkgutil.iter_modules(asli.__path__):
        importlib.import_module(f"asli.{info.name}") if info.name != "__main__" else None
    groups = {"data", "models", "recipes", "study", "trunk", "completion", "table"}
    elsewhere = {
        "export": "export_onnx",
        "predict-with": "predict_with",
        "head": "detector_of_head",
        "schema": "json_schema",
    }
    verbs = {name for name in app if not name.startswith("-")} - groups
    verbs = {elsewhere.get(name, name.replace("-", "_")) for name in verbs}
    verbs |= {"open_data", "list_models", "list_recipes", "run_study", "fetch_trunk", "convert_trunk", "export_int8"}
    verbs |= {"evaluate_table", "calibrate_table", "audit_table"}
    assert verbs <= set(asli.__all__)
    for name in asli.__all__:
        value = getattr(asli, name)
        assert name == "__version__" or callable(value), f"asli.{name} is {value!r}"
