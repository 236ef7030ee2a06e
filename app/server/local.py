"""The engine for other programs of the same user: HTTP on a private unix socket."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from aiohttp import web

from app.api import Failure
from app.engine.engine import Engine
from app.log import get
from app.server import streams
from app.server.desk import Desk
from app.server.site import LARGEST_BODY, never_a_traceback, rpc, to_its_end

log = get(__name__)


class LocalServer:
    """Answers on `path`, which only we may open (0600), in a folder that only we may enter."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._desk = Desk(engine, door=None)
        self._path = path
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Begin to answer. A socket that a kill left behind is replaced: the engine's lock says that nobody uses it.

        :raise OSError: the socket cannot be made.
        """
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[never_a_traceback])
        app.add_routes(
            [
                web.post("/{path:.*}", self._rpc),
                web.get("/blob", self._blob),
                web.get("/screenshot", self._screenshot),
                web.get("/console_socket", self._console_socket),
                web.get("/{path:export.*}", self._get),
                web.put("/{path:import.*}", self._put),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, handler_cancellation=True)
        await self._runner.setup()
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            await web.UnixSite(self._runner, str(self._path)).start()
        finally:
            os.umask(before)
        log.info("answering", socket=str(self._path))

    async def close(self) -> None:
        """Answer no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._path.unlink(missing_ok=True)

    async def _rpc(self, request: web.Request) -> web.StreamResponse:
        return await rpc(request, self._desk)

    async def _blob(self, request: web.Request) -> web.Response:
        try:
            content = await self._engine.read_blob(self._checked(request))
        except Failure as failure:
            return _refused(failure)
        return web.Response(body=content, content_type="application/octet-stream")

    async def _screenshot(self, request: web.Request) -> web.Response:
        try:
            content = await self._engine.screenshot(self._checked(request))
        except Failure as failure:
            return _refused(failure)
        return web.Response(body=content, content_type="image/png")

    async def _console_socket(self, request: web.Request) -> web.Response:
        """Where the console's own socket is: whoever reaches us may open it too."""
        try:
            path = self._engine.console_socket(self._checked(request))
        except Failure as failure:
            return _refused(failure)
        return web.Response(text=str(path))

    async def _get(self, request: web.Request) -> web.StreamResponse:
        session, query = streams.session_of(request), streams.query_of(request)
        try:
            download = await self._engine.handlers.get(session, request.path, query)
        except Failure as failure:
            return _refused(failure)
        response = web.StreamResponse(headers=streams.head_of(download))
        with contextlib.suppress(Failure, OSError):
            await streams.send(request, download, response)
        return response

    async def _put(self, request: web.Request) -> web.Response:
        session, query = streams.session_of(request), streams.query_of(request)
        body, length = streams.body_of(request), request.content_length
        try:
            # A client that leaves may have sent all there is: the handler sees to it.
            await to_its_end(self._engine.handlers.put(session, request.path, query, body, length))
        except Failure as failure:
            return _refused(failure)
        return web.Response(text="")

    def _checked(self, request: web.Request) -> str:
        self._engine.dispatcher.check_session(request.query.get("session_id", ""))
        return request.query.get("ref", "")


def _refused(failure: Failure) -> web.Response:
    return web.json_response(failure.description(), status=422)
