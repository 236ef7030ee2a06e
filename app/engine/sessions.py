"""Sessions: who may call. In memory only; a client logs in again after a restart."""

from __future__ import annotations

from collections import OrderedDict
from contextvars import ContextVar
from time import monotonic
from typing import Any, Final

from app.api import SessionRecord
from app.api.failure import session_invalid
from app.log import conceal, stop_concealing
from app.ops.context import Context

MOST_SESSIONS: Final = 500
"""Of one user and one program, as XenServer allows; the oldest go when there are more."""
IDLE_SECONDS: Final = 24 * 3600.0
TELL_SECONDS: Final = 600.0
"""`last_active` follows the calls in steps: an event for each call would wake every client for each call."""

caller: ContextVar[str] = ContextVar("caller", default="")
"""The session of the call under way, for messages that are about it."""


class Sessions:
    """The sessions of the engine."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # When each was last used, the longest ago first, by a clock that nobody sets; and when its record last told so.
        self._used: OrderedDict[str, float] = OrderedDict()
        self._told: dict[str, float] = {}

    def login(self, user: str, originator: str) -> str:
        """Begin a session of somebody whose right to it has been looked at."""
        now = self._context.now()
        record = SessionRecord(
            this_host=self._context.host,
            last_active=now,
            validation_time=now,
            is_local_superuser=True,
            auth_user_name=user,
            originator=originator,
        )
        for gone in [*self._expired(), *self._excess(user, originator)]:
            self.logout(gone)
        with self._context.store.transaction() as tx:
            ref: str = tx.create(record)
        self._used[ref] = self._told[ref] = monotonic()
        conceal(ref)
        return ref

    def check(self, session: Any) -> None:
        """:raise Failure: SESSION_INVALID."""
        now = monotonic()
        used = self._used.get(session) if isinstance(session, str) else None
        if used is None:
            raise session_invalid(str(session))
        if now - used > IDLE_SECONDS:
            self.logout(session)
            raise session_invalid(session)
        self._used[session] = now
        self._used.move_to_end(session)
        if now - self._told[session] >= TELL_SECONDS:
            self._told[session] = now
            self._context.store.publish(SessionRecord, session, last_active=self._context.now())

    def logout(self, session: str) -> None:
        """End a session."""
        self._used.pop(session, None)
        self._told.pop(session, None)
        with self._context.store.transaction() as tx:
            tx.delete(SessionRecord, session)
        stop_concealing(session)

    def _expired(self) -> list[str]:
        oldest = monotonic() - IDLE_SECONDS
        return [ref for ref, used in self._used.items() if used < oldest]

    def _excess(self, user: str, originator: str) -> list[str]:
        """The user's sessions that have been silent the longest, so that one more fits."""
        records = self._context.store.all(SessionRecord)
        same = [ref for ref in self._used if _is_of(records.get(ref), user, originator)]  # type: ignore[call-overload]
        return same[: max(0, len(same) - MOST_SESSIONS + 1)]


def _is_of(record: SessionRecord | None, user: str, originator: str) -> bool:
    return record is not None and (record.auth_user_name, record.originator) == (user, originator)
