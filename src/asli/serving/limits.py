"""What requests may take: a place, so many bytes, so much time; counted while they arrive.

A framework would first take in all of a body, and a server would refuse in its own words.
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


class PlaceLimit:
    """Answers 503 to requests that bring something while too many others are being answered.

    Args:
        app: What answers the others.
        most: Requests at a time.
    """

    def __init__(self, app: App, most: int) -> None:
        self._app, self._most, self._taken = app, most, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif self._taken >= self._most:
            text = f"{self._taken} requests are being answered already; send it again in a moment"
            await _refusal(503, text, {"retry-after": "5"})(scope, receive, send)
        else:
            self._taken += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._taken -= 1


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
        too_large = _refusal(413, f"a request may bring {self._most:,} bytes; send fewer or smaller pictures")
        too_slow = _refusal(
            408, f"the request did not arrive within {self._seconds:g} seconds, or paused for {self._pause:g}"
        )
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        refusal = too_large if declared.isdigit() and int(declared) > self._most else None
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
            await refusal(scope, receive, send)


def _refusal(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": text}, status, {"connection": "close", **(headers or {})})
