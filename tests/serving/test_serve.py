"""The server as its users meet it: a process of its own, a real HTTP client, a real browser."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import asli
from asli.detector.base import Detector
from asli.detector.predict import predict
from asli.errors import MissingExtraError
from asli.serving.batching import RequestBatches
from tests.compare import differences
from tests.conftest import run_asli
from tests.golden import golden_files


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return golden_files(tmp_path_factory.mktemp("pictures"), 12)


def start(detector, *options, environment=None):
    command = [sys.executable, "-m", "asli", "serve", "--detector", str(detector), "--port", "0", "--max-mb", "1"]
    command += ["--max-images", "12", *map(str, options)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    for line in process.stderr:
        if found := re.match(r"(http://127\.0\.0\.1:\d+)/ is the page", line):
            process.log = []
            threading.Thread(target=lambda: process.log.extend(process.stderr), daemon=True).start()
            return process, found[1]
    raise AssertionError(f"ended with {process.wait()} before it listened")


@pytest.fixture(scope="module")
def served(finished):
    process, address = start(finished.path)
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client
    process.terminate()
    process.wait(30)


def files(paths):
    return [("images", (path.name, path.read_bytes())) for path in paths]


def test_score_is_that_of_predict_and_a_broken_file_keeps_its_place(served, finished, pictures):
    given = files(pictures)
    given.insert(1, ("images", ("broken.jpg", b"no image")))
    answer = served.post("/v1/predict", files=given, params={"stability": True})
    assert answer.status_code == 200
    expected = predict([pictures[0], "nowhere.jpg", *pictures[1:]], finished.path, stability=True).to_dict()
    assert answer.json()["detector"] == json.loads(json.dumps(expected["detector"]))
    for got, said in zip(answer.json()["images"], expected["images"], strict=True):
        if said["error"]:
            assert got["path"] == "broken.jpg"
            assert got["error"].startswith("not an image of a kind that is read")
            continue
        assert got["path"] == said["path"].rpartition("/")[2]
        assert got["score"] == pytest.approx(said["score"], abs=1e-5)
        assert {key: got[key] for key in ("verdict", "reasons", "domain")} == {
            key: said[key] for key in ("verdict", "reasons", "domain")
        }
        assert got["stability"]["low"] == pytest.approx(said["stability"]["low"], abs=1e-5)


def test_a_picture_of_another_kind_is_unsure_unless_forced(served, tmp_path):
    from PIL import Image

    Image.effect_noise((300, 200), 50).convert("RGB").save(tmp_path / "noise.png")
    plain, forced = (
        served.post("/v1/predict", files=files([tmp_path / "noise.png"]), params={"force_domain": force}).json()
        for force in (False, True)
    )
    assert plain["images"][0]["verdict"] == "unsure"
    assert "outside domain" in plain["images"][0]["reasons"][0]
    assert forced["detector"]["force_domain"] is True
    assert "force_domain" not in plain["detector"]


def test_what_cannot_be_taken_is_refused_with_one_line(served, pictures):
    large = {"images": ("large.jpg", b"x" * 1_100_000)}
    stated = served.post("/v1/predict", files=large)
    body = b'--b\r\ncontent-disposition: form-data; name="images"; filename="x.jpg"\r\n\r\n' + b"x" * 1_100_000
    streamed = served.post(
        "/v1/predict",
        content=(body[start : start + 65536] for start in range(0, len(body), 65536)),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    for answer in (stated, streamed):
        assert answer.status_code == 413
        assert answer.json() == {"error": "a request may bring 1,000,000 bytes; send fewer or smaller pictures"}
    many = served.post("/v1/predict", files=[("images", ("x.jpg", b"x"))] * 13)
    assert (many.status_code, many.json()["error"]) == (413, "13 pictures; a request may bring 12")
    unclear = served.post("/v1/predict", files=files(pictures[:1]), params={"stability": "perhaps"})
    assert unclear.status_code == 422
    assert unclear.json()["error"] == "parameter stability is 'perhaps'; give true or false"
    unknown = served.post("/v1/predict", files=files(pictures[:1]), params={"force-domain": True})
    assert (unknown.status_code, "no parameter named 'force-domain'" in unknown.json()["error"]) == (422, True)
    assert served.get("/etc/passwd").json() == {"error": "Not Found"}
    assert served.post("/v1/predict", files=files(pictures[:1])).status_code == 200  # and goes on


def part(rest, content):
    return b'--b\r\ncontent-disposition: form-data; name="images"' + rest + b"\r\n\r\n" + content + b"\r\n--b--\r\n"


def test_forms_without_a_picture_are_refused_in_the_users_terms(served, pictures):
    image = pictures[0].read_bytes()
    form = {"content-type": "multipart/form-data; boundary=b"}
    cases = [
        ({"content": part(b"", b"photo.jpg"), "headers": form}, "holds the text 'photo.jpg', no file"),
        ({"files": {"file": ("x.jpg", image)}}, "the form has no field 'images', only 'file'"),
        ({"content": b"--b--\r\n", "headers": form}, "the form is empty"),
        ({"content": part(b'; filename=""', b""), "headers": form}, "no file was chosen"),
        ({"json": {"images": "x"}}, "content type is 'application/json'"),
        ({"content": image, "headers": {"content-type": "image/jpeg"}}, "content type is 'image/jpeg'"),
        ({}, "the request has no content type"),
    ]
    for request, words in cases:
        answer = served.post("/v1/predict", **request)
        assert answer.status_code == 422
        assert words in answer.json()["error"]
        assert "UploadFile" not in answer.text
    broken = served.post("/v1/predict", content=b"x", headers={"content-type": "multipart/form-data"})
    assert broken.status_code == 400


@pytest.mark.parametrize(
    ("rest", "name"),
    [
        (b"", "picture"),
        (b'; filename=""', "picture"),
        (b"; filename*=UTF-8''%E6%B1%89.jpg", "\u6c49.jpg"),
        (b'; filename="a b.jpg"', "a b.jpg"),
    ],
)
def test_pictures_are_taken_whatever_their_name(served, pictures, rest, name):
    body, form = part(rest, pictures[0].read_bytes()), {"content-type": "multipart/form-data; boundary=b"}
    (got,) = served.post("/v1/predict", content=body, headers=form).json()["images"]
    (expected,) = served.post("/v1/predict", files=files(pictures[:1])).json()["images"]
    assert {**got, "path": 0} == {**expected, "path": 0}
    assert got["path"] in (name, "picture" if rest.startswith(b"; filename*") else name)  # not every parser reads it


@pytest.mark.parametrize("address", ["/", "/page.js", "/health", "/v1/detector", "/metrics"])
def test_probes_may_ask_for_the_head_alone(served, address):
    head, whole = served.head(address), served.get(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert served.head("/v1/predict").status_code == 405


def test_many_at_a_time_get_the_same_answer(served, pictures):
    def ask(_):
        return served.post("/v1/predict", files=files(pictures[:3])).json()["images"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    assert all(differences(answer, answers[0]) == [] for answer in answers)


def test_of_two_hundred_clients_none_is_cut_off(served, pictures):
    url, form = str(served.base_url.join("/v1/predict")), files(pictures[:1])
    (expected,) = served.post("/v1/predict", files=form).json()["images"]

    def counted():
        text = served.get("/metrics").text
        return [
            sum(map(float, re.findall(rf"^{name}\S* ([\d.e+]+)", text, re.M)))
            for name in ("asli_images_total", "asli_batches_total")
        ]

    async def ask():
        async def client():
            async with httpx.AsyncClient(timeout=120, verify=False) as session:
                return [await session.post(url, files=form) for _ in range(3)]

        return [answer for answers in await asyncio.gather(*(client() for _ in range(200))) for answer in answers]

    before, answers, after = counted(), asyncio.run(ask()), counted()
    assert len(answers) == 600
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)
    good = [answer.json()["images"][0] for answer in answers if answer.status_code == 200]
    assert len(good) > 200
    assert all(differences(image, expected) == [] for image in good)
    images, batches = (b - a for a, b in zip(before, after, strict=True))
    assert images == len(good)
    assert 0 < batches <= images


def test_images_that_wait_together_share_forward_passes(pictures, monkeypatch):
    detector, sizes = Detector.load("thumbnail"), []
    forward = detector.forward
    monkeypatch.setattr(detector, "forward", lambda prepared: sizes.append(len(prepared)) or forward(prepared))
    expected = detector.predict(pictures)
    sizes.clear()

    async def ask():
        batches = RequestBatches(detector, threads=2)
        return await asyncio.gather(
            *(
                batches.score(path.name, path.read_bytes, 1000, stability=False, force_domain=number % 40 == 39)
                for number in range(80)
                for path in [pictures[number % len(pictures)]]
            )
        )

    found = asyncio.run(ask())
    assert sum(sizes) == 80
    assert len(sizes) <= 20
    assert max(sizes) <= 32
    for number, one in enumerate(found):
        assert one.score == pytest.approx(expected[number % len(pictures)].score, abs=1e-5)


def test_it_says_who_answers_and_counts(served, finished):
    about, health = served.get("/v1/detector").json(), served.get("/health").json()
    assert health == {"status": "ok", "detector": about["hash"]}
    assert about["limits"] == {"bytes": 1_000_000, "images": 12}
    assert about["domain"]["sizes"] == [32, 32]
    before = served.get("/metrics").text
    served.post("/v1/predict", files={"images": ("x.jpg", b"x")})
    errors = [
        float((re.findall(r'asli_images_total\{verdict="error"\} ([\d.]+)', text) or ["0"])[0])
        for text in (before, served.get("/metrics").text)
    ]
    assert errors[1] == errors[0] + 1
    assert "/v1/predict" in served.get("/openapi.json").json()["paths"]


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_it_ends_when_it_is_told_to(finished, sent, status):
    process, address = start(finished.path)
    assert httpx.get(f"{address}/health").status_code == 200
    process.send_signal(sent)
    assert process.wait(30) == status


@pytest.mark.parametrize(
    ("signals", "status"),
    [
        ((signal.SIGINT, signal.SIGINT), 130),
        ((signal.SIGTERM, signal.SIGINT), 130),
        ((signal.SIGINT, signal.SIGTERM), -15),
    ],
)
def test_a_second_signal_ends_it_at_once_without_a_traceback(finished, signals, status):
    process, address = start(finished.path)
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as unfinished:  # a request that keeps it from stopping
        form = b"content-type: multipart/form-data; boundary=b\r\ncontent-length: 1000\r\n\r\n"
        unfinished.sendall(b"POST /v1/predict HTTP/1.1\r\nhost: x\r\n" + form)
        assert httpx.get(f"{address}/health").status_code == 200
        process.send_signal(signals[0])
        while not process.log and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signals[1])
        assert process.wait(10) == status
    assert process.log == ["stopping after the open requests; a second signal stops at once\n"]


def test_a_taken_port_gives_one_line(finished):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_asli("serve", "--detector", finished.path, "--port", port)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"cannot listen at 127.0.0.1:{port}" in done.stderr
    done = run_asli("serve", "--detector", finished.path, "--host", "a..b")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_without_its_extra_it_says_which_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match="serve"):
        asli.serve()
