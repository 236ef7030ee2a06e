"""Who asks for a stream: a session in the query or a cookie, or a name and password by HTTP's Basic authentication."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.api import Failure
from app.engine.engine import Engine
from app.server.desk import Desk

_ORIGINATOR: Final = "http"


class Stranger(Exception):
    """No session, and no name and password that are right."""


@asynccontextmanager
async def visit(engine: Engine, desk: Desk, session: str, authorization: str, address: str) -> AsyncIterator[str]:
    """The session of a request; one made for a name and password ends with it.

    :raise Stranger:
    """
    if session:
        try:
            engine.dispatcher.check_session(session)
        except Failure as failure:
            raise Stranger from failure
        yield session
        return
    user, password = _basic(authorization)
    try:
        made = await desk.login(user, password, _ORIGINATOR, address)
    except Failure as failure:
        raise Stranger from failure
    try:
        yield made
    finally:
        engine.dispatcher.logout(made)


def _basic(authorization: str) -> tuple[str, str]:
    """RFC 7617. :raise Stranger: nothing of the kind."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise Stranger
    try:
        user, colon, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except ValueError as error:
        raise Stranger from error
    if not colon:
        raise Stranger
    return user, password
