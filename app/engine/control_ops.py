"""The messages of tasks, events, messages and hosts: the engine's own, beside the operations on VMs and disks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from app.api import (
    Event,
    EventBatch,
    EventCalls,
    EventOperation,
    Host,
    HostCalls,
    Message,
    MessageClass,
    Ref,
    Task,
    TaskCalls,
    classes,
)
from app.api.control import MessageCalls
from app.api.failure import handle_invalid, invalid_value, uuid_invalid
from app.api.types import new_uuid
from app.engine.tasks import Tasks
from app.ops.context import Context, Operations
from app.store import Change, Store, Subscription

LONGEST_WAIT_SECONDS = 3600.0


class TaskOps(Operations, TaskCalls):
    """Tasks."""

    def __init__(self, context: Context, tasks: Tasks) -> None:
        super().__init__(context)
        self._tasks = tasks

    async def create(self, label: str, description: str) -> Ref[Task]:
        return self._tasks.make(label, description).ref

    async def destroy(self, task: Ref[Task]) -> None:
        self._tasks.destroy(task)

    async def cancel(self, task: Ref[Task]) -> None:
        self._tasks.cancel(task)


class EventOps(Operations, EventCalls):
    """The event feed."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._changed = _Bell(context.store.on_change)

    async def from_(self, classes: Sequence[str], token: str, timeout: float) -> EventBatch:
        wanted = Subscription(classes)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(max(timeout, 0.0), LONGEST_WAIT_SECONDS)
        while True:
            heard = self._changed.listen()
            changes = [c for c in self.store.feed.since(token) if wanted.matches(c)]
            remaining = deadline - loop.time()
            if changes or remaining <= 0:
                return self._batch(changes)
            await asyncio.wait({heard}, timeout=remaining)
            heard.cancel()

    async def inject(self, cls: str, ref: str) -> str:
        if cls not in classes():
            raise handle_invalid(cls, ref)
        if ref not in self.store.of_class(cls):
            raise handle_invalid(cls, ref)
        self.store.feed.note(cls, ref, EventOperation.mod)
        self._changed.ring()
        return self.store.feed.token()

    def _batch(self, changes: Sequence[Change]) -> EventBatch:
        return EventBatch(
            events=tuple(_event(self.store, change) for change in changes),
            valid_ref_counts={name.lower(): len(self.store.of_class(name)) for name in classes()},
            token=self.store.feed.token(),
        )


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


class MessageOps(Operations, MessageCalls):
    """Messages about objects."""

    async def create(self, name: str, priority: int, cls: MessageClass, obj_uuid: str, body: str) -> Ref[Message]:
        if not 1 <= priority <= 5:
            raise invalid_value("priority", priority)
        objects = self.store.of_class({"Host": "host", "Pool": "pool"}.get(cls.value, cls.value)) if _known(cls) else {}
        if not any(record.uuid == obj_uuid for record in objects.values()):
            raise uuid_invalid(cls.value, obj_uuid)
        record = Message(
            uuid=new_uuid(), name=name, priority=priority, cls=cls, obj_uuid=obj_uuid, body=body,
            timestamp=self.context.now(),
        )  # fmt: skip
        with self.store.transaction() as tx:
            return self.context.leave_message(tx, record)

    async def destroy(self, message: Ref[Message]) -> None:
        self.store.get(Message, message)
        with self.store.transaction() as tx:
            tx.delete(Message, message)


def _known(cls: MessageClass) -> bool:
    return cls in (
        MessageClass.VM,
        MessageClass.Host,
        MessageClass.SR,
        MessageClass.Pool,
        MessageClass.VMSS,
        MessageClass.VDI,
    )


class HostOps(Operations, HostCalls):
    """Hosts."""

    async def get_servertime(self, host: Ref[Host]) -> datetime:
        self.store.get(Host, host)
        return self.context.now()

    async def get_server_localtime(self, host: Ref[Host]) -> datetime:
        self.store.get(Host, host)
        # XenAPI sends the wall clock marked as UTC.
        local = self.context.now().astimezone()
        return datetime(*local.timetuple()[:6], tzinfo=self.context.now().tzinfo)
