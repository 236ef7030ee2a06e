"""Answers that are no results, as XenServer words them: short pages of HTML, with nothing of ours in them."""

from __future__ import annotations

from html import escape
from typing import Final

from aiohttp import web

NOT_CACHED: Final = {"Cache-Control": "no-cache, no-store"}
OPEN_TO_SCRIPTS: Final = {
    **NOT_CACHED,
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "X-Requested-With",
}
"""Of answers that hold a result. A page of another site can read nothing with it: sessions are not cookies there."""

_TEXTS: Final = {
    400: ("Bad Request", "The request could not be understood."),
    401: ("Unauthorised", "Please check your credentials and retry."),
    403: ("Forbidden", "Access to the requested resource is forbidden."),
    404: ("Not Found", "The requested resource is not here."),
    408: ("Request Timeout", "The request took too long to arrive."),
    413: ("Content Too Large", "The request is too large."),
    500: ("Internal Error", "The request could not be answered."),
    501: ("Method not implemented", "This method is not supported."),
}


def page(status: int, text: str = "", *, realm: str = "") -> web.Response:
    """An answer without a result, after which the connection ends.

    :param text: what went wrong, for people; not trusted, it may hold what the client sent.
    :param realm: what a name and password are asked for, with status 401.
    """
    reason, sentence = _TEXTS[status]
    more = f"<h1>Additional information</h1>{escape(text)}" if text else ""
    response = web.Response(
        status=status,
        reason=reason,
        body=f"<html><body><h1>HTTP {status} {reason.lower()}</h1>{sentence}{more}</body></html>".encode(
            errors="replace"
        ),
        headers={**NOT_CACHED, "Content-Type": "text/html"},
    )
    if realm:
        response.headers["WWW-Authenticate"] = f'Basic realm="{realm}"'
    response.force_close()
    return response
