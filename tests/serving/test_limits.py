"""What requests may take, over real connections to a server with small limits."""

import asyncio
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from asli.detector.base import Detector
from asli.detector.prediction import Prediction
from asli.errors import AsliError
from asli.sample import golden_images
from asli.serving.app import create_app
from asli.serving.limits import BodyLimit, RequestLimit
from asli.serving.serve import _listen

held, released = [], threading.Event()


async def slow(scope, receive, send):
    """Answer with the body's length, after 0.1 s or, at /held, when it is released; at once without a body."""
    body = await Request(scope, receive).body()
    if scope["path"] == "/held":
        held.append(body)
    while scope["path"] == "/held" and not released.is_set():
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.1 if body else 0)
    await PlainTextResponse(str(len(body)))(scope, receive, send)


@contextmanager
def served(app):
    listening = _listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def address():
    with served(RequestLimit(BodyLimit(slow, 1000, 0.5, 0.2), 2, 5000, 1000)) as found:
        yield found


@pytest.fixture(scope="module")
def patient():
    with served(RequestLimit(BodyLimit(slow, 1000, 120, 60), 2, 5000, 1000)) as (host, port):
        yield f"http://{host}:{port}/"


def test_more_requests_than_places_are_told_to_come_back(patient):
    answers = []
    waiting = [
        threading.Thread(target=lambda: answers.append(httpx.post(f"{patient}held", content=b"x", timeout=120)))
        for _ in range(2)
    ]
    for thread in waiting:
        thread.start()
    until = time.monotonic() + 100
    while len(held) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    refused = httpx.post(patient, content=b"x", timeout=120)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert "again in 2 seconds" in refused.json()["error"]
    assert httpx.get(patient, timeout=120).status_code == 200  # who brings nothing needs no place
    released.set()
    for thread in waiting:
        thread.join()
    assert [answer.text for answer in answers] == ["1", "1"]
    assert httpx.post(patient, content=b"xx", timeout=120).text == "2"


def test_a_refused_client_gets_its_answer_and_keeps_its_connection(patient):
    async def ask():
        outcomes = []

        async def client():
            async with httpx.AsyncClient(timeout=120, verify=False) as session:
                for _ in range(4):
                    answer = await session.post(patient, content=b"x" * 900)
                    outcomes.append(
                        (answer.status_code, "retry-after" in answer.headers, answer.headers.get("connection"))
                    )

        await asyncio.gather(*(client() for _ in range(50)))
        return outcomes

    outcomes = asyncio.run(ask())  # a connection that is reset would be an exception here
    assert len(outcomes) == 200
    assert set(outcomes) == {(200, False, None), (503, True, None)}


def test_bodies_together_are_limited_but_one_alone_may_be_larger():
    async def ask():
        app = RequestLimit(slow, 10, 100, 1000)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            asked = [client.post("/", content=b"x" * size) for size in (150, 10)]
            together = await asyncio.gather(*asked)
            return [answer.status_code for answer in (*together, await client.post("/", content=b"x" * 150))]

    assert asyncio.run(ask()) == [200, 503, 200]


def test_lengths_that_are_not_declared_or_not_true_are_counted_as_the_largest_body():
    async def ask(*sent):
        app = RequestLimit(slow, 10, 100, 60)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            answers = await asyncio.gather(*(client.post("/", **one) for one in sent))
            return [answer.status_code for answer in answers]

    async def chunks():
        yield b"x"

    chunked = [{"content": chunks(), "headers": {"transfer-encoding": "chunked"}} for _ in range(2)]
    assert asyncio.run(ask(*chunked)) == [200, 503]
    boast = {"content": b"x", "headers": {"content-length": "1000000000000"}}
    assert asyncio.run(ask(boast, {"content": b"x" * 40}, {"content": b"x"})) == [200, 200, 503]


def test_a_client_that_asks_before_it_sends_is_refused_at_once(address):
    with socket.create_connection(address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\nexpect: 100-continue\r\n\r\n")
        client.settimeout(20)
        assert client.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("parts", [[b"abc"], [b"a"] * 5])
def test_a_body_that_pauses_or_trickles_is_given_up(address, parts):
    with socket.create_connection(address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n")
        for part in parts:
            client.sendall(part)
            time.sleep(0.1 if len(parts) > 1 else 0)
        client.settimeout(20)
        answer = client.recv(4096)
        while more := client.recv(4096):
            answer += more
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive within 0.5 seconds" in answer


def test_who_left_is_answered_no_further(monkeypatch):
    detector, scored, begun = Detector.load("thumbnail"), [], threading.Event()

    def slow(images, **_):
        scored.extend(name for name, _ in images)
        begun.set()
        time.sleep(0.3)
        return [Prediction(path=name) for name, _ in images]

    monkeypatch.setattr(detector, "predictions", slow)

    listening = _listen("127.0.0.1", 0)
    app = create_app(detector, max_bytes=10_000, max_images=50)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    request = httpx.Request("POST", "http://x/v1/predict", files=[("images", (f"{n}.jpg", b"x")) for n in range(40)])
    head = f"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: {request.headers['content-type']}\r\n"
    body = request.read()
    with socket.create_connection(listening.getsockname()) as client:
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        assert begun.wait(20)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()
    assert 1 <= len(scored) < 40


def holding(monkeypatch):
    """Return a detector that scores nothing before the event that is returned, too, and the names it was asked for."""
    detector, release, asked = Detector.load("thumbnail"), threading.Event(), []

    def slow(images, **_):
        asked.extend(name for name, _ in images)
        assert release.wait(60)
        return [Prediction(path=name) for name, _ in images]

    monkeypatch.setattr(detector, "predictions", slow)
    return detector, release, asked


def test_waiting_explanations_leave_threads_to_other_requests(monkeypatch):
    detector, release, explained = holding(monkeypatch)
    picture, broken = {"images": ("x.jpg", golden_images()[0][1])}, {"images": ("x.jpg", b"x")}

    async def ask():
        app = create_app(detector, max_bytes=10_000, max_images=1)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", timeout=120) as client:
            waiting = [asyncio.create_task(client.post("/v1/explain", files=broken)) for _ in range(60)]
            while not explained:
                await asyncio.sleep(0.05)
            preview = await asyncio.wait_for(client.post("/v1/preview", files=picture), 50)
            assert (preview.status_code, len(explained)) == (200, 1)
            release.set()
            return {answer.status_code for answer in await asyncio.gather(*waiting)}

    assert asyncio.run(ask()) == {200}
    assert len(explained) == 60


@pytest.mark.parametrize("query", ["", "?progress=true"])
def test_no_map_is_made_for_a_client_who_left(monkeypatch, query):
    detector, release, explained = holding(monkeypatch)

    def ask(address, name):
        form = httpx.Request("POST", "http://x", files={"images": (name, b"x")})
        body, kind = form.read(), form.headers["content-type"]
        start = f"POST /v1/explain{query} HTTP/1.1\r\nhost: x\r\n"
        head = f"{start}content-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        client = socket.create_connection(address, timeout=60)
        client.sendall(head.encode() + body)
        return client

    app = create_app(detector, max_bytes=10_000, max_images=1)
    with served(app) as address, ask(address, "first.jpg") as first:
        until = time.monotonic() + 60
        while not explained and time.monotonic() < until:
            time.sleep(0.05)
        ask(address, "left.jpg").close()
        with ask(address, "last.jpg") as last:
            time.sleep(0.5)
            release.set()
            assert [one.recv(12) for one in (first, last)] == [b"HTTP/1.1 200"] * 2
    assert explained == ["first.jpg", "last.jpg"]


def test_a_fault_over_one_picture_is_its_own(monkeypatch, caplog):
    detector, together = Detector.load("thumbnail"), []
    plain = detector.predictions

    def faulty(images, **options):
        together.append(len(images))
        time.sleep(0.2)  # so that the others wait at the same time
        if any(name == "bad.jpg" for name, _ in images):
            raise MemoryError
        return plain(images, **options)

    monkeypatch.setattr(detector, "predictions", faulty)
    data = golden_images()[0][1]
    names = ["a.jpg", "b.jpg", "bad.jpg", *(f"{number}.jpg" for number in range(9))]

    async def ask():
        app = create_app(detector, max_bytes=10_000, max_images=1, access_log=True)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x", timeout=120) as client:
            asked = [client.post("/v1/predict", files={"images": (name, data)}) for name in names]
            return await asyncio.gather(*asked)

    with caplog.at_level("INFO", logger="asli.access"):
        answers = dict(zip(names, asyncio.run(ask()), strict=True))
    assert max(together) > 1
    assert answers["bad.jpg"].status_code == 500
    assert "its log holds the reason" in answers.pop("bad.jpg").json()["error"]
    assert {answer.status_code for answer in answers.values()} == {200}
    assert sum("/v1/predict 500" in line for line in caplog.messages) == 1


def test_the_page_is_shown_within_named_sites_only():
    detector = Detector.load("thumbnail")

    def policy(*sites):
        async def ask():
            app = create_app(detector, max_bytes=1, max_images=1, embed_in=sites)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                return (await client.get("/")).headers["content-security-policy"]

        return asyncio.run(ask())

    assert policy().endswith("frame-ancestors 'none'")
    assert policy("https://huggingface.co", "https://*.example.org:8443").endswith(
        "frame-ancestors https://huggingface.co https://*.example.org:8443"
    )
    for wrong in ("huggingface.co", "https://a.org/x", "https://a.org; script-src *", "'self'", "https://ä.org"):
        with pytest.raises(AsliError, match="is no site"):
            policy(wrong)
