"""How much a request may bring: counted while it arrives, since a framework would first take in all of it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class BodyLimit:
    """Answers 413 to a request whose body is too large, whatever its headers say of it.

    Args:
        app: What answers the others.
        most: Largest body, in bytes.
    """

    def __init__(self, app: App, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        seen, too_large = 0, declared.isdigit() and int(declared) > self._most

        async def counted() -> Message:
            nonlocal seen, too_large
            message = await receive()
            seen += len(message.get("body", b""))
            too_large = too_large or seen > self._most
            return {"type": "http.disconnect"} if too_large else message

        async def unless_too_large(message: Message) -> None:
            if not too_large:
                await send(message)

        if not too_large:
            await self._app(scope, counted, unless_too_large)
        if too_large:
            text = f"a request may bring {self._most:,} bytes; send fewer or smaller pictures"
            answer = JSONResponse({"error": text}, status_code=413, headers={"connection": "close"})
            await answer(scope, receive, send)
