"""JSON-RPC over HTTP: XenAPI's messages, versions 1.0 and 2.0, one call a request."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from app.api import Failure
from app.api.failure import parameter_count
from app.api.wire import parameter_types, plain, restored
from app.engine.engine import Engine
from app.log import get

log = get(__name__)

LARGEST_BODY: Final = 16 << 20
"""Bytes. The longest message we know holds a few thousand references."""
LOGIN: Final = "session.login_with_password"


async def answer(engine: Engine, body: bytes, *, private: bool) -> bytes | None:
    """The answer to one request, as JSON; None if it is no request at all.

    :param private: the channel is open to the owner of the engine alone, so that nobody has to say who they are.
    """
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return None
    params = request.get("params", [])
    version_2 = request.get("jsonrpc") == "2.0"
    try:
        result = await _call(engine, request["method"], params if isinstance(params, list) else [], private=private)
    except Failure as failure:
        return _encoded(request, version_2, error=failure)
    return _encoded(request, version_2, result=plain(result))


async def _call(engine: Engine, method: str, params: list[Any], *, private: bool) -> Any:
    if method == LOGIN:
        if not 2 <= len(params) <= 4:
            raise parameter_count(method, 2, len(params))
        user, password, *rest = [restored(param, str) for param in params]
        return engine.dispatcher.login(user, password, rest[1] if len(rest) > 1 else "", private=private)
    if not params:
        raise parameter_count(method, 1, 0)
    session, *given = params
    declared = parameter_types(method)
    typed = [restored(value, declared[at]) if at < len(declared) else value for at, value in enumerate(given)]
    return await engine.dispatcher.call(session, method, typed)


def _encoded(request: dict[str, Any], version_2: bool, *, result: Any = None, error: Failure | None = None) -> bytes:
    if version_2:
        envelope: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id")}
        if error is None:
            envelope["result"] = result
        else:
            envelope["error"] = {"code": 1, "message": error.code, "data": list(error.params)}
    else:
        description = None if error is None else error.description()
        envelope = {"result": result, "error": description, "id": request.get("id")}
    return msgspec.json.encode(envelope)


async def handle(request: web.Request, engine: Engine, *, private: bool) -> web.Response:
    """POST /jsonrpc."""
    reply = await answer(engine, await request.read(), private=private)
    if reply is None:
        return web.Response(status=400, text="This is no JSON-RPC request.")
    # Exactly this type: some clients refuse one that names a character set.
    return web.Response(body=reply, headers={"Content-Type": "application/json"})
