"""Answer over HTTP until told to stop: the function behind `asli serve`."""

import logging
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from asli.detector.base import Detector
from asli.detector.locate import DEFAULT
from asli.detector.members import member_names
from asli.detector.runtimes import Kind
from asli.errors import AsliError, MissingExtraError
from asli.messages import Language

MAX_BYTES, MAX_IMAGES = 32_000_000, 64

logger = logging.getLogger("asli")


def serve(
    detector: str | Path | Sequence[str | Path] = DEFAULT,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    max_bytes: int = MAX_BYTES,
    max_images: int = MAX_IMAGES,
    embed_in: Sequence[str] = (),
    token: str | None = None,
    access_log: bool = False,
    language: Language | None = None,
    device: str | None = None,
    runtime: Kind | None = None,
    threads: int | None = None,
) -> None:
    """Serve the page and the API until interrupted.

    Args:
        detector: A detector folder, a run folder, `hub:owner/name[@revision]`, or `default`; or several of these, of
            which the first answers where a request names none.
        host: Address to listen at; 127.0.0.1 is reached from this machine only.
        port: Port to listen at; 0 takes a free one.
        max_bytes: Largest body of a request.
        max_images: Most pictures in a request.
        embed_in: Sites whose pages may show this page within, such as `https://huggingface.co`; none by default.
        token: Asked of every request to the API, as `Authorization: Bearer TOKEN`; None lets everyone in.
        access_log: Log each request without names of files: method, address, status, bytes, milliseconds.
        language: Language of the page; None takes the browser's.
        device: cuda, mps or cpu; None leaves it to the runtime.
        runtime: torch or onnx; None takes ONNX where there is nothing against it.
        threads: CPU threads of one operation; None leaves the library's choice.

    Raises:
        MissingExtraError: The extra `serve` is not installed.
        DetectorError: The detector cannot be used.
        AsliError: The address cannot be listened at, a site is none, or the token is none that a header can hold.
    """
    try:
        import uvicorn

        from asli.serving.app import create_app
        from asli.serving.server import Server
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from error
    if token is not None and not re.fullmatch(r"[\x21-\x7e]{8,}", token):
        raise AsliError("the token needs 8 or more letters, digits or signs of ASCII, without spaces")
    names = [detector] if isinstance(detector, str | Path) else list(detector)
    opened = [Detector.load(name, device=device, runtime=runtime, threads=threads) for name in names]
    app = create_app(
        dict(zip(member_names(opened), opened, strict=True)),
        max_bytes=max_bytes,
        max_images=max_images,
        embed_in=embed_in,
        token=token,
        access_log=access_log,
        language=language,
    )
    listening = _listen(host, port)
    address, taken = listening.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    for one in opened:
        logger.info("detector %s (%s)", one.describe().network, (one.hash or "")[:16])
    logger.info("http://%s:%d/ is the page, POST /v1/predict the API; stop with Ctrl-C", shown, taken)
    if address not in ("127.0.0.1", "::1") and token is None:
        logger.warning("anyone who can reach %s:%d may use it; set a token or put a proxy in front", shown, taken)
    config = uvicorn.Config(app, log_level="warning", server_header=False)
    Server(config).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        if os.name == "posix":  # a port just given up is free again; elsewhere this would share one in use
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except (OSError, UnicodeError) as error:  # UnicodeError: no name a host can have
        why = getattr(error, "strerror", None) or error
        raise AsliError(f"cannot listen at {host}:{port}: {why}; give another --host or --port") from error
    return listening
