"""XML-RPC over HTTP, as XenServer speaks it: every answer is a struct with Status and Value or ErrorDescription."""

from __future__ import annotations

from typing import Any, Final

from app.api import Failure
from app.engine.xml_values import xml_pieces, xml_value
from app.server.desk import Desk
from app.server.large import beside_the_loop, parsed
from app.server.locations import located
from app.server.xml_requests import parse

_BEGIN: Final = '<?xml version="1.0"?><methodResponse><params><param>'
_END: Final = "</param></params></methodResponse>"
_SUCCESS: Final = (
    "<value><struct><member><name>Status</name><value>Success</value></member><member><name>Value</name>",
    "</member></struct></value>",
)


async def answer(desk: Desk, body: bytes, address: str, url: str = "") -> bytes:
    """The answer to one request.

    :param url: of this server, as the client names it.
    :raise NoRequest: it is none.
    """
    method, params = await parsed(parse, body)
    try:
        result = located(method, await desk.call(method, params, address), url)
    except Failure as failure:
        error = {"Status": "Failure", "ErrorDescription": failure.description()}
        return f"{_BEGIN}{xml_value(error)}{_END}".encode()
    if method == "system.listMethods":
        # By XML-RPC's own custom, without Status.
        return f"{_BEGIN}{xml_value(result)}{_END}".encode()
    return await beside_the_loop(result, _success)


def _success(result: Any) -> bytes:
    before, after = _SUCCESS
    pieces = [piece.encode() for piece in xml_pieces(result)]
    return b"".join([f"{_BEGIN}{before}".encode(), *pieces, f"{after}{_END}".encode()])
