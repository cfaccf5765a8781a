"""What requests may take: a place, so many bytes, so much time; counted while they arrive.

A framework would first take in all of a body. uvicorn limits no size or duration of a body, and its `limit_concurrency`
also refuses requests about the server's health.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DROPPED, DROPPING = 64_000_000, 10.0
"""Bytes and seconds of a refused request that are read and dropped before the refusal is sent."""

RETRY = 2
"""Seconds after which a request that found no place should be sent again."""


class HeadAsGet:
    """Answers HEAD, which probes of health and link checkers send, as GET without the body.

    Args:
        app: What answers.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, head)


class RequestLimit:
    """Answers 503 to requests that bring something while others fill all places, or bring too much together.

    Args:
        app: What answers the others.
        most: Requests at a time.
        most_bytes: Their bodies together, as declared; one alone may be larger.
        largest: What a body without a declared length counts, and the most that any counts: larger ones are refused.
    """

    def __init__(self, app: App, most: int, most_bytes: int, largest: int) -> None:
        self._app, self._most, self._most_bytes, self._largest = app, most, most_bytes, largest
        self._taken, self._bytes = 0, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        declared = declared_length(scope)
        undeclared = self._largest if b"transfer-encoding" in dict(scope["headers"]) else 0
        size = undeclared if declared is None else min(declared, self._largest)
        if self._taken >= self._most or (self._taken and self._bytes + size > self._most_bytes):
            text = f"{self._taken} requests are being answered already; send it again in {RETRY} seconds"
            await refuse(scope, receive, send, 503, text, {"retry-after": str(RETRY)})
            return
        self._taken += 1
        self._bytes += size
        try:
            await self._app(scope, receive, send)
        finally:
            self._taken -= 1
            self._bytes -= size


class BodyLimit:
    """Answers 413 to a request whose body is too large, whatever its headers say of it, and 408 to one too slow.

    Args:
        app: What answers the others.
        most: Largest body, in bytes.
        seconds: In which it has to arrive.
        pause: Longest in it, in seconds.
    """

    def __init__(self, app: App, most: int, seconds: float, pause: float) -> None:
        self._app, self._most, self._seconds, self._pause = app, most, seconds, pause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        too_large = 413, f"a request may bring {self._most:,} bytes; send fewer or smaller pictures"
        too_slow = (
            408,
            f"the request did not arrive within {self._seconds:g} seconds, or paused for {self._pause:g}",
        )
        declared = declared_length(scope)
        refusal = too_large if declared is not None and declared > self._most else None
        now = asyncio.get_running_loop().time
        seen, whole, until = 0, False, now() + self._seconds

        async def counted() -> Message:
            nonlocal seen, whole, refusal
            try:
                # After the body only the client's leaving comes.
                async with asyncio.timeout_at(None if whole else min(until, now() + self._pause)):
                    message = await receive()
            except TimeoutError:
                refusal = too_slow
                return {"type": "http.disconnect"}
            seen += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            refusal = too_large if seen > self._most else refusal
            return {"type": "http.disconnect"} if refusal else message

        async def unless_refused(message: Message) -> None:
            if refusal is None:
                await send(message)

        if refusal is None:
            with suppress(ClientDisconnect):  # what an application reads of a refused body
                await self._app(scope, counted, unless_refused)
        if refusal is not None:
            await refuse(scope, receive, send, *refusal, whole=whole, wait=refusal is not too_slow)


def declared_length(scope: Scope) -> int | None:
    """Return the length of a body by the request's header, or None where that is missing or no number."""
    declared = dict(scope["headers"]).get(b"content-length", b"")
    return int(declared) if declared.isdigit() else None


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    text: str,
    headers: dict[str, str] | None = None,
    *,
    whole: bool = False,
    wait: bool = True,
) -> None:
    """Refuse a request after reading and dropping its body.

    A connection that is closed on a client which is still sending is reset, and the client never sees the answer.

    Args:
        scope: Scope of the request, as in ASGI.
        receive: Callable that receives the request, as in ASGI.
        send: Callable that sends the answer, as in ASGI.
        status: Status of the answer.
        text: Why.
        headers: Further ones of the answer.
        whole: Whether the body has been read already.
        wait: Whether to read what is left of it. A client that asks before it sends (`Expect: 100-continue`) has not
            sent any.
    """
    if wait and not whole and b"expect" not in dict(scope["headers"]):
        whole = await _drop(receive)
    rest = {} if whole else {"connection": "close"}
    await JSONResponse({"error": text}, status, {**rest, **(headers or {})})(scope, receive, send)


async def _drop(receive: Receive) -> bool:
    """Read a body and forget it; return whether it ended within `DROPPED` bytes and `DROPPING` seconds."""
    seen = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DROPPING):
            while seen <= DROPPED:
                message = await receive()
                if not message.get("more_body", False):
                    return bool(message["type"] == "http.request")
                seen += len(message.get("body", b""))
    return False
