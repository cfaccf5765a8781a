"""The application: what each address answers. It keeps no picture and no score."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from asli._version import __version__
from asli.detector.base import Detector
from asli.detector.prediction import Prediction, Predictions
from asli.detector.reading import examine_all
from asli.errors import AsliError
from asli.serving.forms import FORM, pictures_of
from asli.serving.limits import BodyLimit, HeadAsGet, PlaceLimit

PLACES = 64
"""Requests that bring pictures, answered or waiting at a time; more are told to come back (503)."""

MOST_FILES = 1000
"""Files of a form that are taken in at all; `max_images`, which is at most as many, is asked afterwards."""

SECONDS, PAUSE = 120, 20
"""In which a request has to arrive, and the longest pause in it: who says nothing holds no place."""

PAGE = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors ",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""Of the page: nothing comes from elsewhere, nothing goes elsewhere; who may show it within another page is added."""

_ORIGIN = re.compile(r"https?://[\w*.-]+(:\d+)?", re.ASCII)


def create_app(detector: Detector, *, max_bytes: int, max_images: int, embed_in: Sequence[str] = ()) -> FastAPI:
    """Make the application.

    Args:
        detector: Scores every picture.
        max_bytes: Largest body of a request.
        max_images: Most pictures in a request.
        embed_in: Sites whose pages may show this page within, such as `https://huggingface.co`; none by default.

    Raises:
        AsliError: One of these is no site.
    """
    # Its documentation pages would load scripts from elsewhere; /openapi.json describes the API without them.
    app = FastAPI(title="asli", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, most=max_bytes, seconds=SECONDS, pause=PAUSE)
    app.add_middleware(HeadAsGet)
    app.add_middleware(PlaceLimit, most=PLACES)  # added last, asked first
    metrics, turn = _Metrics(), asyncio.Lock()
    about, about_detector = _about(detector, max_bytes, max_images), detector.describe()
    detector.engine  # noqa: B018 - made before the first request

    @app.post("/v1/predict", openapi_extra={"requestBody": FORM})
    async def predict(request: Request, stability: bool = False, force_domain: bool = False) -> dict[str, Any]:
        """Score pictures: what `asli predict --json` prints."""
        unknown = set(request.query_params) - {"stability", "force_domain"}
        if unknown:
            raise HTTPException(422, f"no parameter named {sorted(unknown)[0]!r}; there are stability and force_domain")

        def score(name: str, read: Callable[[], bytes]) -> Prediction:
            start = time.perf_counter()
            examined = examine_all([read], detector, keep_pixels=stability)
            (scored,) = detector.predictions([(name, examined[0])], force_domain=force_domain, stability=stability)
            metrics.count(scored, time.perf_counter() - start)
            return scored

        scored = []
        async with request.form(max_files=MOST_FILES, max_part_size=max_bytes) as form:
            pictures = pictures_of(form, request.headers.get("content-type", ""))
            if len(pictures) > max_images:
                raise HTTPException(413, f"{len(pictures)} pictures; a request may bring {max_images}")
            for name, read in pictures:
                async with turn:  # each picture has all the threads; more at a time would get into each other's way
                    if await request.is_disconnected():
                        break
                    scored.append(await run_in_threadpool(score, name, read))
        described = about_detector | ({"force_domain": True} if force_domain else {})
        return Predictions(scored, described).to_dict()

    @app.get("/v1/detector")
    async def about_it() -> dict[str, Any]:
        """Say which detector answers, what it knows, and what a request may bring."""
        return about

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Say that it answers."""
        return {"status": "ok", "detector": detector.hash}

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    headers = _headers(embed_in)
    for address, (name, kind) in PAGE.items():
        app.add_api_route(address, _file(name, kind, headers), include_in_schema=False)

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    def misunderstood(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]  # the parameters are all the framework checks
        text = f"parameter {first['loc'][-1]} is {first.get('input')!r}; give true or false"
        return JSONResponse({"error": text}, 422)

    return app


class _Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()  # its own: several applications may live in one process
        self._images = Counter("asli_images", "Pictures by verdict", ["verdict"], registry=self.registry)
        self._seconds = Histogram("asli_image_seconds", "Time to score a picture", registry=self.registry)

    def count(self, scored: Prediction, seconds: float) -> None:
        self._images.labels(scored.verdict or "error").inc()
        self._seconds.observe(seconds)


def _about(detector: Detector, max_bytes: int, max_images: int) -> dict[str, Any]:
    domain = detector.card.domain
    return {
        **detector.describe(),
        "asli": __version__,
        "domain": {
            "formats": domain.formats,
            "sizes": domain.sizes,
            "qualities": domain.qualities,
            "generators": domain.generators,
        },
        "limits": {"bytes": max_bytes, "images": max_images},
    }


def _headers(embed_in: Sequence[str]) -> dict[str, str]:
    wrong = next((site for site in embed_in if not _ORIGIN.fullmatch(site)), None)
    if wrong is not None:
        raise AsliError(f"'{wrong}' is no site to embed in; give its address without a path: https://example.org")
    policy = HEADERS["content-security-policy"] + (" ".join(embed_in) or "'none'")
    return {**HEADERS, "content-security-policy": policy}


def _file(name: str, kind: str, headers: dict[str, str]) -> Any:
    content = (resources.files("asli") / "serving" / "page" / name).read_bytes()

    async def answer() -> Response:
        return Response(content, media_type=kind, headers=headers)

    return answer
