"""The event feed: event.from, which waits for what changed, and the older register and next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.api import Event, EventBatch, EventCalls, EventOperation, Failure, SessionRecord, classes
from app.api.failure import handle_invalid, session_invalid
from app.engine.sessions import caller
from app.ops.context import Context, Operations
from app.store import Change, Store, Subscription

LONGEST_WAIT_SECONDS = 3600.0


class EventOps(Operations, EventCalls):
    """The event feed."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._changed = _Bell(context.store.on_change)
        self._registered: dict[str, _Registration] = {}

    async def from_(self, classes: Sequence[str], token: str, timeout: float) -> EventBatch:
        return self._batch(await self._changes(Subscription(classes), token, timeout))

    async def inject(self, cls: str, ref: str) -> str:
        if cls not in classes():
            raise handle_invalid(cls, ref)
        if ref not in self.store.of_class(cls):
            raise handle_invalid(cls, ref)
        self.store.feed.note(cls, ref, EventOperation.mod)
        self._changed.ring()
        return self.store.feed.token()

    async def register(self, classes: Sequence[str]) -> None:
        sessions = self.store.all(SessionRecord)
        self._registered = {ref: known for ref, known in self._registered.items() if ref in sessions}
        registration = self._registered.setdefault(caller.get(), _Registration(self.store.feed.token()))
        registration.classes |= set(classes)

    async def unregister(self, classes: Sequence[str]) -> None:
        registration = self._registered.get(caller.get())
        if registration is not None:
            gone = {name.lower() for name in classes}
            registration.classes = {name for name in registration.classes if name.lower() not in gone}

    async def next(self) -> Sequence[Event]:
        session = caller.get()
        registration = self._registered.get(session)
        if registration is None or not registration.classes:
            raise Failure("SESSION_NOT_REGISTERED", session)
        feed = self.store.feed
        if feed.has_lost(registration.token):
            registration.token = feed.token()
            raise Failure("EVENTS_LOST")
        wanted = Subscription(list(registration.classes))
        changes = await self._changes(wanted, registration.token, LONGEST_WAIT_SECONDS)
        registration.token = feed.token()
        return tuple(_event(self.store, change) for change in changes)

    async def get_current_id(self) -> int:
        return self.store.feed.generation

    async def _changes(self, wanted: Subscription, token: str, timeout: float) -> Sequence[Change]:
        """What changed after the token; waits until something has, or the time is over.

        :raise Failure: SESSION_INVALID: the session ended meanwhile.
        """
        session = caller.get()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(max(timeout, 0.0), LONGEST_WAIT_SECONDS)
        while True:
            heard = self._changed.listen()
            try:
                changes = [c for c in self.store.feed.since(token) if wanted.matches(c)]
                remaining = deadline - loop.time()
                if changes or remaining <= 0:
                    return changes
                await asyncio.wait({heard}, timeout=remaining)
            finally:
                heard.cancel()
            if session and self.store.find(SessionRecord, session) is None:
                raise session_invalid(session)

    def _batch(self, changes: Sequence[Change]) -> EventBatch:
        return EventBatch(
            events=tuple(_event(self.store, change) for change in changes),
            valid_ref_counts={name.lower(): len(self.store.of_class(name)) for name in classes()},
            token=self.store.feed.token(),
        )


@dataclass
class _Registration:
    """What a session wants to hear of by `next`, and up to where it has."""

    token: str
    classes: set[str] = field(default_factory=set)


class _Bell:
    """Wakes everyone who listens when the store changes."""

    def __init__(self, subscribe: Callable[[Callable[[], None]], None]) -> None:
        self._waiting: set[asyncio.Future[None]] = set()
        subscribe(self.ring)

    def listen(self) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    def ring(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)


def _event(store: Store, change: Change) -> Event:
    record = store.of_class(change.cls).get(change.ref)
    return Event(
        id=str(change.generation),
        timestamp="0.0",
        cls=change.cls,
        operation=change.operation if record is not None else EventOperation.delete,
        ref=change.ref,
        snapshot=record,
    )
