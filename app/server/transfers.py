"""XenServer's GET and PUT handlers for other machines: exports, imports, blobs and pictures."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from app.api import Failure
from app.api.streams import Chunk
from app.engine.engine import Engine
from app.server import streams
from app.server.desk import Desk
from app.server.pages import NOT_CACHED, page
from app.server.site import to_its_end
from app.server.visitors import Stranger, visit

_ABSENT: Final = ("/rrd_updates", "/vm_rrd", "/host_rrd", "/sr_rrd", "/services", "/vncsnapshot", "/cli", "/console")
"""Handlers of XenServer that clients look for and do without."""
_NEVER_MEANT: Final = 1 << 50
"""Bytes."""
_NO_CHUNKS: Final = ("/import", "/import_metadata")


class Transfers:
    """Answers GET and PUT. Everything needs a session, or a name and password."""

    def __init__(self, engine: Engine, desk: Desk) -> None:
        self._engine = engine
        self._desk = desk
        self._contents: Mapping[str, tuple[Callable[[str], Awaitable[bytes]], str]] = {
            "/blob": (engine.read_blob, "application/octet-stream"),
            "/screenshot": (engine.screenshot, "image/png"),
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The answer to a GET or PUT. Paths that are nobody's are answered alike with and without a session."""
        path = request.path.rstrip("/")
        known = self._engine.handlers.knows(request.method, path)
        content = self._contents.get(path) if request.method == "GET" else None
        if not known and content is None and path not in _ABSENT:
            return page(403)
        session, authorization = streams.session_of(request), request.headers.get("Authorization", "")
        try:
            async with visit(self._engine, self._desk, session, authorization, request.remote or "") as session:
                if content is not None:
                    return await self._content(request, *content)
                if not known:
                    return page(404)
                return await (self._get if request.method == "GET" else self._put)(request, session, path)
        except Stranger:
            return page(401, realm=f"{request.method.lower()}_{path.strip('/')}")
        except Failure as failure:
            return refusal(failure)

    async def _content(
        self, request: web.Request, read: Callable[[str], Awaitable[bytes]], content_type: str
    ) -> web.Response:
        content = await read(request.query.get("ref", ""))
        return web.Response(body=content, headers={**NOT_CACHED, "Content-Type": content_type})

    async def _get(self, request: web.Request, session: str, path: str) -> web.StreamResponse:
        download = await self._engine.handlers.get(session, path, streams.query_of(request))
        response = web.StreamResponse(headers=streams.head_of(download))
        response.force_close()
        # From here on the connection's end before the stream's tells of a failure, and the task of its reason.
        with contextlib.suppress(Failure, OSError):
            await streams.send(request, download, response)
        return response

    async def _put(self, request: web.Request, session: str, path: str) -> web.StreamResponse:
        """As XenServer: success is told as soon as the body is wanted, and how it ends by the task alone."""
        handlers = self._engine.handlers
        query = dict(streams.query_of(request))
        query["task_id"] = handlers.task_for(session, path, query)
        if path in _NO_CHUNKS and request.headers.get("Transfer-Encoding"):
            return refusal(handlers.fail(query, Failure("IMPORT_ERROR_CANNOT_HANDLE_CHUNKED")))
        headers = {**NOT_CACHED, "task-id": query["task_id"], "Content-Type": "application/octet-stream"}
        response = web.StreamResponse(headers=headers)
        response.force_close()
        try:
            # A client that leaves may have sent all there is: the handler sees to it.
            await to_its_end(handlers.put(session, path, query, _announced(request, response), _length(request)))
        except Failure as failure:
            if not response.prepared:
                return refusal(failure)
            if request.transport is not None:
                request.transport.abort()
            return response
        with contextlib.suppress(OSError):
            if not response.prepared:
                await response.prepare(request)
            await response.write_eof()
        return response


def _length(request: web.Request) -> int | None:
    """Bytes of the body, None where the client does not know: some announce a pebibyte then, and close at the end."""
    length = request.content_length
    return None if length is None or length >= _NEVER_MEANT else length


async def _announced(request: web.Request, response: web.StreamResponse) -> AsyncIterator[Chunk]:
    """The chunks of the body, with 200 sent before the first one is awaited."""
    # Whoever has left already does not need it.
    with contextlib.suppress(OSError):
        await response.prepare(request)
        await response.write(b"")
    async for chunk in streams.body_of(request):
        yield chunk


def refusal(failure: Failure) -> web.Response:
    """A failure before any stream, as XenServer writes it: `CODE: [ parameter; parameter ]`."""
    status = {"SR_OPERATION_NOT_SUPPORTED": 400, "IMPORT_ERROR_CANNOT_HANDLE_CHUNKED": 403}.get(failure.code, 500)
    return page(status, f"{failure.code}: [ {'; '.join(failure.params)} ]")
