"""The engine for other machines: HTTPS, or plain HTTP for programs of this machine where it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from app.engine.engine import Engine
from app.log import get
from app.server.console import ConsoleTunnels, is_web_socket
from app.server.desk import Desk
from app.server.door import Door
from app.server.front import Doors, Front
from app.server.pages import page
from app.server.site import LARGEST_BODY, never_a_traceback, options, rpc
from app.server.transfers import Transfers

log = get(__name__)

IDLE_SECONDS: Final = 120.0
"""For a connection between two requests, and for the head of a request to arrive in."""
HANDSHAKE_SECONDS: Final = 15.0
MOST_CONNECTIONS: Final = 700
"""Most systems allow a process a thousand files, and guests and disks need some."""
_SILENT: Final = logging.getLogger(f"{__name__}.quiet")
"""Requests that are none are answered and not worth a line each: whoever sends them would fill the log."""
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class AddressError(Exception):
    """An address to listen on is wrong; the text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """An address from `HOST:PORT`; an IPv6 address stands in brackets. :raise AddressError:"""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise AddressError(f"{text} is no address: an IPv6 address stands in brackets, as in [::1]:8443")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise AddressError(f"{text} is no address: HOST:PORT is wanted, as in 127.0.0.1:8443")
    return Address(host, int(port))


async def is_of_this_machine(address: Address) -> bool:
    """Whether only programs of this machine reach the address. :raise AddressError: there is no such host."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AddressError(f"{address.host} is no address of this machine: {error.strerror}") from error
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


async def _name(_request: web.Request, response: web.StreamResponse) -> None:
    # Instead of the versions of our parts, which are nobody's business before a login.
    response.headers["Server"] = "Stillframe"


class TcpServer:
    """Answers on an address. Everybody who has no session has to say who they are."""

    def __init__(
        self,
        engine: Engine,
        address: Address,
        door: Door,
        tls: ssl.SSLContext | None,
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """:param tls: None: plain HTTP; see to it that the address is one of this machine alone."""
        self._engine = engine
        self._desk = Desk(engine, door)
        self._transfers = Transfers(engine, self._desk)
        self._consoles = ConsoleTunnels(engine, self._desk)
        self._doors = Doors(MOST_CONNECTIONS)
        self._server: asyncio.Server | None = None
        self._wanted = address
        self._tls = tls
        self._idle_seconds = idle_seconds
        self._runner: web.AppRunner | None = None
        self.address = address

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{'http' if self._tls is None else 'https'}://{self.address}"

    async def open(self) -> None:
        """Begin to answer. With port 0 the system chooses one: see `address`. :raise AddressError: it is taken."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[never_a_traceback])
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.on_response_prepare.append(_name)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_SILENT,
            shutdown_timeout=2.0,
            keepalive_timeout=self._idle_seconds,
            # What waits for events ends with its client; what changes something goes on (see Tasks.run).
            handler_cancellation=True,
        )
        await self._runner.setup()
        try:
            await self._listen(self._runner)
        except OSError as error:
            await self.close()
            raise AddressError(f"{self._wanted} cannot be listened on: {error.strerror}") from error
        log.info("answering", address=str(self.address), tls=self._tls is not None)

    async def _listen(self, runner: web.AppRunner) -> None:
        web_server = runner.server
        assert web_server is not None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Front(web_server, self._consoles.tunnel, self._idle_seconds, self._doors),
            self._wanted.host,
            self._wanted.port,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_SECONDS,
            reuse_address=True,
        )
        self.address = Address(self._wanted.host, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Answer no more."""
        runner, self._runner = self._runner, None
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._consoles.close()
        if runner is not None:
            with contextlib.suppress(TimeoutError):
                await runner.cleanup()
        await self._doors.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            scheme = "http" if self._tls is None else "https"
            return await rpc(request, self._desk, url=f"{scheme}://{request.host or self.address}")
        if request.method == "OPTIONS":
            return options()
        if is_web_socket(request):
            return await self._consoles.web_socket(request)
        if request.method in ("GET", "PUT"):
            return await self._transfers.answer(request)
        return page(501)
