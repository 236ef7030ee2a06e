"""Consoles by WebSocket, as browsers take them: who may, what is carried, and how either side ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from app.api import VM, Console
from app.server.console import BINARY, LARGEST_MESSAGE
from tests.support.engine import Bench
from tests.support.wire import PASSWORD, USER, Wire

GREETING = b"RFB 003.008\n"


class Guest:
    """A console that greets, echoes in capitals, and hangs up at the word "bye"."""

    def __init__(self) -> None:
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        writer.write(GREETING)
        while (piece := await reader.read(1 << 16)) and piece != b"bye":
            writer.write(piece.upper())
        writer.close()
        self.open -= 1


@pytest.fixture
async def guest(bench: Bench, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guest]:
    await bench.session.VM.start(await bench.sample_vm())
    path, made = data_dir / "run" / "echo.sock", Guest()
    server = await asyncio.start_unix_server(made.serve, path)
    monkeypatch.setattr(bench.engine, "console_socket", lambda _console: path)
    yield made
    server.close()


@pytest.fixture
def session(bench: Bench) -> str:
    return bench.engine.dispatcher.login(USER, "tests")


def vm_of(bench: Bench) -> str:
    """The uuid of the VM that runs."""
    return next(bench.store.get(VM, record.VM).uuid for record in bench.store.all(Console).values())


@asynccontextmanager
async def web_socket(wire: Wire, query: str, **more: Any) -> AsyncIterator[ClientWebSocketResponse]:
    trust = wire.trust()
    async with (
        ClientSession() as http,
        http.ws_connect(f"{wire.url}/console?{query}", protocols=(BINARY,), ssl=trust or True, **more) as opened,
    ):
        yield opened


async def refusal(wire: Wire, query: str, **more: Any) -> int:
    """The status that is answered instead."""
    with pytest.raises(WSServerHandshakeError) as refused:
        async with web_socket(wire, query, **more):
            pass
    return refused.value.status


async def test_what_is_sent_arrives(bench: Bench, wire: Wire, session: str, guest: Guest) -> None:
    async with web_socket(wire, f"uuid={vm_of(bench)}&session_id={session}") as opened:
        assert opened.protocol == BINARY
        assert await opened.receive_bytes() == GREETING
        await opened.send_bytes(b"one")
        assert await opened.receive_bytes() == b"ONE"
        much, found = bytes(range(97, 123)) * 20_000, b""
        await opened.send_bytes(much)
        while len(found) < len(much):
            found += await opened.receive_bytes()
        assert found == much.upper()
    while guest.open:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_who_may(bench: Bench, wire: Wire, session: str, guest: Guest) -> None:
    which, basic = f"uuid={vm_of(bench)}", {"headers": {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}}
    cookie = {"headers": {"Cookie": f"session_id={session}"}}
    for allowed in (basic, cookie, {"origin": wire.url, **cookie}):
        async with web_socket(wire, which, **allowed) as opened:
            assert await opened.receive_bytes() == GREETING
    async with web_socket(wire, f"{which}&session_id={session}", origin="https://elsewhere.example") as opened:
        assert await opened.receive_bytes() == GREETING
    wrong = {"headers": {"Authorization": aiohttp.encode_basic_auth(USER, "wrong")}}
    elsewhere = {"origin": "https://elsewhere.example"}
    for stranger in ({}, wrong, {**elsewhere, **basic}, {**elsewhere, **cookie}):
        assert await refusal(wire, which, **stranger) == 401
    assert await refusal(wire, f"{which}&session_id=OpaqueRef:none") == 401
    assert await refusal(wire, f"uuid=none&session_id={session}") == 404


async def test_either_side_ends_it(bench: Bench, wire: Wire, session: str, guest: Guest) -> None:
    query = f"uuid={vm_of(bench)}&session_id={session}"
    async with web_socket(wire, query) as opened:
        await opened.receive_bytes()
        await opened.send_bytes(b"bye")
        assert (await opened.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)
    for message in ("text is not RFB", None):
        async with web_socket(wire, query) as opened:
            await opened.receive_bytes()
            await (opened.send_str(message) if message else opened.send_bytes(bytes(LARGEST_MESSAGE + 1)))
            while not opened.closed:
                await opened.receive()
    while guest.open:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_it_ends_with_the_server(bench: Bench, wire: Wire, session: str, guest: Guest) -> None:
    async with web_socket(wire, f"uuid={vm_of(bench)}&session_id={session}") as opened:
        await opened.receive_bytes()
        await wire.server.close()
        while not opened.closed:
            await opened.receive()


@pytest.mark.parametrize(
    "more", ["", "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n"]
)
async def test_half_a_handshake_is_refused(bench: Bench, wire: Wire, session: str, guest: Guest, more: str) -> None:
    target = f"/console?uuid={vm_of(bench)}&session_id={session}"
    reply = await wire.send(f"GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{more}\r\n".encode())
    assert reply.status == 400 and guest.open == 0
