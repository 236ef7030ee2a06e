"""JSON-RPC over HTTP: XenAPI's messages, versions 1.0 and 2.0, one call a request."""

from __future__ import annotations

from typing import Any

import msgspec

from app.api import Failure
from app.server.desk import Desk, NoRequest
from app.server.json_values import encoded
from app.server.large import beside_the_loop, parsed
from app.server.locations import located


async def answer(desk: Desk, body: bytes, address: str, url: str = "") -> bytes:
    """The answer to one request, as JSON.

    :param url: of this server, as the client names it.
    :raise NoRequest: it is none.
    """
    request = await parsed(_parsed, body)
    version_2 = request.get("jsonrpc") == "2.0"
    number = msgspec.json.encode(request["id"])
    method, params = request["method"], request.get("params", [])
    try:
        result = await desk.call(method, params if isinstance(params, list) else [params], address)
    except Failure as failure:
        return _failed(failure, number, version_2)
    value = await beside_the_loop(located(method, result, url), encoded)
    if version_2:
        return b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (value, number)
    return b'{"result":%b,"error":null,"id":%b}' % (value, number)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise NoRequest("not well-formed JSON") from None
    if not isinstance(request, dict):
        raise NoRequest("not one JSON-RPC call")
    if not isinstance(request.get("method"), str):
        raise NoRequest("a call without a method")
    if not isinstance(request.get("id"), str | int | float):
        raise NoRequest("a call without an id")
    return request


def _failed(failure: Failure, number: bytes, version_2: bool) -> bytes:
    if version_2:
        error = msgspec.json.encode({"code": 1, "message": failure.code, "data": list(failure.params)})
        return b'{"jsonrpc":"2.0","error":%b,"id":%b}' % (error, number)
    return b'{"result":null,"error":%b,"id":%b}' % (msgspec.json.encode(failure.description()), number)
