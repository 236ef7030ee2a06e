"""Consoles for other machines: CONNECT /console, after whose head the connection carries RFB, or the serial line.

Browsers, and what shows consoles in them, take a WebSocket at the same place; its binary messages are the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import WSMsgType, web

from app.api import VM, Console, Failure
from app.api.enums import ConsoleProtocol
from app.api.failure import handle_invalid
from app.engine.engine import Engine
from app.log import get
from app.server.desk import Desk
from app.server.pages import page
from app.server.visitors import Stranger, visit

log = get(__name__)

PIECE: Final = 64 << 10
BINARY: Final = "binary"
"""What noVNC calls the messages that it sends and takes; a client that names nothing is served too."""
HEARTBEAT_SECONDS: Final = 30.0
"""A browser that does not answer for so long is gone."""
LARGEST_MESSAGE: Final = 1 << 20
"""Bytes from a browser at once: keys, the mouse, and what is pasted."""
_OK: Final = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nCache-Control: no-cache, no-store\r\n\r\n"


class ConsoleTunnels:
    """Connects clients with the consoles of guests."""

    def __init__(self, engine: Engine, desk: Desk) -> None:
        self._engine = engine
        self._desk = desk
        self._carrying: set[asyncio.Future[None]] = set()

    async def tunnel(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one CONNECT until either side ends it."""
        try:
            await self._tunnel(head, reader, writer)
        except OSError:
            pass
        except Exception:
            log.exception("a bug of ours", method="CONNECT")
        finally:
            writer.transport.abort()

    async def _tunnel(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, query, headers = _parsed(head)
        session = query.get("session_id", "") or _cookie(headers.get("cookie", ""))
        address = str((writer.get_extra_info("peername") or ("",))[0])
        if path != "/console":
            return await _refuse(writer, 404, "Not Found")
        try:
            async with visit(self._engine, self._desk, session, headers.get("authorization", ""), address):
                socket = self._engine.console_socket(self._console(query))
                far_reader, far_writer = await asyncio.open_unix_connection(socket)
        except Stranger:
            return await _refuse(writer, 401, "Unauthorised", 'WWW-Authenticate: Basic realm="connect_console"\r\n')
        except (Failure, OSError):
            return await _refuse(writer, 404, "Not Found")
        try:
            writer.write(_OK)
            await _both_ways((reader, writer), (far_reader, far_writer))
        finally:
            far_writer.transport.abort()

    async def web_socket(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket until either side ends it.

        A page of another site can open one with what the browser knows of us: then only a session in the query counts.
        """
        near = web.WebSocketResponse(
            protocols=(BINARY,), heartbeat=HEARTBEAT_SECONDS, max_msg_size=LARGEST_MESSAGE, timeout=1.0
        )
        known = not _is_foreign(request)
        session = request.query.get("session_id", "") or (request.cookies.get("session_id", "") if known else "")
        authorization = request.headers.get("Authorization", "") if known else ""
        try:
            async with visit(self._engine, self._desk, session, authorization, request.remote or ""):
                if not near.can_prepare(request):
                    return page(400)
                socket = self._engine.console_socket(self._console(request.query))
                far = await asyncio.open_unix_connection(socket)
        except Stranger:
            return page(401, realm="get_console")
        except (Failure, OSError):
            return page(404)
        try:
            await near.prepare(request)
            await self._carry(_until_one_ends(_to_guest(near, far[1]), _to_browser(far[0], near)))
            await near.close()
        finally:
            far[1].transport.abort()
        return near

    async def _carry(self, both_ways: Coroutine[Any, Any, None]) -> None:
        """Let it run until it ends or `close`."""
        carrying = asyncio.ensure_future(both_ways)
        self._carrying.add(carrying)
        try:
            await asyncio.wait([carrying])
        finally:
            self._carrying.discard(carrying)
            carrying.cancel()

    def close(self) -> None:
        """End the WebSockets, each with a word to its browser. Tunnels end with their connections."""
        for carrying in self._carrying:
            carrying.cancel()

    def _console(self, query: Mapping[str, str]) -> str:
        """The console that is named, or the screen of the VM that is. :raise Failure: there is none."""
        store, ref, uuid = self._engine.context.store, query.get("ref", ""), query.get("uuid", "")
        for console, record in store.all(Console).items():
            if console == ref or (uuid and record.uuid == uuid):
                return console
            vm = store.find(VM, record.VM)
            its_vm = ref == record.VM or (uuid and vm is not None and vm.uuid == uuid)
            if its_vm and record.protocol is ConsoleProtocol.rfb:
                return console
        raise handle_invalid("console", ref or uuid)


def _parsed(head: bytes) -> tuple[str, dict[str, str], dict[str, str]]:
    """Path, query and headers by lower-case name; empty where the head makes no sense."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    target = words[1] if len(words) == 3 and words[1].startswith("/") else ""
    try:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, max_num_fields=32))
    except ValueError:
        return "", {}, {}
    pairs = (line.partition(":") for line in lines[1:])
    return parts.path.rstrip("/"), query, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get("session_id")
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


async def _refuse(writer: asyncio.StreamWriter, status: int, reason: str, more: str = "") -> None:
    head = f"HTTP/1.1 {status} {reason}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    with contextlib.suppress(OSError):
        await writer.drain()
        writer.close()
        await writer.wait_closed()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def is_web_socket(request: web.Request) -> bool:
    """Whether the request asks for a console by WebSocket."""
    asked = request.headers.get("Upgrade", "").lower() == "websocket"
    return asked and request.method == "GET" and request.path.rstrip("/") == "/console"


def _is_foreign(request: web.Request) -> bool:
    """Whether a page of another site asks. Programs that are no browsers do not say where they come from."""
    origin = request.headers.get("Origin", "")
    return bool(origin) and urlsplit(origin).netloc.lower() != request.host.lower()


async def _to_guest(near: web.WebSocketResponse, far: asyncio.StreamWriter) -> None:
    """Ends at the first message that is not binary: there is none such in RFB."""
    with contextlib.suppress(OSError):
        async for message in near:
            if message.type is not WSMsgType.BINARY:
                break
            far.write(message.data)
            await far.drain()


async def _to_browser(far: asyncio.StreamReader, near: web.WebSocketResponse) -> None:
    with contextlib.suppress(OSError):
        while piece := await far.read(PIECE):
            await near.send_bytes(piece)


async def _both_ways(near: Ends, far: Ends) -> None:
    """Copy until either side ends."""
    await _until_one_ends(_copy(near[0], far[1]), _copy(far[0], near[1]))


async def _until_one_ends(one: Coroutine[Any, Any, None], other: Coroutine[Any, Any, None]) -> None:
    running = {asyncio.ensure_future(one), asyncio.ensure_future(other)}
    try:
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
