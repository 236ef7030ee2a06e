"""Connections to XenServers: HTTP requests and raw byte streams, over TLS to servers that are trusted."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import aiohttp

from app.api import ConnectionLost, Failure
from app.client.address import Address
from app.client.trust import CONNECT_SECONDS, Trust, certificate_changed, digest_of

LOST: Final = (aiohttp.ClientError, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError)
MOST_REDIRECTS: Final = 3
KEEP_ALIVE_SECONDS: Final = 15.0
"""An idle connection is not used again after this long: the server may be closing it just then."""
_DEAD_AFTER: Final = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds, seconds and times: a server whose host is gone is noticed within a minute, also during a long call."""


class HttpChannel:
    """The connections of one transport. Every method may raise ConnectionLost, or Failure SSL_VERIFY_ERROR."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._http: aiohttp.ClientSession | None = None

    async def post(
        self, address: Address, path: str, content_type: str, body: bytes, silence: float | None
    ) -> tuple[int, bytes]:
        """Status and content of the answer.

        :param silence: seconds without a byte after which the connection counts as lost; None: for ever.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        ssl_option = await self._ssl_option(address)
        with translated(address):
            async with self._client().post(
                address.url(path), data=body, headers={"Content-Type": content_type}, ssl=ssl_option, timeout=limits,
                allow_redirects=False,
            ) as response:  # fmt: skip
                return response.status, await response.read()

    @asynccontextmanager
    async def get(
        self, address: Address, path: str, query: Mapping[str, str], session: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response of a GET, when its head has come; it is sent on to another host where the server says so."""
        at, target, params = address, path, dict(query)
        for _ in range(MOST_REDIRECTS + 1):
            ssl_option = await self._ssl_option(at)
            # In a cookie: addresses get into logs.
            headers = {"Cookie": f"session_id={session}"}
            with translated(at):
                async with self._client().get(
                    at.url(target), params=params, headers=headers, ssl=ssl_option, allow_redirects=False
                ) as response:
                    location = response.headers.get("Location", "") if 300 <= response.status < 400 else ""
                    if not location:
                        yield response
                        return
            at, target, params = *elsewhere(at, target, location), {}
        raise ConnectionLost(f"{address} sends us round in circles")

    async def stream(self, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A raw connection, over TLS where the address says so."""
        context, known = await self._trust.context(address) if address.secure else (None, "")
        with translated(address):
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
        if context is not None:
            try:
                shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                self._trust.check(address, known, shown)
            except Failure:
                writer.transport.abort()
                raise
        return reader, writer

    async def close(self) -> None:
        """Close all connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    async def _ssl_option(self, address: Address) -> ssl.SSLContext | aiohttp.Fingerprint | bool:
        if not address.secure:
            return False
        context, known = await self._trust.context(address)
        return _fingerprint(known) if known else context

    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, socket_factory=_watched_socket
            )
            self._http = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._http


@cache
def _fingerprint(known: str) -> aiohttp.Fingerprint:
    """The same object each time: aiohttp uses a connection again only for an equal one, and they equal themselves."""
    return aiohttp.Fingerprint(digest_of(known))


def _watched_socket(info: tuple[Any, ...]) -> socket.socket:
    """A socket that notices when the other side is gone (tcp(7))."""
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _DEAD_AFTER.items():
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


def elsewhere(at: Address, path: str, location: str) -> tuple[Address, str]:
    """The server and path of a redirect. :raise ConnectionLost: it is none that we follow."""
    url = urljoin(at.url(path), location)
    parts = urlsplit(url)
    try:
        found = Address.parse(f"{parts.scheme}://{parts.netloc}")
    except ValueError as error:
        raise ConnectionLost(f"{at} sends us to an address that is none") from error
    if at.secure and not found.secure:
        raise ConnectionLost(f"{at} sends us to {found}, which is not encrypted")
    return found, f"{parts.path}?{parts.query}" if parts.query else parts.path


@contextlib.contextmanager
def translated(address: Address) -> Iterator[None]:
    """Turn what goes wrong on a connection into Failure SSL_VERIFY_ERROR or ConnectionLost."""
    try:
        yield
    except aiohttp.ServerFingerprintMismatch as error:
        known, shown = (digest.hex(":").upper() for digest in (error.expected, error.got))
        raise certificate_changed(address, known, shown) from error
    except (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError) as error:
        cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
        raise Failure("SSL_VERIFY_ERROR", address, getattr(cause, "verify_message", "") or cause) from error
    except LOST as error:
        raise ConnectionLost(f"{address} does not answer: {error or 'no answer in time'}") from error
