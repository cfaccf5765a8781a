"""The application: what each address answers. It keeps no picture and no score."""

from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from starlette.exceptions import HTTPException

from asli._version import __version__
from asli.detector.base import Detector
from asli.detector.prediction import Prediction
from asli.detector.runtimes import usable_threads
from asli.messages import Language
from asli.serving.access_log import AccessLog, TokenGuard
from asli.serving.api import FAILED, Served, routes
from asli.serving.api_schema import DescribedApp, Health, content
from asli.serving.batching import RequestBatches
from asli.serving.explaining import Explainer
from asli.serving.limits import BodyLimit, HeadAsGet, RequestLimit
from asli.serving.site import ADDRESSES, site

PLACES, PLACE_BYTES = 256, 512_000_000
"""Requests that bring pictures, answered or waiting at a time, and their bytes; more are told to come back (503)."""

SECONDS, PAUSE = 120, 20
"""In which a request has to arrive, and the longest pause in it: who says nothing holds no place."""


def create_app(
    detectors: Detector | Mapping[str, Detector],
    *,
    max_bytes: int,
    max_images: int,
    embed_in: Sequence[str] = (),
    token: str | None = None,
    access_log: bool = False,
    language: Language | None = None,
) -> FastAPI:
    """Make the application.

    Args:
        detectors: Scores every picture; several by name, of which the first is the default.
        max_bytes: Largest body of a request.
        max_images: Most pictures in a request.
        embed_in: Sites whose pages may show this page within, such as `https://huggingface.co`; none by default.
        token: Asked of every request to the API; None lets everyone in.
        access_log: Note each request on the logger `asli.access`, without names of files.
        language: Language of the page; None takes the browser's.

    Raises:
        AsliError: One of the sites is none.
    """
    named = {"default": detectors} if isinstance(detectors, Detector) else dict(detectors)
    metrics = _Metrics()
    served = {name: _serve(name, detector, metrics) for name, detector in named.items()}
    # Its documentation pages would load scripts from elsewhere; /openapi.json describes the API without them.
    app = DescribedApp(title="asli", version=__version__, docs_url=None, redoc_url=None)
    app.include_router(routes(served, max_bytes=max_bytes, max_images=max_images))
    app.include_router(site(embed_in, language))
    first = next(iter(named.values()))

    @app.get("/health", responses={200: content(Health)})
    async def health() -> Response:
        """Say that the server answers."""
        return JSONResponse(Health(status="ok", detector=first.hash).to_dict())

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    def failed(_: Request, __: Exception) -> JSONResponse:  # the error itself goes to the server's log
        return JSONResponse({"error": FAILED}, 500)

    @app.exception_handler(RequestValidationError)
    def misunderstood(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]  # the parameters are all the framework checks
        choices = first.get("ctx", {}).get("expected", "true or false").replace("'", "")
        text = f"parameter {first['loc'][-1]} is {str(first.get('input'))[:60]!r}; give {choices}"
        return JSONResponse({"error": text}, 422)

    app.add_middleware(BodyLimit, most=max_bytes, seconds=SECONDS, pause=PAUSE)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestLimit, most=PLACES, most_bytes=PLACE_BYTES, largest=max_bytes)
    if token is not None:
        app.add_middleware(TokenGuard, token=token)
    if access_log:  # added last, asked first
        app.add_middleware(AccessLog, known=[*app.openapi()["paths"], *ADDRESSES, "/metrics", "/openapi.json"])
    return app


def _serve(name: str, detector: Detector, metrics: "_Metrics") -> Served:
    detector.warm_up()
    batches = RequestBatches(detector, max(2, usable_threads()), metrics.count)
    return Served(name, detector, detector.describe(), batches, Explainer(detector))


class _Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()  # its own: several applications may live in one process
        self._images = Counter("asli_images", "Pictures by verdict", ["verdict"], registry=self.registry)
        self._seconds = Histogram("asli_image_seconds", "Time to score a picture", registry=self.registry)
        self._batches = Counter("asli_batches", "Groups of pictures scored together", registry=self.registry)

    def count(self, scored: Sequence[Prediction], seconds: float) -> None:
        self._batches.inc()
        for one in scored:
            self._images.labels(one.verdict or "error").inc()
            self._seconds.observe(seconds / len(scored))
