"""Byte streams over HTTP: the engine's downloads as responses, and requests' bodies for its uploads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from aiohttp import web

from app.api import ConnectionLost, Failure
from app.api.streams import Chunk, Download

OWN_PARAMETERS: Final = frozenset({"session_id"})
"""Of a request's query: what is the transport's, not the handler's."""


def query_of(request: web.Request) -> Mapping[str, str]:
    """The query for the handler."""
    return {key: value for key, value in request.query.items() if key not in OWN_PARAMETERS}


def session_of(request: web.Request) -> str:
    """The session in the query, or the one in the cookie; "" for none."""
    return request.query.get("session_id", "") or request.cookies.get("session_id", "")


def head_of(download: Download) -> dict[str, str]:
    """The headers that XenServer gives an export."""
    headers = {
        "Content-Type": download.content_type,
        "Content-Disposition": f'attachment; filename="{download.file_name}"',
        "Cache-Control": "no-cache, no-store",
        "Connection": "close",
    }
    if download.task:
        headers["task-id"] = download.task
    if download.length is not None:
        headers["Content-Length"] = str(download.length)
    return headers


async def send(request: web.Request, download: Download, response: web.StreamResponse) -> web.StreamResponse:
    """Send a download, and close it. When it fails on the way the connection ends before the stream does.

    :raise Failure: on the way; the response is under way then, and its connection has to be closed.
    """
    try:
        await response.prepare(request)
        async for chunk in download.chunks:
            await response.write(chunk)
        await response.write_eof()
    except Failure:
        if request.transport is not None:
            request.transport.abort()
        raise
    finally:
        await download.close()
    return response


async def body_of(request: web.Request) -> AsyncIterator[Chunk]:
    """The chunks of a request's body. :raise ConnectionLost: the client left before the end."""
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except (web.PayloadAccessError, web.RequestPayloadError, OSError) as error:
        # What came just before is still there, and may be the end of an archive.
        if left := request.content._read_nowait(-1):
            yield left
        raise ConnectionLost(f"the client has left: {error}") from error
    if request.content.exception() is not None:
        raise ConnectionLost(f"the client has left: {request.content.exception()}")
