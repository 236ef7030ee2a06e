"""Sessions: who may call. In memory only; a client logs in again after a restart."""

from __future__ import annotations

from typing import Any

from app.api import Failure, SessionRecord
from app.api.failure import session_invalid
from app.ops.context import Context

MOST_SESSIONS = 500


class Sessions:
    """The sessions of the engine; the oldest go when there are too many."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # Not in the records: an event for each call would wake every client for each call.
        self._last_used: dict[str, int] = {}
        self._calls = 0

    def login(self, user: str, _password: str, originator: str, *, private: bool) -> str:
        """Begin a session over a private channel, as the local superuser.

        :raise Failure: SESSION_AUTHENTICATION_FAILED: the channel is not private, and no other way in exists.
        """
        if not private:
            raise Failure("SESSION_AUTHENTICATION_FAILED", user, "This engine accepts local clients only")
        now = self._context.now()
        record = SessionRecord(
            this_host=self._context.host,
            last_active=now,
            validation_time=now,
            is_local_superuser=True,
            auth_user_name=user,
            originator=originator,
        )
        with self._context.store.transaction() as tx:
            ref: str = tx.create(record)
            tx.delete_all(SessionRecord, self._excess())
        return ref

    def check(self, session: Any) -> None:
        """:raise Failure: SESSION_INVALID."""
        if not isinstance(session, str) or self._context.store.find(SessionRecord, session) is None:
            raise session_invalid(str(session))
        self._calls += 1
        self._last_used[session] = self._calls

    def logout(self, session: str) -> None:
        """End a session."""
        self._last_used.pop(session, None)
        with self._context.store.transaction() as tx:
            tx.delete(SessionRecord, session)

    def _excess(self) -> list[str]:
        """The sessions that have been silent the longest, so that one more fits."""
        known = sorted(self._context.store.all(SessionRecord), key=lambda ref: self._last_used.get(ref, 0))
        gone = [str(ref) for ref in known[: max(0, len(known) - MOST_SESSIONS + 1)]]
        for ref in gone:
            self._last_used.pop(ref, None)
        return gone
