"""A server on a port of this machine, and ways to speak to it: by exact bytes, and by XenServer's own client."""

from __future__ import annotations

import asyncio
import ssl
import xmlrpc.client
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import XenAPI

from app.config import load
from app.engine.engine import Engine
from app.server.accounts import Accounts
from app.server.certificate import ensure_certificate, server_context
from app.server.door import Door
from app.server.tcp import Address, TcpServer

T = TypeVar("T")
USER = "root"
PASSWORD = "correct horse"


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers by lower-case name, content."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """The server with what a client needs to know."""

    def __init__(self, server: TcpServer, certificate: Path | None) -> None:
        self.server = server
        self.url = server.url
        self.certificate = certificate
        self._opened: list[Any] = []

    def trust(self) -> ssl.SSLContext | None:
        """What a client trusts: the server's certificate alone. None for plain HTTP."""
        if self.certificate is None:
            return None
        return ssl.create_default_context(cafile=str(self.certificate))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection for exact bytes."""
        host, port = self.server.address.host, self.server.address.port
        return await asyncio.open_connection(host, port, ssl=self.trust(), limit=1 << 24)

    async def send(self, request: bytes) -> Reply:
        """One request of exact bytes, and its answer."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            await writer.drain()
            return await read_reply(reader, with_body=not request.startswith(b"HEAD "))
        finally:
            writer.close()

    async def post(self, body: bytes, path: str = "/", content_type: str = "text/xml") -> Reply:
        """A POST."""
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        return await self.send(head.encode() + body)

    def stranger(self) -> Any:
        """A session of XenServer's own client, not logged in. It blocks: see `aside`."""
        self._opened.append(XenAPI.Session(self.url, ignore_ssl=True))
        return self._opened[-1]

    async def session(self, originator: str = "tests") -> Any:
        """The same, logged in."""
        opened = self.stranger()
        await aside(opened.login_with_password, USER, PASSWORD, "2.21", originator)
        return opened

    def proxy(self) -> Any:
        """Python's own XML-RPC client, which adds no session."""
        self._opened.append(xmlrpc.client.ServerProxy(self.url, context=self.trust()))
        return self._opened[-1]

    def close(self) -> None:
        """End the connections of the clients."""
        for opened in self._opened:
            opened("close")()


async def read_reply(reader: asyncio.StreamReader, *, with_body: bool = True) -> Reply:
    """The next answer on a connection."""
    head = [" 100"]
    while head[0].split()[-1 if len(head) == 1 else 1] == "100":
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    length = headers.get("content-length")
    body = b""
    if with_body:
        body = await reader.read() if length is None else await reader.readexactly(int(length))
    return Reply(int(head[0].split()[1]), headers, body)


async def aside(work: Callable[..., T], *args: Any) -> T:
    """Run what blocks in a thread; the server answers on this one."""
    return await asyncio.to_thread(work, *args)


async def at_once(_seconds: float) -> None:
    """No patience: what guessing costs is tested elsewhere."""


@asynccontextmanager
async def serving(
    engine: Engine, data_dir: Path, *, tls: bool = True, idle_seconds: float = 60.0
) -> AsyncIterator[Wire]:
    """Serve an engine on a free port, with one account."""
    config = load(data_dir)
    accounts = Accounts(config.accounts_file)
    accounts.set(USER, PASSWORD)
    certificate = config.certificate_file if tls else None
    context = None
    if certificate is not None:
        ensure_certificate(certificate, "127.0.0.1")
        context = server_context(certificate)
    door = Door(accounts, pause=at_once)
    server = TcpServer(engine, Address("127.0.0.1", 0), door, context, idle_seconds=idle_seconds)
    await server.open()
    wire = Wire(server, certificate)
    try:
        yield wire
    finally:
        wire.close()
        await server.close()
