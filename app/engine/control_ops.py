"""The messages of tasks and messages: the engine's own, beside the operations on VMs and disks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.api import Message, MessageClass, Ref, Task, TaskCalls, TaskStatus
from app.api.control import MessageCalls
from app.api.failure import invalid_value, uuid_invalid
from app.api.types import new_uuid
from app.engine.tasks import Tasks
from app.ops.context import Context, Operations


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

    async def set_status(self, task: Ref[Task], value: TaskStatus) -> None:
        self._tasks.report_status(task, value)

    async def set_progress(self, task: Ref[Task], value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise invalid_value("progress", value)
        self._tasks.report(task, progress=value)

    async def set_result(self, task: Ref[Task], value: str) -> None:
        self._tasks.report(task, result=value)

    async def set_error_info(self, task: Ref[Task], value: Sequence[str]) -> None:
        self._tasks.report(task, error_info=tuple(value))


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

    async def destroy_many(self, messages: Sequence[Ref[Message]]) -> None:
        for message in messages:
            self.store.get(Message, message)
        with self.store.transaction() as tx:
            tx.delete_all(Message, messages)

    async def get(self, cls: MessageClass, obj_uuid: str, since: datetime) -> Mapping[str, Any]:
        found = await self.get_since(since)
        return {ref: record for ref, record in found.items() if (record.cls, record.obj_uuid) == (cls, obj_uuid)}

    async def get_since(self, since: datetime) -> Mapping[str, Any]:
        return {str(ref): record for ref, record in self.store.all(Message).items() if record.timestamp >= since}


def _known(cls: MessageClass) -> bool:
    return cls in (
        MessageClass.VM,
        MessageClass.Host,
        MessageClass.SR,
        MessageClass.Pool,
        MessageClass.VMSS,
        MessageClass.VDI,
    )
