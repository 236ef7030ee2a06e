"""The way in from the network: passwords, and patience with those who guess them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from app.api import Failure
from app.log import get
from app.server.accounts import Accounts, AccountsError

log = get(__name__)

FIRST_DELAY_SECONDS: Final = 1.0
LONGEST_DELAY_SECONDS: Final = 16.0
_ADDRESSES_KEPT: Final = 4096
_HASHES_AT_ONCE: Final = 2


class Door:
    """Lets in who knows a password. After each wrong one its address waits longer, and only one try at a time."""

    def __init__(self, accounts: Accounts, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """:param pause: waits some seconds."""
        self._accounts = accounts
        self._pause = pause
        self._visitors: OrderedDict[str, _Visitor] = OrderedDict()
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)

    async def admit(self, user: str, password: str, address: str) -> None:
        """:raise Failure: SESSION_AUTHENTICATION_FAILED, after the time that guessing costs."""
        visitor = self._visitor(address)
        async with visitor.turn:
            if await self._right(user, password):
                visitor.wrong = 0
                return
            visitor.wrong += 1
            # No name: people type their password into the wrong field.
            log.warning("a login was refused", address=address, in_a_row=visitor.wrong)
            await self._pause(min(FIRST_DELAY_SECONDS * 2 ** min(visitor.wrong - 1, 10), LONGEST_DELAY_SECONDS))
        # The same words for a user that is not there: which names exist is nobody's business.
        raise Failure("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")

    async def change_password(self, user: str, old: str, new: str, address: str) -> None:
        """:raise Failure: SESSION_AUTHENTICATION_FAILED, CHANGE_PASSWORD_REJECTED."""
        await self.admit(user, old, address)
        try:
            await asyncio.to_thread(self._accounts.set, user, new)
        except AccountsError as error:
            raise Failure("CHANGE_PASSWORD_REJECTED", str(error)) from error

    async def _right(self, user: str, password: str) -> bool:
        async with self._hashing:
            return await asyncio.to_thread(self._accounts.right, user, password)

    def _visitor(self, address: str) -> _Visitor:
        key = _network(address)
        visitor = self._visitors.setdefault(key, _Visitor())
        self._visitors.move_to_end(key)
        if len(self._visitors) > _ADDRESSES_KEPT:
            idle = next((k for k, v in self._visitors.items() if not v.turn.locked()), None)
            if idle is not None and idle != key:
                del self._visitors[idle]
        return visitor


class _Visitor:
    def __init__(self) -> None:
        self.wrong = 0
        self.turn = asyncio.Lock()


def _network(address: str) -> str:
    """What one person can change at will counts as one: of an IPv6 address the first 64 bits."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None else str(parsed)
