"""Who may ask, and what is noted of each request: never the name of a file."""

import hmac
import logging
import time
from collections.abc import Collection

from asli.serving.limits import App, Message, Receive, Scope, Send, refuse

OPEN = ("/v1/", "/metrics", "/openapi.json")
"""Beginnings of the addresses that a token guards; the page itself and `/health` hold nothing of anyone."""

access = logging.getLogger("asli.access")


class TokenGuard:
    """Answers 401 to requests without the right bearer token.

    Args:
        app: What answers the others.
        token: The right one.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app, self._right = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        given = dict(scope["headers"]).get(b"authorization", b"") if scope["type"] == "http" else b""
        guarded = scope["type"] == "http" and scope["path"].startswith(OPEN)
        # The time a comparison takes must not reveal how much of a guess is right.
        if not guarded or hmac.compare_digest(given, self._right):
            await self._app(scope, receive, send)
            return
        text = "this server asks for a token; send the header: Authorization: Bearer TOKEN"
        await refuse(scope, receive, send, 401, text, {"www-authenticate": "Bearer"})


class AccessLog:
    """Notes method, address, status, bytes and time of each request.

    An address that is none of the server's is noted as `other`, since it may be a file's name; so is what follows `?`.

    Args:
        app: What answers.
        known: The server's addresses.
    """

    def __init__(self, app: App, known: Collection[str]) -> None:
        self._app, self._known = app, frozenset(known)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, received, sent, start = 0, 0, 0, time.perf_counter()

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def noted(message: Message) -> None:
            nonlocal status, sent
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except Exception:
            status = status or 500  # which is answered further out
            raise
        finally:
            path = scope["path"] if scope["path"] in self._known else "other"
            elapsed = 1000 * (time.perf_counter() - start)
            access.info(
                "%s %s %d in=%d out=%d ms=%.0f", _method(scope["method"]), path, status, received, sent, elapsed
            )


def _method(name: str) -> str:
    return name if name.isalpha() and len(name) <= 7 else "other"
