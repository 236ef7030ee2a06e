"""The first look at a connection: a tunnel is not HTTP after its head, everything else goes to the web server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

LONGEST_HEAD: Final = 16 << 10
_TUNNEL: Final = b"CONNECT "

Tunnel = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Takes a connection over: the head of the request, and the streams behind it."""


class Front(asyncio.Protocol):
    """One connection, until it is known what is on it."""

    def __init__(self, web: Callable[[], asyncio.Protocol], tunnel: Tunnel, patience: float, doors: Doors) -> None:
        """:param patience: seconds until a request has to begin."""
        self._web = web
        self._tunnel = tunnel
        self._patience = patience
        self._doors = doors
        self._seen = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not self._doors.enter(transport):
            transport.abort()
            return
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(self._patience, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if self._transport is None or self._transport.is_closing():
            return
        if not self._seen.startswith(_TUNNEL[: len(self._seen)]):
            self._hand_over(self._transport)
        elif b"\r\n\r\n" in self._seen:
            self._open_tunnel(self._transport)
        elif len(self._seen) > LONGEST_HEAD:
            self._transport.abort()

    def _hand_over(self, transport: asyncio.Transport) -> None:
        self._stop_waiting()
        protocol = self._web()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(self._seen)

    def _open_tunnel(self, transport: asyncio.Transport) -> None:
        self._stop_waiting()
        head, _, rest = self._seen.partition(b"\r\n\r\n")
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        reader.feed_data(rest)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._doors.attend(self._tunnel(head, reader, writer))

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Doors:
    """How many connections there are, and the tunnels among them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: set[asyncio.Transport] = set()
        self._tunnels: set[asyncio.Future[None]] = set()

    def enter(self, transport: asyncio.Transport) -> bool:
        """Whether there is room for one more. Connections that have closed are forgotten here."""
        if len(self._inside) >= self._most:
            self._inside = {known for known in self._inside if not known.is_closing()}
        if len(self._inside) >= self._most:
            return False
        self._inside.add(transport)
        return True

    def attend(self, work: Awaitable[None]) -> None:
        """Let a tunnel run until it ends or `close`."""
        running = asyncio.ensure_future(work)
        self._tunnels.add(running)
        running.add_done_callback(self._tunnels.discard)

    async def close(self) -> None:
        """End the tunnels, and connections on which nothing was asked yet."""
        for running in self._tunnels:
            running.cancel()
        if self._tunnels:
            await asyncio.wait(self._tunnels)
        for transport in self._inside:
            # A TLS transport of Python 3.11.2 that was closed twice has nothing left to abort, and says so.
            with contextlib.suppress(AttributeError):
                transport.abort()
        self._inside.clear()
