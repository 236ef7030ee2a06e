"""The screen of a real guest over WebSocket and HTTPS, as noVNC and Xen Orchestra show it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import aiohttp
from aiohttp import ClientSession, ClientWebSocketResponse

from app.client.rfb import RfbClient
from tests.e2e.shell import Shell


async def carry(opened: ClientWebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Both ways, until cancelled."""

    async def out() -> None:
        while piece := await reader.read(1 << 16):
            await opened.send_bytes(piece)

    sending = asyncio.ensure_future(out())
    try:
        async for message in opened:
            writer.write(message.data)
            await writer.drain()
    finally:
        sending.cancel()
        writer.close()


async def test_the_screen_of_a_guest(shell: Shell, vm: str) -> None:
    assert shell.said("vm-param-get", f"uuid={vm}", "param-name=power-state") == "running\n"
    port = shell.far[shell.far.index("-p") + 1]
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    login = {"Authorization": aiohttp.encode_basic_auth("root", "not a secret")}
    ours, theirs = socket.socketpair()
    async with (
        ClientSession() as http,
        http.ws_connect(
            f"https://127.0.0.1:{port}/console?uuid={vm}", protocols=("binary",), ssl=trust, headers=login
        ) as opened,
    ):
        carrying = asyncio.ensure_future(carry(opened, *await asyncio.open_connection(sock=theirs)))
        client = await RfbClient.open(*await asyncio.open_connection(sock=ours))
        assert (client.width, client.height) > (100, 100)
        async for _ in client.updates():
            if any(client.framebuffer):
                break
        await client.close()
        carrying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await carrying
