"""The API's contract: its description, several detectors, explanations, tokens, and what the log holds."""

import base64
import hashlib
import io
import json
import re
import shutil

import httpx
import jsonschema
import numpy as np
import pytest
from PIL import Image

from asli.detector.locate import find_detector
from asli.detector.predict import predict
from asli.explanation.explain import explain
from tests.golden import golden_files
from tests.serving.test_serve import files, start

TOKEN = "a-token-of-tests"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return golden_files(tmp_path_factory.mktemp("pictures"), 25, "secret name ")


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    return shutil.copytree(find_detector("thumbnail"), tmp_path_factory.mktemp("other") / "second")


@pytest.fixture(scope="module")
def process(second):
    process, address = start("thumbnail", "--detector", second, "--access-log", environment={"ASLI_TOKEN": TOKEN})
    process.address = address
    yield process
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def served(process):
    with httpx.Client(base_url=process.address, timeout=120, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def require_described(served, answer, path, method="post"):
    """Compare an answer with the description that the server publishes."""
    api = served.get("/openapi.json").json()
    content = api["paths"][path][method]["responses"][str(answer.status_code)]["content"]
    schema = {**content["application/json"]["schema"], "components": api["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


@pytest.mark.slow
def test_answers_are_as_described(served, pictures):
    form = files(pictures)
    require_described(served, served.post("/v1/predict", files=[*form, ("images", ("b.jpg", b"x"))]), "/v1/predict")
    require_described(served, served.post("/v1/predict", files=form, params={"stability": True}), "/v1/predict")
    require_described(served, served.post("/v1/explain", files=form[:1]), "/v1/explain")
    require_described(served, served.post("/v1/explain", files=form[:1], params={"check": False}), "/v1/explain")
    require_described(served, served.post("/v1/predict"), "/v1/predict")  # refused
    require_described(served, served.get("/v1/detector"), "/v1/detector", "get")
    require_described(served, served.get("/v1/detectors"), "/v1/detectors", "get")
    require_described(served, served.get("/health"), "/health", "get")
    with pytest.raises(jsonschema.ValidationError):  # the description is not one that anything fits
        require_described(served, served.get("/v1/detector"), "/v1/detectors", "get")


def test_files_are_told_by_their_hashes(served, pictures):
    answer = served.post("/v1/predict", files=files(pictures)).json()
    contents = [path.read_bytes() for path in pictures]
    assert answer["files"] == [{"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for c in contents]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", answer["time"])


def test_several_detectors_answer_by_name(served, second, pictures):
    names = [one["name"] for one in served.get("/v1/detectors").json()["detectors"]]
    assert names == ["thumbnail", "second"]
    for name, detector in (("thumbnail", "thumbnail"), ("second", second)):
        answer = served.post("/v1/predict", files=files(pictures), params={"detector": name}).json()
        expected = predict(pictures, detector)
        assert answer["detector"]["hash"] == expected.detector.hash
        assert [image["score"] for image in answer["images"]] == pytest.approx([p.score for p in expected], abs=1e-5)
    unnamed = served.post("/v1/predict", files=files(pictures)).json()
    assert (
        unnamed["detector"]["hash"]
        == served.get("/health").json()["detector"]
        == predict([], "thumbnail").detector.hash
    )
    wrong = served.post("/v1/predict", files=files(pictures), params={"detector": "third"})
    assert (wrong.status_code, "thumbnail, second" in wrong.json()["error"]) == (422, True)


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_an_explanation_is_that_of_the_command(served, second, pictures, tmp_path, method):
    given = {"detector": "second", "method": method}
    answer = served.post("/v1/explain", files=files(pictures[:1]), params=given).json()
    (expected,) = explain(pictures[:1], second, out=tmp_path / "out", method=method, check=True).images
    got = answer["images"][0]["explanation"]
    assert (got["layer"], got["map_size"]) == (expected.explanation.layer, expected.explanation.map_size)
    assert np.array(got["cells"]) == pytest.approx(np.array(expected.explanation.cells), abs=1e-4)
    assert got["check"]["holds"] == expected.explanation.check.holds
    assert ("Check passed" if got["check"]["holds"] else "Check failed") in got["check_in_words"]["en"]
    view, drawn = (Image.open(io.BytesIO(base64.b64decode(got[k].partition(",")[2]))) for k in ("view", "map"))
    assert view.size == drawn.size == (32, 32)
    difference = np.asarray(drawn, dtype=int)[..., 0] - np.asarray(drawn, dtype=int)[..., 2]
    heat = np.kron(np.array(got["cells"]), np.ones((4, 4)))
    assert np.corrcoef(difference.ravel(), heat.ravel())[0, 1] > 0.5  # orange where the map is for fake


def test_progress_comes_in_lines_of_which_the_last_is_the_answer(served, pictures):
    plain = served.post("/v1/explain", files=files(pictures[:1])).json()
    answer = served.post("/v1/explain", files=files(pictures[:1]), params={"progress": True})
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    shares = [line.pop("progress") for line in lines]
    assert max(np.diff(shares)) < 0.03  # it never stands still for long
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    first, last = [line for line in lines if line]  # a map as soon as there is one, unchecked
    checks = [one["images"][0]["explanation"]["check"] for one in (first, last)]
    assert checks == [None, plain["images"][0]["explanation"]["check"]]
    assert last | {"time": ""} == plain | {"time": ""}
    broken = served.post("/v1/explain", files={"images": ("x.jpg", b"x")}, params={"progress": True})
    assert "not an image" in json.loads(broken.text)["images"][0]["error"]


def test_explanations_that_cannot_be_made_say_why(served, pictures):
    two = served.post("/v1/explain", files=files(pictures[:2]))
    assert (two.status_code, two.json()["error"]) == (413, "2 pictures; a request may bring 1")
    unknown = served.post("/v1/explain", files=files(pictures[:1]), params={"method": "guess"})
    assert unknown.status_code == 422
    assert unknown.json()["error"] == "parameter method is 'guess'; give grad-cam or occlusion"
    broken = served.post("/v1/explain", files={"images": ("x.jpg", b"x")}).json()["images"][0]
    assert broken["explanation"] is None
    assert "not an image" in broken["error"]


def test_a_preview_is_a_small_jpeg_of_what_browsers_cannot_show(served, tmp_path):
    Image.linear_gradient("L").resize((1500, 500)).save(tmp_path / "x.tif", compression="tiff_lzw")
    answer = served.post("/v1/preview", files={"images": ("x.tif", (tmp_path / "x.tif").read_bytes())})
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (1024, 341)
    assert served.post("/v1/preview", files={"images": ("x.tif", b"x")}).status_code == 422


def test_a_token_is_asked_for_where_one_is_set(process, served, pictures):
    form = files(pictures[:1])
    for wrong in ({}, {"authorization": "Bearer no"}, {"authorization": TOKEN}, {"authorization": f"Bearer {TOKEN}x"}):
        answer = httpx.post(f"{process.address}/v1/predict", files=form, headers=wrong, timeout=60)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer" in answer.json()["error"]
    for path in ("/metrics", "/openapi.json", "/v1/detectors"):
        assert httpx.get(process.address + path, timeout=60).status_code == 401
    for path in ("/", "/page.js", "/texts.json", "/health", "/examples/0.jpg"):
        assert httpx.get(process.address + path, timeout=60).status_code == 200
    assert served.post("/v1/predict", files=form).status_code == 200


def test_the_log_holds_no_name_of_a_file(process, served, pictures):
    served.post("/v1/predict", files=files(pictures), params={"stability": True})
    served.put("/secret name 000.jpg", content=b"x")
    served.get("/health")
    log = "".join(process.log)
    assert re.search(r"^POST /v1/predict 200 in=\d{4,} out=\d{3,} ms=\d+$", log, re.M)
    assert re.search(r"^PUT other 40[45] ", log, re.M)
    assert "secret" not in log
    assert TOKEN not in log


def test_examples_are_pictures_of_both_labels(served):
    for number in range(6):
        assert Image.open(io.BytesIO(served.get(f"/examples/{number}.jpg").content)).size == (32, 32)
    assert served.get("/examples/6.jpg").status_code == 404
    assert served.get("/examples/x.jpg").status_code == 422
