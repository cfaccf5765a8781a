"""The page for people: its files, its texts in every language, and example pictures."""

import json
import re
from collections.abc import Callable, Coroutine, Sequence
from functools import cache
from importlib import resources
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from asli.errors import AsliError
from asli.messages import LANGUAGES, Language, catalog
from asli.messages.reasons import PARTS, PATTERNS, RANGES
from asli.records import Json

FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript")
        for name in ("page", "texts", "server", "cards", "explanation", "record")
    },
}

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors ",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""Headers of the page. It loads and sends nothing elsewhere. Sites that may frame it are added."""

EXAMPLES = 6
"""Pictures offered for a first try, half of them photographs."""

ADDRESSES = (*FILES, "/texts.json", *(f"/examples/{number}.jpg" for number in range(EXAMPLES)))
"""Addresses of the page's files."""

_ORIGIN = re.compile(r"https?://[\w*.-]+(:\d+)?", re.ASCII)
_USED = ("verdict.", "web.", "explain.", "reason.", "statement.")


def site(embed_in: Sequence[str], language: Language | None) -> APIRouter:
    """Return the addresses of the page.

    Args:
        embed_in: Sites whose pages may show this page within.
        language: Language of the page; None takes the browser's.

    Raises:
        AsliError: One of the sites is none.
    """
    router, headers = APIRouter(include_in_schema=False), _headers(embed_in)
    for address, (name, kind) in FILES.items():
        content = (resources.files("asli") / "serving" / "page" / name).read_bytes()
        router.add_api_route(address, _answering(content, kind, headers))
    router.add_api_route("/texts.json", _answering(_texts(language), "application/json", headers))

    @router.get("/examples/{number}.jpg")
    def example(number: int) -> Response:
        if not 0 <= number < EXAMPLES:
            raise HTTPException(404, f"there are examples 0 to {EXAMPLES - 1}")
        return Response(_examples()[number], media_type="image/jpeg", headers=headers)

    return router


def _texts(language: Language | None) -> bytes:
    texts = {code: {key: text for key, text in catalog(code).items() if key.startswith(_USED)} for code in LANGUAGES}
    # JavaScript writes named groups a little differently.
    patterns = [[pattern.pattern.replace("(?P<", "(?<"), key] for pattern, key in PATTERNS]
    found: Json = {"languages": LANGUAGES, "language": language, "texts": texts, "patterns": patterns, "parts": PARTS}
    found |= {"ranges": RANGES, "examples": EXAMPLES}
    return json.dumps(found, ensure_ascii=False).encode()


@cache
def _examples() -> list[bytes]:
    from asli.sample import golden_images  # here: it needs what reads and splits data, which no other request does

    images = golden_images()
    fakes, reals = ([data for name, data in images if f"/{label}/" in name] for label in ("FAKE", "REAL"))
    step = len(reals) // (EXAMPLES // 2)
    return [data for pair in zip(reals[::step], fakes[::step], strict=False) for data in pair][:EXAMPLES]


def _headers(embed_in: Sequence[str]) -> dict[str, str]:
    wrong = next((one for one in embed_in if not _ORIGIN.fullmatch(one)), None)
    if wrong is not None:
        raise AsliError(f"'{wrong}' is no site to embed in; give its address without a path: https://example.org")
    policy = HEADERS["content-security-policy"] + (" ".join(embed_in) or "'none'")
    return {**HEADERS, "content-security-policy": policy}


def _answering(content: bytes, kind: str, headers: dict[str, str]) -> Callable[[], Coroutine[Any, Any, Response]]:
    async def answer() -> Response:
        return Response(content, media_type=kind, headers=headers)

    return answer
