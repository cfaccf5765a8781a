"""Pictures by http URLs that stand in data: limits on size, time, redirects and content type, no private addresses."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from asli._version import __version__
from asli.scaling.urls import LARGEST_PICTURE, TRIES, brief, pause

SECONDS = 60.0
"""Seconds for one picture, with redirects; the server must answer within half of them."""

REDIRECTS = 5

TYPES = ("image/", "application/octet-stream", "binary/octet-stream")
"""Content types of pictures; a server that states none is believed, since decoding decides."""

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class _Passing(Exception):  # noqa: N818 - never leaves this module
    """A failure that another try may mend."""


def fetch(url: str, trusted: Collection[str] = (), *, limit: int = LARGEST_PICTURE, seconds: float = SECONDS) -> bytes:
    """Return the bytes behind a URL that nobody vouches for.

    Args:
        url: http or https.
        trusted: `host:port` of servers that may have private addresses, since the user named them.
        limit: Bytes at most.
        seconds: For each of at most `TRIES` attempts.

    Raises:
        OSError: The server is unreachable or private, refuses, redirects too often, is slow, or sends too much or no
            picture.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return _follow(url, trusted, limit, time.monotonic() + seconds)
        except _Passing as error:
            if attempt == TRIES:
                raise OSError(f"{error} ({TRIES} tries)") from error
            pause(attempt)
        except (http.client.HTTPException, UnicodeError, ValueError) as error:
            raise OSError(f"no valid answer or address: {brief(error)}") from error
    raise AssertionError("unreachable")


def origin(url: str) -> str | None:
    """Return `host:port` of an http URL, or None for others."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet, in whatever form it is written."""
    found: Any = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6:
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found.sixtofour or found.teredo or found in _NAT64:
            return False  # these lead to an IPv4 address of any kind
    return bool(found.is_global and not found.is_multicast)


def _follow(url: str, trusted: Collection[str], limit: int, deadline: float) -> bytes:
    for _ in range(REDIRECTS + 1):
        parts = urlsplit(url)
        where = origin(url)
        if where is None:
            raise OSError(f"leads to {parts.scheme or 'no'}://, which is not read from data")
        if parts.username is not None:
            raise OSError("holds a user name; give credentials to the store's own client")
        connection = _connect(parts.scheme, where, private=where in trusted, deadline=deadline)
        # Time limits of a socket are for one read each; this one is for a server that sends a byte now and then.
        late = threading.Timer(max(deadline - time.monotonic(), 0), _cut, [connection.sock])
        late.daemon = True
        late.start()
        try:
            answer = _answer(connection, parts.path or "/", parts.query)
            if answer.status in (301, 302, 303, 307, 308) and (location := answer.getheader("Location")):
                url = urljoin(url, location)
                continue
            return _body(answer, limit, deadline)
        except (TimeoutError, ConnectionError, ssl.SSLError, http.client.RemoteDisconnected) as error:
            if time.monotonic() >= deadline:
                raise OSError("slower than the time limit") from error
            raise _Passing(f"the connection broke: {brief(error)}") from error
        finally:
            late.cancel()
            connection.close()
    raise OSError(f"more than {REDIRECTS} redirects")


def _connect(scheme: str, where: str, *, private: bool, deadline: float) -> http.client.HTTPConnection:
    """Connect to an address that was checked: a second look-up could give another one."""
    host, _, port = where.rpartition(":")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        kind = _Passing if error.errno == socket.EAI_AGAIN else OSError
        raise kind(f"{host} has no address: {error.strerror}") from error
    addresses = [str(one[4][0]) for one in found]
    if not private and (hidden := [address for address in addresses if not is_public(address)]):
        raise OSError(f"{host} has the private address {hidden[0]}; allow it with --allow-host {where}")
    wait = min(max(deadline - time.monotonic(), 0.1), SECONDS / 2)
    try:
        raw = socket.create_connection((addresses[0], int(port)), timeout=wait)
    except OSError as error:
        raise _Passing(f"{host} cannot be reached: {error.strerror or error}") from error
    connection = http.client.HTTPConnection(host, int(port), timeout=wait)
    connection.sock = raw
    if scheme == "https":
        try:
            connection.sock = _context().wrap_socket(raw, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raw.close()
            raise OSError(f"the certificate of {host} is not valid: {error.verify_message}") from error
        except OSError as error:
            raw.close()
            raise _Passing(f"no TLS connection with {host}: {brief(error)}") from error
    return connection


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _answer(connection: http.client.HTTPConnection, path: str, query: str) -> http.client.HTTPResponse:
    target = path + (f"?{query}" if query else "")
    headers = {"User-Agent": f"asli/{__version__}", "Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"}
    connection.request("GET", _ascii(target), headers=headers)
    return connection.getresponse()


def _ascii(target: str) -> str:
    return quote(target, safe="!#$%&'()*+,/:;=?@[]~")


def _cut(raw: socket.socket) -> None:
    with suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def _body(answer: http.client.HTTPResponse, limit: int, deadline: float) -> bytes:
    if answer.status != 200:
        kind = _Passing if answer.status in _AGAIN else OSError
        raise kind(f"HTTP status {answer.status}")
    given = (answer.getheader("Content-Type") or "").lower()
    if given and not given.startswith(TYPES):
        raise OSError(f"content type {given[:60]} is no picture")
    if (packed := answer.getheader("Content-Encoding", "identity")).lower() != "identity":
        raise OSError(f"content encoding {packed[:20]} was not asked for")
    stated = answer.length
    if stated is not None and stated > limit:
        raise OSError(f"{stated:,} bytes, more than {limit:,}")
    data = bytearray()
    while block := answer.read1(1 << 16):
        data += block
        if len(data) > limit:
            raise OSError(f"more than {limit:,} bytes")
    if time.monotonic() >= deadline:
        raise OSError("slower than the time limit")
    if stated is not None and len(data) != stated:
        raise _Passing(f"the transfer ends after {len(data):,} of {stated:,} bytes")
    return bytes(data)
