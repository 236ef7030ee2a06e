"""The engine for other programs of the same user: HTTP on a private unix socket, on Windows on a port with a token."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from app.api import Failure
from app.client.local_address import HOST, LocalAddress, new_token, write_address
from app.engine.engine import Engine
from app.log import get
from app.server import streams
from app.server.desk import Desk
from app.server.site import LARGEST_BODY, never_a_traceback, rpc, to_its_end

log = get(__name__)


class LocalServer:
    """Answers on `path`, which only we may open (0600), in a folder that only we may enter.

    :param loopback: answer on a port of 127.0.0.1 instead, and leave at `path` how to get in there.
    """

    def __init__(self, engine: Engine, path: Path, *, loopback: bool = sys.platform == "win32") -> None:
        self._engine = engine
        self._desk = Desk(engine, door=None)
        self._path = path
        self._runner: web.AppRunner | None = None
        self._loopback = loopback
        self._address: LocalAddress | None = None

    async def open(self) -> None:
        """Begin to answer. A socket that a kill left behind is replaced: the engine's lock says that nobody uses it.

        :raise OSError: the socket cannot be made.
        """
        doors = [self._check_token] if self._loopback else []
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[never_a_traceback, *doors])
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
        if self._loopback:
            await self._answer_on_a_port(self._runner)
        else:
            before = os.umask(0o177)
            try:
                await web.UnixSite(self._runner, str(self._path)).start()
            finally:
                os.umask(before)
        log.info("answering", socket=str(self._path))

    async def _answer_on_a_port(self, runner: web.AppRunner) -> None:
        await web.TCPSite(runner, HOST, 0).start()
        self._address = LocalAddress(runner.addresses[0][1], new_token())
        write_address(self._path, self._address)

    @web.middleware
    async def _check_token(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Nothing is looked at, and nothing told, before the token is."""
        shown = request.headers.get("Authorization", "")
        if self._address is None or not self._address.is_shown_by(shown):
            raise web.HTTPUnauthorized
        return await handler(request)

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
