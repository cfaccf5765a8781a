"""The addresses under `/v1/`, which programs and the page call."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from asli._version import __version__
from asli.detector.base import Detector
from asli.detector.description import DetectorDescription
from asli.detector.family import Family
from asli.detector.prediction import Prediction
from asli.errors import DetectorError, ImageError
from asli.explanation.view import Method
from asli.records import Json
from asli.serving.api_schema import (
    About,
    Abouts,
    Answer,
    Error,
    ExplainAnswer,
    File,
    Limits,
    Supported,
    WebExplainedImage,
    content,
)
from asli.serving.batching import RequestBatches
from asli.serving.explaining import Explainer, preview
from asli.serving.forms import Upload, form_body, pictures_of

MOST_FILES = 1000
"""Files of a form that are taken in at all; `max_images`, which is at most as many, is asked afterwards."""

LINES = "application/x-ndjson"
"""Media type of an answer in lines, each a JSON object."""

FAILED = "the server could not answer this request; its log holds the reason"

TOGETHER = 16
"""Pictures of one request that wait for their scores at a time, so that it leaves room for others."""

logger = logging.getLogger("asli")

Count = Callable[[Sequence[Prediction], float], None]
Named = Annotated[str | None, Query(description="Name of a detector from `/v1/detectors`; the first by default.")]
Forced = Annotated[bool, Query(description="Also give a verdict on pictures outside the detector's domain.")]

REFUSALS: dict[int | str, Json] = {
    status: {**content(Error), "description": text}
    for status, text in {
        400: "The form is broken.",
        401: "The bearer token is missing or wrong.",
        408: "The request arrived too slowly.",
        413: "Too many bytes or pictures.",
        422: "No picture, or a parameter that is not understood.",
        503: "Too many requests; the header `Retry-After` has the seconds to wait.",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Served:
    """A detector that is served.

    Attributes:
        name: In the parameter `detector`.
        detector: Itself.
        described: What goes beside its scores.
        batches: Scores by it.
        explainer: Explains by it.
    """

    name: str
    detector: Detector
    described: DetectorDescription
    batches: RequestBatches
    explainer: Explainer


def routes(served: Mapping[str, Served], *, max_bytes: int, max_images: int) -> APIRouter:
    """Return the API of some detectors.

    Args:
        served: Detectors by name; the first is the default.
        max_bytes: Largest body of a request.
        max_images: Most pictures in a request.
    """
    router = APIRouter(prefix="/v1", responses=REFUSALS)
    abouts = {name: _about(one, max_bytes, max_images) for name, one in served.items()}
    names = ", ".join(served)

    def chosen(request: Request, name: str | None, known: set[str]) -> Served:
        unknown = set(request.query_params) - {"detector", *known}
        if unknown:
            there = ", ".join(sorted({"detector", *known}))
            raise HTTPException(422, f"no parameter named {sorted(unknown)[0]!r}; there are {there}")
        if name is not None and name not in served:
            raise HTTPException(422, f"no detector named {name[:60]!r}; there are: {names}")
        return served[next(iter(served)) if name is None else name]

    async def taken(request: Request, most: int) -> list[Upload]:
        form = await request.form(max_files=MOST_FILES, max_part_size=max_bytes)
        pictures = pictures_of(form, request.headers.get("content-type", ""))
        if len(pictures) > most:
            raise HTTPException(413, f"{len(pictures)} pictures; a request may bring {most}")
        return pictures

    @router.post("/predict", responses={200: content(Answer)}, openapi_extra={"requestBody": form_body()})
    async def predict(
        request: Request,
        stability: Annotated[bool, Query(description="Also score re-encoded and resized views.")] = False,
        force_domain: Forced = False,
        detector: Named = None,
    ) -> Response:
        """Score pictures: what `asli predict --json` prints, and the hash of each file."""
        one = chosen(request, detector, {"stability", "force_domain"})
        try:
            scored: list[Prediction] = []
            pictures = await taken(request, max_images)
            for start in range(0, len(pictures), TOGETHER):
                if scored and await request.is_disconnected():
                    break
                waiting = [
                    one.batches.score(p.name, p.read, p.size, stability=stability, force_domain=force_domain)
                    for p in pictures[start : start + TOGETHER]
                ]
                scored += await asyncio.gather(*waiting)
            files = [_file(p) for p in pictures[: len(scored)]]
        finally:
            await request.close()
        answer = Answer(images=tuple(scored), **_identified(one, files, force_domain))
        return JSONResponse(answer.to_dict())

    @router.post(
        "/explain",
        responses={
            200: {
                "description": "With `progress`, lines: each has a share `progress`; one with a map is a whole answer.",
                "content": {**content(ExplainAnswer)["content"], LINES: {}},
            }
        },
        openapi_extra={"requestBody": form_body(one=True)},
    )
    async def explain(
        request: Request,
        method: Annotated[
            Method, Query(description="Grad-CAM asks gradients; occlusion works everywhere.")
        ] = "grad-cam",
        check: Annotated[bool, Query(description="Also measure whether the map holds.")] = True,
        progress: Annotated[bool, Query(description="Answer in lines while it is computed.")] = False,
        force_domain: Forced = False,
        detector: Named = None,
    ) -> Response:
        """Show where in one picture its score comes from, and whether that map can be trusted."""
        one = chosen(request, detector, {"method", "check", "progress", "force_domain"})
        try:
            (picture,) = await taken(request, 1)
            options: dict[str, Any] = {"method": method, "check": check, "force_domain": force_domain}
            news = one.explainer.explain(picture.name, picture.read, request.is_disconnected, **options)
            first = await anext(news, (1.0, None))  # what cannot be explained is refused before any line
            if not progress:
                last = first[1]
                async for _, image in news:
                    last = image or last
        except DetectorError as error:
            raise HTTPException(422, str(error)) from error
        finally:
            await request.close()

        def answer(*images: WebExplainedImage) -> Json:
            return ExplainAnswer(images=images, **_identified(one, [_file(picture)], force_domain)).to_dict()

        if not progress:
            return JSONResponse(answer(*([last] if last else [])))

        async def lines() -> AsyncIterator[str]:
            def line(share: float, image: WebExplainedImage | None) -> str:
                found = {} if image is None else answer(image)
                return json.dumps({"progress": round(share, 3), **found}) + "\n"

            try:
                yield line(*first)
                async for share, image in news:
                    yield line(share, image)
            except Exception:  # the status is sent already
                logger.exception("an explanation failed")
                yield json.dumps({"error": FAILED}) + "\n"

        return StreamingResponse(lines(), media_type=LINES)

    @router.post(
        "/preview",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}, "description": "A small JPEG file."}},
        openapi_extra={"requestBody": form_body(one=True)},
    )
    async def small(request: Request) -> Response:
        """Return one picture as a small JPEG file, for browsers that cannot show its format."""
        try:
            (picture,) = await taken(request, 1)
            made = await run_in_threadpool(lambda: preview(picture.read()))
        except ImageError as error:
            raise HTTPException(422, str(error)) from error
        finally:
            await request.close()
        return Response(made, media_type="image/jpeg")

    @router.get("/detector", responses={200: content(About)})
    async def about(request: Request, detector: Named = None) -> Response:
        """Describe a detector: thresholds, what it can judge, and what a request may bring."""
        return JSONResponse(abouts[chosen(request, detector, set()).name].to_dict())

    @router.get("/detectors", responses={200: content(Abouts)})
    async def all_of_them() -> Response:
        """Describe all detectors of this server."""
        return JSONResponse(Abouts(detectors=tuple(abouts.values())).to_dict())

    return router


def _identified(one: Served, files: Sequence[File], force_domain: bool) -> dict[str, Any]:
    """Return the fields of an answer besides its images."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    detector = one.described.forced(force_domain)
    return {"detector": detector, "files": tuple(files), "asli": __version__, "time": time}


def _file(picture: Upload) -> File:
    return File(sha256=picture.sha256, bytes=picture.size)


def _about(one: Served, max_bytes: int, max_images: int) -> About:
    members = one.detector.members if isinstance(one.detector, Family) else {}
    return About(
        detector=one.described,
        name=one.name,
        asli=__version__,
        domain=Supported.of(one.detector.card.domain),
        member_domains={name: Supported.of(member.card.domain) for name, member in members.items()},
        limits=Limits(bytes=max_bytes, images=max_images),
    )
