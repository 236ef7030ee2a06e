"""Where calls from a wire arrive, whatever it speaks: logins, and everything else on to the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from app.api import Failure, SessionRecord
from app.api.failure import parameter_count, type_error, unknown_method
from app.engine.engine import Engine
from app.server.door import Door
from app.server.parameters import received

_LOGINS: Final = {
    "session.login_with_password": 4,
    "session.slave_local_login_with_password": 2,
}
"""The most parameters of each; two are needed."""
LARGE_BODIES: Final = 4


class NoRequest(Exception):
    """What came is no call in the wire's language; the text says why, without what it holds."""


class Desk:
    """Answers calls of one channel."""

    def __init__(self, engine: Engine, door: Door | None) -> None:
        """:param door: asks for passwords. None: the channel is open to the owner of the engine alone."""
        self._engine = engine
        self._door = door
        self.room_for_large_bodies = asyncio.Semaphore(LARGE_BODIES)

    async def call(self, method: str, params: Sequence[Any], address: str = "") -> Any:
        """The result of a message. `params` begin with the session, where it has one.

        :param address: where the call comes from.
        :raise Failure: whatever the message answers.
        """
        if method == "system.listMethods":
            return self._engine.dispatcher.methods()
        if method in _LOGINS:
            return await self._login(method, params, address)
        if "." not in method:
            raise unknown_method(method)
        if not params:
            raise parameter_count(method, 1, 0)
        session, *given = params
        if method == "session.change_password":
            return await self._change_password(session, given, address)
        return await self._engine.dispatcher.call(session, method, received(method, given))

    async def login(self, user: str, password: str, originator: str, address: str) -> str:
        """Begin a session. :raise Failure: SESSION_AUTHENTICATION_FAILED."""
        if self._door is not None:
            await self._door.admit(user, password, address)
        return self._engine.dispatcher.login(user, originator)

    async def _login(self, method: str, params: Sequence[Any], address: str) -> str:
        if not 2 <= len(params) <= _LOGINS[method]:
            raise parameter_count(method, 2, len(params))
        for name, value in zip(("uname", "pwd", "version", "originator"), params, strict=False):
            if not isinstance(value, str):
                raise type_error(name)
        user, password, *rest = params
        return await self.login(user, password, rest[1] if len(rest) > 1 else "", address)

    async def _change_password(self, session: Any, given: Sequence[Any], address: str) -> None:
        self._engine.dispatcher.check_session(session)
        if len(given) != 2:
            raise parameter_count("session.change_password", 2, len(given))
        old, new = given
        if not isinstance(old, str) or not isinstance(new, str):
            raise type_error("password")
        if self._door is None:
            raise Failure("CHANGE_PASSWORD_REJECTED", "No password is asked for on this channel")
        user = self._engine.context.store.get(SessionRecord, session).auth_user_name
        await self._door.change_password(user, old, new, address)
