"""What both servers answer by HTTP: calls by POST, whatever the path, as XenServer does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from aiohttp import web

from app.log import get
from app.server import json_rpc, xml_rpc
from app.server.desk import Desk, NoRequest
from app.server.pages import NOT_CACHED, OPEN_TO_SCRIPTS, page

log = get(__name__)

LARGEST_BODY: Final = 16 << 20
"""Bytes. The longest message we know holds a few thousand references."""
BODY_SECONDS: Final = 60.0
"""For a call to arrive in. It takes milliseconds, but for clients that mean to hold a connection."""
USUAL_BODY: Final = 256 << 10
"""Bytes. Only a few larger ones are read at once."""
PIECE: Final = 1 << 20
PIECE_SECONDS: Final = 60.0
"""For a piece of a large answer to be taken in."""

T = TypeVar("T")
Answer = Callable[[Desk, bytes, str, str], Awaitable[bytes]]


async def rpc(request: web.Request, desk: Desk, *, url: str = "") -> web.StreamResponse:
    """POST: JSON-RPC at /jsonrpc, XML-RPC anywhere else. `url` is where the client finds consoles."""
    speaks_json = request.path.rstrip("/") == "/jsonrpc"
    if (request.content_length or 0) > LARGEST_BODY:
        return page(413)
    answer: Answer = json_rpc.answer if speaks_json else xml_rpc.answer
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(request, desk)
    except TimeoutError:
        return page(408)
    except web.HTTPRequestEntityTooLarge:
        return page(413)
    try:
        reply = await answer(desk, body, request.remote or "", url)
    except NoRequest as error:
        return page(500, str(error))
    # Exactly these types: some clients refuse one that names a character set.
    return await _sent(request, reply, "application/json" if speaks_json else "text/xml")


async def _body(request: web.Request, desk: Desk) -> bytes:
    if (request.content_length or LARGEST_BODY) <= USUAL_BODY:
        return await request.read()
    # Whoever has no session yet can fill this much memory, and no more.
    async with desk.room_for_large_bodies:
        return await request.read()


async def _sent(request: web.Request, reply: bytes, content_type: str) -> web.StreamResponse:
    headers = {**OPEN_TO_SCRIPTS, "Content-Type": content_type}
    if len(reply) <= PIECE:
        return web.Response(body=reply, headers=headers)
    response = web.StreamResponse(headers={**headers, "Content-Length": str(len(reply))})
    await response.prepare(request)
    whole = memoryview(reply)
    try:
        for start in range(0, len(reply), PIECE):
            async with asyncio.timeout(PIECE_SECONDS):
                await response.write(whole[start : start + PIECE])
    except TimeoutError:
        # It holds a large answer and does not take it.
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def options() -> web.Response:
    """OPTIONS: what scripts of a page may send."""
    return web.Response(headers={**OPEN_TO_SCRIPTS, "Access-Control-Allow-Methods": "PUT"})


_under_way: Final[set[asyncio.Future[Any]]] = set()


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await work that goes on when the client leaves."""
    running = asyncio.ensure_future(work)
    _under_way.add(running)
    running.add_done_callback(_under_way.discard)
    return await asyncio.shield(running)


@web.middleware
async def never_a_traceback(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Whatever goes wrong: a page that tells nothing of ours, and the traceback in the log."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, reason=error.reason, headers=NOT_CACHED)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        log.exception("a bug of ours", method=request.method, path=request.path)
        return page(500)
